//! Lanes that go on as others: a group that becomes a supergroup gets another chat id, and stays one conversation.

use std::time::Duration;

use actogram_actors::Lane;
use rusqlite::{OptionalExtension, Row};

use super::{
    checksum::{Header, moved_sum},
    columns::{self, header_columns},
    entry::Damage,
    error::JournalError,
    time::Timestamp,
    transaction::Work,
};

/// Time for which it is remembered that a lane was moved. The Bot API server keeps an update for 24 h, but somebody may
/// press a button below an old message of the group at any time.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Moved lanes that are remembered; the oldest are forgotten first.
pub(crate) const MOST_MOVED: i64 = 10_000;

/// What is known about moved lanes when the journal is opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Which lane goes on as which other, in the order in which they were noted.
    pub(crate) lanes: Vec<(Lane, Lane)>,
    /// Entries that were damaged and are forgotten now.
    pub(crate) damaged: u64,
}

impl Work<'_> {
    /// Notes that `from` goes on as `to`, and moves everything unfinished. Rows keep their places: what waited in one
    /// lane stands among what waited in the other in the order of arrival. Does nothing when `from` was moved before, or
    /// when `to` leads back to it.
    pub(super) fn move_lane(&mut self, from: &Lane, to: &Lane, now: Timestamp) -> Result<(), JournalError> {
        let to = self
            .moved_lane(to.as_str())?
            .map_or_else(|| to.clone(), Lane::new);
        if to == *from || self.moved_lane(from.as_str())?.is_some() {
            return Ok(());
        }
        let earlier: Vec<String> = self
            .conn
            .prepare_cached("SELECT lane FROM moved_lanes WHERE goes_on = ?1")?
            .query_map([from.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for lane in earlier.iter().map(String::as_str).chain([from.as_str()]) {
            self.conn
                .prepare_cached(
                    "INSERT INTO moved_lanes (lane, goes_on, at, sum) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (lane) DO UPDATE SET goes_on = excluded.goes_on, sum = excluded.sum",
                )?
                .execute((lane, to.as_str(), now.0, moved_sum(lane, to.as_str())))?;
        }
        self.conn
            .prepare_cached(
                "DELETE FROM moved_lanes WHERE id IN (SELECT id FROM moved_lanes ORDER BY id DESC LIMIT -1 OFFSET ?1)",
            )?
            .execute([MOST_MOVED])?;
        self.move_rows(from, &to)?;
        self.moves.push((from.clone(), to));
        Ok(())
    }

    /// Moves the rows of a lane. A damaged row stays as it is, so that it is found as such.
    fn move_rows(&mut self, from: &Lane, to: &Lane) -> Result<(), JournalError> {
        // There is no index over lanes: it would cost every push, and this happens once in the life of a group.
        let mut select = self.conn.prepare_cached(concat!(
            "SELECT ",
            header_columns!(),
            " FROM updates WHERE lane = ?1"
        ))?;
        let mut rows = select.query([from.as_str()])?;
        let mut moved = Vec::new();
        while let Some(row) = rows.next()? {
            if let Ok(header) = columns::header(row) {
                let lane = to.as_str().as_bytes();
                moved.push((header.seq, Header { lane, ..header }.sum()));
            }
        }
        let mut update = self
            .conn
            .prepare_cached("UPDATE updates SET lane = ?2, sum = ?3 WHERE seq = ?1")?;
        for (seq, sum) in moved {
            update.execute((seq, to.as_str(), sum))?;
        }
        Ok(())
    }

    /// Returns the lane as which this one goes on.
    pub(super) fn moved_lane(&self, lane: &str) -> Result<Option<String>, JournalError> {
        let found = self
            .conn
            .prepare_cached("SELECT lane, goes_on, sum FROM moved_lanes WHERE lane = ?1")?
            .query_row([lane], |row| Ok(entry(row)))
            .optional()?;
        Ok(found.and_then(Result::ok).map(|(_, goes_on)| goes_on))
    }

    /// Returns every lane that was moved, and forgets what is too old or damaged.
    pub(super) fn recover_moved(&mut self, now: Timestamp) -> Result<Moved, JournalError> {
        self.conn
            .prepare_cached("DELETE FROM moved_lanes WHERE at < ?1")?
            .execute([now.minus(KEPT_FOR).0])?;
        let mut moved = Moved::default();
        let mut damaged = Vec::new();
        let mut statement = self
            .conn
            .prepare_cached("SELECT lane, goes_on, sum, id FROM moved_lanes ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match entry(row) {
                Ok((lane, goes_on)) => moved.lanes.push((Lane::new(lane), Lane::new(goes_on))),
                Err(_) => damaged.push(row.get::<_, i64>(3)?),
            }
        }
        for id in &damaged {
            self.conn
                .prepare_cached("DELETE FROM moved_lanes WHERE id = ?1")?
                .execute([id])?;
        }
        moved.damaged = damaged.len() as u64;
        Ok(moved)
    }
}

/// Reads the columns `lane`, `goes_on` and `sum`.
fn entry(row: &Row<'_>) -> Result<(String, String), Damage> {
    let (lane, goes_on) = (columns::text(row, 0)?, columns::text(row, 1)?);
    if moved_sum(lane, goes_on) != columns::integer(row, 2)? {
        return Err(Damage::Header);
    }
    Ok((lane.to_owned(), goes_on.to_owned()))
}

#[cfg(test)]
#[path = "moved_tests.rs"]
mod tests;
