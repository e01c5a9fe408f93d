//! Putting the parts together.

use std::{fmt, marker::PhantomData, time::Duration};

use actix::{Actor, Recipient};

use crate::{
    backlog::{Backlog, CreditPolicy},
    backoff::Backoff,
    consumer::Consumer,
    error::EngineError,
    handle::EngineHandle,
    poller::{Poller, PollerHandle},
    pool::{Placement, Pool},
    retry::{RetryPlace, RetryPolicy},
    shutdown::{Deadlines, ShutdownCoordinator},
    source::Source,
    supervisor::{DispatchBatch, Supervisor},
};

/// Starts the first half of an engine in two halves.
struct Feeder(Box<dyn FnOnce() -> PollerHandle>);

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder").finish_non_exhaustive()
    }
}

/// Builder of an engine: a source, a consumer factory, and settings that all have a default.
///
/// Nothing happens before [`start`](Self::start).
#[must_use = "an engine does nothing until it is started"]
#[derive(Debug)]
pub struct Engine<S, C, F> {
    source: S,
    factory: F,
    consumer: PhantomData<fn() -> C>,
    placement: Placement,
    concurrency: usize,
    credit: CreditPolicy,
    retry: RetryPolicy,
    retry_place: RetryPlace,
    backoff: Backoff,
    handler_deadline: Duration,
    deadlines: Deadlines,
    take_signals: bool,
    feeder: Option<Feeder>,
    drain_source: bool,
}

impl<S, C, F> Engine<S, C, F>
where
    S: Source,
    C: Consumer<S::Payload>,
    F: Fn() -> C + Clone + Send + 'static,
{
    /// Deliveries handled at the same time, over all workers.
    pub const DEFAULT_CONCURRENCY: usize = 256;

    /// Deliveries accepted and not ended: four times what can run, so that a slot that gets free finds work without
    /// a round trip to the source.
    pub const DEFAULT_WINDOW: usize = 1024;

    /// Time one attempt may take. Long enough for a handler that waits for a language model, short enough that a stuck
    /// one does not hold its lane for a working day.
    pub const DEFAULT_HANDLER_DEADLINE: Duration = Duration::from_secs(300);

    /// Time a drain may take, below the 30 s that container platforms wait before they kill.
    pub const DEFAULT_DRAIN_DEADLINE: Duration = Duration::from_secs(25);

    /// Time the last commit may take; together with the drain still below 30 s.
    pub const DEFAULT_COMMIT_DEADLINE: Duration = Duration::from_secs(4);

    /// Time worker threads get to end before they are left behind.
    const WORKER_PATIENCE: Duration = Duration::from_millis(500);

    /// Returns an engine that feeds what `source` gives to the consumers that `factory` builds, one per worker, each
    /// on its worker's thread.
    pub fn new(source: S, factory: F) -> Self {
        Self {
            source,
            factory,
            consumer: PhantomData,
            placement: Placement::default(),
            concurrency: Self::DEFAULT_CONCURRENCY,
            credit: CreditPolicy::Window(Self::DEFAULT_WINDOW),
            retry: RetryPolicy::patient(),
            retry_place: RetryPlace::default(),
            backoff: Backoff::default(),
            handler_deadline: Self::DEFAULT_HANDLER_DEADLINE,
            deadlines: Deadlines {
                drain: Self::DEFAULT_DRAIN_DEADLINE,
                commit: Self::DEFAULT_COMMIT_DEADLINE,
                workers: Self::WORKER_PATIENCE,
            },
            take_signals: false,
            feeder: None,
            drain_source: false,
        }
    }

    /// Sets where handler actors run; default one worker per core.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Sets how many deliveries are handled at the same time over all workers; default
    /// [`Self::DEFAULT_CONCURRENCY`], at least 1.
    pub fn concurrency(mut self, deliveries: usize) -> Self {
        self.concurrency = deliveries;
        self
    }

    /// Sets how much may be accepted and not ended; default a window of [`Self::DEFAULT_WINDOW`], at least 1.
    /// This bounds the engine's memory.
    pub fn credit(mut self, policy: CreditPolicy) -> Self {
        self.credit = policy;
        self
    }

    /// Sets when failed deliveries are repeated; default [`RetryPolicy::patient`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets who keeps failed deliveries until they are repeated; default [`RetryPlace::Engine`].
    pub fn retry_place(mut self, place: RetryPlace) -> Self {
        self.retry_place = place;
        self
    }

    /// Sets how long to wait before a failed fetch is repeated; default [`Backoff::default`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time one attempt may take before it is dropped and counts as failed; default
    /// [`Self::DEFAULT_HANDLER_DEADLINE`].
    pub fn handler_deadline(mut self, deadline: Duration) -> Self {
        self.handler_deadline = deadline;
        self
    }

    /// Sets how long a shutdown waits for accepted deliveries; default [`Self::DEFAULT_DRAIN_DEADLINE`].
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.drain = deadline;
        self
    }

    /// Sets how long the last commit may take; default [`Self::DEFAULT_COMMIT_DEADLINE`].
    pub fn commit_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.commit = deadline;
        self
    }

    /// Adds a first half that fills what this engine's source empties: a poller of its own drives `source` into
    /// `receiver`, which keeps what it is given before it answers. Pausing and [`PollingState`](crate::PollingState)
    /// are the first half's then, and a shutdown stops it first.
    pub fn fed_by<U: Source>(
        mut self,
        source: U,
        receiver: Recipient<DispatchBatch<U::Payload>>,
        backoff: Backoff,
    ) -> Self {
        self.feeder = Some(Feeder(Box::new(move || {
            PollerHandle::new(&Poller::new(source, receiver, backoff).start())
        })));
        self
    }

    /// Lets a shutdown handle all that the source keeps, and not only what has begun: when the [first half](Self::fed_by) has
    /// stopped, fetching goes on until the source is [exhausted](Source::exhausted). All of that is within the one
    /// [drain deadline](Self::drain_deadline), and nothing is begun in its last fifth, so that what runs can end. What is
    /// [left](crate::ShutdownReport::left) then makes the stop unclean.
    ///
    /// Default: what has not begun is left to the next start. Without a first half this has no effect, because fetching would
    /// never come to an end.
    pub fn drain_source(mut self) -> Self {
        self.drain_source = true;
        self
    }

    /// Takes SIGTERM and SIGINT while the engine runs: the first drains and stops, the second stops without waiting,
    /// the third kills. Off by default, because signals belong to the application.
    pub fn take_signals(mut self) -> Self {
        self.take_signals = true;
        self
    }

    /// Starts the actors on this arbiter (and the workers where the placement says) and returns the handle.
    ///
    /// # Errors
    ///
    /// Returns the first setting that is out of bounds, [`EngineError::NoSystem`] outside an actix system,
    /// [`EngineError::FactoryPanicked`], [`EngineError::WorkerBlocked`] on shared threads, [`EngineError::Threads`], or
    /// [`EngineError::Signals`]. Nothing is left running then.
    pub async fn start(self) -> Result<EngineHandle, EngineError> {
        let Self {
            source,
            factory,
            consumer: PhantomData,
            placement,
            concurrency,
            credit,
            retry,
            retry_place,
            backoff,
            handler_deadline,
            deadlines,
            take_signals,
            feeder,
            drain_source,
        } = self;
        if placement.workers() == 0 {
            return Err(EngineError::Setting {
                setting: "workers",
                bound: "at least 1",
            });
        }
        if concurrency == 0 {
            return Err(EngineError::Setting {
                setting: "concurrency",
                bound: "at least 1",
            });
        }
        if matches!(credit, CreditPolicy::Window(0) | CreditPolicy::Lockstep(0)) {
            return Err(EngineError::Setting {
                setting: "credit",
                bound: "at least 1",
            });
        }
        if handler_deadline.is_zero() {
            return Err(EngineError::Setting {
                setting: "handler deadline",
                bound: "above zero",
            });
        }
        if actix_rt::System::try_current().is_none() {
            return Err(EngineError::NoSystem);
        }

        let pool = Pool::start(placement, factory, handler_deadline).await?;
        let supervisor = Supervisor::new(Backlog::new(credit, concurrency, retry, retry_place), pool).start();
        let poller = Poller::new(source, supervisor.clone().recipient(), backoff).start();
        let poller = PollerHandle::new(&poller);
        // Last: nothing is fetched before everything stands.
        let feeder = feeder.map(|Feeder(start)| start());
        let polling = feeder.clone().unwrap_or_else(|| poller.clone());
        let (coordinator, stopping, report) =
            ShutdownCoordinator::new(feeder, poller, supervisor.clone(), deadlines, drain_source);
        let handle = EngineHandle::new(&coordinator.start(), &supervisor, polling, stopping, report);
        if take_signals && let Err(error) = handle.take_signals() {
            handle.shutdown_now().await?;
            return Err(EngineError::Signals(error));
        }
        Ok(handle)
    }
}
