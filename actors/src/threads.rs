//! The threads that handler actors live on: those of one engine, or those that several engines share.

use std::{
    fmt, io,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_rt::{Arbiter, ArbiterHandle};

/// Worker threads that several engines share ([`Placement::Shared`](crate::Placement::Shared)).
///
/// Every engine has a handler actor of its own on each of them, with a consumer of its own. A delivery goes to the thread
/// that has the least to do for all engines together.
///
/// `Clone + Send + Sync`; clones are the same threads, and equal. The threads start with the first engine, and belong to
/// the actix system of that engine; engines of other systems may use them too. A thread that ends, for instance because
/// its system was stopped, is replaced when an engine needs it. They end when the last clone of this value is dropped and
/// the last engine on them has stopped.
#[derive(Clone)]
pub struct WorkerThreads(Arc<Slots>);

struct Slots {
    count: usize,
    running: Mutex<Vec<Option<Running>>>,
}

struct Running {
    arbiter: Arbiter,
    thread: Arc<Thread>,
}

impl WorkerThreads {
    /// Returns a set of this many threads, at least 1. Nothing is started yet; an engine refuses a set of none.
    pub fn new(threads: usize) -> Self {
        let running = std::iter::repeat_with(|| None).take(threads).collect();
        Self(Arc::new(Slots {
            count: threads,
            running: Mutex::new(running),
        }))
    }

    /// Returns how many threads these are.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Returns the thread with this index, which is started when it does not run.
    pub(crate) fn thread(&self, index: usize) -> io::Result<Arc<Thread>> {
        let mut running = self.0.lock();
        let slot = &mut running[index];
        if let Some(Running { thread, .. }) = slot
            && thread.is_alive()
        {
            return Ok(Arc::clone(thread));
        }
        let arbiter = Arbiter::try_new()?;
        let thread = Arc::new(Thread::new(arbiter.handle()));
        let successor = Running {
            arbiter,
            thread: Arc::clone(&thread),
        };
        if slot.replace(successor).is_some() {
            tracing::error!(thread = index, "handler thread ended, started a new one");
        }
        Ok(thread)
    }

    /// Gives up this clone. When it was the last, tells the threads to end and returns what they can be waited for with.
    pub(crate) fn leave(self) -> Vec<Arbiter> {
        Arc::into_inner(self.0).map_or_else(Vec::new, |slots| slots.stop())
    }
}

impl Default for WorkerThreads {
    /// Returns one thread per available core.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }
}

impl PartialEq for WorkerThreads {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WorkerThreads {}

impl fmt::Debug for WorkerThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerThreads")
            .field("count", &self.0.count)
            .finish_non_exhaustive()
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Running>>> {
        // Nothing is left half done when it panics: a slot is filled by one assignment.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the threads to end.
    fn stop(&self) -> Vec<Arbiter> {
        let running = std::mem::take(&mut *self.lock());
        let arbiters = running.into_iter().flatten().map(|running| running.arbiter);
        arbiters
            .inspect(|arbiter| {
                arbiter.stop();
            })
            .collect()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // Not waited for: one may be blocked by a handler, and one may be the thread that drops this.
        drop(self.stop());
    }
}

/// One thread, with the number of deliveries that all engines have on it.
pub(crate) struct Thread {
    arbiter: ArbiterHandle,
    busy: AtomicUsize,
}

impl Thread {
    pub(crate) fn new(arbiter: ArbiterHandle) -> Self {
        Self {
            arbiter,
            busy: AtomicUsize::new(0),
        }
    }

    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Returns whether it takes work. Once it does not, that is known before what was on it is dropped.
    pub(crate) fn is_alive(&self) -> bool {
        self.arbiter.alive()
    }

    /// Returns how many deliveries all engines have on it. Engines of other threads change that at any time, so it is good
    /// for balance only.
    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Counts one more delivery until the load is dropped.
    pub(crate) fn load(self: &Arc<Self>) -> Load {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }
}

/// One delivery on a thread.
pub(crate) struct Load(Arc<Thread>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
