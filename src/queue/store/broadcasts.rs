//! Broadcasts: their names, how far they are, and how they end.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::{
    broadcast_chats, checksum::broadcast_sum, error::JournalError, time::Timestamp, transaction::Work,
};
use crate::broadcast::{ChatOutcome, OpenedBroadcast, Opening, OutcomeCounts};

/// States of a broadcast, as they are stored.
pub(super) const OPEN: i64 = 0;
pub(super) const COMPLETED: i64 = 1;
pub(super) const CANCELLED: i64 = 2;
pub(super) const DROPPED: i64 = 3;

/// A broadcast as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BroadcastRow {
    pub(crate) id: i64,
    pub(crate) bot: u64,
    pub(crate) name: String,
    pub(crate) started_at: Timestamp,
    /// When it ended, and whether it was cancelled.
    pub(crate) ended: Option<(Timestamp, bool)>,
    pub(crate) counts: OutcomeCounts,
}

impl Work<'_> {
    /// Opens a broadcast: begins a new one, or goes on with one that has not ended. What was begun when the process died
    /// is unknown then, and what is unknown is marked for repetition if that is wished.
    pub(crate) fn open_broadcast(
        &mut self,
        bot: u64,
        opening: &Opening,
        now: Timestamp,
    ) -> Result<OpenedBroadcast, JournalError> {
        if opening.anew {
            self.drop_broadcast(bot, &opening.name)?;
        }
        let found = self
            .conn
            .prepare_cached("SELECT id, state, started_at, sum FROM broadcasts WHERE bot = ?1 AND name = ?2")?
            .query_row((bot.cast_signed(), &opening.name), |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })
            .optional()?;
        let Some((id, state, started_at, sum)) = found else {
            let id = self.begin_broadcast(bot, &opening.name, now)?;
            return Ok(OpenedBroadcast::Open {
                id,
                counts: OutcomeCounts::default(),
                resumed: false,
            });
        };
        // With another identity its chats could be those of another broadcast.
        if sum != broadcast_sum(id, bot.cast_signed(), &opening.name, started_at) {
            return Err(JournalError::contents("the record of a broadcast is damaged"));
        }
        match state {
            OPEN => {
                self.take_over_chats(id, opening.repeat_unknown, now)?;
                Ok(OpenedBroadcast::Open {
                    id,
                    counts: broadcast_chats::counts(self.conn, id)?,
                    resumed: true,
                })
            }
            COMPLETED | CANCELLED => Ok(OpenedBroadcast::Ended {
                cancelled: state == CANCELLED,
                counts: final_counts(self.conn, id)?,
            }),
            _ => Err(JournalError::contents("the state of a broadcast is damaged")),
        }
    }

    fn begin_broadcast(&mut self, bot: u64, name: &str, now: Timestamp) -> Result<i64, JournalError> {
        let bot = bot.cast_signed();
        self.conn
            .prepare_cached(
                "INSERT INTO broadcasts (bot, name, started_at, state, swept, sent, blocked, unknown, failed, moved, sum)
                 VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0)",
            )?
            .execute((bot, name, now.0, OPEN))?;
        let id = self.conn.last_insert_rowid();
        self.conn
            .prepare_cached("UPDATE broadcasts SET sum = ?2 WHERE id = ?1")?
            .execute((id, broadcast_sum(id, bot, name, now.0)))?;
        Ok(id)
    }

    /// Notes that a broadcast has ended, and returns its counts. Returns `None` when it is not open.
    pub(crate) fn end_broadcast(
        &mut self,
        id: i64,
        cancelled: bool,
        now: Timestamp,
    ) -> Result<Option<OutcomeCounts>, JournalError> {
        if !self.is_open(id)? {
            return Ok(None);
        }
        let counts = broadcast_chats::counts(self.conn, id)?;
        let [sent, blocked, unknown, failed, moved] =
            ChatOutcome::ALL.map(|outcome| counts.of(outcome).cast_signed());
        let state = if cancelled { CANCELLED } else { COMPLETED };
        self.conn
            .prepare_cached(
                "UPDATE broadcasts SET state = ?2, ended_at = ?3, sent = ?4, blocked = ?5, unknown = ?6, failed = ?7,
                        moved = ?8 WHERE id = ?1",
            )?
            .execute((id, state, now.0, sent, blocked, unknown, failed, moved))?;
        Ok(Some(counts))
    }

    /// Forgets a broadcast of a bot. Its chats go in the course of maintenance.
    /// Returns false if there is none.
    pub(crate) fn drop_broadcast(&mut self, bot: u64, name: &str) -> Result<bool, JournalError> {
        let dropped = self
            .conn
            .prepare_cached("UPDATE broadcasts SET name = NULL, state = ?3 WHERE bot = ?1 AND name = ?2")?
            .execute((bot.cast_signed(), name, DROPPED))?;
        Ok(dropped > 0)
    }

    /// Returns whether a broadcast may go on.
    pub(super) fn is_open(&self, id: i64) -> Result<bool, JournalError> {
        let state: Option<i64> = self
            .conn
            .prepare_cached("SELECT state FROM broadcasts WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(state == Some(OPEN))
    }
}

/// Returns the broadcasts of a bot, or of all bots, in the order in which they were begun.
pub(crate) fn list(conn: &Connection, bot: Option<u64>) -> Result<Vec<BroadcastRow>, JournalError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, bot, name, started_at, state, ended_at FROM broadcasts
         WHERE name IS NOT NULL AND (?1 IS NULL OR bot = ?1) ORDER BY id",
    )?;
    let mut rows = statement.query([bot.map(u64::cast_signed)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, state): (i64, i64) = (row.get(0)?, row.get(4)?);
        let ended_at: Option<i64> = row.get(5)?;
        found.push(BroadcastRow {
            id,
            bot: row.get::<_, i64>(1)?.cast_unsigned(),
            name: row.get(2)?,
            started_at: Timestamp(row.get(3)?),
            ended: ended_at.map(|at| (Timestamp(at), state == CANCELLED)),
            counts: if state == OPEN {
                broadcast_chats::counts(conn, id)?
            } else {
                final_counts(conn, id)?
            },
        });
    }
    Ok(found)
}

/// Returns the ids of the broadcasts with this name, by bot.
pub(crate) fn find(conn: &Connection, name: &str) -> Result<BTreeMap<u64, i64>, JournalError> {
    let mut statement = conn.prepare_cached("SELECT bot, id FROM broadcasts WHERE name = ?1")?;
    let rows = statement.query_map([name], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn final_counts(conn: &Connection, id: i64) -> Result<OutcomeCounts, JournalError> {
    let mut statement =
        conn.prepare_cached("SELECT sent, blocked, unknown, failed, moved FROM broadcasts WHERE id = ?1")?;
    let counts = statement.query_row([id], |row| {
        let mut counts = OutcomeCounts::default();
        for (column, outcome) in ChatOutcome::ALL.into_iter().enumerate() {
            *counts.place(outcome) = u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0);
        }
        Ok(counts)
    })?;
    Ok(counts)
}

#[cfg(test)]
#[path = "broadcast_tests.rs"]
mod tests;
