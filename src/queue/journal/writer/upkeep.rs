//! The writer keeps the file small.

use std::time::Instant;

use super::{CHECKPOINT_AT, COMPACT_PAGES, IDLE, Writer, is_passing};
use crate::queue::store::{CheckpointMode, Durability, JournalError, Timestamp};

impl Writer {
    /// Keeps the file small. Done between the orders, so that nobody waits for it in front of an fsync.
    pub(super) fn maintain(&mut self, now: Instant) -> Result<(), JournalError> {
        let due = now.saturating_duration_since(self.maintained) >= IDLE;
        if self.blocked.is_some() || !(due || self.written >= CHECKPOINT_AT) {
            return Ok(());
        }
        self.written = 0;
        let kept_small = self.keep_small(due.then_some(now));
        match kept_small {
            // The next time will do.
            Err(error) if is_passing(&error) => Ok(()),
            result => result,
        }
    }

    fn keep_small(&mut self, due: Option<Instant>) -> Result<(), JournalError> {
        if let Some(now) = due {
            self.maintained = now;
            let wall = Timestamp::now();
            let pruned = self
                .store
                .transaction(Durability::Kill, |work| work.prune(wall))
                .and_then(|_| self.store.compact(COMPACT_PAGES));
            match pruned {
                Ok(_) | Err(JournalError::Busy { .. } | JournalError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.store.checkpoint(CheckpointMode::Passive)?;
        Ok(())
    }
}
