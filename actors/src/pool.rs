//! The handler actors and the threads they live on.

use std::{fmt, time::Duration};

use actix::{Actor, Addr, Recipient};
use actix_rt::Arbiter;

use crate::{
    consumer::Consumer,
    delivery::Payload,
    error::EngineError,
    handler::{AbandonRunning, Bury, Greet, Handle, HandlerActor},
};

/// Where handler actors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On this many arbiters of their own, one thread and one handler actor each.
    Workers(usize),
    /// One handler actor on the arbiter that starts the engine. Handlers then share a thread with everything else
    /// there: good for tests in virtual time and for small hosts, bad next to code that blocks.
    Current,
}

impl Default for Placement {
    /// Returns one worker per available core.
    fn default() -> Self {
        Self::Workers(std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get))
    }
}

/// Index of a worker in the pool, with its generation: a worker that was replaced is not mistaken for its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerId {
    index: usize,
    generation: u32,
}

struct Worker<T: Payload> {
    handle: Recipient<Handle<T>>,
    bury: Recipient<Bury<T>>,
    abandon: Recipient<AbandonRunning>,
    greet: Recipient<Greet>,
    arbiter: Option<Arbiter>,
    generation: u32,
    in_flight: usize,
}

impl<T: Payload> Worker<T> {
    fn new<C: Consumer<T>>(addr: &Addr<HandlerActor<T, C>>, arbiter: Option<Arbiter>) -> Self {
        Self {
            handle: addr.clone().recipient(),
            bury: addr.clone().recipient(),
            abandon: addr.clone().recipient(),
            greet: addr.clone().recipient(),
            arbiter,
            generation: 0,
            in_flight: 0,
        }
    }
}

/// The workers, each with the number of deliveries it works on.
pub(crate) struct Pool<T: Payload> {
    workers: Vec<Worker<T>>,
    start_worker: Box<dyn Fn() -> Worker<T>>,
}

impl<T: Payload> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl<T: Payload> Pool<T> {
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
        let start_worker: Box<dyn Fn() -> Worker<T>> = match placement {
            Placement::Current => Box::new(move || {
                let factory = factory.clone();
                // Built inside the actor's own task, so that a panicking factory has the same effect on every placement.
                let arbiter = Arbiter::current();
                let addr = HandlerActor::start_in_arbiter(&arbiter, move |_| {
                    HandlerActor::new(factory(), handler_deadline)
                });
                Worker::new(&addr, None)
            }),
            Placement::Workers(_) => Box::new(move || {
                let factory = factory.clone();
                let arbiter = Arbiter::new();
                let addr = HandlerActor::start_in_arbiter(&arbiter.handle(), move |_| {
                    HandlerActor::new(factory(), handler_deadline)
                });
                Worker::new(&addr, Some(arbiter))
            }),
        };
        let count = match placement {
            Placement::Current => 1,
            Placement::Workers(count) => count,
        };
        let mut pool = Self {
            workers: (0..count).map(|_| start_worker()).collect(),
            start_worker,
        };
        for worker in 0..count {
            let greeting = pool.workers[worker].greet.send(Greet);
            if greeting.await.is_err() {
                pool.close(Duration::ZERO).await;
                return Err(EngineError::FactoryPanicked { worker });
            }
        }
        Ok(pool)
    }

    /// Picks the worker with the least work and books one more delivery on it.
    pub(crate) fn assign(&mut self) -> WorkerId {
        let (index, worker) = self
            .workers
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, worker)| worker.in_flight)
            .expect("a pool has at least one worker until it is closed, and nothing is assigned after that");
        worker.in_flight += 1;
        WorkerId {
            index,
            generation: worker.generation,
        }
    }

    /// Takes one delivery off the books of a worker.
    pub(crate) fn release(&mut self, id: WorkerId) {
        if let Some(worker) = self.current(id) {
            worker.in_flight = worker.in_flight.saturating_sub(1);
        }
    }

    /// Returns where to send deliveries for this worker.
    pub(crate) fn handle(&self, id: WorkerId) -> Recipient<Handle<T>> {
        self.workers[id.index].handle.clone()
    }

    /// Returns where to send dead letters for this worker.
    pub(crate) fn bury(&self, id: WorkerId) -> Recipient<Bury<T>> {
        self.workers[id.index].bury.clone()
    }

    /// Replaces a worker whose thread or actor ended, unless that was done already. Returns whether it was.
    pub(crate) fn replace(&mut self, id: WorkerId) -> bool {
        if self.current(id).is_none() {
            return false;
        }
        let mut successor = (self.start_worker)();
        successor.generation = id.generation.wrapping_add(1);
        let predecessor = std::mem::replace(&mut self.workers[id.index], successor);
        if let Some(arbiter) = predecessor.arbiter {
            arbiter.stop();
        }
        true
    }

    fn current(&mut self, id: WorkerId) -> Option<&mut Worker<T>> {
        self.workers
            .get_mut(id.index)
            .filter(|worker| worker.generation == id.generation)
    }

    /// Tells all workers to drop what they are doing.
    pub(crate) fn abandon_running(&self) {
        for worker in &self.workers {
            worker.abandon.do_send(AbandonRunning);
        }
    }

    /// Stops the threads and waits up to `patience` for them to end; a thread that is blocked by a handler is left
    /// behind and ends with the process.
    pub(crate) fn close(&mut self, patience: Duration) -> impl Future<Output = ()> + use<T> {
        let arbiters: Vec<Arbiter> = self
            .workers
            .drain(..)
            .filter_map(|worker| worker.arbiter)
            .inspect(|arbiter| {
                arbiter.stop();
            })
            .collect();
        let (joined, all_joined) = tokio::sync::oneshot::channel();
        async move {
            if arbiters.is_empty() {
                return;
            }
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
            if joiner.is_ok() && tokio::time::timeout(patience, all_joined).await.is_err() {
                tracing::warn!("handler threads did not end in time, left behind");
            }
        }
    }
}
