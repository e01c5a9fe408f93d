//! The handle of a running bot.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use actogram_actors::{EngineError, EngineHandle, LaneLoad, ShutdownReport, Snapshot, StopReason};
#[cfg(feature = "metrics")]
use tokio::sync::watch;

#[cfg(feature = "monitor")]
use crate::monitor::Lookout;
#[cfg(feature = "webhook")]
use crate::webhook::{WebhookCounts, WebhookMonitor};
use crate::{
    api::{Api, ApiStats, CallCounts},
    backing::Backing,
    bot_facts::BotFacts,
    broadcast::{Broadcast, Broadcasts},
    error::Error,
    report::BotReport,
    source::{PollingCounts, PollingMonitor},
    timings::Timings,
};
#[cfg(feature = "journal")]
use crate::{
    broadcast::{self, BroadcastChats, BroadcastSummary, ChatsPage},
    dead_letters::{self, DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage},
    journal_stats::JournalStats,
    queue::Journal,
    update::Update,
};

/// Handle of a running bot: call the Bot API, look at it, pause it, stop it.
///
/// `Clone + Send + Sync`; works from any thread and any async runtime. Dropping it stops nothing.
#[derive(Clone)]
pub struct BotHandle {
    engine: EngineHandle,
    api: Api,
    monitor: PollingMonitor,
    backing: Backing,
    bot: Arc<BotFacts>,
    #[cfg(feature = "webhook")]
    webhook: Option<WebhookMonitor>,
    #[cfg(feature = "monitor")]
    lookout: Arc<Lookout>,
    broadcasts: Broadcasts,
    #[cfg(feature = "metrics")]
    last_report: Option<watch::Receiver<bool>>,
}

/// How things stand, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BotSnapshot {
    /// Id of the bot.
    pub bot_id: u64,
    /// Lanes, deliveries, credit and how fetching goes.
    pub engine: Snapshot,
    /// What long polling received, and unusual things in it.
    pub polling: PollingCounts,
    /// Updates that no route of a [`Router`](crate::Router) took. They count as done.
    pub unrouted: u64,
    /// How the webhook goes, for a bot that was started with one.
    #[cfg(feature = "webhook")]
    pub webhook: Option<WebhookCounts>,
    /// How the calls of handlers and of the host have ended.
    pub calls: CallCounts,
    /// The calls that wait or are being made; `None` when the thread that makes them has ended.
    pub lines: Option<ApiStats>,
    /// Attempts of handlers that have ended, however they did, and how long each took. What waits for its turn is not
    /// included.
    pub attempts: Timings,
}

impl fmt::Debug for BotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotHandle")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl BotHandle {
    /// Must be called on the thread of the bot.
    pub(crate) fn new(
        engine: EngineHandle,
        api: Api,
        monitor: PollingMonitor,
        backing: Backing,
        bot: Arc<BotFacts>,
        drain_deadline: Duration,
    ) -> Self {
        let broadcasts = Broadcasts::new(
            api.clone(),
            #[cfg(feature = "journal")]
            backing.clone(),
        );
        broadcasts.stop_with(engine.clone(), drain_deadline);
        Self {
            engine,
            api,
            monitor,
            backing,
            bot,
            #[cfg(feature = "webhook")]
            webhook: None,
            #[cfg(feature = "monitor")]
            lookout: Arc::new(Lookout::new(drain_deadline)),
            broadcasts,
            #[cfg(feature = "metrics")]
            last_report: None,
        }
    }

    /// Reports the numbers to the recorder of the host from now on.
    #[cfg(feature = "metrics")]
    pub(crate) fn reporting(mut self) -> Self {
        let (made, last_report) = watch::channel(false);
        self.last_report = Some(last_report);
        crate::metrics::publish(self.clone(), made);
        self
    }

    #[cfg(feature = "webhook")]
    pub(crate) fn with_webhook(mut self, monitor: WebhookMonitor) -> Self {
        self.webhook = Some(monitor);
        self
    }

    /// What all monitors of this bot share.
    #[cfg(feature = "monitor")]
    pub(crate) fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// Returns the handle for calls to the Bot API. It works until the thread that runs the bot ends.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Returns the builder of a broadcast with this name: one message to many chats, with an outcome for each.
    ///
    /// The name, unique for each message, is the key of its position: starting a broadcast whose name is known resumes it.
    /// It stops with the bot, between two chats, and is resumed by starting it again after the next start of the bot.
    pub fn broadcast(&self, name: impl Into<String>) -> Broadcast {
        Broadcast::new(self.broadcasts.clone(), name.into())
    }

    /// Asks the bot to stop and returns at once: polling ends (a webhook answers `503` from then on), what was fetched is
    /// drained until the deadline (with `Bot::drain_journal` all that the journal holds), the offset is committed. Asking twice changes nothing. This is the call for a handler
    /// that wants to stop its own bot.
    pub fn request_shutdown(&self) {
        self.engine.request_shutdown();
    }

    /// Asks the bot to stop, as [`request_shutdown`](Self::request_shutdown), and waits for the report.
    ///
    /// The request is made at once, not when the future is polled; dropping the future stops only the waiting. Awaited
    /// inside a handler it waits for that very handler, so the drain ends at its deadline.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn shutdown(&self) -> impl Future<Output = Result<BotReport, Error>> + Send + use<> {
        let report = self.engine.shutdown();
        let handle = self.clone();
        async move { handle.conclude(report.await).await }
    }

    /// Asks the bot to stop without waiting for running handlers, which are dropped and reported as abandoned; also
    /// cuts a drain short that is under way. Otherwise as [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn shutdown_now(&self) -> impl Future<Output = Result<BotReport, Error>> + Send + use<> {
        self.broadcasts.abort();
        let report = self.engine.shutdown_now();
        let handle = self.clone();
        async move { handle.conclude(report.await).await }
    }

    /// Waits until the bot has stopped, for whatever reason. Returns at once when it has already.
    ///
    /// # Errors
    ///
    /// Returns [`Error::PollingFailed`] when updates could no longer be had (the report is inside), and
    /// [`EngineError::Gone`] when the thread of the bot ended before it could report.
    pub async fn wait(&self) -> Result<BotReport, Error> {
        self.conclude(self.engine.wait().await).await
    }

    async fn conclude(&self, report: Result<Arc<ShutdownReport>, EngineError>) -> Result<BotReport, Error> {
        let engine_report = report?;
        let report = BotReport::new(&engine_report, &self.backing);
        self.broadcasts.conclude().await;
        #[cfg(feature = "metrics")]
        self.reported().await;
        self.backing.close().await;
        match (&engine_report.source_error, engine_report.reason) {
            (Some(error), StopReason::SourceFailed) => Err(Error::PollingFailed {
                reason: error.chain(),
                report: Box::new(report),
            }),
            _ => Ok(report),
        }
    }

    /// Stops polling until [`resume`](Self::resume); what was fetched goes on and is confirmed. A webhook answers `503`
    /// meanwhile, so that the server keeps its updates.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn pause(&self) -> Result<(), Error> {
        Ok(self.engine.pause().await?)
    }

    /// Polls again, or lets the webhook in, after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn resume(&self) -> Result<(), Error> {
        Ok(self.engine.resume().await?)
    }

    /// Returns how things stand.
    ///
    /// # Errors
    ///
    /// Returns [`EngineError::Gone`] when the bot has stopped.
    pub async fn snapshot(&self) -> Result<BotSnapshot, Error> {
        Ok(self.snapshot_with(self.engine.snapshot().await?).await)
    }

    /// Returns how things stood at the end, once the bot has stopped and when no part was lost that knows.
    #[cfg(feature = "metrics")]
    pub(crate) async fn last_snapshot(&self) -> Option<BotSnapshot> {
        let engine = self.engine.report()?.last_look.clone()?;
        Some(self.snapshot_with(engine).await)
    }

    async fn snapshot_with(&self, engine: Snapshot) -> BotSnapshot {
        BotSnapshot {
            bot_id: self.api.bot_id(),
            engine,
            polling: self.monitor.counts(),
            unrouted: self.bot.unrouted(),
            #[cfg(feature = "webhook")]
            webhook: self.webhook.as_ref().map(WebhookMonitor::counts),
            calls: self.api.call_counts(),
            lines: self.api.stats().await.ok(),
            attempts: self.bot.handler_time.read(),
        }
    }

    /// Returns whether the bot has begun to stop, or has stopped.
    pub fn is_stopping(&self) -> bool {
        self.engine.is_stopping()
    }

    /// Returns whether the thread of the bot ended before it could stop in order.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_lost(&self) -> bool {
        self.engine.is_lost()
    }

    /// Waits until the bot begins to stop.
    #[cfg(feature = "webhook")]
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + use<> {
        self.engine.stopping()
    }

    /// Waits until the engine has stopped or its thread has ended.
    #[cfg(feature = "metrics")]
    pub(crate) async fn stopped(&self) {
        // What became of it is told elsewhere.
        let _ = self.engine.wait().await;
    }

    /// Waits as [`stopped`](Self::stopped), and until its broadcasts have ended: nothing is counted any more.
    #[cfg(feature = "metrics")]
    pub(crate) async fn over(&self) {
        self.stopped().await;
        self.broadcasts.conclude().await;
    }

    /// Waits until the recorder of the host has the last numbers.
    #[cfg(feature = "metrics")]
    async fn reported(&self) {
        if let Some(mut made) = self.last_report.clone() {
            // A reporter that is gone, by a panic of the recorder, reports no more.
            let _ = made.wait_for(|made| *made).await;
        }
    }

    /// Returns what made the bot stop, once it has stopped.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.engine.report().map(|report| report.reason)
    }

    /// Returns the lanes with the most unfinished updates, longest first, at most `limit` (with [direct
    /// delivery](crate::Bot::direct) at most [`Snapshot::LONGEST`]). Looks at every lane that has one: a few
    /// milliseconds for 100,000 lanes.
    ///
    /// # Errors
    ///
    /// [`EngineError::Gone`] when the bot has stopped; [`Error::Journal`] when the journal has failed.
    pub async fn longest_lanes(&self, limit: usize) -> Result<Vec<LaneLoad>, Error> {
        #[cfg(feature = "journal")]
        if let Some(journal) = self.backing.journal() {
            let longest = journal.longest(limit).await;
            return longest.map_err(|error| Error::Journal(Box::new(error)));
        }
        let mut longest = self.engine.snapshot().await?.longest;
        longest.truncate(limit);
        Ok(longest)
    }
}

/// Dead letters, broadcasts and the journal. Each of these calls asks the thread that owns the journal; dropping the future stops
/// only the waiting.
///
/// Each returns [`Error::NoJournal`] when the bot has no [journal](crate::Bot::journal), and [`Error::Journal`] when
/// the journal has failed, the bot has stopped, or the disk is full.
#[cfg(feature = "journal")]
impl BotHandle {
    /// Returns the dead letters that the filter chooses, a page at a time, in order of their arrival as updates.
    ///
    /// ```no_run
    /// # async fn show(bot: actogram::BotHandle) -> Result<(), actogram::Error> {
    /// use actogram::DeadLetterFilter;
    ///
    /// for letter in bot.dead_letters(DeadLetterFilter::new()).await?.letters {
    ///     println!("{}: update {} in {}, {:?}", letter.id, letter.update_id, letter.lane, letter.errors);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<DeadLetterPage, Error> {
        dead_letters::page(self.journal()?, filter).await
    }

    /// Returns a dead letter with its update, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`], also when the letter is damaged.
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<(DeadLetter, Update)>, Error> {
        dead_letters::show(self.journal()?, id).await
    }

    /// Puts a dead letter back at the end of its lane, for as many attempts as a new update. It keeps its error
    /// history. Returns `false` if there is none with this id. Survives a power cut once it has returned.
    ///
    /// When it fails again, it becomes a dead letter with another id.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`], also when the letter is damaged; it then stays a dead letter.
    pub async fn retry_dead_letter(&self, id: DeadLetterId) -> Result<bool, Error> {
        dead_letters::retry(self.journal()?, id).await
    }

    /// Forgets a dead letter for good. Returns `false` if there is none with this id. Survives a power cut once it has
    /// returned.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn drop_dead_letter(&self, id: DeadLetterId) -> Result<bool, Error> {
        dead_letters::forget(self.journal()?, id).await
    }

    /// Returns how many updates are in the journal in which state, and how large its files are. Cheap, whatever the
    /// number of updates.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn journal_stats(&self) -> Result<JournalStats, Error> {
        JournalStats::of(self.journal()?).await
    }

    /// Returns the broadcasts that the journal knows, in the order in which they were begun: those that can be resumed, and
    /// those that have ended within 400 days.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn broadcasts(&self) -> Result<Vec<BroadcastSummary>, Error> {
        broadcast::summaries(self.journal()?).await
    }

    /// Returns the chats of a broadcast whose outcome is recorded, a page at a time, in order of their ids; `None` if there
    /// is no broadcast with this name. The chats are kept for 30 days after the end.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn broadcast_chats(
        &self,
        name: &str,
        filter: BroadcastChats,
    ) -> Result<Option<ChatsPage>, Error> {
        broadcast::chats(self.journal()?, name, filter).await
    }

    /// Forgets a broadcast for good, with its name: under this name everybody would get the message again. One that is
    /// running ends with [`BroadcastError::Dropped`](crate::BroadcastError::Dropped). Returns `false` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Journal`].
    pub async fn drop_broadcast(&self, name: &str) -> Result<bool, Error> {
        broadcast::forget(self.journal()?, name).await
    }

    fn journal(&self) -> Result<&Journal, Error> {
        self.backing.journal().ok_or(Error::NoJournal)
    }
}
