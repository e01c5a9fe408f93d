//! The durable queue between intake and handling.
//!
//! ```text
//! PollingSource ──▶ Poller ──DispatchBatch──▶ Intake ──push──▶ Queue ──lease──▶ QueuedSource ──▶ Poller ──▶ Supervisor
//!                     ▲  receipt: it is durable   │             ▲                   │
//!                     └───────────────────────────┘             └──────settle───────┘
//! ```
//!
//! The next `getUpdates` confirms a batch, and it is sent only after the receipt: what is confirmed is on disk.

use std::{future::Future, time::Duration};

use actogram_actors::Lane;

use crate::update::Update;

mod intake;
mod queued_source;

mod journal;
pub(crate) mod store;
#[cfg(test)]
mod conformance;

pub(crate) use self::{
    intake::Intake,
    journal::{Journal, JournalSettings},
    queued_source::{InHand, QueuedSource},
};

/// A durable queue of updates.
///
/// The contract:
///
/// 1. What was [pushed](Self::push) successfully survives a power cut, and is leased until it is settled.
/// 2. Of each lane only the oldest update is on lease, and the next one only after that is settled: the order of a lane
///    holds through failures and restarts. Lanes take turns.
///    The lanes of a group and of the supergroup it becomes are one from the push of the service message on, in order of
///    arrival, also for what is pushed in the old lane later. What is on lease in both ends before anything else of them
///    is leased.
/// 3. That an attempt begins is on record before [`lease`](Self::lease) gives the update out, and that it ended after
///    [`flush`](Self::flush) at the latest. What was on lease when the process was killed is leased again.
pub(crate) trait Queue: Clone + Unpin + 'static {
    /// Keeps updates, in this order. Updates that it has or had already (same bot, id and content) are left out. Waits
    /// when the queue is full.
    ///
    /// # Errors
    ///
    /// Only when the queue has failed for good. Then none of the updates may be confirmed.
    fn push(&self, updates: Vec<(Lane, Update)>) -> impl Future<Output = Result<Pushed, QueueError>>;

    /// Waits until there is room for at least one update.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    fn room(&self) -> impl Future<Output = Result<usize, QueueError>>;

    /// Waits for updates that may be handled now and gives out at most `limit`. Dropping the future loses nothing.
    /// Never called twice at the same time.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    fn lease(&self, limit: usize) -> impl Future<Output = Result<Vec<Leased>, QueueError>>;

    /// Takes note of how leases ended; returns at once.
    fn settle(&self, settlements: Vec<Settlement>);

    /// Waits until every settlement so far survives a power cut.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    fn flush(&self) -> impl Future<Output = Result<(), QueueError>>;

    /// Waits until nothing is on lease and nothing can be leased within this time, unless more is pushed.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    fn exhausted(&self, within: Duration) -> impl Future<Output = Result<(), QueueError>>;

    /// Returns how many updates are unfinished: those that a later start will handle, if nobody does before.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    fn unfinished(&self) -> impl Future<Output = Result<u64, QueueError>>;
}

/// What became of pushed updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pushed {
    /// How many were new.
    pub(crate) kept: usize,
    /// How many the queue has or had already.
    pub(crate) duplicates: usize,
    /// Set once, by the first push after the queue was opened, when it begins with a new update.
    pub(crate) seam: Option<Seam>,
}

/// The ids on both sides of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seam {
    /// Of the update that was kept last before.
    pub(crate) last: i64,
    /// Of the first new one.
    pub(crate) first: i64,
}

/// Identity of an update in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) i64);

/// An update that may be handled now.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    pub(crate) ticket: Ticket,
    pub(crate) lane: Lane,
    pub(crate) update: Update,
    /// Number of this attempt, counted from 1, without those that the death of the process cut off: they use up nothing
    /// of the retry schedule.
    pub(crate) attempt: u32,
    /// How many attempts the death of the process cut off.
    pub(crate) crashes: u32,
    /// How often the handler has asked to wait so far.
    pub(crate) waits: u32,
}

/// How a lease ended.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) ticket: Ticket,
    pub(crate) verdict: Verdict,
}

/// How a lease ended.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// It was handled.
    Finished,
    /// It is too old to be worth handling.
    Expired,
    /// Lease it again after the delay, and nothing of its lane before it.
    Retry {
        delay: Duration,
        counts: bool,
        error: String,
    },
    /// It will not be tried again.
    Dead { errors: Vec<String> },
}

/// The queue has failed for good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal failed: {reason}")]
pub(crate) struct QueueError {
    /// What happened and what to do, with all causes.
    pub(crate) reason: String,
}
