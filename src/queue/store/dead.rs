//! Dead letters: updates that will not be tried again by themselves.

use std::fmt;

use actogram_actors::Lane;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    columns::{self, header_columns},
    entry::{Checked, Damage, DamagedRow, IndexEntry, RowId},
    error::JournalError,
    history,
    list::Filter,
    load,
    time::Timestamp,
    transaction::Work,
};
use crate::update::Update;

/// Why an update became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DeadReason {
    /// Its attempts are used up, or its last error cannot be mended by another one.
    Failed,
    /// The process died too often while it was handled.
    Crashed,
    /// The process died while it was handled, and it must not be handled twice.
    Interrupted,
}

impl DeadReason {
    const ALL: [Self; 3] = [Self::Failed, Self::Crashed, Self::Interrupted];

    /// Returns the text that is stored and shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the reason with this text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which dead letters to list; the default is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeadFilter {
    /// Only those of this bot and lane.
    pub(crate) of: Filter,
    /// Only those that died of this.
    pub(crate) reason: Option<DeadReason>,
}

/// A dead letter without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// Its place, the same as while it was unfinished.
    pub(crate) row: RowId,
    /// Bot that received it.
    pub(crate) bot: u64,
    /// Its `update_id`.
    pub(crate) update_id: i64,
    /// Wire name of its kind.
    pub(crate) kind: String,
    /// Its lane.
    pub(crate) lane: Lane,
    /// Length of the payload in bytes.
    pub(crate) bytes: u64,
    /// When it was pushed.
    pub(crate) received_at: Timestamp,
    /// When it was given up.
    pub(crate) died_at: Timestamp,
    /// Why.
    pub(crate) reason: DeadReason,
    /// Number of its last attempt.
    pub(crate) attempt: u32,
    /// Times it was told to wait.
    pub(crate) waits: u32,
    /// Times the process died during an attempt.
    pub(crate) crashes: u32,
    /// What went wrong, oldest first; at most [`MAX_ERRORS`](history::MAX_ERRORS).
    pub(crate) errors: Vec<String>,
}

/// A dead letter with its update, or what is wrong with it.
pub(crate) type Opened = Result<(DeadLetter, Update), DamagedRow>;

/// What became of the wish to try a dead letter again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DeadRetry {
    /// It is unfinished again, at the end of its lane.
    Queued(IndexEntry),
    /// It is damaged and stays a dead letter.
    Damaged(Damage),
    /// There is no such dead letter.
    Missing,
}

impl Work<'_> {
    /// Makes an unfinished update a dead letter. `errors` are those that no [`retry`](Self::retry) has recorded yet,
    /// usually the last one. Returns false if there is no such row.
    pub(crate) fn bury(
        &mut self,
        row: RowId,
        reason: DeadReason,
        errors: &[String],
        now: Timestamp,
    ) -> Result<bool, JournalError> {
        let Some(stored) = self.errors_of(row)? else {
            return Ok(false);
        };
        let errors = history::append(stored.as_deref(), errors.iter().map(String::as_str));
        self.conn
            .prepare_cached(
                "INSERT INTO dead (seq, bot, update_id, kind, lane, received_at, died_at, reason, attempt, waits,
                        crashes, errors, sum, hash, raw)
                 SELECT seq, bot, update_id, kind, lane, received_at, ?2, ?3, attempt, waits,
                        crashes, ?4, sum, hash, raw
                 FROM updates WHERE seq = ?1",
            )?
            .execute((row.0, now.0, reason.as_str(), errors))?;
        self.counts.dead += 1;
        self.finish(row)
    }

    /// Puts a dead letter at the end of its lane for a first attempt. It keeps its error history.
    pub(crate) fn retry_dead(&mut self, row: RowId) -> Result<DeadRetry, JournalError> {
        let (letter, update) = match show(self.conn, row)? {
            None => return Ok(DeadRetry::Missing),
            Some(Err(DamagedRow { damage, .. })) => return Ok(DeadRetry::Damaged(damage)),
            Some(Ok(found)) => found,
        };
        let errors = history::append(None, letter.errors.iter().map(String::as_str));
        let place = self.append(
            letter.bot,
            letter.update_id,
            &letter.kind,
            letter.lane.as_str(),
            letter.received_at,
            super::checksum::payload_hash(update.raw().as_bytes()),
            update.raw(),
            errors.as_deref(),
        )?;
        self.drop_dead(row)?;
        Ok(DeadRetry::Queued(IndexEntry {
            row: place,
            bot: letter.bot,
            update_id: letter.update_id,
            lane: letter.lane,
            bytes: letter.bytes,
            attempt: 1,
            waits: 0,
            crashes: 0,
            retry_at: None,
        }))
    }

    /// Forgets a dead letter. Returns false if there is none.
    pub(crate) fn drop_dead(&mut self, row: RowId) -> Result<bool, JournalError> {
        let removed = self
            .conn
            .prepare_cached("DELETE FROM dead WHERE seq = ?1")?
            .execute([row.0])?;
        self.counts.dead -= i64::from(removed == 1);
        Ok(removed == 1)
    }
}

/// Columns of a dead letter.
macro_rules! dead_columns {
    () => {
        concat!(
            header_columns!(),
            ", died_at, reason, attempt, waits, crashes, errors"
        )
    };
}

/// Returns up to `limit` dead letters behind a place, in order of their arrival as updates.
pub(crate) fn list(
    conn: &Connection,
    filter: &DeadFilter,
    after: Option<RowId>,
    limit: u32,
) -> Result<Vec<Checked<DeadLetter>>, JournalError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        dead_columns!(),
        " FROM dead WHERE seq > ?1 AND (?2 IS NULL OR bot = ?2) AND (?3 IS NULL OR lane = ?3)
           AND (?4 IS NULL OR reason = ?4) ORDER BY seq LIMIT ?5"
    ))?;
    let mut rows = statement.query((
        after.map_or(i64::MIN, |row| row.0),
        filter.of.bot.map(u64::cast_signed),
        filter.of.lane.as_ref().map(Lane::as_str),
        filter.reason.map(DeadReason::as_str),
        limit,
    ))?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let place = RowId(row.get(0)?);
        listed.push(read(row).map_err(|damage| DamagedRow { row: place, damage }));
    }
    Ok(listed)
}

/// Returns a dead letter with its update.
pub(crate) fn show(conn: &Connection, row: RowId) -> Result<Option<Opened>, JournalError> {
    let found = conn
        .prepare_cached(concat!(
            "SELECT ",
            dead_columns!(),
            ", raw FROM dead WHERE seq = ?1"
        ))?
        .query_row([row.0], |found| Ok(with_update(found)))
        .optional()?;
    if found.is_none() {
        load::assure_absent(conn, "SELECT 1 FROM dead WHERE +seq = ?1", row)?;
    }
    Ok(found.map(|found| found.map_err(|damage| DamagedRow { row, damage })))
}

/// Reads the columns of [`show`].
pub(super) fn with_update(row: &Row<'_>) -> Result<(DeadLetter, Update), Damage> {
    let letter = read(row)?;
    let update = load::payload(row, columns::HEADER + 6)?;
    if update.id() == letter.update_id {
        Ok((letter, update))
    } else {
        Err(Damage::NotAnUpdate)
    }
}

fn read(row: &Row<'_>) -> Result<DeadLetter, Damage> {
    const OWN: usize = columns::HEADER;
    let header = columns::header(row)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).map_err(|_| Damage::Types);
    Ok(DeadLetter {
        row: RowId(header.seq),
        bot: header.bot.cast_unsigned(),
        update_id: header.update_id,
        kind: text(header.kind)?,
        lane: Lane::new(text(header.lane)?),
        bytes: u64::try_from(header.bytes).map_err(|_| Damage::Types)?,
        received_at: Timestamp(header.received_at),
        died_at: Timestamp(columns::integer(row, OWN)?),
        reason: DeadReason::parse(columns::text(row, OWN + 1)?).ok_or(Damage::Marks)?,
        attempt: columns::counter(row, OWN + 2)?,
        waits: columns::counter(row, OWN + 3)?,
        crashes: columns::counter(row, OWN + 4)?,
        errors: columns::any_text(row, OWN + 5)
            .map(|stored| history::read(&stored))
            .unwrap_or_default(),
    })
}

#[cfg(any(feature = "cli", test))]
pub(super) use dead_columns;

#[cfg(test)]
mod tests {
    use super::DeadReason;

    #[test]
    fn every_reason_has_a_text_of_its_own() {
        for reason in DeadReason::ALL {
            assert_eq!(DeadReason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(DeadReason::parse(""), None);
    }
}
