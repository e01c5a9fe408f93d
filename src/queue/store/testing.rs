//! What the tests of the journal share.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Durability, IndexEntry, JournalError, Loaded, Recovered, RowId, Store, StoreOptions, Stored, Timestamp,
    Work, files,
};
use crate::update::Update;

pub(super) const NOW: Timestamp = Timestamp(1_767_261_600_000);
pub(super) const BOT: u64 = 123_456;

/// A folder with a journal in it.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// What the disk would hold if the owner of `path` were killed now.
    pub(super) fn after_a_kill(path: &Path) -> Self {
        let place = Self::new();
        for suffix in ["", "-wal"] {
            let from = files::beside(path, suffix);
            if from.exists() {
                fs::copy(from, files::beside(&place.path(), suffix)).unwrap();
            }
        }
        place
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("a.db")
    }

    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        files::beside(&self.path(), suffix)
    }

    pub(super) fn try_open(&self, options: StoreOptions) -> Result<(Store, Recovered), JournalError> {
        Store::open(&self.path(), options, NOW)
    }

    pub(super) fn recover(&self) -> (Store, Recovered) {
        self.try_open(StoreOptions::default()).unwrap()
    }

    pub(super) fn open(&self) -> Store {
        self.recover().0
    }

    /// Runs SQL behind the store's back.
    pub(super) fn meddle(&self, sql: &str) {
        let conn = Connection::open(self.path()).unwrap();
        conn.execute_batch(sql).unwrap();
    }
}

pub(super) fn update(id: i64, chat: i64) -> Update {
    Update::from_json(&format!(
        r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}},"text":"text {id}"}}}}"#
    ))
    .unwrap()
}

/// An update of about this many bytes.
pub(super) fn long_update(id: i64, chat: i64, bytes: usize) -> Update {
    let text = "x".repeat(bytes);
    Update::from_json(&format!(
        r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}},"text":"{text}"}}}}"#
    ))
    .unwrap()
}

/// Updates with ids 1 to `count`, in three chats.
pub(super) fn updates(count: i64) -> Vec<Update> {
    (1..=count).map(|id| update(id, id % 3)).collect()
}

impl Store {
    /// Runs a transaction that must succeed.
    pub(super) fn run<R>(&mut self, work: impl FnOnce(&mut Work<'_>) -> Result<R, JournalError>) -> R {
        self.transaction(Durability::Power, work).unwrap()
    }

    pub(super) fn push_at(&mut self, updates: &[Update], now: Timestamp) -> Vec<Option<RowId>> {
        self.run(|work| work.push(BOT, updates.iter().map(|update| (update, update.lane())), now))
    }

    /// Pushes updates that were not pushed before.
    pub(super) fn push_new(&mut self, updates: &[Update]) -> Vec<RowId> {
        let rows = self.push_at(updates, NOW);
        rows.into_iter().map(Option::unwrap).collect()
    }

    pub(super) fn load_one(&self, row: RowId) -> Loaded {
        self.load(&[row]).unwrap().remove(0)
    }

    pub(super) fn intact(&self, row: RowId) -> Stored {
        match self.load_one(row) {
            Loaded::Intact(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn entries(&self) -> Vec<IndexEntry> {
        let index = self.index_after(RowId(0), usize::MAX).unwrap();
        assert!(index.damaged.is_empty(), "{:?}", index.damaged);
        index.entries
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        self.entries().iter().map(|entry| entry.update_id).collect()
    }
}
