//! The handler actors and the threads they live on.

use std::{
    fmt,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Recipient};
use actix_rt::Arbiter;
use tokio::sync::{oneshot, watch};

use crate::{
    consumer::Consumer,
    delivery::Payload,
    error::EngineError,
    handler::{Bury, Greet, Handle, HandlerActor},
    question::Question,
    threads::{Load, Thread, WorkerThreads},
};

/// Where handler actors run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// On this many arbiters of their own, one thread and one handler actor each.
    Workers(usize),
    /// One handler actor on each of these threads, which other engines use too. Good for many engines with little to do
    /// each: a process with 20 of them then has as many threads as it has cores. Bad next to code that blocks, because a
    /// handler that blocks its thread holds what the other engines have there.
    ///
    /// An engine that stops drops what still runs at its deadline and frees its consumers. What its handlers have spawned
    /// on the threads goes on until the threads end.
    Shared(WorkerThreads),
    /// One handler actor on the arbiter that starts the engine. Handlers then share a thread with everything else
    /// there: good for tests in virtual time and for small hosts, bad next to code that blocks.
    Current,
}

impl Default for Placement {
    /// Returns one worker per available core.
    fn default() -> Self {
        Self::Workers(WorkerThreads::default().count())
    }
}

impl Placement {
    /// Returns the number of handler actors.
    pub(crate) fn workers(&self) -> usize {
        match self {
            Self::Workers(count) => *count,
            Self::Shared(threads) => threads.count(),
            Self::Current => 1,
        }
    }
}

/// One delivery on the books of a worker, until this is dropped.
pub(crate) struct Booking {
    worker: usize,
    _load: Load,
}

/// A handler actor and the thread it lives on.
struct Worker<T: Payload> {
    handle: Recipient<Handle<T>>,
    bury: Recipient<Bury<T>>,
    greet: Recipient<Greet>,
    thread: Arc<Thread>,
    /// Hears that the factory runs.
    begun: oneshot::Receiver<()>,
    question: Question,
}

impl<T: Payload> Worker<T> {
    fn new<C: Consumer<T>>(
        addr: &Addr<HandlerActor<T, C>>,
        thread: Arc<Thread>,
        begun: oneshot::Receiver<()>,
    ) -> Self {
        Self {
            handle: addr.clone().recipient(),
            bury: addr.clone().recipient(),
            greet: addr.clone().recipient(),
            thread,
            begun,
            question: Question::default(),
        }
    }
}

/// Starts a handler actor on a thread.
type StartWorker<T> = Box<dyn Fn(Arc<Thread>) -> Worker<T>>;

/// The workers of one engine.
pub(crate) struct Pool<T: Payload> {
    workers: Vec<Worker<T>>,
    /// `None` on the arbiter of the engine, and once this is closed.
    threads: Option<WorkerThreads>,
    start_worker: StartWorker<T>,
    /// Makes running work end. Whoever holds a consumer holds a receiver, so this is closed when all are freed.
    ending: watch::Sender<bool>,
}

impl<T: Payload> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl<T: Payload> Pool<T> {
    /// Time that another engine's handlers may block a shared thread before a start is given up.
    const START_PATIENCE: Duration = Duration::from_secs(10);

    /// Starts the workers and waits until each has built its consumer.
    pub(crate) async fn start<C, F>(
        placement: Placement,
        factory: F,
        handler_deadline: Duration,
    ) -> Result<Self, EngineError>
    where
        C: Consumer<T>,
        F: Fn() -> C + Clone + Send + 'static,
    {
        let count = placement.workers();
        let (threads, patience) = match placement {
            Placement::Current => (None, None),
            Placement::Workers(count) => (Some(WorkerThreads::new(count)), None),
            Placement::Shared(threads) => (Some(threads), Some(Self::START_PATIENCE)),
        };
        let ending = watch::Sender::new(false);
        let told = ending.clone();
        let mut pool = Self {
            workers: Vec::with_capacity(count),
            threads,
            start_worker: Box::new(move |thread| {
                let (factory, ending) = (factory.clone(), told.subscribe());
                let (begin, begun) = oneshot::channel();
                // Built inside the actor's own task, so that a panicking factory has the same effect on every placement.
                let addr = HandlerActor::start_in_arbiter(thread.arbiter(), move |_| {
                    // Nobody listens after the start.
                    let _ = begin.send(());
                    HandlerActor::new(factory(), handler_deadline, ending)
                });
                Worker::new(&addr, thread, begun)
            }),
            ending,
        };
        for index in 0..count {
            let worker = pool.new_worker(index).map_err(EngineError::Threads)?;
            pool.workers.push(worker);
        }
        for index in 0..count {
            pool.greet(index, patience).await?;
        }
        Ok(pool)
    }

    fn new_worker(&self, index: usize) -> io::Result<Worker<T>> {
        let thread = match &self.threads {
            Some(threads) => threads.thread(index)?,
            None => Arc::new(Thread::new(Arbiter::current())),
        };
        Ok((self.start_worker)(thread))
    }

    /// Waits until a worker has built its consumer; the time the factory takes is no concern of `patience`.
    async fn greet(&mut self, index: usize, patience: Option<Duration>) -> Result<(), EngineError> {
        for restarted in [false, true] {
            let worker = &mut self.workers[index];
            if let Some(patience) = patience
                && tokio::time::timeout(patience, &mut worker.begun).await.is_err()
            {
                return Err(EngineError::WorkerBlocked { worker: index });
            }
            if worker.greet.send(Greet).await.is_ok() {
                return Ok(());
            }
            if restarted || worker.thread.is_alive() {
                break;
            }
            // The thread was on its way out when the actor was put on it.
            self.workers[index] = self.new_worker(index).map_err(EngineError::Threads)?;
        }
        Err(EngineError::FactoryPanicked { worker: index })
    }

    /// Picks the worker whose thread has the least work and books one more delivery on it. A worker that has ended is
    /// replaced first.
    pub(crate) fn assign(&mut self) -> Booking {
        let (worker, chosen) = self
            .workers
            .iter()
            .enumerate()
            .min_by_key(|(_, worker)| worker.thread.busy())
            .expect("a pool has at least one worker until it is closed, and nothing is assigned after that");
        // The arbiter of the engine works on when it is told to stop, as long as its system does.
        let has_thread = self.threads.is_none() || chosen.thread.is_alive();
        if !has_thread || !chosen.handle.connected() {
            match self.new_worker(worker) {
                Ok(successor) => {
                    tracing::error!(worker, "handler actor ended, started a new one");
                    self.workers[worker] = successor;
                }
                // What is sent to it comes back as lost, and is repeated.
                Err(error) => tracing::error!(worker, %error, "handler thread could not be replaced"),
            }
        }
        Booking {
            worker,
            _load: self.workers[worker].thread.load(),
        }
    }

    /// Asks every worker whether it takes messages, and returns for how long none has: since the first such question that all
    /// have left open.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let silences = self
            .workers
            .iter()
            .map(|worker| worker.question.ask(&worker.greet, now));
        silences.min().unwrap_or_default()
    }

    /// Returns where to send deliveries for this worker.
    pub(crate) fn handle(&self, booking: &Booking) -> Recipient<Handle<T>> {
        self.workers[booking.worker].handle.clone()
    }

    /// Returns where to send dead letters for this worker.
    pub(crate) fn bury(&self, booking: &Booking) -> Recipient<Bury<T>> {
        self.workers[booking.worker].bury.clone()
    }

    /// Makes all workers drop what they are doing. What waits for a blocked one is never begun.
    pub(crate) fn abandon_running(&self) {
        self.ending.send_replace(true);
    }

    /// Ends the workers, and the threads when nobody else uses them, and waits up to `patience` for that; what is blocked
    /// by a handler is left behind, and ends when it is not any more, or with the process.
    pub(crate) fn close(&mut self, patience: Duration) -> impl Future<Output = ()> + use<T> {
        self.abandon_running();
        // Without an address a handler actor ends.
        self.workers.clear();
        let arbiters = self.threads.take().map_or_else(Vec::new, WorkerThreads::leave);
        let ending = self.ending.clone();
        async move {
            let ended = async {
                ending.closed().await;
                join(arbiters).await;
            };
            if tokio::time::timeout(patience, ended).await.is_err() {
                tracing::warn!("handler threads did not end in time, left behind");
            }
        }
    }
}

/// Waits until these threads have ended.
async fn join(arbiters: Vec<Arbiter>) {
    if arbiters.is_empty() {
        return;
    }
    let (joined, all_joined) = oneshot::channel();
    // A plain thread, because the runtime waits for its blocking threads when it is dropped.
    let joiner = std::thread::Builder::new()
        .name("actogram-joiner".to_owned())
        .spawn(move || {
            for arbiter in arbiters {
                // An arbiter that panicked is gone, and that is all we want.
                let _ = arbiter.join();
            }
            // Nobody waits any more when the patience ended first.
            let _ = joined.send(());
        });
    if joiner.is_ok() {
        // It is dropped when the last has ended.
        let _ = all_joined.await;
    }
}

#[cfg(test)]
#[path = "pool_acts.rs"]
mod acts;
#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
