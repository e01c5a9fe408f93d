//! The handle of a running engine.

use std::{fmt, future::Future, io, sync::Arc, time::Duration};

use actix::{Addr, Recipient};

use crate::{
    backlog::Totals,
    delivery::Payload,
    error::EngineError,
    lanes::LaneLoad,
    poller::PollerHandle,
    polling::PollingState,
    shutdown::{
        KeepSignals, Published, Shutdown, ShutdownCoordinator, ShutdownReport, StopReason, Stopping, Urgency,
    },
    signals::{self, Order},
    supervisor::{Supervisor, TellWorkload, Workload},
};

/// Handle of a running engine: look at it, pause it, stop it.
///
/// `Clone + Send + Sync`; works from any thread and any async runtime. Dropping it stops nothing.
#[derive(Clone)]
pub struct EngineHandle {
    shutdown: Recipient<Shutdown>,
    keep_signals: Recipient<KeepSignals>,
    workload: Recipient<TellWorkload>,
    polling: PollerHandle,
    stopping: Stopping,
    report: Published,
}

/// How things stand, at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Lanes with at least one delivery.
    pub lanes: usize,
    /// Deliveries being handled.
    pub running: usize,
    /// Deliveries that wait for their turn.
    pub waiting: usize,
    /// Deliveries that wait for their next attempt.
    pub retrying: usize,
    /// How many more deliveries can be accepted.
    pub credit: usize,
    /// Time since the oldest delivery that has not ended was accepted.
    pub oldest_age: Option<Duration>,
    /// What was done since the start.
    pub totals: Totals,
    /// The lanes with the most deliveries, longest first; at most [`Snapshot::LONGEST`].
    pub longest: Vec<LaneLoad>,
    /// For how long no worker thread has taken anything, because handlers block all of them; zero while one does. Each snapshot
    /// asks the workers, and this counts from the first one that none has answered.
    pub workers_silent: Duration,
    /// How fetching goes.
    pub polling: PollingState,
    /// Whether the engine has been told to stop, or stops by itself.
    pub stopping: bool,
}

impl Snapshot {
    /// Number of lanes in [`longest`](Self::longest).
    pub const LONGEST: usize = 10;

    pub(crate) fn new(workload: Workload, polling: PollingState, stopping: bool) -> Self {
        Self {
            lanes: workload.counts.lanes,
            running: workload.counts.running,
            waiting: workload.counts.waiting,
            retrying: workload.counts.retrying,
            credit: workload.credit.0,
            oldest_age: workload.oldest_age,
            totals: workload.totals,
            longest: workload.longest,
            workers_silent: workload.workers_silent,
            polling,
            stopping,
        }
    }
}

impl fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHandle")
            .field("stopped", &self.report.borrow().is_some())
            .finish_non_exhaustive()
    }
}

impl EngineHandle {
    pub(crate) fn new<T: Payload>(
        coordinator: &Addr<ShutdownCoordinator<T>>,
        supervisor: &Addr<Supervisor<T>>,
        polling: PollerHandle,
        stopping: Stopping,
        report: Published,
    ) -> Self {
        Self {
            shutdown: coordinator.clone().recipient(),
            keep_signals: coordinator.clone().recipient(),
            workload: supervisor.clone().recipient(),
            polling,
            stopping,
            report,
        }
    }

    pub(crate) fn take_signals(&self) -> io::Result<()> {
        let shutdown = self.shutdown.clone();
        let watch = signals::watch(move |signal, order| {
            let urgency = if order == Order::Drain {
                Urgency::Drain
            } else {
                Urgency::Now
            };
            shutdown.do_send(Shutdown {
                urgency,
                reason: StopReason::Signal(signal),
            });
        })?;
        self.keep_signals.do_send(KeepSignals(watch));
        Ok(())
    }

    /// Asks the engine to stop and returns at once: fetching ends, accepted work is drained until the deadline, the
    /// offset is committed. Asking twice changes nothing. This is the call for a handler that wants to stop
    /// its own engine.
    pub fn request_shutdown(&self) {
        self.shutdown.do_send(Shutdown {
            urgency: Urgency::Drain,
            reason: StopReason::Requested,
        });
    }

    /// Asks the engine to stop, as [`request_shutdown`](Self::request_shutdown), and waits for the report.
    ///
    /// The request is made at once, not when the future is polled; dropping the future stops only the waiting.
    /// Awaited inside a handler, it waits for that very handler, so the drain ends at its deadline: use
    /// [`request_shutdown`](Self::request_shutdown) there.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the thread of the engine ended before it could report.
    pub fn shutdown(&self) -> impl Future<Output = Result<Arc<ShutdownReport>, EngineError>> + Send + use<> {
        self.request_shutdown();
        let handle = self.clone();
        async move { handle.wait().await }
    }

    /// Asks the engine to stop without waiting for running work, which is dropped and reported as abandoned; also cuts
    /// a drain short that is under way. Otherwise as [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_now(
        &self,
    ) -> impl Future<Output = Result<Arc<ShutdownReport>, EngineError>> + Send + use<> {
        self.shutdown.do_send(Shutdown {
            urgency: Urgency::Now,
            reason: StopReason::Requested,
        });
        let handle = self.clone();
        async move { handle.wait().await }
    }

    /// Waits until the engine has stopped, for whatever reason, and returns its report. Returns at once when it has
    /// already.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub async fn wait(&self) -> Result<Arc<ShutdownReport>, EngineError> {
        let mut report = self.report.clone();
        let published = report
            .wait_for(Option::is_some)
            .await
            .map_err(|_| EngineError::Gone)?;
        published.clone().ok_or(EngineError::Gone)
    }

    /// Waits until the engine is told to stop, or has to: the moment before the drain, for what should end with it. Returns
    /// at once when that has happened already.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // Without its sender the engine is gone, which is a stop as well.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Returns the report when the engine has stopped already.
    pub fn report(&self) -> Option<Arc<ShutdownReport>> {
        self.report.borrow().clone()
    }

    /// Returns whether the thread of the engine ended before it could report.
    pub fn is_lost(&self) -> bool {
        // In this order: the report comes before its sender goes.
        self.report.has_changed().is_err() && self.report.borrow().is_none()
    }

    /// Returns whether the engine has begun to stop, or has stopped.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.report.borrow().is_some()
    }

    /// Stops fetching until [`resume`](Self::resume); a fetch under way is cancelled, accepted deliveries go on, and
    /// what they finish is committed.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the engine has stopped.
    pub async fn pause(&self) -> Result<(), EngineError> {
        self.set_paused(true).await
    }

    /// Fetches again after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the engine has stopped.
    pub async fn resume(&self) -> Result<(), EngineError> {
        self.set_paused(false).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), EngineError> {
        self.polling
            .set_paused(paused)
            .await
            .map_err(|_| EngineError::Gone)
    }

    /// Returns how things stand.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the engine has stopped.
    pub async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        let workload = self
            .workload
            .send(TellWorkload)
            .await
            .map_err(|_| EngineError::Gone)?;
        let polling = self.polling.state().await.map_err(|_| EngineError::Gone)?;
        Ok(Snapshot::new(workload, polling, self.is_stopping()))
    }
}
