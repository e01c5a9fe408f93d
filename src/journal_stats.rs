//! How much is in the journal of a running bot.

use std::time::SystemTime;

use crate::{
    error::Error,
    queue::{Journal, QueueError},
    timings::Timings,
};

/// What is in a journal, at one moment; from [`BotHandle::journal_stats`](crate::BotHandle::journal_stats).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JournalStats {
    /// Updates that are not finished; those of other bots that have used the file are among them.
    pub unfinished: u64,
    /// Bytes of their JSON texts.
    pub unfinished_bytes: u64,
    /// Those of them that were given to a handler and have not ended.
    pub running: u64,
    /// Those of them that wait for their turn.
    pub waiting: u64,
    /// Those of them that wait until a failed attempt is repeated. What stands behind one in its lane is `waiting`.
    pub retrying: u64,
    /// Lanes with at least one unfinished update.
    pub lanes: u64,
    /// When the unfinished update that came first was received; a retried dead letter comes when it is retried.
    pub oldest_received_at: Option<SystemTime>,
    /// Dead letters.
    pub dead_letters: u64,
    /// Dead letters that were dropped because of their age or number
    /// ([`keep_dead_letters`](crate::JournalConfig::keep_dead_letters)), since the file was made. Those that somebody
    /// dropped do not count.
    pub dead_letters_dropped: u64,
    /// Rows that were found damaged and set aside. The command line tool shows them.
    pub set_aside: u64,
    /// Rows that were set aside and dropped because of their age or number, since the file was made.
    pub set_aside_dropped: u64,
    /// Updates that are remembered so that a second delivery is noticed.
    pub remembered: u64,
    /// Size of the database in bytes.
    pub file_bytes: u64,
    /// Size of its write-ahead log in bytes.
    pub wal_bytes: u64,
    /// Updates that were written to it since the bot started.
    pub journaled: u64,
    /// Updates that were received again since the bot started, and left out.
    pub duplicates: u64,
    /// Commits that waited for the disk since the bot started, and how long each took.
    pub syncs: Timings,
    /// Whether it can be written. When not, the disk is full or another program holds the file; the bot waits for
    /// that, and the updates wait at the Bot API server.
    pub writable: bool,
    /// Whether it has reached its bound, so that no further update is fetched until one is finished.
    pub full: bool,
}

impl JournalStats {
    pub(crate) async fn of(journal: &Journal) -> Result<Self, Error> {
        let counts = journal
            .counts()
            .await
            .map_err(|error: QueueError| Error::Journal(Box::new(error)))?;
        let (totals, lanes) = (counts.totals, counts.lanes);
        Ok(Self {
            unfinished: totals.rows,
            unfinished_bytes: totals.bytes,
            running: lanes.running as u64,
            waiting: lanes.waiting as u64,
            retrying: lanes.retrying as u64,
            lanes: lanes.lanes as u64,
            oldest_received_at: counts.oldest.map(SystemTime::from),
            dead_letters: totals.dead,
            dead_letters_dropped: totals.dead_swept,
            set_aside: totals.set_aside,
            set_aside_dropped: totals.set_aside_swept,
            remembered: totals.dedup_ids,
            file_bytes: totals.file_bytes,
            wal_bytes: totals.wal_bytes,
            journaled: counts.pushed.kept as u64,
            duplicates: counts.pushed.duplicates as u64,
            syncs: counts.syncs,
            writable: !counts.blocked,
            full: counts.full,
        })
    }
}
