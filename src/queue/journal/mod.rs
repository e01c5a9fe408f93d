//! The journal: an embedded durable queue in one SQLite file.
//!
//! [`Journal`] is the handle. One thread of its own, the writer, owns the file and everything known about it; orders that
//! wait at the same moment share one transaction and one fsync.
//!
//! | what | survives |
//! |---|---|
//! | pushed updates, dead letters, flushed settlements, that a send of a broadcast began | a power cut |
//! | that an attempt began, other settlements, outcomes of a broadcast | `kill -9`, not a power cut |

mod writer;
mod questions;
mod broadcasts;
mod shelf;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use actogram_actors::Lane;
use tokio::sync::oneshot;

use self::writer::{Order, Writer};
use super::{
    Leased, Pushed, Queue, QueueError, Settlement, Ticket,
    store::{JournalError, StoreOptions},
};
use crate::{error::Error, update::Update};

/// Settings of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalSettings {
    /// Unfinished updates; at the bound intake pauses. Default 1,000,000: ten times what the Bot API server keeps.
    pub(crate) rows: usize,
    /// Bytes of unfinished updates; at the bound intake pauses. Default 1 GiB.
    pub(crate) bytes: u64,
    /// Bytes of waiting updates that are kept in memory; those beyond are read back from the file. Default 16 MiB.
    pub(crate) cached_bytes: u64,
    /// Whether an attempt that has begun is never repeated: its beginning is durable before the update is given out, and
    /// one that was cut off becomes a dead letter. Default no.
    pub(crate) at_most_once: bool,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            rows: 1_000_000,
            bytes: 1 << 30,
            cached_bytes: 16 << 20,
            at_most_once: false,
        }
    }
}

/// The answer to a lease, once there is one.
type Grant = oneshot::Receiver<Result<Vec<Leased>, QueueError>>;

/// Handle of a journal; cloning shares it. The file is released when it is [closed](Self::close) or the last handle is
/// dropped.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    orders: mpsc::Sender<Order>,
    /// A lease that was asked for and not taken yet, so that dropping the future that waits for it loses nothing.
    pending: Arc<tokio::sync::Mutex<Option<Grant>>>,
    /// Whether the writer was told to end.
    closed: Arc<AtomicBool>,
    at_most_once: bool,
}

impl Journal {
    /// As [`open_with`](Self::open_with), with the default settings of the file.
    #[cfg(test)]
    pub(crate) async fn open(path: &Path, bot: u64, settings: JournalSettings) -> Result<Self, Error> {
        Self::open_with(path, bot, settings, StoreOptions::default()).await
    }

    /// Opens the journal at `path`, or creates it, for the updates of one bot.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] says what is wrong with the file and what to do; [`Error::Thread`].
    pub(crate) async fn open_with(
        path: &Path,
        bot: u64,
        settings: JournalSettings,
        options: StoreOptions,
    ) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel();
        let (opened, result) = oneshot::channel();
        let path: PathBuf = path.to_owned();
        let body = move || match Writer::open(&path, bot, settings, options) {
            Ok(writer) => {
                if opened.send(Ok(())).is_ok() {
                    writer.run(&inbox);
                }
            }
            Err(error) => {
                // Whoever asked has stopped waiting: nothing was started, so nothing is lost.
                let _ = opened.send(Err(error));
            }
        };
        thread::Builder::new()
            .name("actogram-journal".to_owned())
            .spawn(body)
            .map_err(Error::Thread)?;
        result
            .await
            .map_err(|_ended| {
                Error::Thread(io::Error::other("the thread ended while it opened the journal"))
            })?
            .map_err(|error: JournalError| Error::Journal(Box::new(error)))?;
        Ok(Self {
            orders,
            pending: Arc::default(),
            closed: Arc::default(),
            at_most_once: settings.at_most_once,
        })
    }

    /// Writes what is left, takes back what is on lease, and releases the file. Closing twice is fine; every other call
    /// fails afterwards.
    pub(crate) async fn close(&self) {
        if let Some(leased) = self.take_granted().await {
            // Nobody has seen them, so their attempts have not begun after all.
            let tickets = leased.into_iter().map(|leased| leased.ticket).collect();
            // A writer that is gone has nothing on lease.
            let _ = self.orders.send(Order::Return(tickets));
        }
        self.closed.store(true, Ordering::Relaxed);
        let (reply, closed) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).is_ok() {
            // An error means that the writer is gone, which is what we want.
            let _ = closed.await;
        }
    }

    /// Returns whether an attempt that has begun is never repeated.
    pub(crate) fn is_at_most_once(&self) -> bool {
        self.at_most_once
    }

    /// Makes the end of an update durable while its handler goes on. Its lane waits for the handler all the same.
    pub(crate) async fn acknowledge(&self, ticket: Ticket) -> Result<(), QueueError> {
        self.ask(|reply| Order::Acknowledge { ticket, reply }).await
    }

    /// Returns why the writer does not answer.
    fn gone(&self) -> QueueError {
        let reason = if self.closed.load(Ordering::Relaxed) {
            "it is closed"
        } else {
            "its thread was lost to a panic, whose message is on standard error; start the bot again"
        };
        QueueError {
            reason: reason.to_owned(),
        }
    }

    /// Returns what was granted to a lease whose future was dropped before it saw the answer.
    async fn take_granted(&self) -> Option<Vec<Leased>> {
        let mut answer = self.pending.lock().await.take()?;
        // No answer can come between the two.
        answer.close();
        answer.try_recv().ok()?.ok()
    }

    async fn ask<R>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<R, QueueError>>) -> Order,
    ) -> Result<R, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }
}

/// Takes a lease back that nobody waits for any more.
struct Withdraw<'a>(&'a mpsc::Sender<Order>);

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        // A writer that is gone grants nothing.
        let _ = self.0.send(Order::Withdraw);
    }
}

impl Queue for Journal {
    async fn push(&self, updates: Vec<(Lane, Update)>) -> Result<Pushed, QueueError> {
        self.ask(|reply| Order::Push { updates, reply }).await
    }

    async fn room(&self) -> Result<usize, QueueError> {
        self.ask(Order::Room).await
    }

    async fn lease(&self, limit: usize) -> Result<Vec<Leased>, QueueError> {
        if let Some(leased) = self.take_granted().await {
            return Ok(leased);
        }
        let mut pending = self.pending.lock().await;
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(Order::Lease { limit, reply })
            .map_err(|_| self.gone())?;
        let withdraw = Withdraw(&self.orders);
        let leased = pending.insert(answer).await;
        std::mem::forget(withdraw);
        *pending = None;
        leased.map_err(|_| self.gone())?
    }

    fn settle(&self, settlements: Vec<Settlement>) {
        if self.orders.send(Order::Settle(settlements)).is_err() {
            tracing::error!("the journal is closed, what ended now is not on record");
        }
    }

    async fn flush(&self) -> Result<(), QueueError> {
        self.ask(Order::Flush).await
    }

    async fn exhausted(&self, within: Duration) -> Result<(), QueueError> {
        let by = Instant::now().checked_add(within);
        self.ask(|reply| Order::AwaitExhausted { by, reply }).await
    }

    async fn unfinished(&self) -> Result<u64, QueueError> {
        self.count_unfinished().await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::queue::conformance::{Bench, exercise};

    /// Journals in a folder of their own; each kill goes on with a copy of what was on disk at that moment.
    struct Folders(std::cell::RefCell<Vec<TempDir>>);

    impl Folders {
        fn new() -> Self {
            Self(std::cell::RefCell::new(vec![tempfile::tempdir().unwrap()]))
        }

        fn path(&self) -> PathBuf {
            self.0.borrow().last().unwrap().path().join("journal.db")
        }
    }

    impl Bench for Folders {
        type Queue = Journal;

        async fn open(&self) -> Journal {
            Journal::open(&self.path(), 42, JournalSettings::default())
                .await
                .unwrap()
        }

        async fn close(&self, journal: Journal) {
            journal.close().await;
        }

        async fn kill(&self, journal: Journal) {
            let (from, to) = (self.path(), tempfile::tempdir().unwrap());
            for ending in ["", "-wal"] {
                let file = from.with_file_name(format!("journal.db{ending}"));
                if file.exists() {
                    std::fs::copy(&file, to.path().join(file.file_name().unwrap())).unwrap();
                }
            }
            self.0.borrow_mut().push(to);
            drop(journal);
        }
    }

    #[actix_rt::test]
    async fn the_journal_keeps_every_rule_of_a_queue() {
        exercise(async || Folders::new()).await;
    }

    #[actix_rt::test]
    async fn a_full_queue_has_no_room_until_something_ends() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            rows: 2,
            ..JournalSettings::default()
        };
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path, 42, settings).await.unwrap();
        let update = |id: i64| {
            let update = Update::from_json(&format!(
                r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#
            ))
            .unwrap();
            (update.lane().clone(), update)
        };
        assert_eq!(journal.room().await.unwrap(), 2);
        journal.push(vec![update(1), update(2)]).await.unwrap();

        let mut room = Box::pin(journal.room());
        let waits = tokio::time::timeout(Duration::from_millis(50), &mut room).await;
        assert!(waits.is_err(), "there is no room");
        let leased = journal.lease(1).await.unwrap();
        let verdict = crate::queue::Verdict::Finished;
        journal.settle(vec![Settlement {
            ticket: leased[0].ticket,
            verdict,
        }]);

        assert_eq!(room.await.unwrap(), 1);
        journal.close().await;
    }

    #[actix_rt::test]
    async fn a_closed_journal_answers_with_an_error_and_can_be_opened_again() {
        let folders = Folders::new();
        let journal = folders.open().await;
        journal.close().await;
        journal.close().await;

        assert!(journal.push(Vec::new()).await.is_err());
        assert!(journal.lease(1).await.is_err());

        folders.open().await.close().await;
    }

    #[actix_rt::test]
    async fn a_journal_whose_thread_was_lost_does_not_say_that_it_was_closed() {
        let (orders, inbox) = mpsc::channel();
        drop(inbox);
        let journal = Journal {
            orders,
            pending: Arc::default(),
            closed: Arc::default(),
            at_most_once: false,
        };

        let lost = journal.room().await.unwrap_err();
        journal.close().await;
        let closed = journal.room().await.unwrap_err();

        assert!(lost.reason.contains("lost to a panic"), "{lost}");
        assert_eq!(closed.reason, "it is closed");
    }

    #[actix_rt::test]
    async fn updates_that_do_not_fit_into_the_cache_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            cached_bytes: 0,
            ..JournalSettings::default()
        };
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path, 42, settings).await.unwrap();
        let raw = r#"{"update_id":7,"message":{"chat":{"id":1},"text":"kept"}}"#;
        let update = Update::from_json(raw).unwrap();
        journal.push(vec![(update.lane().clone(), update)]).await.unwrap();

        let leased = journal.lease(1).await.unwrap();

        assert_eq!(leased[0].update.raw(), raw);
        journal.close().await;
    }

    fn update(id: i64) -> (Lane, Update) {
        let raw = format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#);
        let update = Update::from_json(&raw).unwrap();
        (update.lane().clone(), update)
    }

    async fn is_empty(journal: &Journal) -> bool {
        let lease = journal.lease(10);
        tokio::time::timeout(Duration::from_millis(100), lease)
            .await
            .is_err()
    }

    #[actix_rt::test]
    async fn at_most_once_gives_up_what_a_kill_interrupted_and_nothing_else() {
        let folders = Folders::new();
        let settings = JournalSettings {
            at_most_once: true,
            ..JournalSettings::default()
        };
        let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
        journal.push(vec![update(1), update(2)]).await.unwrap();
        assert_eq!(journal.lease(1).await.unwrap()[0].update.id(), 1);
        folders.kill(journal).await;

        let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();

        assert_eq!(
            journal.lease(10).await.unwrap()[0].update.id(),
            2,
            "what had not begun is given out"
        );
        assert!(is_empty(&journal).await, "what had begun is not");
        journal.close().await;
    }

    #[actix_rt::test]
    async fn a_lease_that_nobody_saw_has_not_begun() {
        let folders = Folders::new();
        let settings = JournalSettings {
            at_most_once: true,
            ..JournalSettings::default()
        };
        let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
        {
            let mut lease = Box::pin(journal.lease(10));
            let nothing = tokio::time::timeout(Duration::from_millis(20), &mut lease).await;
            assert!(nothing.is_err());
            // It is granted now, and dropped before anybody looks.
            journal.push(vec![update(1)]).await.unwrap();
        }
        journal.close().await;

        let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();

        assert_eq!(journal.lease(10).await.unwrap()[0].update.id(), 1);
        journal.close().await;
    }

    #[actix_rt::test]
    async fn at_most_once_counts_what_has_begun_as_ended() {
        let folders = Folders::new();
        let settings = JournalSettings {
            at_most_once: true,
            ..JournalSettings::default()
        };
        let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
        journal.push(vec![update(1), update(2)]).await.unwrap();
        journal.lease(1).await.unwrap();

        assert_eq!(journal.unfinished().await.unwrap(), 1);
        journal.close().await;
    }

    #[actix_rt::test]
    async fn what_was_acknowledged_does_not_come_back_after_a_kill() {
        let folders = Folders::new();
        let journal = folders.open().await;
        journal.push(vec![update(1)]).await.unwrap();
        let leased = journal.lease(1).await.unwrap();

        journal.acknowledge(leased[0].ticket).await.unwrap();
        assert_eq!(journal.unfinished().await.unwrap(), 0);
        folders.kill(journal).await;
        let journal = folders.open().await;

        assert!(is_empty(&journal).await);
        journal.close().await;
    }
}
