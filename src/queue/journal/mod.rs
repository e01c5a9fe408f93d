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

use self::{
    questions::Question,
    writer::{Order, Writer},
};
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
        match answer.await {
            Ok(answer) => answer,
            Err(_dropped) => Err(self.why_unanswered().await),
        }
    }

    /// Returns why an order was dropped: what the writer was doing when it failed gets no answer, but the next one does.
    async fn why_unanswered(&self) -> QueueError {
        let (reply, answer) = oneshot::channel();
        let next = Order::Ask(Question::Unfinished(reply));
        match self.orders.send(next) {
            Ok(()) => match answer.await {
                Ok(Err(error)) => error,
                _ => self.gone(),
            },
            Err(_ended) => self.gone(),
        }
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
        match leased {
            Ok(leased) => leased,
            Err(_dropped) => Err(self.why_unanswered().await),
        }
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
#[path = "journal_tests.rs"]
mod tests;
