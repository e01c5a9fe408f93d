//! Counting what is in the journal.

use std::path::Path;

use rusqlite::Connection;

use super::{error::JournalError, files, time::Timestamp, transaction::Counts};

/// What is known without looking at the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Unfinished updates.
    pub(crate) rows: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Dead letters.
    pub(crate) dead: u64,
    /// Damaged rows that were set aside.
    pub(crate) set_aside: u64,
    /// Ids in the dedup window.
    pub(crate) dedup_ids: u64,
    /// Updates that were finished because they had become useless, since the file was created.
    pub(crate) expired: u64,
    /// Dead letters that were dropped because of their age or number, since the file was created.
    pub(crate) dead_swept: u64,
    /// Damaged rows that were set aside and dropped for the same reason.
    pub(crate) set_aside_swept: u64,
    /// Size of the database in bytes.
    pub(crate) file_bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub(crate) wal_bytes: u64,
    /// Pages of the database that hold nothing; [`compact`](super::Store::compact) gives them back.
    pub(crate) free_pages: u64,
}

/// What is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    /// What is known without looking at the rows.
    pub(crate) totals: Totals,
    /// Updates that may be started now.
    pub(crate) ready: u64,
    /// Updates whose attempt is running.
    pub(crate) started: u64,
    /// Updates whose next attempt is planned for later.
    pub(crate) waiting_for_retry: u64,
    /// When the oldest unfinished update was pushed.
    pub(crate) oldest: Option<Timestamp>,
}

pub(super) fn totals(conn: &Connection, path: &Path) -> Result<Totals, JournalError> {
    let counts = Counts::load(conn)?;
    let set_aside: i64 = conn
        .prepare_cached("SELECT count(*) FROM set_aside")?
        .query_row([], |row| row.get(0))?;
    let free_pages: i64 = conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok(Totals {
        rows: natural(counts.rows),
        bytes: natural(counts.bytes),
        dead: natural(counts.dead),
        set_aside: natural(set_aside),
        dedup_ids: natural(counts.seen),
        expired: natural(counts.expired),
        dead_swept: natural(counts.dead_swept),
        set_aside_swept: natural(counts.set_aside_swept),
        file_bytes: files::size(path)?,
        wal_bytes: files::size(&files::beside(path, "-wal"))?,
        free_pages: natural(free_pages),
    })
}

pub(super) fn stats(conn: &Connection, path: &Path, now: Timestamp) -> Result<Stats, JournalError> {
    let (all, started, waiting, oldest): (i64, i64, i64, Option<i64>) = conn
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE state = 1),
                    count(*) FILTER (WHERE state = 0 AND retry_at > ?1), min(received_at) FROM updates",
        )?
        .query_row([now.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    Ok(Stats {
        totals: totals(conn, path)?,
        ready: natural(all - started - waiting),
        started: natural(started),
        waiting_for_retry: natural(waiting),
        oldest: oldest.map(Timestamp),
    })
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        DeadReason, Operator, Retry, StoreOptions,
        testing::{NOW, Place, update, updates},
    };

    #[test]
    fn every_update_is_counted_in_its_state() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(6));
        store.push_at(&[update(7, 1)], NOW.minus(Duration::from_secs(1)));
        let retry = |seconds| Retry {
            attempt: 2,
            waits: 0,
            at: NOW.plus(Duration::from_secs(seconds)),
            delay: Duration::from_secs(seconds),
            error: None,
        };
        store.run(|work| {
            work.start(rows[0], 1)?;
            work.retry(rows[1], &retry(5))?;
            work.retry(rows[2], &retry(0))?;
            work.bury(rows[3], DeadReason::Failed, &[], NOW)?;
            work.expire(rows[4])
        });

        let stats = store.stats(NOW).unwrap();

        assert_eq!((stats.ready, stats.started, stats.waiting_for_retry), (3, 1, 1));
        assert_eq!(stats.oldest, Some(NOW.minus(Duration::from_secs(1))));
        let totals = stats.totals;
        assert_eq!(
            (totals.rows, totals.dead, totals.expired, totals.dedup_ids),
            (5, 1, 1, 7)
        );
        assert!(totals.file_bytes > 0 && totals.wal_bytes > 0);
        let operator = Operator::open(&place.path(), StoreOptions::default()).unwrap();
        assert_eq!(operator.stats(NOW).unwrap(), stats);
    }

    #[test]
    fn an_empty_journal_has_no_oldest_update() {
        let place = Place::new();

        assert_eq!(place.open().stats(NOW).unwrap().oldest, None);
    }
}
