//! The actor that stops the engine, once.
//!
//! It owns the latched stop state and talks to the poller and the supervisor, downstream only. It promises: the
//! first request starts the sequence *stop fetching → drain → commit → close the workers*; later ones join it; an
//! urgent one cuts the drain short; and the report reaches everyone who waits, whenever they started to. It watches the
//! poller too: a source that failed for good, or an actor that is lost, stops the engine the same way.

use std::{fmt, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Message};
use futures_util::future::{OptionFuture, join};
use tokio::{sync::watch, time::Instant};

use crate::{
    delivery::{Offset, Payload, Seq},
    error::SourceError,
    poller::PollerHandle,
    polling::PollingEnded,
    signals::SignalWatch,
    supervisor::{AbandonDrain, CloseWorkers, Drain, DrainReport, Supervisor},
};

/// Stop the engine. There is no reply: the report is published to all who wait for it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    pub(crate) urgency: Urgency,
    pub(crate) reason: StopReason,
}

/// Whether a stop waits for running work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Until the drain deadline.
    Drain,
    /// Not at all.
    Now,
}

/// What made the engine stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The host application, or a handler, asked for it.
    Requested,
    /// A signal, with its number.
    Signal(i32),
    /// The source reported an error that only a person can mend.
    SourceFailed,
    /// A part of the engine was lost to a panic; see the log.
    Lost,
}

/// How the engine stopped.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// What made it stop.
    pub reason: StopReason,
    /// The error of a source that failed for good.
    pub source_error: Option<SourceError>,
    /// Highest seq that was handed over by the source.
    pub last_fetched: Option<Seq>,
    /// What the drain achieved.
    pub drain: DrainReport,
    /// The offset in force at the source, or why it is not known. After an error, deliveries that were finished may
    /// come again; none is lost.
    pub committed: Result<Option<Offset>, SourceError>,
    /// Whether an actor was lost, so that the numbers above are incomplete.
    pub lost_actor: bool,
    /// Time from the first request to the end.
    pub took: Duration,
}

impl ShutdownReport {
    /// Returns whether everything accepted was finished and the source knows it.
    pub fn is_clean(&self) -> bool {
        self.drain.abandoned.is_empty() && self.committed.is_ok() && !self.lost_actor
    }
}

/// The time allowed for each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) drain: Duration,
    pub(crate) commit: Duration,
    pub(crate) workers: Duration,
}

/// The report, once there is one.
pub(crate) type Published = watch::Receiver<Option<Arc<ShutdownReport>>>;

/// Whether the stop has begun.
pub(crate) type Stopping = watch::Receiver<bool>;

/// See the module's documentation.
pub struct ShutdownCoordinator<T: Payload> {
    feeder: Option<PollerHandle>,
    poller: PollerHandle,
    supervisor: Addr<Supervisor<T>>,
    deadlines: Deadlines,
    stopping: watch::Sender<bool>,
    publish: Option<watch::Sender<Option<Arc<ShutdownReport>>>>,
    source_error: Option<SourceError>,
    signals: Option<SignalWatch>,
}

impl<T: Payload> fmt::Debug for ShutdownCoordinator<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownCoordinator")
            .field("deadlines", &self.deadlines)
            .field("stopping", &self.publish.is_none())
            .finish_non_exhaustive()
    }
}

impl<T: Payload> ShutdownCoordinator<T> {
    pub(crate) fn new(
        feeder: Option<PollerHandle>,
        poller: PollerHandle,
        supervisor: Addr<Supervisor<T>>,
        deadlines: Deadlines,
    ) -> (Self, Stopping, Published) {
        let (publish, published) = watch::channel(None);
        let (stopping, begun) = watch::channel(false);
        let coordinator = Self {
            feeder,
            poller,
            supervisor,
            deadlines,
            stopping,
            publish: Some(publish),
            source_error: None,
            signals: None,
        };
        (coordinator, begun, published)
    }
}

/// Keep this watch until the engine has stopped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct KeepSignals(pub(crate) SignalWatch);

/// Polling ended by itself. From the coordinator's watch to itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct PollingStopped(PollingEnded);

impl<T: Payload> Actor for ShutdownCoordinator<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for poller in self.feeder.iter().chain([&self.poller]) {
            let (poller, me) = (poller.clone(), ctx.address());
            actix_rt::spawn(async move {
                me.do_send(PollingStopped(poller.end().await));
            });
        }
    }
}

impl<T: Payload> actix::Handler<KeepSignals> for ShutdownCoordinator<T> {
    type Result = ();

    fn handle(&mut self, KeepSignals(signals): KeepSignals, _: &mut Self::Context) {
        self.signals = Some(signals);
    }
}

impl<T: Payload> actix::Handler<PollingStopped> for ShutdownCoordinator<T> {
    type Result = ();

    fn handle(&mut self, PollingStopped(end): PollingStopped, ctx: &mut Self::Context) {
        let reason = match end {
            PollingEnded::Stopped => return,
            PollingEnded::Source(error) => {
                self.source_error = Some(error);
                StopReason::SourceFailed
            }
            PollingEnded::DownstreamGone | PollingEnded::Panicked => {
                tracing::error!("a part of the engine was lost, stopping");
                StopReason::Lost
            }
        };
        ctx.notify(Shutdown {
            urgency: Urgency::Drain,
            reason,
        });
    }
}

impl<T: Payload> actix::Handler<Shutdown> for ShutdownCoordinator<T> {
    type Result = ();

    fn handle(&mut self, request: Shutdown, _: &mut Self::Context) {
        if let Some(publish) = self.publish.take() {
            tracing::info!(reason = ?request.reason, deadline = ?self.deadlines.drain, "stopping");
            self.stopping.send_replace(true);
            let parts = Parts {
                feeder: self.feeder.clone(),
                poller: self.poller.clone(),
                supervisor: self.supervisor.clone(),
                deadlines: self.deadlines,
            };
            let (source_error, signals) = (self.source_error.take(), self.signals.take());
            actix_rt::spawn(async move {
                let report = parts.stop(request.reason, source_error).await;
                publish.send_replace(Some(Arc::new(report)));
                // Signals are ours until the very end, then the host's again.
                drop(signals);
            });
        }
        if request.urgency == Urgency::Now {
            tracing::warn!("not waiting for running work any longer");
            self.supervisor.do_send(AbandonDrain);
        }
    }
}

/// What has to be stopped.
struct Parts<T: Payload> {
    feeder: Option<PollerHandle>,
    poller: PollerHandle,
    supervisor: Addr<Supervisor<T>>,
    deadlines: Deadlines,
}

impl<T: Payload> Parts<T> {
    /// The sequence. Each step is bounded, and a step whose actor is gone is skipped.
    async fn stop(self, reason: StopReason, source_error: Option<SourceError>) -> ShutdownReport {
        let started = Instant::now();
        let mut lost_actor = reason == StopReason::Lost;

        let mut last_fetched = None;
        for poller in self.feeder.iter().chain([&self.poller]) {
            match poller.stop().await {
                Ok(last) => last_fetched = last_fetched.or(last),
                Err(_gone) => lost_actor = true,
            }
        }
        // What the feeder handed over is kept already, so its other side can be told while the rest drains.
        let fed = OptionFuture::from(self.feeder.as_ref().map(|feeder| self.commit(feeder)));
        let (fed, drain) = join(
            fed,
            self.supervisor.send(Drain {
                deadline: self.deadlines.drain,
            }),
        )
        .await;
        let drain = drain.ok().and_then(Result::ok).unwrap_or_else(|| {
            lost_actor = true;
            DrainReport::default()
        });
        let own = self.commit(&self.poller).await;
        let committed = match (fed, own) {
            (Some(Ok(fed)), Ok(_)) => Ok(fed),
            (None, own) => own,
            (Some(Err(error)), _) | (Some(_), Err(error)) => Err(error),
        };
        let patience = self.deadlines.workers;
        if self.supervisor.send(CloseWorkers { patience }).await.is_err() {
            lost_actor = true;
        }

        let report = ShutdownReport {
            reason,
            source_error,
            last_fetched,
            drain,
            committed,
            lost_actor,
            took: started.elapsed(),
        };
        tracing::info!(
            completed = report.drain.completed,
            retried = report.drain.retried,
            dead = report.drain.dead,
            abandoned = report.drain.abandoned.len(),
            clean = report.is_clean(),
            took = ?report.took,
            "stopped"
        );
        report
    }

    async fn commit(&self, poller: &PollerHandle) -> Result<Option<Offset>, SourceError> {
        let gone = |_| Err(SourceError::fatal("the poller was lost before the commit"));
        poller.commit(self.deadlines.commit).await.unwrap_or_else(gone)
    }
}
