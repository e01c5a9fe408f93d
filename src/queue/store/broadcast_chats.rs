//! What is known about each chat of a broadcast: begun before a send, ended after its answer.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    checksum::chat_sum, columns, entry::Damage, error::JournalError, time::Timestamp, transaction::Work,
};
use crate::broadcast::{ChatOutcome, ChatRecord, ChatsFilter, Ended, Mark, Marked, OutcomeCounts};

const BEGUN: i64 = 0;
const UNKNOWN: i64 = 3;
/// The outcome is unknown, and a repetition is wished.
const AGAIN: i64 = 6;

/// What stands in a record that was begun when the process died.
const INTERRUPTED: &str = "the process ended during the send";

/// What stands in place of a record that cannot be trusted.
const DAMAGED: &str = "its record was damaged";

fn code(outcome: ChatOutcome) -> i64 {
    match outcome {
        ChatOutcome::Sent => 1,
        ChatOutcome::Blocked => 2,
        ChatOutcome::Unknown => UNKNOWN,
        ChatOutcome::Failed => 4,
        ChatOutcome::Moved => 5,
    }
}

/// Returns the outcome that a state stands for; nothing for a send that has begun. Whatever else there is, nobody knows
/// what became of that chat.
fn outcome(state: i64) -> Option<ChatOutcome> {
    if state == BEGUN {
        return None;
    }
    let known = ChatOutcome::ALL
        .into_iter()
        .find(|outcome| code(*outcome) == state);
    Some(known.unwrap_or(ChatOutcome::Unknown))
}

/// A record as it is stored.
#[derive(Debug, Clone)]
struct Stored {
    chat: i64,
    state: i64,
    at: i64,
    moved_to: Option<i64>,
    reason: Option<String>,
}

impl Stored {
    const COLUMNS: &str = "chat, state, at, moved_to, reason, sum";

    /// Reads [`COLUMNS`](Self::COLUMNS).
    fn read(broadcast: i64, row: &Row<'_>) -> Result<Self, Damage> {
        let moved_to = columns::optional(row, 3)?;
        let reason = match row.get_ref(4) {
            Ok(rusqlite::types::ValueRef::Null) => None,
            _ => Some(columns::text(row, 4)?.to_owned()),
        };
        let (chat, state, at) = (
            columns::integer(row, 0)?,
            columns::integer(row, 1)?,
            columns::integer(row, 2)?,
        );
        let found = Self {
            chat,
            state,
            at,
            moved_to,
            reason,
        };
        if found.sum(broadcast) == columns::integer(row, 5)? {
            Ok(found)
        } else {
            Err(Damage::Header)
        }
    }

    fn sum(&self, broadcast: i64) -> i64 {
        chat_sum(
            broadcast,
            self.chat,
            self.state,
            self.at,
            self.moved_to,
            self.reason.as_deref().map(str::as_bytes),
        )
    }

    /// A record that stands for a damaged one: it may have been anything.
    fn in_place_of_damage(chat: i64) -> Self {
        Self {
            chat,
            state: UNKNOWN,
            at: 0,
            moved_to: None,
            reason: Some(DAMAGED.to_owned()),
        }
    }
}

impl Work<'_> {
    /// Notes something about a chat. Returns `None`, and notes nothing, when the broadcast is not open any more.
    pub(crate) fn mark(
        &mut self,
        broadcast: i64,
        mark: &Mark,
        now: Timestamp,
    ) -> Result<Option<Marked>, JournalError> {
        if !self.is_open(broadcast)? {
            return Ok(None);
        }
        Ok(Some(match mark {
            Mark::Begin(chat) => self.begin(broadcast, *chat, now)?,
            Mark::End(Ended {
                chat,
                outcome,
                moved_to,
                reason,
            }) => {
                let record = Stored {
                    chat: *chat,
                    state: code(*outcome),
                    at: now.0,
                    moved_to: *moved_to,
                    reason: reason.clone(),
                };
                self.write(broadcast, &record)?;
                Marked::Noted
            }
            Mark::Release(chat) => {
                self.conn
                    .prepare_cached(
                        "DELETE FROM broadcast_chats WHERE broadcast = ?1 AND chat = ?2 AND state = ?3",
                    )?
                    .execute((broadcast, chat, BEGUN))?;
                Marked::Noted
            }
        }))
    }

    fn begin(&mut self, broadcast: i64, chat: i64, now: Timestamp) -> Result<Marked, JournalError> {
        let found = get(self.conn, broadcast, chat)?;
        if let Some(record) = &found
            && record.state != AGAIN
        {
            return Ok(Marked::Known {
                moved_to: record.moved_to,
            });
        }
        let record = Stored {
            chat,
            state: BEGUN,
            at: now.0,
            moved_to: None,
            reason: None,
        };
        self.write(broadcast, &record)?;
        Ok(Marked::Go {
            again: found.is_some(),
        })
    }

    fn write(&mut self, broadcast: i64, record: &Stored) -> Result<(), JournalError> {
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO broadcast_chats (broadcast, chat, state, at, moved_to, reason, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                broadcast,
                record.chat,
                record.state,
                record.at,
                record.moved_to,
                &record.reason,
                record.sum(broadcast),
            ))?;
        Ok(())
    }

    /// What was begun is unknown, and what is unknown is repeated or not.
    pub(super) fn take_over_chats(
        &mut self,
        broadcast: i64,
        repeat_unknown: bool,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let records: Vec<Stored> = {
            let mut statement = self.conn.prepare_cached(&format!(
                "SELECT {} FROM broadcast_chats WHERE broadcast = ?1 AND state IN (0, 3, 6)",
                Stored::COLUMNS
            ))?;
            let read = |row: &Row<'_>| {
                let chat: i64 = row.get(0)?;
                Ok(Stored::read(broadcast, row).unwrap_or_else(|_| Stored::in_place_of_damage(chat)))
            };
            statement
                .query_map([broadcast], read)?
                .collect::<Result<_, _>>()?
        };
        let wanted = if repeat_unknown { AGAIN } else { UNKNOWN };
        for mut record in records.into_iter().filter(|record| record.state != wanted) {
            if record.state == BEGUN {
                record.at = now.0;
                record.reason = Some(INTERRUPTED.to_owned());
            }
            record.state = wanted;
            self.write(broadcast, &record)?;
        }
        Ok(())
    }
}

fn get(conn: &Connection, broadcast: i64, chat: i64) -> Result<Option<Stored>, JournalError> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT {} FROM broadcast_chats WHERE broadcast = ?1 AND chat = ?2",
            Stored::COLUMNS
        ))?
        .query_row((broadcast, chat), |row| {
            Ok(Stored::read(broadcast, row).unwrap_or_else(|_| Stored::in_place_of_damage(chat)))
        })
        .optional()?;
    Ok(found)
}

/// Returns those of the chats that may still need the message, in the same order. A group that became a supergroup is
/// among them, because that one may.
pub(crate) fn fresh(conn: &Connection, broadcast: i64, chats: &[i64]) -> Result<Vec<i64>, JournalError> {
    let mut fresh = Vec::with_capacity(chats.len());
    for chat in chats {
        let known = get(conn, broadcast, *chat)?
            .is_some_and(|record| record.state != AGAIN && record.moved_to.is_none());
        if !known {
            fresh.push(*chat);
        }
    }
    Ok(fresh)
}

/// Counts the chats by outcome. Reads all of them.
pub(super) fn counts(conn: &Connection, broadcast: i64) -> Result<OutcomeCounts, JournalError> {
    let mut counts = OutcomeCounts::default();
    let mut statement = conn
        .prepare_cached("SELECT state, count(*) FROM broadcast_chats WHERE broadcast = ?1 GROUP BY state")?;
    let mut rows = statement.query([broadcast])?;
    while let Some(row) = rows.next()? {
        if let Some(outcome) = outcome(row.get(0)?) {
            *counts.place(outcome) += row.get::<_, i64>(1)?.unsigned_abs();
        }
    }
    Ok(counts)
}

/// Returns the chats whose outcome is recorded, in order of their ids.
pub(crate) fn page(
    conn: &Connection,
    broadcast: i64,
    filter: ChatsFilter,
) -> Result<Vec<ChatRecord>, JournalError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} FROM broadcast_chats WHERE broadcast = ?1 AND (?2 IS NULL OR chat > ?2) AND state != 0
           AND (?3 IS NULL OR state = ?3 OR (?3 = 3 AND state = 6)) ORDER BY chat LIMIT ?4",
        Stored::COLUMNS
    ))?;
    let mut rows = statement.query((broadcast, filter.after, filter.outcome.map(code), filter.limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let chat: i64 = row.get(0)?;
        let record = Stored::read(broadcast, row).unwrap_or_else(|_| Stored::in_place_of_damage(chat));
        found.push(ChatRecord {
            chat_id: chat,
            outcome: outcome(record.state).unwrap_or(ChatOutcome::Unknown),
            at: Timestamp(record.at).into(),
            moved_to: record.moved_to,
            reason: record.reason,
        });
    }
    Ok(found)
}

/// Returns the chats whose records do not match their checksums, at most `limit` of them, and how many more there are.
#[cfg(any(feature = "cli", test))]
pub(super) fn damaged(conn: &Connection, limit: usize) -> Result<(Vec<(i64, Damage)>, u64), JournalError> {
    let mut statement = conn.prepare(&format!(
        "SELECT {}, broadcast FROM broadcast_chats",
        Stored::COLUMNS
    ))?;
    let mut rows = statement.query([])?;
    let (mut found, mut more) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let broadcast = columns::integer(row, 6).unwrap_or(0);
        if let Err(damage) = Stored::read(broadcast, row) {
            if found.len() < limit {
                found.push((columns::integer(row, 0).unwrap_or(0), damage));
            } else {
                more += 1;
            }
        }
    }
    Ok((found, more))
}
