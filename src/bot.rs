//! Putting a bot together and starting it.

mod commands;
mod environment;
mod keeping;
mod engine;
mod start;
#[cfg(feature = "webhook")]
mod webhook;

use std::{future::Future, path::PathBuf, time::Duration};

use actix::Recipient;
use actogram_actors::{Backoff, Lane, Placement, RetryPolicy, WorkerThreads};

#[cfg(feature = "webhook")]
pub(crate) use self::environment::variable;
use self::keeping::JournalSetting;
#[cfg(feature = "journal")]
use crate::journal_config::JournalConfig;
use crate::{
    api::{ApiConfig, Server, Token},
    error::ConfigError,
    handler::{Handler, HandlerFactory},
    incoming::{IncomingUpdate, RecipientFactory},
    source::PollingSettings,
    staleness::MaxAges,
    update::{Update, UpdateKind},
    worker::{DeadUpdate, ErrorHook},
};

/// How often a journaled update may be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// At least once: what was running when the process was killed runs again, what failed is repeated.
    #[default]
    AtLeastOnce,
    /// At most once: the beginning of an attempt is on disk before the handler runs, and an attempt that has begun is
    /// never repeated, whether it failed or was cut off; it becomes a dead letter. For effects that must never repeat. Needs
    /// a [journal](Bot::journal).
    AtMostOnce,
}

/// Builder of a bot, in the manner of actix-web's `HttpServer`: a token, a handler factory, and settings that all have a
/// default. Nothing happens before [`run`](Self::run), [`start`](Self::start) or [`spawn`](Self::spawn); that is also
/// when a missing or wrong setting is reported.
///
/// ```no_run
/// use actogram::{Bot, BotReport, Context, HandlerResult};
///
/// #[actix::main]
/// async fn main() -> Result<BotReport, actogram::Error> {
///     Bot::from_env().handlers(|| echo).run().await
/// }
///
/// async fn echo(ctx: Context) -> HandlerResult {
///     if let Some(text) = ctx.text() {
///         ctx.reply(text).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Delivery
///
/// Updates are fetched by long polling and written to the [journal](Self::journal), a file; what is on disk is confirmed to
/// the Bot API server at once. They are handled from there: each chat in order, all chats concurrently, so a slow handler
/// holds nothing but its own chat. Updates whose handler panics, passes its deadline or returns an [error that may
/// pass](crate::HandlerError) are repeated after 1, 2, 5, 15 and 60 s; then, and at once after any other error, they become
/// dead letters, which stay in the file for 30 days. A `kill -9` loses nothing and repeats what was running. [`direct`](Self::direct)
/// does without the file.
#[must_use = "a bot does nothing until it is run, started or spawned"]
pub struct Bot {
    api: Result<ApiConfig, ConfigError>,
    handlers: Option<Box<dyn HandlerFactory>>,
    on_error: Option<ErrorHook>,
    polling: PollingSettings,
    poll_backoff: Backoff,
    journal: Result<JournalSetting, ConfigError>,
    #[cfg(feature = "journal")]
    journal_config: JournalConfig,
    delivery: Delivery,
    max_ages: MaxAges,
    placement: Placement,
    concurrency: usize,
    retry: Option<RetryPolicy>,
    handler_timeout: Duration,
    drain_deadline: Duration,
    #[cfg(feature = "journal")]
    drain_journal: bool,
    publish_commands: bool,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("api", &self.api)
            .field("journal", &self.journal)
            .field("polling", &self.polling)
            .field("placement", &self.placement)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl Bot {
    /// Updates handled at the same time, over all workers.
    pub const DEFAULT_CONCURRENCY: usize = 256;

    /// Time one attempt at an update may take: 5 minutes.
    pub const DEFAULT_HANDLER_TIMEOUT: Duration = Duration::from_secs(300);

    /// Time a shutdown waits for running handlers: 25 s, below the 30 s that container platforms wait before they kill.
    pub const DEFAULT_DRAIN_DEADLINE: Duration = Duration::from_secs(25);

    /// Returns the bot with this token, as [@BotFather](https://t.me/BotFather) gives it, at Telegram's own server.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self::with_config(
            Token::parse(token.as_ref())
                .map(ApiConfig::new)
                .map_err(ConfigError::Token),
        )
    }

    /// Returns the bot whose token is in `TELEGRAM_BOT_TOKEN`, at the Bot API server whose root is in
    /// `TELEGRAM_API_URL` (Telegram's own when that is not set or empty), with the journal that `ACTOGRAM_JOURNAL` names (a
    /// path, or `off` for [`direct`](Self::direct)).
    pub fn from_env() -> Self {
        Self {
            journal: environment::journal(),
            ..Self::with_config(environment::api())
        }
    }

    fn with_config(api: Result<ApiConfig, ConfigError>) -> Self {
        Self {
            api,
            handlers: None,
            on_error: None,
            polling: PollingSettings::default(),
            poll_backoff: Backoff::default(),
            journal: Ok(JournalSetting::default()),
            #[cfg(feature = "journal")]
            journal_config: JournalConfig::new(),
            delivery: Delivery::default(),
            max_ages: MaxAges::default(),
            placement: Placement::default(),
            concurrency: Self::DEFAULT_CONCURRENCY,
            retry: None,
            handler_timeout: Self::DEFAULT_HANDLER_TIMEOUT,
            drain_deadline: Self::DEFAULT_DRAIN_DEADLINE,
            #[cfg(feature = "journal")]
            drain_journal: false,
            publish_commands: false,
        }
    }

    /// Sets the Bot API server; default Telegram's own, or what [`from_env`](Self::from_env) found.
    pub fn server(mut self, server: Server) -> Self {
        self.api = self.api.map(|api| api.server(server));
        self
    }

    /// Changes the settings of the [`Api`](crate::api::Api) that handlers use: timeouts, connections, flood waits.
    pub fn api_config(mut self, change: impl FnOnce(ApiConfig) -> ApiConfig) -> Self {
        self.api = self.api.map(change);
        self
    }

    /// Sets what handles the updates: a [`Router`](crate::Router), or a function of a [`Context`](crate::Context). `factory`
    /// is called once per worker, on the worker's thread, so that a handler may hold things that are not `Send`; what all
    /// workers share is captured by the factory (`Arc`, [`Data`](crate::extract::Data)). A handler that [describes
    /// itself](Handler::DESCRIBES_ITSELF), as routers do, is built once more at the start, on the thread that starts the bot.
    pub fn handlers<F, H>(mut self, factory: F) -> Self
    where
        F: Fn() -> H + Clone + Send + 'static,
        H: Handler,
    {
        self.handlers = Some(Box::new(factory));
        self
    }

    /// Sets actors of your own as what handles the updates, instead of [`handlers`](Self::handlers). `factory` is called
    /// once per worker, on the worker's thread, and again when the actor it returned has ended.
    pub fn recipients<F>(mut self, factory: F) -> Self
    where
        F: Fn() -> Recipient<IncomingUpdate> + Clone + Send + 'static,
    {
        self.handlers = Some(Box::new(RecipientFactory(factory)));
        self
    }

    /// Sets what is shown each update that is given up, with its raw text and its errors. The update is confirmed when
    /// the hook has ended (or panicked, or passed the handler timeout). Default: the log line alone.
    pub fn on_error<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(DeadUpdate) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.on_error = Some(ErrorHook::new(hook));
        self
    }

    /// Sets the number of worker threads, each with a handler of its own; default one per core, at least 1. They are this
    /// bot's alone.
    pub fn workers(mut self, threads: usize) -> Self {
        self.placement = Placement::Workers(threads);
        self
    }

    /// Runs the handlers on threads that other bots use too, a handler of its own on each. Everything else stays apart:
    /// polling, journal, lanes, [`concurrency`](Self::concurrency), retries, flood waits, numbers, and stopping, which
    /// leaves the threads to the others.
    ///
    /// For many small bots in one process: twenty of them then need one thread per core instead of twenty. Not for a bot
    /// whose handlers block their thread or compute for long, because the others wait meanwhile; give that one
    /// [`workers`](Self::workers) of its own.
    ///
    /// ```no_run
    /// use actogram::{Bot, Context, WorkerThreads};
    ///
    /// # async fn start(tokens: Vec<String>) -> Result<(), actogram::Error> {
    /// let threads = WorkerThreads::default();
    /// let mut bots = Vec::new();
    /// for (number, token) in tokens.iter().enumerate() {
    ///     let bot = Bot::new(token).journal(format!("bot-{number}.db")).shared_workers(&threads);
    ///     bots.push(bot.handlers(|| async |ctx: Context| ctx.text().map(str::to_owned)).start().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared_workers(mut self, threads: &WorkerThreads) -> Self {
        self.placement = Placement::Shared(threads.clone());
        self
    }

    /// Sets where handlers run; [`Placement::Current`] puts them on the thread that starts the bot.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Sets the path of the journal, one SQLite file that keeps updates until they are handled.
    ///
    /// One bot of one process owns the file; a second one gets an error that names the owner, so several bots need
    /// several files. When another bot is started on a file later, what the first one has left waits for it. A new token of
    /// the same bot changes nothing. The file is readable for its owner only and never holds the token.
    ///
    /// Default: the file that `ACTOGRAM_JOURNAL` names for [`from_env`](Self::from_env), else `actogram.db` in the working
    /// directory. Without the cargo feature `journal` there is none and the bot runs [`direct`](Self::direct).
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Ok(JournalSetting::At(path.into()));
        self
    }

    /// Changes the settings of the journal: how much it takes, how much of it is kept in memory, and how long ids and dead
    /// letters are kept. Without a journal they have no effect.
    #[cfg(feature = "journal")]
    pub fn journal_config(mut self, change: impl FnOnce(JournalConfig) -> JournalConfig) -> Self {
        self.journal_config = change(self.journal_config);
        self
    }

    /// Does without a journal, whatever `ACTOGRAM_JOURNAL` says: updates stay at the Bot API server until they are handled,
    /// and a batch of up to 100 is confirmed when all of it is. Still nothing is lost, but a slow handler holds the next
    /// batch, failed updates are repeated only after 1 s and 2 s, and a `kill -9` repeats up to a batch.
    pub fn direct(mut self) -> Self {
        self.journal = Ok(JournalSetting::Off);
        self
    }

    /// Sets how often a journaled update may be handled; default [`Delivery::AtLeastOnce`].
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets the age from which on updates of a kind are useless and end unhandled, counted as expired; `None` for no limit.
    /// The age counts from the update's own date where it has one, else from its arrival.
    ///
    /// Default: 150 s for callback, shipping and pre-checkout queries, 30 s for inline queries, because the
    /// [server refuses answers](https://core.telegram.org/bots/api#answercallbackquery) after that; no limit for others.
    pub fn max_age(mut self, kind: UpdateKind, age: impl Into<Option<Duration>>) -> Self {
        self.max_ages.set(kind, age.into());
        self
    }

    /// Lets updates pass their chat's queue, for instance a `/stop` that is to end what the chat is busy with. They are
    /// handled at once, whatever else of the chat runs or waits, and in no order among themselves.
    pub fn bypass(mut self, passes: impl Fn(&Update) -> bool + Send + Sync + 'static) -> Self {
        self.polling.lanes.bypass = Some(std::sync::Arc::new(passes));
        self
    }

    /// Sets how many updates are handled at the same time over all workers; default
    /// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY), at least 1.
    pub fn concurrency(mut self, updates: usize) -> Self {
        self.concurrency = updates;
        self
    }

    /// Sets how the lane of an update is chosen: updates of one lane are handled in order, one at a time. Default: the
    /// chat, else the user, else what the update is about ([`Update::lane`]).
    ///
    /// When a group becomes a supergroup its chat gets another id. What waits in the lane that the default gives the old
    /// one (`chat:<id>`), and what comes in it later, then goes into the lane of the new one. Lanes with other names are
    /// not touched: a function that names them after the chat has to treat both ids as one itself
    /// ([`Update::moves_lane`]). Without a journal moves are remembered until the process ends, the last 10,000 of them; with
    /// a webhook, what is in hand of both lanes at that moment then goes on side by side, and what comes later after it.
    pub fn lane_by(mut self, choose: impl Fn(&Update) -> Lane + Send + Sync + 'static) -> Self {
        self.polling.lanes.lane_by = Some(std::sync::Arc::new(choose));
        self
    }

    /// Sets which kinds of updates the server keeps for this bot. It is sent until one call has succeeded; the server
    /// remembers it, also for later runs; what it has not kept it cannot deliver later. With a webhook it is sent when that
    /// is registered.
    ///
    /// Default for a [`Router`](crate::Router): the kinds that its routes take, as [`Interests`](crate::Interests) describes
    /// them. Default for other handlers: what the server remembers, at first every kind except `chat_member`,
    /// `message_reaction` and `message_reaction_count` (<https://core.telegram.org/bots/api#getupdates>). An empty list stands
    /// for those as well.
    pub fn allowed_updates(mut self, kinds: impl IntoIterator<Item = UpdateKind>) -> Self {
        let known = kinds
            .into_iter()
            .filter(|kind| *kind != UpdateKind::Unknown)
            .collect();
        self.polling.allowed_updates = Some(known);
        self
    }

    /// Makes the commands of the [`Router`](crate::Router) that have a [description](crate::CommandRoute::describe) the list
    /// that clients show, for all chats and languages (<https://core.telegram.org/bots/api#setmycommands>). Default: the list
    /// is left alone.
    ///
    /// There may be [100 commands](https://core.telegram.org/bots/api#setmycommands).
    ///
    /// That happens beside the start and never delays it. A list that is right already is not set again; a call that
    /// fails is logged as a warning and repeated after 1 s, doubling to at most 5 minutes, unless the server refuses it.
    pub fn publish_commands(mut self) -> Self {
        self.publish_commands = true;
        self
    }

    /// Sets how long the server holds a poll when there is no update; default and most 50 s, at least 1 s, in whole
    /// seconds. It does not hold the first one, whose answer tells at once whether the bot can poll.
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.polling.poll_timeout = timeout;
        self
    }

    /// Deletes the webhook of this bot before the first poll, which is refused as long as one is set. What the server
    /// keeps stays there and is polled. The call is repeated until it has succeeded once; a webhook that is set later is
    /// left alone. Default: a webhook is left alone, and polling waits until it is gone.
    ///
    /// Without effect for a bot that is started with a webhook.
    pub fn delete_webhook_at_start(mut self) -> Self {
        self.polling.delete_webhook = true;
        self
    }

    /// Sets how long polling may go unanswered before its connections are replaced and an error is logged, spread by
    /// ±20 %; default 3 minutes, at least the poll timeout plus 10 s. It never ends the process.
    pub fn poll_watchdog(mut self, patience: Duration) -> Self {
        self.polling.watchdog = patience;
        self
    }

    /// Sets how long to wait before a failed poll is repeated; default 0.5 s, doubling to at most 30 s, ±20 %. A wait that
    /// the server asks for is never cut short.
    pub fn poll_backoff(mut self, backoff: Backoff) -> Self {
        self.poll_backoff = backoff;
        self
    }

    /// Sets when updates whose attempt failed [in a way that may pass](crate::HandlerError), panicked or passed its deadline
    /// are repeated before they are given up; default after 1, 2, 5, 15 and 60 s, and without a
    /// journal after 1 s and 2 s, because the next batch waits for it.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the time one attempt at an update may take before it is dropped and counts as failed; default
    /// [`DEFAULT_HANDLER_TIMEOUT`](Self::DEFAULT_HANDLER_TIMEOUT).
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.handler_timeout = timeout;
        self
    }

    /// Sets how long a shutdown waits for what was fetched; default
    /// [`DEFAULT_DRAIN_DEADLINE`](Self::DEFAULT_DRAIN_DEADLINE). Up to 4 s for telling the server, 0.5 s for ending
    /// the worker threads, 2 s for the final numbers (cargo feature `metrics`) and about 1 s for closing the journal come on
    /// top.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// Makes a stop handle all that the [journal](Self::journal) holds, and not only what has begun: intake ends, and what
    /// waits is handled until nothing is left, for instance because the process is replaced by another one with a journal of
    /// its own.
    ///
    /// All of that is within the [drain deadline](Self::drain_deadline), and nothing is begun in its last fifth, so that what
    /// runs can end. A repetition that is due later is not waited for. What is [left](crate::BotReport::left) stays in the
    /// file, is reported, and makes the stop unclean ([`EXIT_UNFINISHED`](crate::BotReport::EXIT_UNFINISHED)). A second signal
    /// and [`shutdown_now`](crate::BotHandle::shutdown_now) cut it short at any time. Dead letters stay what they are.
    ///
    /// Off by default: a long backlog uses up the deadline at each stop, and where the next start has the same file nothing is
    /// gained by that. Without a journal it has no effect: what was fetched is finished then in any case.
    #[cfg(feature = "journal")]
    pub fn drain_journal(mut self) -> Self {
        self.drain_journal = true;
        self
    }
}
