//! Dropping what was named, in short transactions, and telling of each whether it was there.

use serde::Serialize;

use super::{DONE, NOTHING};
use crate::queue::store::JournalError;

/// Rows that are changed in one transaction. The bot waits for it when it wants to write, so it is short.
pub(super) const CHUNK: usize = 100;

/// What became of the rows that were named.
#[derive(Serialize)]
pub(super) struct Dropped {
    journal: String,
    pub(super) dropped: Vec<i64>,
    pub(super) missing: Vec<i64>,
}

impl Dropped {
    /// Drops rows. `drop` drops those it is given in one transaction and returns for each whether it was there.
    pub(super) fn by(
        journal: String,
        rows: &[i64],
        mut drop: impl FnMut(&[i64]) -> Result<Vec<bool>, JournalError>,
    ) -> Result<Self, JournalError> {
        let mut done = Self {
            journal,
            dropped: Vec::new(),
            missing: Vec::new(),
        };
        for chunk in rows.chunks(CHUNK) {
            for (row, dropped) in chunk.iter().zip(drop(chunk)?) {
                let rows = if dropped {
                    &mut done.dropped
                } else {
                    &mut done.missing
                };
                rows.push(*row);
            }
        }
        Ok(done)
    }

    pub(super) fn exit_code(&self) -> u8 {
        if self.missing.is_empty() && !self.dropped.is_empty() {
            DONE
        } else {
            NOTHING
        }
    }
}
