//! The engine of a bot, in its two arrangements.

use std::time::Duration;

#[cfg(feature = "journal")]
use actix::Actor;
#[cfg(feature = "journal")]
use actogram_actors::RetryPlace;
use actogram_actors::{
    Backoff, Consumer, CreditPolicy, Engine, EngineError, EngineHandle, Placement, RetryPolicy, Source,
};

#[cfg(feature = "journal")]
use super::Delivery;
#[cfg(feature = "journal")]
use crate::{
    queue::{InHand, Intake, Journal, QueuedSource},
    source::PollingMonitor,
};
use crate::{update::Update, worker::WorkerFactory};

/// What the engine is told, however updates arrive.
pub(super) struct EngineSettings {
    pub(super) placement: Placement,
    pub(super) concurrency: usize,
    pub(super) handler_timeout: Duration,
    pub(super) drain_deadline: Duration,
    pub(super) take_signals: bool,
    pub(super) retry: Option<RetryPolicy>,
    /// Before a failed fetch is repeated.
    pub(super) backoff: Backoff,
    #[cfg(feature = "journal")]
    pub(super) delivery: Delivery,
    #[cfg(feature = "journal")]
    pub(super) drain_journal: bool,
}

impl EngineSettings {
    /// Starts an engine that takes updates from `source` and settles them with it.
    pub(super) async fn start_direct<S>(
        self,
        source: S,
        credit: CreditPolicy,
        workers: WorkerFactory,
    ) -> Result<EngineHandle, EngineError>
    where
        S: Source<Payload = Update>,
    {
        let retry = self.retry.clone().unwrap_or_else(RetryPolicy::quick);
        let engine = Engine::new(source, move || workers.build())
            .credit(credit)
            .retry(retry)
            .backoff(self.backoff.clone());
        self.apply(engine).start().await
    }

    /// Starts an engine that takes updates from the journal, which `feeder` fills.
    #[cfg(feature = "journal")]
    pub(super) async fn start_journaled<S>(
        self,
        feeder: S,
        journal: Journal,
        in_hand: InHand,
        workers: WorkerFactory,
        monitor: PollingMonitor,
    ) -> Result<EngineHandle, EngineError>
    where
        S: Source<Payload = Update>,
    {
        let intake = Intake::new(journal.clone(), monitor).start();
        let retry = match self.delivery {
            Delivery::AtLeastOnce => self.retry.clone().unwrap_or_else(RetryPolicy::patient),
            Delivery::AtMostOnce => RetryPolicy::never().max_waits(0),
        };
        let engine = Engine::new(QueuedSource::new(journal, in_hand), move || workers.build())
            // Only what may run now is taken from the journal; the rest waits there.
            .credit(CreditPolicy::Window(self.concurrency.max(1)))
            .retry(retry)
            .retry_place(RetryPlace::Source)
            .fed_by(feeder, intake.recipient(), self.backoff.clone());
        let engine = if self.drain_journal {
            engine.drain_source()
        } else {
            engine
        };
        self.apply(engine).start().await
    }

    fn apply<S, C, F>(self, engine: Engine<S, C, F>) -> Engine<S, C, F>
    where
        S: Source,
        C: Consumer<S::Payload>,
        F: Fn() -> C + Clone + Send + 'static,
    {
        let engine = engine
            .placement(self.placement)
            .concurrency(self.concurrency)
            .handler_deadline(self.handler_timeout)
            .drain_deadline(self.drain_deadline);
        if self.take_signals {
            engine.take_signals()
        } else {
            engine
        }
    }
}
