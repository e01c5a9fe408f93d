//! The journal as an operator's tool sees it, while its owner may be at work.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    broadcast_chats,
    broadcasts::{self, BroadcastRow},
    connection,
    dead::{self, DeadFilter, DeadLetter, Opened},
    entry::{Checked, Loaded, RowId, StoreOptions},
    error::JournalError,
    files,
    list::{self, Filter, Listed},
    load,
    remains::{self, Remains},
    schema,
    stats::{self, Stats},
    time::Timestamp,
    transaction::{self, Work},
    upkeep::{self, CheckpointMode, CheckpointResult},
};
use crate::broadcast::{ChatRecord, ChatsFilter};

/// The journal beside its owner: it reads, and changes what the owner does not hold in memory (dead letters, rows
/// that were set aside, free pages). It takes no ownership, so it must leave unfinished updates alone; the owner finds new ones by
/// [`Store::data_version`](super::Store::data_version) and [`Store::index_after`](super::Store::index_after).
pub(crate) struct Operator {
    conn: Connection,
    path: PathBuf,
    options: StoreOptions,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Operator {
    /// Opens an existing journal of this version.
    pub(crate) fn open(path: &Path, options: StoreOptions) -> Result<Self, JournalError> {
        let path = files::resolve(path)?;
        let conn = connection::open(&path, options.busy_timeout)?;
        Self::of_this_version(conn, path, options)
    }

    /// As [`open`](Self::open), for reading only.
    pub(crate) fn open_read_only(path: &Path, options: StoreOptions) -> Result<Self, JournalError> {
        let path = files::resolve(path)?;
        let conn = connection::open_read_only(&path, options.busy_timeout)?;
        Self::of_this_version(conn, path, options)
    }

    fn of_this_version(conn: Connection, path: PathBuf, options: StoreOptions) -> Result<Self, JournalError> {
        let found = schema::version(&conn)?;
        if found < schema::VERSION {
            return Err(JournalError::OlderVersion {
                path,
                found,
                known: schema::VERSION,
            });
        }
        Ok(Self { conn, path, options })
    }

    /// Runs `work` in a transaction that survives a power cut.
    pub(crate) fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut Work<'_>) -> Result<R, JournalError>,
    ) -> Result<R, JournalError> {
        transaction::run(&self.conn, &self.options, None, |_| Ok(()), work)
    }

    /// Counts the rows by state.
    pub(crate) fn stats(&self, now: Timestamp) -> Result<Stats, JournalError> {
        stats::stats(&self.conn, &self.path, now)
    }

    /// Returns up to `limit` unfinished updates behind a place, in order of arrival.
    pub(crate) fn list(
        &self,
        filter: &Filter,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<Checked<Listed>>, JournalError> {
        list::list(&self.conn, filter, after, limit)
    }

    /// Returns the updates at these places.
    pub(crate) fn load(&self, rows: &[RowId]) -> Result<Vec<Loaded>, JournalError> {
        load::load(&self.conn, rows)
    }

    /// Returns up to `limit` dead letters behind a place, in order of their arrival as updates.
    pub(crate) fn list_dead(
        &self,
        filter: &DeadFilter,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<Checked<DeadLetter>>, JournalError> {
        dead::list(&self.conn, filter, after, limit)
    }

    /// Returns a dead letter with its update.
    pub(crate) fn show_dead(&self, row: RowId) -> Result<Option<Opened>, JournalError> {
        dead::show(&self.conn, row)
    }

    /// Returns up to `limit` damaged rows that were set aside, behind one of them, in the order of that.
    pub(crate) fn list_set_aside(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Remains>, JournalError> {
        remains::list(&self.conn, after, limit)
    }

    /// Returns a damaged row that was set aside, with what is left of its payload.
    pub(crate) fn show_set_aside(&self, id: i64) -> Result<Option<(Remains, Vec<u8>)>, JournalError> {
        remains::show(&self.conn, id)
    }

    /// Returns the broadcasts of a bot, or of all bots, in the order in which they were begun.
    pub(crate) fn list_broadcasts(&self, bot: Option<u64>) -> Result<Vec<BroadcastRow>, JournalError> {
        broadcasts::list(&self.conn, bot)
    }

    /// Returns the ids of the broadcasts with this name, by bot.
    pub(crate) fn find_broadcasts(&self, name: &str) -> Result<BTreeMap<u64, i64>, JournalError> {
        broadcasts::find(&self.conn, name)
    }

    /// Returns the chats of a broadcast whose outcome is recorded, in order of their ids.
    pub(crate) fn broadcast_page(
        &self,
        broadcast: i64,
        filter: ChatsFilter,
    ) -> Result<Vec<ChatRecord>, JournalError> {
        broadcast_chats::page(&self.conn, broadcast, filter)
    }

    /// Moves what the write-ahead log holds into the database.
    pub(crate) fn checkpoint(&mut self, mode: CheckpointMode) -> Result<CheckpointResult, JournalError> {
        upkeep::checkpoint(&self.conn, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Retry,
        testing::{BOT, NOW, Place, updates},
    };
    use super::*;

    fn operator(place: &Place) -> Result<Operator, JournalError> {
        Operator::open(&place.path(), StoreOptions::default())
    }

    #[test]
    fn unfinished_updates_are_listed_beside_their_owner() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(5));
        let retry = Retry {
            attempt: 2,
            waits: 0,
            at: NOW,
            delay: std::time::Duration::ZERO,
            error: Some("why"),
        };
        store.run(|work| work.retry(rows[0], &retry));
        store.run(|work| work.start(rows[3], 1));
        let operator = operator(&place).unwrap();
        let filter = Filter {
            bot: Some(BOT),
            lane: Some(actogram_actors::Lane::new("chat:1")),
        };

        let listed: Vec<_> = operator
            .list(&filter, None, 9)
            .unwrap()
            .into_iter()
            .map(Result::unwrap)
            .collect();

        assert_eq!(listed.len(), 2);
        assert_eq!((listed[0].entry.row, listed[1].entry.row), (rows[0], rows[3]));
        assert_eq!(listed[0].errors, ["why"]);
        assert_eq!((listed[0].kind.as_str(), listed[0].received_at), ("message", NOW));
        assert!(!listed[0].started && listed[1].started);
        let page = operator.list(&Filter::default(), Some(rows[1]), 2).unwrap();
        let page: Vec<_> = page.into_iter().map(|listed| listed.unwrap().entry.row).collect();
        assert_eq!(page, rows[2..4]);
        assert!(
            matches!(&operator.load(&rows[..1]).unwrap()[0], Loaded::Intact(stored) if stored.errors == ["why"])
        );
    }

    #[test]
    fn a_journal_that_does_not_exist_is_not_created_by_looking_at_it() {
        let place = Place::new();

        let refused = operator(&place).unwrap_err();

        assert!(matches!(refused, JournalError::Io { .. }), "{refused}");
        assert!(!place.path().exists());
    }

    #[test]
    fn an_operator_stops_nobody() {
        let place = Place::new();
        let mut store = place.open();
        let mut operator = operator(&place).unwrap();

        operator.transaction(|work| work.compact(5)).unwrap();
        operator.checkpoint(CheckpointMode::Passive).unwrap();

        store.push_new(&updates(1));
        drop(store);
        assert_eq!(place.open().ids(), [1]);
    }

    #[test]
    fn a_reader_sees_what_the_owner_wrote_and_can_write_nothing() {
        let place = Place::new();
        let mut store = place.open();
        store.push_new(&updates(2));
        let mut reader = Operator::open_read_only(&place.path(), StoreOptions::default()).unwrap();

        assert_eq!(reader.list(&Filter::default(), None, 9).unwrap().len(), 2);

        let refused = reader.transaction(|work| work.compact(5)).unwrap_err();
        assert!(matches!(refused, JournalError::Io { .. }), "{refused}");
    }

    #[test]
    fn a_journal_of_an_older_program_is_migrated_by_its_owner_only() {
        let place = Place::new();
        drop(place.open());
        place.meddle("PRAGMA user_version = 0");

        let refused = operator(&place).unwrap_err();

        assert!(
            matches!(refused, JournalError::OlderVersion { found: 0, .. }),
            "{refused}"
        );
    }
}
