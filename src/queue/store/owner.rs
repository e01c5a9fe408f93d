//! The journal's store, as its one owner sees it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension};

use super::{
    broadcast_chats,
    broadcasts::{self, BroadcastRow},
    connection,
    dead::{self, DeadFilter, DeadLetter, Opened},
    entry::{DamagedRow, Durability, Loaded, RowId, StoreOptions},
    error::{JournalError, StorageError},
    files::{self, FileId},
    list::{self, Filter},
    load,
    lock::OwnerLock,
    recover::{self, Index, Recovered},
    schema,
    stats::{self, Totals},
    time::Timestamp,
    transaction::{self, Work},
    upkeep::{self, CheckpointMode, CheckpointResult},
    wal,
};
use crate::broadcast::{ChatRecord, ChatsFilter};
use crate::timings::{Stopwatch, Timings};

/// Time to wait for another program that writes once it was waited for in vain. What else the store is asked, and a stop,
/// would otherwise wait as long again each time.
const SHORT_WAIT: Duration = Duration::from_millis(200);

/// The journal's store. Everything in it blocks the calling thread.
///
/// It exists once per file. What is written goes through [`transaction`](Self::transaction), whose closure gets a
/// [`Work`] with the operations.
pub(crate) struct Store {
    conn: Connection,
    path: PathBuf,
    /// What was behind `path` when it was opened.
    file: FileId,
    options: StoreOptions,
    epoch: i64,
    /// What `conn` is set to.
    durability: Durability,
    /// How long `conn` waits for another program that writes.
    wait: Duration,
    /// Whether a write had an unknown outcome; then nothing is ever written again.
    failed: bool,
    /// Time of the commits that waited for the disk.
    syncs: Stopwatch,
    /// Last, because it must be given back after the connection was closed.
    _lock: OwnerLock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("epoch", &self.epoch)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the journal at a path and becomes its owner; creates it if there is none.
    ///
    /// What was started when the last owner died is ready again, with one crash more on its record; damaged rows are
    /// set aside. Both is durable before this returns. Only the index is read, no payload.
    ///
    /// # Errors
    ///
    /// See [`JournalError`]. A file that is refused was not changed.
    pub(crate) fn open(
        path: &Path,
        options: StoreOptions,
        now: Timestamp,
    ) -> Result<(Self, Recovered), JournalError> {
        let path = files::resolve(path)?;
        let lock = OwnerLock::acquire(&path, now)?;
        if files::size(&path)? == 0 {
            let wal = files::beside(&path, "-wal");
            if files::size(&wal)? > 0 {
                return Err(JournalError::WithoutDatabase { wal });
            }
            connection::create(&path)?;
        }
        let file = FileId::of(&path)?.ok_or(JournalError::LostOwnership)?;
        let conn = connection::open(&path, options.busy_timeout)?;
        for suffix in ["", "-wal", "-shm"] {
            files::make_private(&files::beside(&path, suffix))?;
        }
        let taken = take_over(&conn, &path, &options, now);
        if let Err(error) = &taken
            && error.is_final()
        {
            connection::give_up(&conn)?;
        }
        let (epoch, recovered) = taken?;
        let store = Self {
            conn,
            path,
            file,
            wait: options.busy_timeout,
            options,
            epoch,
            durability: Durability::Power,
            failed: false,
            syncs: Stopwatch::default(),
            _lock: lock,
        };
        Ok((store, recovered))
    }

    /// Returns the path of the database, with all links resolved.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction and commits it. When this returns `Ok`, all of it survives what `durability` says.
    /// When it returns an error, or `work` panics, none of it happened; only after [`JournalError::Sync`] it is unknown
    /// until the next start.
    ///
    /// # Errors
    ///
    /// What `work` returns; [`JournalError::LostOwnership`] if somebody else opened the journal, or the file was
    /// replaced or deleted; after [`JournalError::Sync`] every further transaction.
    pub(crate) fn transaction<R>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Work<'_>) -> Result<R, JournalError>,
    ) -> Result<R, JournalError> {
        self.ready()?;
        if self.durability != durability {
            connection::set_durability(&self.conn, durability)?;
            self.durability = durability;
        }
        let epoch = self.epoch;
        let result = transaction::run(
            &self.conn,
            &self.options,
            Some(&self.syncs).filter(|_| durability == Durability::Power),
            |counts| {
                if counts.owner_epoch == epoch {
                    Ok(())
                } else {
                    Err(JournalError::LostOwnership)
                }
            },
            work,
        );
        let usual = self.options.busy_timeout;
        match &result {
            Err(JournalError::Busy { .. }) => self.wait_for_others(usual.min(SHORT_WAIT))?,
            _ => self.wait_for_others(usual)?,
        }
        self.note(result)
    }

    /// Sets how long another program that writes is waited for.
    fn wait_for_others(&mut self, wait: Duration) -> Result<(), JournalError> {
        if self.wait != wait {
            self.conn.busy_timeout(wait)?;
            self.wait = wait;
        }
        Ok(())
    }

    /// Returns the updates at these places, in the same order. Each is checked.
    pub(crate) fn load(&self, rows: &[RowId]) -> Result<Vec<Loaded>, JournalError> {
        load::load(&self.conn, rows)
    }

    /// Returns the unfinished updates behind a place, in order of arrival: what the command line tool has put back
    /// since. Reads at most `limit` rows.
    pub(crate) fn index_after(&self, after: RowId, limit: usize) -> Result<Index, JournalError> {
        recover::index(&self.conn, after, limit)
    }

    /// Returns a number that changes when another connection, such as the command line tool, has written something.
    pub(crate) fn data_version(&self) -> Result<i64, JournalError> {
        Ok(self.conn.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// Returns the id of the update of a bot that was kept last, however long ago.
    pub(crate) fn last_id(&self, bot: u64) -> Result<Option<i64>, JournalError> {
        let found = self
            .conn
            .prepare_cached("SELECT update_id FROM last_ids WHERE bot = ?1")?
            .query_row([bot.cast_signed()], |row| row.get(0))
            .optional()?;
        Ok(found)
    }

    /// Returns how long the commits took that waited for the disk.
    pub(crate) fn syncs(&self) -> Timings {
        self.syncs.read()
    }

    /// Returns what is known without looking at the rows.
    pub(crate) fn totals(&self) -> Result<Totals, JournalError> {
        stats::totals(&self.conn, &self.path)
    }

    /// Counts the rows by state. Reads all of them.
    #[cfg(test)]
    pub(crate) fn stats(&self, now: Timestamp) -> Result<stats::Stats, JournalError> {
        stats::stats(&self.conn, &self.path, now)
    }

    /// Returns when the first of the unfinished updates, in order of arrival, was pushed.
    pub(crate) fn oldest(&self) -> Result<Option<Timestamp>, JournalError> {
        let first = list::list(&self.conn, &Filter::default(), None, 1)?;
        Ok(first
            .into_iter()
            .flatten()
            .next()
            .map(|listed| listed.received_at))
    }

    /// Returns up to `limit` dead letters behind a place, in order of their arrival as updates.
    pub(crate) fn list_dead(
        &self,
        filter: &DeadFilter,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<Result<DeadLetter, DamagedRow>>, JournalError> {
        dead::list(&self.conn, filter, after, limit)
    }

    /// Returns a dead letter with its update.
    pub(crate) fn show_dead(&self, row: RowId) -> Result<Option<Opened>, JournalError> {
        dead::show(&self.conn, row)
    }

    /// Returns the broadcasts of a bot, in the order in which they were begun.
    pub(crate) fn list_broadcasts(&self, bot: u64) -> Result<Vec<BroadcastRow>, JournalError> {
        broadcasts::list(&self.conn, Some(bot))
    }

    /// Returns the id of the broadcast of a bot with this name.
    pub(crate) fn find_broadcast(&self, bot: u64, name: &str) -> Result<Option<i64>, JournalError> {
        Ok(broadcasts::find(&self.conn, name)?.remove(&bot))
    }

    /// Returns those of the chats that may still need the message of a broadcast, in the same order.
    pub(crate) fn fresh_chats(&self, broadcast: i64, chats: &[i64]) -> Result<Vec<i64>, JournalError> {
        broadcast_chats::fresh(&self.conn, broadcast, chats)
    }

    /// Returns the chats of a broadcast whose outcome is recorded, in order of their ids.
    pub(crate) fn broadcast_page(
        &self,
        broadcast: i64,
        filter: ChatsFilter,
    ) -> Result<Vec<ChatRecord>, JournalError> {
        broadcast_chats::page(&self.conn, broadcast, filter)
    }

    /// Moves what the write-ahead log holds into the database, so that the log can begin anew.
    pub(crate) fn checkpoint(&mut self, mode: CheckpointMode) -> Result<CheckpointResult, JournalError> {
        self.ready()?;
        let result = upkeep::checkpoint(&self.conn, mode);
        self.note(result)
    }

    /// Gives up to `max_pages` unused pages back, and returns how many. The file gets shorter with the next checkpoint.
    pub(crate) fn compact(&mut self, max_pages: u32) -> Result<u64, JournalError> {
        self.transaction(Durability::Kill, |work| work.compact(max_pages))
    }

    /// Makes durable what was committed with [`Durability::Kill`]. Unlike a checkpoint it waits for no reader.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        self.ready()?;
        let synced = files::sync(&files::beside(&self.path, "-wal"));
        // Whatever the reason, what was to be synced may be lost already; a second try would not say so.
        self.note(synced.map_err(|error| match error {
            JournalError::Full { source } => JournalError::Sync { source },
            error => error,
        }))
    }

    /// Makes everything durable, moves what the write-ahead log holds into the database, and closes the journal. The log
    /// is gone afterwards, unless another program has the journal open: then it stays, and while that program reads, it
    /// holds what the next owner replays. Dropping the store does the same, but tells no error.
    pub(crate) fn close(mut self) -> Result<CheckpointResult, JournalError> {
        let done = self.checkpoint(CheckpointMode::Passive)?;
        if !done.complete {
            self.sync()?;
        }
        self.conn
            .close()
            .map(|()| done)
            .map_err(|(_, error)| error.into())
    }

    /// Returns an error if nothing may be written.
    fn ready(&self) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Sync {
                source: StorageError::FailedEarlier,
            });
        }
        // A file that was deleted takes everything, and forgets it with the process.
        if FileId::of(&self.path)? != Some(self.file) {
            return Err(JournalError::LostOwnership);
        }
        Ok(())
    }

    /// Remembers an error after which nothing may be written.
    fn note<R>(&mut self, result: Result<R, JournalError>) -> Result<R, JournalError> {
        if let Err(error) = &result
            && error.is_final()
        {
            self.failed |= matches!(error, JournalError::Sync { .. });
            connection::give_up(&self.conn)?;
        }
        result
    }
}

/// Brings a file up to date and makes its last owner an earlier one; returns the new owner's epoch.
fn take_over(
    conn: &Connection,
    path: &Path,
    options: &StoreOptions,
    now: Timestamp,
) -> Result<(i64, Recovered), JournalError> {
    let lost_tail = wal::lost_tail(path, now)?;
    schema::migrate(conn)?;
    let (epoch, recovered) = transaction::run(
        conn,
        options,
        None,
        |_| Ok(()),
        |work| {
            work.counts.owner_epoch += 1;
            Ok((work.counts.owner_epoch, recover::recover(work, now)?))
        },
    )?;
    // The log was created just now. SQLite makes its name durable too, but keeps an error to itself.
    files::sync_folder(path)?;
    Ok((
        epoch,
        Recovered {
            lost_tail,
            ..recovered
        },
    ))
}

#[cfg(test)]
impl Store {
    /// Returns the connection, for tests that look behind the store's back.
    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Returns what the last transaction survives.
    pub(crate) fn last_durability(&self) -> Durability {
        self.durability
    }
}
