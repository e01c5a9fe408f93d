//! The writer takes over what an earlier process left.

use std::time::{Duration, Instant};

use super::{MAX_CRASHES, Writer};
use crate::queue::{
    Ticket,
    journal::shelf::Slot,
    store::{DeadReason, Durability, IndexEntry, JournalError, Recovered, RowId, Timestamp},
};

impl Writer {
    pub(super) fn take_over(
        &mut self,
        recovered: Recovered,
        wall: Timestamp,
        now: Instant,
    ) -> Result<(), JournalError> {
        let entries = if self.settings.at_most_once {
            self.bury_interrupted(recovered.entries, &recovered.interrupted, wall)?
        } else {
            recovered.entries
        };
        let (killers, left): (Vec<IndexEntry>, Vec<IndexEntry>) = entries
            .into_iter()
            .partition(|entry| entry.crashes >= MAX_CRASHES);
        if !killers.is_empty() {
            self.store.transaction(Durability::Power, |work| {
                for entry in &killers {
                    let errors = [format!(
                        "the process ended during the attempt, {} times",
                        entry.crashes
                    )];
                    work.bury(entry.row, DeadReason::Crashed, &errors, wall)?;
                }
                Ok(())
            })?;
            for entry in &killers {
                tracing::error!(update_id = entry.update_id, lane = %entry.lane, crashes = entry.crashes,
                    "update ended the process again and again, dead letter");
            }
        }
        for damaged in &recovered.set_aside {
            tracing::error!(row = damaged.row.0, damage = %damaged.damage, "journaled update is damaged, set aside");
        }
        if let Some(lost) = &recovered.lost_tail {
            tracing::error!(commits = lost.commits, copy = ?lost.copy,
                "the end of the journal's log is damaged, a copy is kept; some of it may be lost");
            for removed in &lost.removed {
                tracing::warn!(copy = ?removed, "old copy of a damaged log removed, newer ones are kept");
            }
        }
        if recovered.missing > 0 {
            tracing::error!(
                missing = recovered.missing,
                "journaled updates are gone from the file"
            );
        }
        for (from, to) in &recovered.moved.lanes {
            self.moved.note(from, to);
        }
        if recovered.moved.damaged > 0 {
            tracing::error!(
                damaged = recovered.moved.damaged,
                "notes of chats that have another id are damaged, forgotten"
            );
        }
        if recovered.of_others > 0 {
            tracing::warn!(
                unfinished = recovered.of_others,
                "the journal holds updates of another bot, they wait until that bot is started on it"
            );
        }
        if !left.is_empty() {
            let interrupted = recovered.interrupted.len();
            tracing::info!(unfinished = left.len(), interrupted, "journal taken over");
        }
        let slots = left
            .into_iter()
            .map(|entry| {
                self.foreign.note(entry.row);
                let delay = entry.retry_at.map_or(Duration::ZERO, |at| at.since(wall));
                let slot = Slot {
                    ticket: Ticket(entry.row.0),
                    bytes: entry.bytes,
                    attempt: entry.attempt,
                    waits: entry.waits,
                    crashes: entry.crashes,
                    suspect: false,
                    update: None,
                };
                (entry.lane, slot, delay)
            })
            .collect();
        self.shelf.restore(slots, now);
        Ok(())
    }

    /// Gives up what was cut off in the middle: an attempt that has begun is never repeated. Returns the rest.
    fn bury_interrupted(
        &mut self,
        entries: Vec<IndexEntry>,
        interrupted: &[RowId],
        wall: Timestamp,
    ) -> Result<Vec<IndexEntry>, JournalError> {
        self.store.transaction(Durability::Power, |work| {
            let errors = ["the process ended during the attempt, which is never repeated".to_owned()];
            interrupted
                .iter()
                .try_for_each(|row| work.bury(*row, DeadReason::Interrupted, &errors, wall).map(drop))
        })?;
        let (buried, rest): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| interrupted.contains(&entry.row));
        for entry in buried {
            tracing::error!(update_id = entry.update_id, lane = %entry.lane, "attempt was interrupted, dead letter");
        }
        Ok(rest)
    }
}
