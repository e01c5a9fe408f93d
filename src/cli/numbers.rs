//! `stats`.

use serde::Serialize;

use super::{
    DONE,
    arguments::Journal,
    failure::Failure,
    output::{Output, size},
    table,
};
use crate::queue::store::{Operator, Stats, Timestamp};

#[derive(Serialize)]
struct Document {
    journal: String,
    unfinished: Unfinished,
    dead_letters: u64,
    dead_letters_dropped: u64,
    set_aside: u64,
    set_aside_dropped: u64,
    remembered: u64,
    expired: u64,
    file_bytes: u64,
    wal_bytes: u64,
    free_pages: u64,
}

#[derive(Serialize)]
struct Unfinished {
    updates: u64,
    bytes: u64,
    ready: u64,
    started: u64,
    retrying: u64,
    oldest_received_at: Option<String>,
}

impl Document {
    fn new(journal: String, stats: &Stats) -> Self {
        let totals = stats.totals;
        Self {
            journal,
            unfinished: Unfinished {
                updates: totals.rows,
                bytes: totals.bytes,
                ready: stats.ready,
                started: stats.started,
                retrying: stats.waiting_for_retry,
                oldest_received_at: stats.oldest.map(|time| time.to_string()),
            },
            dead_letters: totals.dead,
            dead_letters_dropped: totals.dead_swept,
            set_aside: totals.set_aside,
            set_aside_dropped: totals.set_aside_swept,
            remembered: totals.dedup_ids,
            expired: totals.expired,
            file_bytes: totals.file_bytes,
            wal_bytes: totals.wal_bytes,
            free_pages: totals.free_pages,
        }
    }
}

pub(super) fn stats(journal: &Journal, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&journal.path, journal.options())?;
    let document = Document::new(journal.name(), &operator.stats(Timestamp::now())?);

    output.print(&document, |out| {
        let unfinished = &document.unfinished;
        table::pairs(
            out,
            &[
                ("unfinished updates", unfinished.updates.to_string()),
                ("  ready", unfinished.ready.to_string()),
                ("  started", unfinished.started.to_string()),
                ("  waiting for a retry", unfinished.retrying.to_string()),
                ("  size", size(unfinished.bytes)),
                (
                    "  oldest received at",
                    unfinished
                        .oldest_received_at
                        .clone()
                        .unwrap_or_else(|| "-".to_owned()),
                ),
                ("dead letters", document.dead_letters.to_string()),
                (
                    "  dropped by age or number",
                    document.dead_letters_dropped.to_string(),
                ),
                ("set aside as damaged", document.set_aside.to_string()),
                (
                    "  dropped by age or number",
                    document.set_aside_dropped.to_string(),
                ),
                ("ids remembered", document.remembered.to_string()),
                ("expired", document.expired.to_string()),
                ("database", size(document.file_bytes)),
                ("write-ahead log", size(document.wal_bytes)),
                ("free pages", document.free_pages.to_string()),
            ],
        )
    })?;
    Ok(DONE)
}
