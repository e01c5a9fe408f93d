//! Posted updates go into the journal.
//!
//! Each request pushes its own update, from whatever thread it runs on, so that all who wait at one moment share an
//! fsync. What keeps the journal within its bounds is *grants*: a request takes one before it pushes, and the source, which
//! the engine runs in place of a polling one, grants no more than the journal has room for.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actogram_actors::{Credit, Delivery, Lane, Offset, Progress, Source, SourceError};
use futures_util::{FutureExt, future::poll_immediate};
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::{monitor::WebhookMonitor, refusal::Refusal};
use crate::{
    queue::{Pushed, Queue},
    update::Update,
};

/// Most pushes that are granted at a time. More than the server ever has on its way (100 connections), and little enough
/// that an order to the journal for each of them is no burden when its disk is full.
const MOST_GRANTS: usize = 256;

/// Time a request waits for a grant: longer than a busy journal needs, short enough that a full one says so soon.
const GRANT_PATIENCE: Duration = Duration::from_secs(2);

/// Time a request waits for the commit. Only a full disk takes longer; the server gives up after 60 s.
const COMMIT_PATIENCE: Duration = Duration::from_secs(15);

/// Time that a stop gives to pushes that are under way. Only a full disk takes longer, and who waits for that is not
/// acknowledged.
const PUSH_PATIENCE: Duration = Duration::from_secs(1);

/// What the requests and the source share.
#[derive(Debug)]
struct Grants {
    open: AtomicBool,
    available: Semaphore,
    /// How many are available or in use.
    outstanding: AtomicUsize,
    /// When no more than this many are outstanding, it is time for more.
    low: AtomicUsize,
    wanted: Notify,
    /// How many are in use. One that is closed off after it was counted is not used.
    in_use: AtomicUsize,
    unused: Notify,
}

impl Grants {
    /// Grants as many as were missing from `wanted` when so many were outstanding: before there was said to be room, because
    /// what was pushed meanwhile may not be counted in that. Only the source does this.
    fn raise_to(&self, wanted: usize, outstanding: usize) {
        self.low.store(wanted / 2, Ordering::SeqCst);
        let missing = wanted.saturating_sub(outstanding);
        self.outstanding.fetch_add(missing, Ordering::SeqCst);
        self.available.add_permits(missing);
    }
}

/// A grant in use. When it is dropped, its update is counted by the journal.
struct Used(Arc<Grants>);

impl Used {
    /// Counts a grant that was taken. Returns `None` when none is to be used any more: who closes looks at the count
    /// afterwards, so that no push escapes both.
    fn begin(grants: &Arc<Grants>) -> Option<Self> {
        grants.in_use.fetch_add(1, Ordering::SeqCst);
        let used = Self(Arc::clone(grants));
        grants.open.load(Ordering::SeqCst).then_some(used)
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if self.0.in_use.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.unused.notify_one();
        }
        let left = self.0.outstanding.fetch_sub(1, Ordering::SeqCst) - 1;
        if left <= self.0.low.load(Ordering::SeqCst) {
            self.0.wanted.notify_one();
        }
    }
}

/// What the route does with an update; cloning shares it.
#[derive(Clone)]
pub(crate) struct JournalIntake<Q> {
    queue: Q,
    grants: Arc<Grants>,
    monitor: WebhookMonitor,
}

impl<Q> fmt::Debug for JournalIntake<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalIntake")
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl<Q: Queue> JournalIntake<Q> {
    pub(crate) fn new(queue: Q, monitor: WebhookMonitor) -> Self {
        let grants = Grants {
            open: AtomicBool::new(true),
            available: Semaphore::new(0),
            outstanding: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            wanted: Notify::new(),
            in_use: AtomicUsize::new(0),
            unused: Notify::new(),
        };
        Self {
            queue,
            grants: Arc::new(grants),
            monitor,
        }
    }

    /// Returns what the engine runs to let updates in.
    pub(crate) fn source(&self) -> GrantingSource<Q> {
        GrantingSource {
            queue: self.queue.clone(),
            grants: Arc::clone(&self.grants),
        }
    }

    /// Returns when the update is durable. Once it is on its way, dropping the future stops only the waiting.
    pub(super) async fn take(&self, lane: Lane, update: Update) -> Result<(), Refusal> {
        if !self.grants.open.load(Ordering::SeqCst) {
            return Err(Refusal::Closed);
        }
        match timeout(GRANT_PATIENCE, self.grants.available.acquire()).await {
            Ok(Ok(grant)) => grant.forget(),
            Ok(Err(_never_closed)) => return Err(Refusal::Closed),
            Err(_elapsed) => return Err(Refusal::Full),
        }
        let used = Used::begin(&self.grants).ok_or(Refusal::Closed)?;
        let Self {
            queue,
            grants,
            monitor,
        } = self.clone();
        let mut push = async move { queue.push(vec![(lane, update)]).await }.boxed_local();
        // Ordered now, and not when this thread comes to it: a stop waits for it only for so long.
        let ordered = poll_immediate(&mut push).await;
        // A task of its own: a client that hangs up takes neither the grant nor the count along.
        let push = actix_rt::spawn(async move {
            let pushed = match ordered {
                Some(pushed) => pushed,
                None => push.await,
            };
            // Counted before a stop may believe that nothing comes any more.
            match &pushed {
                Ok(Pushed { duplicates: 0, .. }) => monitor.accepted(),
                Ok(_) => monitor.duplicate(),
                Err(_) => {}
            }
            drop(used);
            match pushed {
                Ok(_) => {}
                // It was closed in the meantime.
                Err(_) if !grants.open.load(Ordering::SeqCst) => return Err(Refusal::Closed),
                Err(error) => {
                    tracing::error!(%error, "update was not kept, the server sends it again");
                    return Err(Refusal::Failed);
                }
            }
            Ok(())
        });
        match timeout(COMMIT_PATIENCE, push).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panicked)) => Err(Refusal::Failed),
            Err(_elapsed) => Err(Refusal::Full),
        }
    }
}

/// Lets updates in as long as the journal has room. It never hands one over itself.
pub(crate) struct GrantingSource<Q> {
    queue: Q,
    grants: Arc<Grants>,
}

impl<Q: Queue> Source for GrantingSource<Q> {
    type Payload = Update;

    async fn next_batch(&self, _: Credit) -> Result<Vec<Delivery<Update>>, SourceError> {
        loop {
            let outstanding = self.grants.outstanding.load(Ordering::SeqCst);
            let room = self.queue.room().await.map_err(SourceError::fatal)?;
            self.grants.raise_to(room.min(MOST_GRANTS), outstanding);
            self.grants.wanted.notified().await;
        }
    }

    fn record(&self, _: Progress) {}

    fn set_open(&self, open: bool) {
        self.grants.open.store(open, Ordering::SeqCst);
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        // What was taken in is durable, or is not acknowledged. Who empties the journal has to know when all of it is there.
        let all_ended = async {
            while self.grants.in_use.load(Ordering::SeqCst) > 0 {
                self.grants.unused.notified().await;
            }
        };
        let _ = timeout(PUSH_PATIENCE, all_ended).await;
        Ok(None)
    }
}

impl<Q> Drop for GrantingSource<Q> {
    fn drop(&mut self) {
        self.grants.open.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
