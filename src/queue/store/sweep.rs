//! Dead letters, and damaged rows that were set aside, are kept for a time and in a number; what goes is named and
//! counted.

use rusqlite::{CachedStatement, Params};

use super::{columns, entry::RowId, error::JournalError, time::Timestamp, transaction::Work};

/// 2015-06-24, the day on which the Bot API appeared. What bears an earlier date was written while the clock was not set
/// (a machine without a battery begins in 1970), so its age is unknown, and it goes by number only.
pub(super) const CLOCK_IS_SET: Timestamp = Timestamp(1_435_104_000_000);

/// Each finds the oldest by the index over time.
const OLD_LETTERS: &str = "DELETE FROM dead WHERE seq IN
     (SELECT seq FROM dead WHERE died_at >= ?1 AND died_at < ?2 ORDER BY died_at LIMIT ?3)
     RETURNING seq, bot, update_id";
const SURPLUS_LETTERS: &str = "DELETE FROM dead WHERE seq IN (SELECT seq FROM dead ORDER BY died_at LIMIT ?1)
     RETURNING seq, bot, update_id";

/// These look at the first rows only: ids are in the order of the time at which rows were set aside.
const OLD_REMAINS: &str = "DELETE FROM set_aside WHERE id IN
     (SELECT id FROM (SELECT id, at FROM set_aside ORDER BY id LIMIT ?3) WHERE at >= ?1 AND at < ?2)
     RETURNING seq, bot, update_id";
const SURPLUS_REMAINS: &str =
    "DELETE FROM set_aside WHERE id IN (SELECT id FROM set_aside ORDER BY id LIMIT ?1)
     RETURNING seq, bot, update_id";

/// What one call of [`Work::sweep`] dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Dead letters, oldest first.
    pub(crate) letters: Vec<Gone>,
    /// Damaged rows that were set aside.
    pub(crate) set_aside: Vec<Gone>,
    /// Whether there may be more to drop at once.
    pub(crate) more: bool,
}

/// What is known of a row that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Its place.
    pub(crate) row: Option<RowId>,
    /// Bot that received it.
    pub(crate) bot: Option<i64>,
    /// Its `update_id`.
    pub(crate) update_id: Option<i64>,
    /// Which bound it was outside of.
    pub(crate) bound: Bound,
}

/// Why a row was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// [`dead_age`](super::StoreOptions::dead_age).
    Age,
    /// [`dead_letters`](super::StoreOptions::dead_letters).
    Number,
}

impl Bound {
    /// Returns the text that is shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Number => "number",
        }
    }
}

impl Work<'_> {
    /// Drops dead letters and damaged rows that are too old or too many, the oldest first.
    ///
    /// One call drops at most [`sweep_rows`](super::StoreOptions::sweep_rows) of each; call again when there is more.
    pub(crate) fn sweep(&mut self, now: Timestamp) -> Result<Swept, JournalError> {
        let limit = i64::from(self.options.sweep_rows);
        let most = i64::try_from(self.options.dead_letters).unwrap_or(i64::MAX);
        let young = now.minus(self.options.dead_age);

        let mut letters = self.take(OLD_LETTERS, (CLOCK_IS_SET.0, young.0, limit), Bound::Age)?;
        self.counts.dead -= length(&letters);
        let surplus = (self.counts.dead - most).clamp(0, limit - length(&letters));
        if surplus > 0 {
            let taken = self.take(SURPLUS_LETTERS, [surplus], Bound::Number)?;
            self.counts.dead -= length(&taken);
            letters.extend(taken);
        }
        self.counts.dead_swept += length(&letters);

        let mut set_aside = self.take(OLD_REMAINS, (CLOCK_IS_SET.0, young.0, limit), Bound::Age)?;
        let surplus = (self.remains_above(most)?).clamp(0, limit - length(&set_aside));
        if surplus > 0 {
            set_aside.extend(self.take(SURPLUS_REMAINS, [surplus], Bound::Number)?);
        }
        self.counts.set_aside_swept += length(&set_aside);

        let more = length(&letters).max(length(&set_aside)) == limit;
        Ok(Swept {
            letters,
            set_aside,
            more,
        })
    }

    /// Returns how many damaged rows there are above a number.
    fn remains_above(&self, most: i64) -> Result<i64, JournalError> {
        // Counting reads the whole table; usually a look at its ends tells enough.
        let span: i64 = self
            .conn
            .prepare_cached(
                "SELECT coalesce((SELECT max(id) FROM set_aside) - (SELECT min(id) FROM set_aside) + 1, 0)",
            )?
            .query_row([], |row| row.get(0))?;
        if span <= most {
            return Ok(0);
        }
        let found: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM set_aside")?
            .query_row([], |row| row.get(0))?;
        Ok(found - most)
    }

    fn take(&self, sql: &str, bounds: impl Params, bound: Bound) -> Result<Vec<Gone>, JournalError> {
        let mut statement: CachedStatement<'_> = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(bounds)?;
        let mut gone = Vec::new();
        while let Some(row) = rows.next()? {
            // Nothing in a damaged row need be what it should.
            let number = |column| columns::integer(row, column).ok();
            gone.push(Gone {
                row: number(0).map(RowId),
                bot: number(1),
                update_id: number(2),
                bound,
            });
        }
        gone.sort_unstable_by_key(|gone| gone.row);
        Ok(gone)
    }
}

fn length(gone: &[Gone]) -> i64 {
    i64::try_from(gone.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
