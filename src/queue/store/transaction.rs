//! A write transaction: everything in it happens, or nothing.

use std::time::Instant;

use actogram_actors::Lane;
use rusqlite::Connection;

use super::{entry::StoreOptions, error::JournalError};
use crate::timings::Stopwatch;

/// Numbers that are kept in every transaction. They are compared with the rows when the journal is opened: what was
/// lost without a trace is missing in the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Increased by every owner when it opens the journal.
    pub(crate) owner_epoch: i64,
    /// Unfinished updates.
    pub(crate) rows: i64,
    /// Bytes of their payloads.
    pub(crate) bytes: i64,
    /// Dead letters.
    pub(crate) dead: i64,
    /// Ids in the dedup window.
    pub(crate) seen: i64,
    /// Updates that were finished because they had become useless, since the file was created.
    pub(crate) expired: i64,
    /// Dead letters that were dropped because of their age or number, since the file was created.
    pub(crate) dead_swept: i64,
    /// Damaged rows for which the same was done.
    pub(crate) set_aside_swept: i64,
}

impl Counts {
    /// Reads the counts.
    pub(crate) fn load(conn: &Connection) -> Result<Self, JournalError> {
        let mut counts = Self::default();
        let mut found = 0;
        let mut statement = conn.prepare_cached("SELECT key, value FROM meta")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let value: i64 = row.get(1)?;
            let key = row.get_ref(0)?.as_str().unwrap_or_default();
            if let Some(place) = counts.place(key) {
                *place = value;
                found += usize::from(!Self::LATER.contains(&key));
            }
        }
        if found + Self::LATER.len() == Self::KEYS.len() {
            Ok(counts)
        } else {
            Err(JournalError::contents("the table of counts is incomplete"))
        }
    }

    const KEYS: [&str; 8] = [
        "owner_epoch",
        "rows",
        "bytes",
        "dead",
        "seen",
        "expired",
        "dead_swept",
        "set_aside_swept",
    ];

    /// Those that appear in a file when they are counted for the first time; until then they are zero.
    const LATER: [&str; 2] = ["dead_swept", "set_aside_swept"];

    fn place(&mut self, key: &str) -> Option<&mut i64> {
        match key {
            "owner_epoch" => Some(&mut self.owner_epoch),
            "rows" => Some(&mut self.rows),
            "bytes" => Some(&mut self.bytes),
            "dead" => Some(&mut self.dead),
            "seen" => Some(&mut self.seen),
            "expired" => Some(&mut self.expired),
            "dead_swept" => Some(&mut self.dead_swept),
            "set_aside_swept" => Some(&mut self.set_aside_swept),
            _ => None,
        }
    }

    /// Writes what differs from `before`.
    fn save(mut self, mut before: Self, conn: &Connection) -> Result<(), JournalError> {
        let mut statement = conn.prepare_cached(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?;
        for key in Self::KEYS {
            let (old, new) = (before.place(key).copied(), self.place(key).copied());
            if old != new {
                statement.execute((key, new))?;
            }
        }
        Ok(())
    }
}

/// A write transaction that is open. Its methods are in the files of what they do: `push`, `marks`, `dead`, `set_aside`,
/// `prune`, `sweep`, `upkeep`, `moved`, `broadcasts`, `broadcast_chats`, `broadcast_sweep`.
///
/// A method that fails has changed nothing that matters: the error must be returned from the transaction, which then
/// rolls all of it back.
pub(crate) struct Work<'a> {
    pub(super) conn: &'a Connection,
    pub(super) options: &'a StoreOptions,
    pub(super) counts: Counts,
    /// The next free place, once it was looked up.
    pub(super) next: Option<i64>,
    /// Lanes that were moved, each with the one as which it goes on.
    pub(crate) moves: Vec<(Lane, Lane)>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// Runs `work` in a transaction. `allowed` sees the counts first and may refuse. `syncs` measures the commit, if there is
/// something to commit.
pub(super) fn run<R>(
    conn: &Connection,
    options: &StoreOptions,
    syncs: Option<&Stopwatch>,
    allowed: impl FnOnce(&Counts) -> Result<(), JournalError>,
    work: impl FnOnce(&mut Work<'_>) -> Result<R, JournalError>,
) -> Result<R, JournalError> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let open = RollBack(conn);
    let before = Counts::load(conn)?;
    let changes = conn.total_changes();
    allowed(&before)?;
    let mut transaction = Work {
        conn,
        options,
        counts: before,
        next: None,
        moves: Vec::new(),
    };
    let result = work(&mut transaction)?;
    transaction.counts.save(before, conn)?;
    let mut commit = conn.prepare_cached("COMMIT")?;
    let begun = Instant::now();
    commit.execute([])?;
    if let Some(syncs) = syncs.filter(|_| conn.total_changes() != changes) {
        syncs.record(begun.elapsed());
    }
    drop(open);
    Ok(result)
}

/// Ends a transaction that did not get to its commit, also when the work panics.
struct RollBack<'a>(&'a Connection);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // The error that led here is the one to report. If this fails as well, the next BEGIN does.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
