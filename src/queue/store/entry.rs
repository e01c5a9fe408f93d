//! What the journal knows about an update: its place, its marks, and how it looks from outside.

use std::{fmt, time::Duration};

use actogram_actors::Lane;

use super::time::Timestamp;
use crate::update::Update;

/// Place of an update in the order of arrival. Never used again, not even after the row is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId(pub(crate) i64);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a transaction must survive once it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut: the commit ends with an fsync.
    Power,
    /// `kill -9`, but not a power cut: the commit ends in the memory of the operating system.
    Kill,
}

/// Settings of the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreOptions {
    /// Time for which the id of an update is remembered, so that a second delivery is noticed; default 48 h. Twice what
    /// the [Bot API server](https://core.telegram.org/bots/api#getting-updates) keeps an update.
    pub(crate) dedup_age: Duration,
    /// Ids that are remembered at most; default 1,000,000. The oldest are forgotten first.
    pub(crate) dedup_ids: u64,
    /// Ids that one call of `prune` forgets at most; default 2,000.
    pub(crate) prune_ids: u32,
    /// Time for which dead letters, and damaged rows that were set aside, are kept; default 30 days. Long enough for a
    /// person to come back from a holiday; what people wrote should not lie around for ever.
    pub(crate) dead_age: Duration,
    /// Dead letters that are kept at most, and damaged rows as well; default 100,000: with usual messages some 50 MB. The
    /// oldest go first.
    pub(crate) dead_letters: u64,
    /// Rows of each of the two that one call of `sweep` drops at most; default 500.
    pub(crate) sweep_rows: u32,
    /// Bot whose updates the owner handles; those of other bots stay as they are. Default: all of them.
    pub(crate) bot: Option<u64>,
    /// Time to wait for another connection that writes, for instance of the command line tool; default 5 s.
    pub(crate) busy_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            dedup_age: Duration::from_secs(48 * 60 * 60),
            dedup_ids: 1_000_000,
            prune_ids: 2_000,
            dead_age: Duration::from_secs(30 * 24 * 60 * 60),
            dead_letters: 100_000,
            sweep_rows: 500,
            bot: None,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// An unfinished update without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Its place.
    pub(crate) row: RowId,
    /// Bot that received it.
    pub(crate) bot: u64,
    /// Its `update_id`.
    pub(crate) update_id: i64,
    /// What keeps it in order.
    pub(crate) lane: Lane,
    /// Length of the payload in bytes.
    pub(crate) bytes: u64,
    /// Number of the attempt to make next, counted from 1; of the one that was cut off, if it was started.
    pub(crate) attempt: u32,
    /// Times it was told to wait without this costing an attempt.
    pub(crate) waits: u32,
    /// Times the process died during an attempt.
    pub(crate) crashes: u32,
    /// Earliest time for the next attempt.
    pub(crate) retry_at: Option<Timestamp>,
}

/// What a [`load`](super::Store::load) found at a place.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// The update as it was pushed.
    Intact(Stored),
    /// A row that was changed from outside. Nothing in it may be trusted; set it aside.
    Damaged(DamagedRow),
    /// No row: the update was finished.
    Missing(RowId),
}

/// An update with everything known about it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// What the index knows.
    pub(crate) entry: IndexEntry,
    /// The update itself.
    pub(crate) update: Update,
    /// When it was pushed.
    pub(crate) received_at: Timestamp,
    /// Whether an attempt is running, or was when the owner died.
    pub(crate) started: bool,
    /// What went wrong so far, oldest first; at most [`MAX_ERRORS`](super::history::MAX_ERRORS).
    pub(crate) errors: Vec<String>,
}

/// A row that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DamagedRow {
    /// Its place.
    pub(crate) row: RowId,
    /// How it was found out.
    pub(crate) damage: Damage,
}

/// What was read of a row, if it can be trusted.
pub(crate) type Checked<T> = Result<T, DamagedRow>;

/// How a row was found to be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Damage {
    /// A column holds a value of another type, or outside its range.
    Types,
    /// Place, bot, id, kind, lane, time or length do not match their checksum.
    Header,
    /// The payload does not match its checksum.
    Payload,
    /// State, counters or retry time do not match their check.
    Marks,
    /// All checksums match, but the payload is not an update.
    NotAnUpdate,
}

impl Damage {
    /// Returns the text that is stored and shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Types => "a column has the wrong type",
            Self::Header => "the header does not match its checksum",
            Self::Payload => "the payload does not match its checksum",
            Self::Marks => "the marks do not match their check",
            Self::NotAnUpdate => "the payload is not an update",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
