//! What is kept of broadcasts is bounded: the chats of one that has ended go after a time, its name and counts stay much
//! longer, so that nobody gets it again because the name is forgotten.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::{
    broadcasts::{DROPPED, OPEN},
    error::JournalError,
    sweep::CLOCK_IS_SET,
    time::Timestamp,
    transaction::Work,
};

/// Time for which the chats of a broadcast that has ended are kept.
const CHATS_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Time for which the name and the counts are kept.
const NAME_KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Ended broadcasts whose name and counts are kept; the oldest are forgotten first.
const MOST_ENDED: i64 = 10_000;

impl Work<'_> {
    /// Takes a step in dropping chats of broadcasts that were dropped, or ended long ago. Returns whether there is more.
    ///
    /// One call drops at most [`sweep_rows`](super::StoreOptions::sweep_rows) chats.
    pub(crate) fn sweep_broadcasts(&mut self, now: Timestamp) -> Result<bool, JournalError> {
        self.forget_old_broadcasts(now)?;
        let Some((id, state)) = self.outdated_broadcast(now)? else {
            return Ok(false);
        };
        let limit = self.options.sweep_rows;
        let removed = self
            .conn
            .prepare_cached(
                "DELETE FROM broadcast_chats WHERE broadcast = ?1 AND chat IN
                   (SELECT chat FROM broadcast_chats WHERE broadcast = ?1 LIMIT ?2)",
            )?
            .execute((id, limit))?;
        if removed < limit as usize {
            let done = if state == DROPPED {
                "DELETE FROM broadcasts WHERE id = ?1"
            } else {
                "UPDATE broadcasts SET swept = 1 WHERE id = ?1"
            };
            self.conn.prepare_cached(done)?.execute([id])?;
        }
        Ok(true)
    }

    /// Names that are too old or too many are forgotten like those that somebody dropped.
    fn forget_old_broadcasts(&mut self, now: Timestamp) -> Result<(), JournalError> {
        self.conn
            .prepare_cached(
                "UPDATE broadcasts SET name = NULL, state = ?1
                 WHERE state NOT IN (?1, ?2) AND (ended_at BETWEEN ?3 AND ?4 OR id IN
                   (SELECT id FROM broadcasts WHERE state NOT IN (?1, ?2) ORDER BY id DESC LIMIT -1 OFFSET ?5))",
            )?
            .execute((
                DROPPED,
                OPEN,
                CLOCK_IS_SET.0,
                now.minus(NAME_KEPT_FOR).0,
                MOST_ENDED,
            ))?;
        Ok(())
    }

    fn outdated_broadcast(&self, now: Timestamp) -> Result<Option<(i64, i64)>, JournalError> {
        let found = self
            .conn
            .prepare_cached(
                "SELECT id, state FROM broadcasts
                 WHERE state = ?1 OR (state != ?2 AND swept = 0 AND ended_at BETWEEN ?3 AND ?4) ORDER BY id LIMIT 1",
            )?
            .query_row(
                (
                    DROPPED,
                    OPEN,
                    CLOCK_IS_SET.0,
                    now.minus(CHATS_KEPT_FOR).0,
                ),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(found)
    }
}
