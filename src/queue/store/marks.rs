//! What happens to an update between its push and its end.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::{
    entry::RowId,
    error::JournalError,
    history,
    schema::mark_of,
    time::{self, Timestamp},
    transaction::Work,
};

/// Delays beyond this (3 centuries) are left as they are.
const LONGEST_DELAY_MS: i64 = 10_000_000_000_000;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry<'a> {
    /// Number of the next attempt.
    pub(crate) attempt: u32,
    /// Times the update was told to wait without this costing an attempt.
    pub(crate) waits: u32,
    /// Earliest time for it.
    pub(crate) at: Timestamp,
    /// How long that is from now. A wall clock that is set back makes nobody wait longer.
    pub(crate) delay: Duration,
    /// What went wrong; added to the history.
    pub(crate) error: Option<&'a str>,
}

/// Each of these returns false, and does nothing, if there is no such row.
impl Work<'_> {
    /// Marks that an attempt begins. If the process dies before the next mark, the update has a crash on its record.
    pub(crate) fn start(&mut self, row: RowId, attempt: u32) -> Result<bool, JournalError> {
        let changed = self
            .conn
            .prepare_cached(concat!(
                "UPDATE updates SET state = 1, attempt = ?2, retry_at = NULL, retry_delay = NULL, mark = ",
                mark_of!("1", "?2", "waits", "crashes", "NULL"),
                " WHERE seq = ?1"
            ))?
            .execute((row.0, attempt))?;
        Ok(changed == 1)
    }

    /// Takes the mark of a started attempt back: it ended, or was abandoned in good order, and was no crash.
    pub(crate) fn release(&mut self, row: RowId) -> Result<bool, JournalError> {
        let changed = self
            .conn
            .prepare_cached(concat!(
                "UPDATE updates SET state = 0, mark = ",
                mark_of!("0", "attempt", "waits", "crashes", "retry_at"),
                " WHERE seq = ?1"
            ))?
            .execute([row.0])?;
        Ok(changed == 1)
    }

    /// Marks a started attempt as cut off by the death of the process.
    pub(super) fn crashed(&mut self, row: RowId) -> Result<bool, JournalError> {
        let changed = self
            .conn
            .prepare_cached(concat!(
                "UPDATE updates SET state = 0, crashes = crashes + 1, mark = ",
                mark_of!("0", "attempt", "waits", "(crashes + 1)", "retry_at"),
                " WHERE seq = ?1"
            ))?
            .execute([row.0])?;
        Ok(changed == 1)
    }

    /// Plans the next attempt after a failed one.
    pub(crate) fn retry(&mut self, row: RowId, retry: &Retry<'_>) -> Result<bool, JournalError> {
        let Some(stored) = self.errors_of(row)? else {
            return Ok(false);
        };
        let errors = history::append(stored.as_deref(), retry.error);
        let changed = self
            .conn
            .prepare_cached(concat!(
                "UPDATE updates SET state = 0, attempt = ?2, waits = ?3, retry_at = ?4, retry_delay = ?6, errors = ?5, mark = ",
                mark_of!("0", "?2", "?3", "crashes", "?4"),
                " WHERE seq = ?1"
            ))?
            .execute((
                row.0,
                retry.attempt,
                retry.waits,
                retry.at.0,
                errors,
                time::millis(retry.delay),
            ))?;
        Ok(changed == 1)
    }

    /// Brings an attempt that is planned later than it can have been planned, because the clock was set back since, to
    /// the latest time that can be meant. Returns that time, or `None` if there is nothing to bring forward.
    pub(super) fn bring_forward(
        &mut self,
        row: RowId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, JournalError> {
        let at = self
            .conn
            .prepare_cached(concat!(
                "UPDATE updates SET retry_at = ?2 + retry_delay, mark = ",
                mark_of!("state", "attempt", "waits", "crashes", "(?2 + retry_delay)"),
                " WHERE seq = ?1 AND retry_delay BETWEEN 0 AND ?3 AND retry_at > ?2 + retry_delay RETURNING retry_at"
            ))?
            .query_row((row.0, now.0, LONGEST_DELAY_MS), |row| row.get(0))
            .optional()?;
        Ok(at.map(Timestamp))
    }

    /// Ends an update that was handled: its row is removed.
    pub(crate) fn finish(&mut self, row: RowId) -> Result<bool, JournalError> {
        let bytes: Option<Option<i64>> = self
            .conn
            .prepare_cached("DELETE FROM updates WHERE seq = ?1 RETURNING octet_length(raw)")?
            .query_row([row.0], |row| row.get(0))
            .optional()?;
        let Some(bytes) = bytes else {
            return Ok(false);
        };
        self.counts.rows -= 1;
        self.counts.bytes -= bytes.unwrap_or(0);
        Ok(true)
    }

    /// Ends an update that is too old to be worth handling: its row is removed and counted.
    pub(crate) fn expire(&mut self, row: RowId) -> Result<bool, JournalError> {
        let removed = self.finish(row)?;
        self.counts.expired += i64::from(removed);
        Ok(removed)
    }

    /// Returns the stored history of an update, or `None` if there is no such row.
    pub(super) fn errors_of(&self, row: RowId) -> Result<Option<Option<String>>, JournalError> {
        let errors = self
            .conn
            .prepare_cached("SELECT errors FROM updates WHERE seq = ?1")?
            .query_row([row.0], |row| Ok(super::columns::any_text(row, 0)))
            .optional()?;
        Ok(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Loaded, Store, StoreOptions,
        testing::{NOW, Place, updates},
    };
    use super::*;

    const NOBODY: RowId = RowId(999);

    #[test]
    fn an_attempt_is_on_record_once_it_was_started() {
        let place = Place::new();
        let mut store = place.open();
        let row = store.push_new(&updates(1))[0];

        assert!(store.run(|work| work.start(row, 3)));

        let stored = store.intact(row);
        assert_eq!((stored.started, stored.entry.attempt), (true, 3));
    }

    #[test]
    fn a_failed_attempt_is_planned_again_with_its_error() {
        let place = Place::new();
        let mut store = place.open();
        let row = store.push_new(&updates(1))[0];
        let retry = |attempt, waits, error| Retry {
            attempt,
            waits,
            at: NOW.plus(Duration::from_secs(u64::from(attempt))),
            delay: Duration::from_secs(u64::from(attempt)),
            error,
        };

        store.run(|work| work.start(row, 1));
        assert!(store.run(|work| work.retry(row, &retry(2, 0, Some("first")))));
        store.run(|work| work.start(row, 2));
        store.run(|work| work.retry(row, &retry(2, 1, None)));
        store.run(|work| work.retry(row, &retry(3, 1, Some("second"))));

        let stored = store.intact(row);
        assert_eq!(
            (stored.entry.attempt, stored.entry.waits, stored.started),
            (3, 1, false)
        );
        assert_eq!(stored.entry.retry_at, Some(NOW.plus(Duration::from_secs(3))));
        assert_eq!(stored.errors, ["first", "second"]);
    }

    #[test]
    fn a_retry_time_is_gone_when_the_attempt_starts() {
        let place = Place::new();
        let mut store = place.open();
        let row = store.push_new(&updates(1))[0];
        let retry = Retry {
            attempt: 2,
            waits: 0,
            at: NOW,
            delay: Duration::ZERO,
            error: None,
        };
        store.run(|work| work.retry(row, &retry));

        store.run(|work| work.start(row, 2));

        assert_eq!(store.intact(row).entry.retry_at, None);
    }

    /// What the next start finds of a retry that was planned for 5 s later, if the clock shows `then` by then.
    fn planned_at(then: Timestamp) -> Option<Timestamp> {
        let place = Place::new();
        let mut store = place.open();
        let row = store.push_new(&updates(1))[0];
        let delay = Duration::from_secs(5);
        let retry = Retry {
            attempt: 2,
            waits: 0,
            at: NOW.plus(delay),
            delay,
            error: None,
        };
        store.run(|work| work.retry(row, &retry));
        drop(store);

        let (store, recovered) = Store::open(&place.path(), StoreOptions::default(), then).unwrap();

        assert_eq!(store.entries(), recovered.entries);
        recovered.entries[0].retry_at
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_delay() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let (planned, set_back) = (NOW.plus(5 * second), NOW.minus(hour));

        assert_eq!(planned_at(NOW), Some(planned));
        assert_eq!(planned_at(NOW.plus(4 * second)), Some(planned));
        assert_eq!(planned_at(NOW.plus(hour)), Some(planned));
        assert_eq!(planned_at(NOW.minus(second)), Some(NOW.plus(4 * second)));
        assert_eq!(planned_at(set_back), Some(set_back.plus(5 * second)));
    }

    #[test]
    fn a_delay_that_is_damaged_or_without_end_harms_nothing() {
        for delay in [i64::MIN, -1, i64::MAX] {
            let place = Place::new();
            let mut store = place.open();
            let row = store.push_new(&updates(1))[0];
            let retry = Retry {
                attempt: 2,
                waits: 0,
                at: NOW.plus(Duration::MAX),
                delay: Duration::MAX,
                error: None,
            };
            store.run(|work| work.retry(row, &retry));
            drop(store);
            place.meddle(&format!("UPDATE updates SET retry_delay = {delay}"));

            let (_, recovered) = place.recover();

            assert_eq!(
                recovered.entries[0].retry_at,
                Some(NOW.plus(Duration::MAX)),
                "{delay}"
            );
        }
    }

    #[test]
    fn a_released_attempt_is_no_crash() {
        let place = Place::new();
        let mut store = place.open();
        let row = store.push_new(&updates(1))[0];
        store.run(|work| work.start(row, 2));

        assert!(store.run(|work| work.release(row)));

        drop(store);
        let (store, recovered) = place.recover();
        assert_eq!(recovered.interrupted, []);
        let entry = &store.entries()[0];
        assert_eq!((entry.attempt, entry.crashes), (2, 0));
    }

    #[test]
    fn what_is_finished_is_gone() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(3));

        assert!(store.run(|work| work.finish(rows[0])));
        assert!(store.run(|work| work.expire(rows[2])));

        assert_eq!(store.ids(), [2]);
        assert!(matches!(store.load_one(rows[0]), Loaded::Missing(row) if row == rows[0]));
        let totals = store.totals().unwrap();
        let bytes = store.entries()[0].bytes;
        assert_eq!((totals.rows, totals.bytes, totals.expired), (1, bytes, 1));
    }

    #[test]
    fn nothing_happens_to_a_row_that_is_gone() {
        let place = Place::new();
        let mut store = place.open();
        store.push_new(&updates(2));
        let before = store.totals().unwrap();
        let retry = Retry {
            attempt: 2,
            waits: 0,
            at: NOW,
            delay: Duration::ZERO,
            error: Some("x"),
        };

        assert!(!store.run(|work| work.start(NOBODY, 1)));
        assert!(!store.run(|work| work.release(NOBODY)));
        assert!(!store.run(|work| work.retry(NOBODY, &retry)));
        assert!(!store.run(|work| work.finish(NOBODY)));
        assert!(!store.run(|work| work.expire(NOBODY)));

        assert_eq!(store.totals().unwrap().rows, before.rows);
        assert_eq!(store.totals().unwrap().expired, 0);
    }
}
