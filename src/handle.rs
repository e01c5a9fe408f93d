//! The handle of a running bot.

use std::{fmt, future::Future, sync::Arc};

use actogram_actors::{EngineError, EngineHandle, ShutdownReport, Snapshot, StopReason};

use crate::{
    api::Api,
    error::Error,
    report::BotReport,
    source::{PollingCounts, PollingMonitor},
};

/// Handle of a running bot: call the Bot API, look at it, pause it, stop it.
///
/// `Clone + Send + Sync`; works from any thread and any async runtime. Dropping it stops nothing.
#[derive(Clone)]
pub struct BotHandle {
    engine: EngineHandle,
    api: Api,
    monitor: PollingMonitor,
}

/// How things stand, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BotSnapshot {
    /// Lanes, deliveries, credit and how fetching goes.
    pub engine: Snapshot,
    /// Unusual things in long polling.
    pub polling: PollingCounts,
}

impl fmt::Debug for BotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotHandle")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl BotHandle {
    pub(crate) fn new(engine: EngineHandle, api: Api, monitor: PollingMonitor) -> Self {
        Self { engine, api, monitor }
    }

    /// Returns the handle for calls to the Bot API. It works until the thread that runs the bot ends.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Asks the bot to stop and returns at once: polling ends, what was fetched is drained until the deadline, the
    /// offset is committed. Asking twice changes nothing. This is the call for a handler that wants to stop its own
    /// bot.
    pub fn request_shutdown(&self) {
        self.engine.request_shutdown();
    }

    /// Asks the bot to stop, as [`request_shutdown`](Self::request_shutdown), and waits for the report.
    ///
    /// The request is made at once, not when the future is polled; dropping the future stops only the waiting. Awaited
    /// inside a handler it waits for that very handler, so the drain ends at its deadline.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn shutdown(&self) -> impl Future<Output = Result<BotReport, Error>> + Send + use<> {
        let report = self.engine.shutdown();
        let handle = self.clone();
        async move { handle.conclude(report.await) }
    }

    /// Asks the bot to stop without waiting for running handlers, which are dropped and reported as abandoned; also
    /// cuts a drain short that is under way. Otherwise as [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn shutdown_now(&self) -> impl Future<Output = Result<BotReport, Error>> + Send + use<> {
        let report = self.engine.shutdown_now();
        let handle = self.clone();
        async move { handle.conclude(report.await) }
    }

    /// Waits until the bot has stopped, for whatever reason. Returns at once when it has already.
    ///
    /// # Errors
    ///
    /// Returns [`Error::PollingFailed`] when updates could no longer be had (the report is inside), and
    /// [`EngineError::Gone`] when the thread of the bot ended before it could report.
    pub async fn wait(&self) -> Result<BotReport, Error> {
        self.conclude(self.engine.wait().await)
    }

    fn conclude(&self, report: Result<Arc<ShutdownReport>, EngineError>) -> Result<BotReport, Error> {
        let engine_report = report?;
        let report = BotReport::new(&engine_report, &self.monitor);
        match (&engine_report.source_error, engine_report.reason) {
            (Some(error), StopReason::SourceFailed) => Err(Error::PollingFailed {
                reason: error.chain(),
                report: Box::new(report),
            }),
            _ => Ok(report),
        }
    }

    /// Stops polling until [`resume`](Self::resume); what was fetched goes on and is confirmed.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn pause(&self) -> Result<(), Error> {
        Ok(self.engine.pause().await?)
    }

    /// Polls again after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn resume(&self) -> Result<(), Error> {
        Ok(self.engine.resume().await?)
    }

    /// Returns how things stand.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn snapshot(&self) -> Result<BotSnapshot, Error> {
        Ok(BotSnapshot {
            engine: self.engine.snapshot().await?,
            polling: self.monitor.counts(),
        })
    }
}
