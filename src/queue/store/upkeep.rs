//! Keeping the files small: checkpoints of the write-ahead log, and pages that are given back.

use rusqlite::Connection;

use super::{error::JournalError, transaction::Work};

/// How much a checkpoint may insist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckpointMode {
    /// Moves what it can without waiting for readers. The log is written from its beginning again afterwards, but keeps
    /// its size.
    Passive,
    /// Waits for readers, at most the busy timeout, and empties the log.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "nobody but tests has to wait for readers")
    )]
    Truncate,
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointResult {
    /// Whether everything in the log is in the database now. A reader can prevent that; try again later.
    pub(crate) complete: bool,
    /// Pages that are in the log.
    pub(crate) wal_pages: u64,
    /// Pages of it that are in the database.
    pub(crate) moved_pages: u64,
}

pub(super) fn checkpoint(conn: &Connection, mode: CheckpointMode) -> Result<CheckpointResult, JournalError> {
    let pragma = match mode {
        CheckpointMode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        CheckpointMode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let (busy, pages, moved): (i64, i64, i64) =
        conn.query_row(pragma, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(CheckpointResult {
        complete: busy == 0 && pages == moved,
        wal_pages: u64::try_from(pages).unwrap_or(0),
        moved_pages: u64::try_from(moved).unwrap_or(0),
    })
}

impl Work<'_> {
    /// Gives up to `max_pages` unused pages back, and returns how many. The file gets shorter with the next checkpoint.
    pub(crate) fn compact(&mut self, max_pages: u32) -> Result<u64, JournalError> {
        if max_pages == 0 {
            return Ok(0); // SQLite would take this for "all".
        }
        let free_pages = || -> Result<i64, JournalError> {
            Ok(self
                .conn
                .query_row("PRAGMA freelist_count", [], |row| row.get(0))?)
        };
        let before = free_pages()?;
        // Each step gives one page back.
        let mut statement = self
            .conn
            .prepare(&format!("PRAGMA incremental_vacuum({max_pages})"))?;
        let mut steps = statement.query([])?;
        while steps.next()?.is_some() {}
        Ok(u64::try_from(before - free_pages()?).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::{
        Durability,
        testing::{Place, long_update, update, updates},
    };
    use super::*;

    #[test]
    fn a_checkpoint_moves_everything_and_the_log_begins_anew() {
        let place = Place::new();
        let mut store = place.open();
        store.push_new(&updates(200));
        let log = store.totals().unwrap().wal_bytes;

        let done = store.checkpoint(CheckpointMode::Passive).unwrap();

        assert!(
            done.complete && done.wal_pages > 0 && done.moved_pages == done.wal_pages,
            "{done:?}"
        );
        let more: Vec<_> = (201..=300).map(|id| update(id, 1)).collect();
        store.push_new(&more);
        assert_eq!(
            store.totals().unwrap().wal_bytes,
            log,
            "the log grew instead of beginning anew"
        );
        assert!(store.checkpoint(CheckpointMode::Truncate).unwrap().complete);
        assert_eq!(store.totals().unwrap().wal_bytes, 0);
    }

    #[test]
    fn a_reader_delays_a_checkpoint_and_loses_nothing() {
        let place = Place::new();
        let mut store = place.open();
        store.push_new(&updates(1));
        let reader = Connection::open(place.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM updates").unwrap();
        store.push_new(&[update(2, 1)]);

        let done = store.checkpoint(CheckpointMode::Passive).unwrap();

        assert!(!done.complete, "{done:?}");
        reader.execute_batch("COMMIT").unwrap();
        assert!(store.checkpoint(CheckpointMode::Passive).unwrap().complete);
        assert_eq!(store.ids(), [1, 2]);
    }

    #[test]
    fn no_commit_waits_for_a_checkpoint() {
        let place = Place::new();
        let mut store = place.open();
        let before = store.totals().unwrap();

        for batch in 0..30 {
            let batch: Vec<_> = (1..=100)
                .map(|id| long_update(batch * 100 + id, 1, 2000))
                .collect();
            store.push_new(&batch);
        }

        let after = store.totals().unwrap();
        assert!(
            after.wal_bytes > 1000 * 4096,
            "SQLite's own checkpoint comes after 1000 pages"
        );
        assert_eq!(after.file_bytes, before.file_bytes, "the log was moved by itself");
    }

    #[test]
    fn the_file_shrinks_after_a_backlog_of_20_000_rows() {
        let place = Place::new();
        let mut store = place.open();
        let mut rows = Vec::new();
        for batch in 0..20 {
            let batch: Vec<_> = (1..=1000).map(|id| update(batch * 1000 + id, id)).collect();
            rows.extend(store.push_new(&batch));
        }
        store.checkpoint(CheckpointMode::Truncate).unwrap();
        let full = store.totals().unwrap().file_bytes;
        for batch in rows.chunks(1000) {
            store.run(|work| batch.iter().try_for_each(|row| work.finish(*row).map(drop)));
        }
        let free = store.totals().unwrap().free_pages;

        let mut returned = 0;
        loop {
            let pages = store.compact(500).unwrap();
            assert!(pages <= 500);
            returned += pages;
            if pages == 0 {
                break;
            }
        }
        store.checkpoint(CheckpointMode::Truncate).unwrap();

        let totals = store.totals().unwrap();
        assert_eq!((returned, totals.free_pages), (free, 0));
        // What is left is the dedup window.
        assert!(
            totals.file_bytes < full / 2,
            "{} of {full} bytes",
            totals.file_bytes
        );
        assert_eq!(totals.dedup_ids, 20_000);
    }

    #[test]
    fn nothing_is_compacted_when_nothing_was_asked_for() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(500));
        store.run(|work| rows.iter().try_for_each(|row| work.finish(*row).map(drop)));
        let free = store.totals().unwrap().free_pages;
        assert!(free > 3);

        assert_eq!(store.compact(0).unwrap(), 0);
        assert_eq!(store.compact(3).unwrap(), 3);

        assert_eq!(store.totals().unwrap().free_pages, free - 3);
        store.transaction(Durability::Kill, |_| Ok(())).unwrap();
    }
}
