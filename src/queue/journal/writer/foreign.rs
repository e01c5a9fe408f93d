//! Rows that another program has added: dead letters that the command line tool put back.

use std::time::{Duration, Instant};

use super::Writer;
use crate::queue::{
    Ticket,
    journal::shelf::Slot,
    store::{Durability, IndexEntry, JournalError, RowId, Timestamp},
};

/// Pause between two looks at the file for what others have written.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Rows that are read in one go.
const CHUNK: usize = 1_000;

/// What is known about the doings of others.
#[derive(Debug)]
pub(super) struct Foreign {
    /// The last place that is on the shelf, or was.
    known: RowId,
    /// Version of the file up to which every row is known; none before the first look.
    version: Option<i64>,
    next_look: Instant,
}

impl Foreign {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: RowId(0),
            version: None,
            next_look: now,
        }
    }

    /// Notes that a place is on the shelf. Places come in ascending order.
    pub(super) fn note(&mut self, row: RowId) {
        self.known = self.known.max(row);
    }

    /// Returns when to look again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }
}

impl Writer {
    /// Takes up what others have added, if a lease waits and the last look was long enough ago.
    pub(super) fn look_around(&mut self, now: Instant) -> Result<(), JournalError> {
        if self.lease.is_none() || now < self.foreign.next_look {
            return Ok(());
        }
        self.foreign.next_look = now + LOOK_PAUSE;
        // Read first: what is written after this look changes it again.
        let version = self.store.data_version()?;
        if self.foreign.version != Some(version) {
            self.take_up_before(RowId(i64::MAX))?;
            self.foreign.version = Some(version);
        }
        Ok(())
    }

    /// Takes up every unknown row before a place. Places are given away without gaps, so without a gap there is none.
    pub(super) fn take_up_before(&mut self, end: RowId) -> Result<(), JournalError> {
        loop {
            let gap = end.0.saturating_sub(self.foreign.known.0).saturating_sub(1);
            let limit = usize::try_from(gap).unwrap_or(0).min(CHUNK);
            if limit == 0 {
                return Ok(());
            }
            let index = self.store.index_after(self.foreign.known, limit)?;
            let before_end = index.entries.iter().map(|entry| entry.row);
            let before_end = before_end.chain(index.damaged.iter().map(|damaged| damaged.row));
            let found = before_end.filter(|row| *row < end).count();
            for damaged in index.damaged.into_iter().filter(|damaged| damaged.row < end) {
                self.foreign.note(damaged.row);
                tracing::error!(row = damaged.row.0, damage = %damaged.damage, "journaled update is damaged, set aside");
                let wall = Timestamp::now();
                let moved = self
                    .store
                    .transaction(Durability::Power, |work| work.set_aside(damaged, wall));
                match moved {
                    // Where it cannot be moved now, the next start finds it again.
                    Ok(_) | Err(JournalError::Full { .. } | JournalError::Busy { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            for entry in index.entries.into_iter().filter(|entry| entry.row < end) {
                self.take_up(&entry);
            }
            if found < limit {
                return Ok(());
            }
        }
    }

    /// Puts one row at the end of its lane.
    pub(super) fn take_up(&mut self, entry: &IndexEntry) {
        self.foreign.note(entry.row);
        if entry.bot != self.bot {
            tracing::warn!(update_id = entry.update_id, lane = %entry.lane, of = entry.bot,
                "update of another bot was put back, it waits until that bot is started on the journal");
            return;
        }
        tracing::info!(update_id = entry.update_id, lane = %entry.lane, "update was put back into the journal");
        let slot = Slot {
            ticket: Ticket(entry.row.0),
            bytes: entry.bytes,
            attempt: entry.attempt,
            waits: entry.waits,
            crashes: entry.crashes,
            suspect: false,
            update: None,
        };
        self.shelf.push(self.moved.find(&entry.lane), slot);
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
