//! What long polling can be asked about from outside its thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actogram_actors::Seq;

use super::offset::OffsetBook;

/// Shared view of long polling; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollingMonitor(Arc<Mutex<Shared>>);

/// What is shared. No lock is ever held across an await.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) book: OffsetBook,
    pub(crate) counts: PollingCounts,
}

/// What long polling received, and how often unusual things happened in it, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PollingCounts {
    /// Updates received, those included that the journal has or had already.
    pub received: u64,
    /// Answers 409: another process polls for the same bot, or a webhook is set.
    pub conflicts: u64,
    /// Answers 429: the server asked to wait.
    pub flood_waits: u64,
    /// Times the watchdog replaced the connections, because no poll had been answered for too long.
    pub reconnects: u64,
    /// Times the ids of updates went down, or up by more than 1,000: updates in between were never offered. With a
    /// journal also from the last update of an earlier run to the first of this one.
    pub id_jumps: u64,
    /// Elements of a batch without a usable `update_id`. They cannot be handled or confirmed; the server does not
    /// make them.
    pub unreadable: u64,
}

impl PollingMonitor {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        // The state is plain numbers: whoever panicked left nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> PollingCounts {
        self.lock().counts
    }

    pub(crate) fn update_id(&self, seq: Seq) -> Option<i64> {
        self.lock().book.update_id(seq)
    }
}
