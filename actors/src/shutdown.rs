//! The actor that stops the engine, once.
//!
//! It owns the latched stop state and talks to the poller and the supervisor, downstream only. It promises: the
//! first request starts the sequence *stop fetching → drain → commit → close the workers*; later ones join it; an
//! urgent one cuts the drain short; and the report reaches everyone who waits, whenever they started to. It watches the
//! poller too: a source that failed for good, or an actor that is lost, stops the engine the same way. When the source is
//! to be emptied, the second half goes on fetching in between, which is in `emptying`.

use std::{cell::Cell, convert::Infallible, fmt, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Message};
use futures_util::future::{OptionFuture, join};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    delivery::{Offset, Payload, Seq},
    emptying::{self, Emptied, Interruption},
    error::SourceError,
    handle::Snapshot,
    poller::PollerHandle,
    polling::{Committed, PollingEnded},
    signals::SignalWatch,
    supervisor::{AbandonDrain, CloseWorkers, Drain, DrainReport, Supervisor, TellWorkload},
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
    /// The source, or the receiver that keeps what it gives, reported an error that only a person can mend.
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
    /// The error of a source, or of the receiver that keeps what it gives, that failed for good.
    pub source_error: Option<SourceError>,
    /// Highest seq that was handed over by the source.
    pub last_fetched: Option<Seq>,
    /// What the drain achieved, what was handled while the source was emptied included.
    pub drain: DrainReport,
    /// Whether the source was emptied, as far as it could be in time; `None` unless the engine was to do that
    /// ([`Engine::drain_source`](crate::Engine::drain_source)).
    pub emptied: Option<bool>,
    /// How many deliveries the source keeps for the next start, the abandoned ones that it gives out again included;
    /// `None` when it [cannot tell](crate::Source::kept).
    pub left: Option<u64>,
    /// The offset in force at the source, or why it is not known. After an error, deliveries that were finished may
    /// come again; none is lost.
    pub committed: Result<Option<Offset>, SourceError>,
    /// How things stood at the end, when all was over; `None` when a part was lost that knows.
    pub last_look: Option<Snapshot>,
    /// Whether an actor was lost, so that the numbers above are incomplete.
    pub lost_actor: bool,
    /// Time from the first request to the end.
    pub took: Duration,
}

impl ShutdownReport {
    /// Returns whether everything accepted was finished and the source knows it, and, if the source was to be emptied,
    /// nothing is left in it.
    pub fn is_clean(&self) -> bool {
        let nothing_left = match self.emptied {
            None => true,
            Some(true) => self.left.is_none_or(|left| left == 0),
            // What could not be begun in time is left, unless the source knows better.
            Some(false) => self.left == Some(0),
        };
        self.drain.abandoned.is_empty() && self.committed.is_ok() && !self.lost_actor && nothing_left
    }
}

/// The time allowed for each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) drain: Duration,
    pub(crate) commit: Duration,
    pub(crate) workers: Duration,
}

impl Deadlines {
    /// Time in which a source is emptied: without the last fifth of the drain, in which nothing is begun any more, so that
    /// what runs can end.
    fn for_beginning(self) -> Duration {
        self.drain / 5 * 4
    }
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
    drain_source: bool,
    interrupt: mpsc::UnboundedSender<Interruption>,
    /// Taken by the stop. They are latched: those that came before it are in there.
    interruptions: Option<mpsc::UnboundedReceiver<Interruption>>,
    stopping: watch::Sender<bool>,
    publish: Option<watch::Sender<Option<Arc<ShutdownReport>>>>,
    source_error: Option<SourceError>,
    /// Whether a poller or its receiver was lost, whatever made the engine stop; shared with the stop.
    lost: Rc<Cell<bool>>,
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
        drain_source: bool,
    ) -> (Self, Stopping, Published) {
        let (interrupt, interruptions) = mpsc::unbounded_channel();
        let (publish, published) = watch::channel(None);
        let (stopping, begun) = watch::channel(false);
        let coordinator = Self {
            feeder,
            poller,
            supervisor,
            deadlines,
            drain_source,
            interrupt,
            interruptions: Some(interruptions),
            stopping,
            publish: Some(publish),
            source_error: None,
            lost: Rc::default(),
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
struct PollingStopped {
    end: PollingEnded,
    /// Whether it was the first half's.
    feeds: bool,
}

impl<T: Payload> Actor for ShutdownCoordinator<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let feeder = self.feeder.iter().map(|feeder| (feeder, true));
        for (poller, feeds) in feeder.chain([(&self.poller, false)]) {
            let (poller, me) = (poller.clone(), ctx.address());
            actix_rt::spawn(async move {
                let end = poller.end().await;
                me.do_send(PollingStopped { end, feeds });
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

    fn handle(&mut self, stopped: PollingStopped, ctx: &mut Self::Context) {
        let (reason, error) = match stopped.end {
            PollingEnded::Stopped => return,
            PollingEnded::Failed(error) => (StopReason::SourceFailed, Some(error)),
            PollingEnded::DownstreamGone | PollingEnded::Panicked => {
                tracing::error!("a part of the engine was lost, stopping");
                self.lost.set(true);
                (StopReason::Lost, None)
            }
        };
        let late = if self.publish.is_none() {
            error
        } else {
            self.source_error = error.or(self.source_error.take());
            None
        };
        if !stopped.feeds {
            // A stop that waits for fetching to come to an end would wait in vain; one that does not has let go of this.
            let _ = self.interrupt.send(Interruption::PollerEnded(late));
        }
        ctx.notify(Shutdown {
            urgency: Urgency::Drain,
            reason,
        });
    }
}

impl<T: Payload> actix::Handler<Shutdown> for ShutdownCoordinator<T> {
    type Result = ();

    fn handle(&mut self, request: Shutdown, _: &mut Self::Context) {
        if let (Some(publish), Some(interruptions)) = (self.publish.take(), self.interruptions.take()) {
            tracing::info!(reason = ?request.reason, deadline = ?self.deadlines.drain, "stopping");
            self.stopping.send_replace(true);
            let parts = Parts {
                feeder: self.feeder.clone(),
                poller: self.poller.clone(),
                supervisor: self.supervisor.clone(),
                deadlines: self.deadlines,
                drain_source: self.drain_source,
                lost: Rc::clone(&self.lost),
            };
            let (source_error, signals) = (self.source_error.take(), self.signals.take());
            actix_rt::spawn(async move {
                let report = parts.stop(request.reason, source_error, interruptions).await;
                publish.send_replace(Some(Arc::new(report)));
                // Signals are ours until the very end, then the host's again.
                drop(signals);
            });
        }
        if request.urgency == Urgency::Now {
            tracing::warn!("not waiting for running work any longer");
            // A stop that has ended needs no hurry.
            let _ = self.interrupt.send(Interruption::Hurry);
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
    drain_source: bool,
    lost: Rc<Cell<bool>>,
}

impl<T: Payload> Parts<T> {
    /// The sequence. Each step is bounded, and a step whose actor is gone is skipped.
    async fn stop(
        self,
        reason: StopReason,
        source_error: Option<SourceError>,
        interruptions: mpsc::UnboundedReceiver<Interruption>,
    ) -> ShutdownReport {
        let started = Instant::now();
        let mut lost_actor = false;

        let mut last_fetched = None;
        if let Some(feeder) = &self.feeder {
            match feeder.stop().await {
                Ok(last) => last_fetched = last,
                Err(_gone) => lost_actor = true,
            }
        }
        // What the feeder handed over is kept already, so its other side can be told while the rest drains.
        let (fed, all_kept) = oneshot::channel();
        let feeder = OptionFuture::from(self.feeder.as_ref().map(|feeder| async {
            let committed = self.commit(feeder).await;
            drop(fed);
            committed.offset
        }));
        let (fed, finished) = join(feeder, self.finish(started, all_kept, interruptions)).await;
        lost_actor |= finished.lost_actor;
        let own = self.commit(&self.poller).await;
        let committed = match (fed, own.offset) {
            (Some(Ok(fed)), Ok(_)) => Ok(fed),
            (None, own) => own,
            (Some(Err(error)), _) | (Some(_), Err(error)) => Err(error),
        };
        let last_look = self.look().await;
        let patience = self.deadlines.workers;
        if self.supervisor.send(CloseWorkers { patience }).await.is_err() {
            lost_actor = true;
        }

        lost_actor |= self.lost.get();
        let report = ShutdownReport {
            reason,
            source_error: source_error.or(finished.source_error),
            last_fetched: last_fetched.or(finished.last_fetched),
            drain: finished.drain,
            emptied: finished.emptied,
            left: own.left,
            committed,
            last_look,
            lost_actor,
            took: started.elapsed(),
        };
        if report.emptied.is_some()
            && let Some(left @ 1..) = report.left
        {
            tracing::warn!(left, "the source is not empty, the next start goes on with it");
        }
        tracing::info!(
            completed = report.drain.completed,
            retried = report.drain.retried,
            dead = report.drain.dead,
            abandoned = report.drain.abandoned.len(),
            left = report.left,
            clean = report.is_clean(),
            took = ?report.took,
            "stopped"
        );
        report
    }

    /// The part of the sequence in which work ends: empties the source, if that is wanted, stops fetching, and drains.
    async fn finish(
        &self,
        started: Instant,
        all_kept: oneshot::Receiver<Infallible>,
        interruptions: mpsc::UnboundedReceiver<Interruption>,
    ) -> Finished {
        let mut finished = Finished::default();
        let mut since = None;
        if self.drain_source && self.feeder.is_some() {
            since = self
                .supervisor
                .send(TellWorkload)
                .await
                .ok()
                .map(|load| load.totals);
            let time = self.deadlines.for_beginning();
            let emptied = emptying::empty(&self.poller, all_kept, time, interruptions).await;
            finished.emptied = Some(matches!(emptied, Emptied::Exhausted));
            if let Emptied::Failed(error) = emptied {
                finished.source_error = error;
            }
        }
        match self.poller.stop().await {
            Ok(last) => finished.last_fetched = last,
            Err(_gone) => finished.lost_actor = true,
        }
        let deadline = self.deadlines.drain.saturating_sub(started.elapsed());
        let drain = self.supervisor.send(Drain { deadline, since }).await;
        match drain {
            Ok(Ok(drain)) => finished.drain = drain,
            Ok(Err(_)) | Err(_) => finished.lost_actor = true,
        }
        finished
    }

    /// Looks at what the workers and the poller have done. Nothing begins any more.
    async fn look(&self) -> Option<Snapshot> {
        let workload = self.supervisor.send(TellWorkload).await.ok()?;
        let polling = self.feeder.as_ref().unwrap_or(&self.poller).state().await.ok()?;
        Some(Snapshot::new(workload, polling, true))
    }

    /// A poller that is gone is an error of the commit.
    async fn commit(&self, poller: &PollerHandle) -> Committed {
        let committed = poller.commit(self.deadlines.commit).await;
        committed.unwrap_or_else(|_gone| Committed {
            offset: Err(SourceError::fatal("the poller was lost before the commit")),
            left: None,
        })
    }
}

/// How work ended.
#[derive(Default)]
struct Finished {
    emptied: Option<bool>,
    source_error: Option<SourceError>,
    last_fetched: Option<Seq>,
    drain: DrainReport,
    lost_actor: bool,
}
