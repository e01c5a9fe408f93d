//! Starting a bot: its parts are put together here.

use std::{
    future::Future,
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use actogram_actors::{CreditPolicy, EngineError, EngineHandle};

use super::{
    Bot, commands,
    engine::EngineSettings,
    keeping::{KeepingSettings, Kept},
};
use crate::{
    api::{Api, ApiConfig, Transport},
    backing::Backing,
    bot_facts::BotFacts,
    error::{ConfigError, Error},
    handle::BotHandle,
    handler::HandlerFactory,
    report::BotReport,
    router::Interests,
    source::{PollingMonitor, PollingSettings, PollingSource},
    staleness::MaxAges,
    worker::{ErrorHook, Own, WorkerFactory},
};

/// Most updates of one batch; see <https://core.telegram.org/bots/api#getupdates>.
const BATCH: usize = 100;

impl Bot {
    /// Runs the bot until it is told to stop by SIGTERM, SIGINT or a handler, and returns how it stopped.
    ///
    /// The first signal drains and stops, the second stops without waiting, the third kills the process. The report can
    /// be returned from `main`, where it sets the exit code. Dropping the future does not stop the bot.
    ///
    /// Once a signal has been taken over it does not kill the process by itself any more: a program that goes on after this
    /// has returned has to take SIGTERM and SIGINT itself, or they do nothing.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and [`Error::PollingFailed`] when updates can no longer be had.
    pub async fn run(self) -> Result<BotReport, Error> {
        self.begin(true).await?.wait().await
    }

    /// Starts the bot on this thread's actix system, for an application that lives there already (`#[actix::main]`,
    /// `#[actix_web::main]`), and returns its handle. Takes no signals: stop it with
    /// [`BotHandle::shutdown`] before the application ends.
    ///
    /// # Errors
    ///
    /// Returns the first missing or wrong setting, [`EngineError::NoSystem`] outside an actix system (use
    /// [`spawn`](Self::spawn) there), [`EngineError::FactoryPanicked`] when a handler could not be built. The token
    /// is not checked with the server.
    pub async fn start(self) -> Result<BotHandle, Error> {
        self.begin(false).await
    }

    /// Starts the bot on a thread of its own with an actix system of its own, for applications that have none
    /// (`#[tokio::main]`, plain threads), and returns its handle, which works from anywhere. Takes no signals.
    ///
    /// Blocks until the workers have started: a few milliseconds, no network. The thread ends when the bot has stopped.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and [`Error::Thread`].
    pub fn spawn(self) -> Result<BotHandle, Error> {
        let begin = || async { Ok((self.begin(false).await?, ())) };
        on_own_thread(begin).map(|(handle, ())| handle)
    }

    async fn begin(self, take_signals: bool) -> Result<BotHandle, Error> {
        check(&self.polling)?;
        let Prepared {
            config,
            polling,
            keeping,
            workers,
            engine,
            publishing,
        } = self.prepare(take_signals)?;
        let monitor = PollingMonitor::default();
        // A client of its own: sending can never starve polling of connections.
        let source = PollingSource::new(Transport::new(&config), polling, monitor.clone());
        let kept = keeping.open(config.token.bot_id()).await?;
        let api = Api::start(config);
        let backing = kept.backing(|| Backing::Server(monitor.clone()));
        let bot = Arc::<BotFacts>::default();
        let (introduce, own) = Own::channel();
        let workers = workers.complete(&api, &backing, &bot, own);
        let drain_deadline = engine.drain_deadline;
        let engine = match kept {
            Kept::AtServer => {
                engine
                    .start_direct(source, CreditPolicy::Lockstep(BATCH), workers)
                    .await
            }
            #[cfg(feature = "journal")]
            Kept::InJournal { journal, in_hand } => {
                engine
                    .start_journaled(source, journal, in_hand, workers, monitor.clone())
                    .await
            }
        };
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                backing.close().await;
                return Err(error.into());
            }
        };
        tracing::info!(bot_id = api.bot_id(), "started");
        publishing.begin(&api, &engine);
        let handle = BotHandle::new(engine, api, monitor, backing, bot, drain_deadline);
        #[cfg(feature = "metrics")]
        let handle = handle.reporting();
        introduce.send_replace(Some(Arc::new(handle.clone())));
        Ok(handle)
    }

    /// Checks what all ways of getting updates have in common. Nothing is started yet.
    pub(super) fn prepare(self, take_signals: bool) -> Result<Prepared, Error> {
        let Self {
            api,
            handlers,
            on_error,
            mut polling,
            poll_backoff,
            journal,
            #[cfg(feature = "journal")]
            journal_config,
            delivery,
            max_ages,
            placement,
            concurrency,
            retry,
            handler_timeout,
            drain_deadline,
            #[cfg(feature = "journal")]
            drain_journal,
            publish_commands,
        } = self;
        let config = api?;
        let journal = journal?;
        let handlers = handlers.ok_or(ConfigError::NoHandlers)?;
        if actix_rt::System::try_current().is_none() {
            return Err(EngineError::NoSystem.into());
        }
        let interests = commands::ask(&*handlers)?;
        if polling.allowed_updates.is_none() {
            polling.allowed_updates = interests.as_ref().map(Interests::allowed_updates);
        }
        Ok(Prepared {
            config,
            polling,
            keeping: KeepingSettings {
                journal,
                #[cfg(feature = "journal")]
                config: journal_config,
                delivery,
            },
            workers: WorkerParts {
                handlers,
                on_error,
                max_ages,
            },
            engine: EngineSettings {
                placement,
                concurrency,
                handler_timeout,
                drain_deadline,
                take_signals,
                retry,
                backoff: poll_backoff,
                #[cfg(feature = "journal")]
                delivery,
                #[cfg(feature = "journal")]
                drain_journal,
            },
            publishing: Publishing {
                wanted: publish_commands,
                interests,
            },
        })
    }
}

/// The settings of a bot, sorted by who needs them.
pub(super) struct Prepared {
    pub(super) config: ApiConfig,
    pub(super) polling: PollingSettings,
    pub(super) keeping: KeepingSettings,
    pub(super) workers: WorkerParts,
    pub(super) engine: EngineSettings,
    pub(super) publishing: Publishing,
}

/// Whether the list of commands is to be set at the server.
pub(super) struct Publishing {
    wanted: bool,
    interests: Option<Interests>,
}

impl Publishing {
    /// Sets the list of commands in the background, if that is wanted, as long as the engine runs.
    pub(super) fn begin(self, api: &Api, engine: &EngineHandle) {
        match self.interests {
            _ if !self.wanted => {}
            Some(interests) => {
                actix_rt::spawn(commands::publish(api.clone(), interests, engine.clone()));
            }
            None => tracing::warn!("no commands to publish, because the handler is no router"),
        }
    }
}

/// What workers are made of, as far as it is set.
pub(super) struct WorkerParts {
    handlers: Box<dyn HandlerFactory>,
    on_error: Option<ErrorHook>,
    max_ages: MaxAges,
}

impl WorkerParts {
    pub(super) fn complete(
        self,
        api: &Api,
        backing: &Backing,
        facts: &Arc<BotFacts>,
        bot: Own,
    ) -> WorkerFactory {
        WorkerFactory {
            handlers: self.handlers,
            api: api.clone(),
            on_error: self.on_error,
            max_ages: self.max_ages,
            backing: backing.clone(),
            facts: Arc::clone(facts),
            bot,
        }
    }
}

/// Starts a bot on a thread of its own with an actix system of its own. The thread ends when the bot has stopped.
pub(super) fn on_own_thread<T, F, Fut>(begin: F) -> Result<(BotHandle, T), Error>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(BotHandle, T), Error>>,
{
    let (give, take) = mpsc::sync_channel(1);
    let body = move || {
        actix_rt::System::new().block_on(async move {
            let started = begin().await;
            let handle = started.as_ref().ok().map(|(handle, _)| handle.clone());
            // Whoever spawned us waits for this; if it is gone, the bot is of use all the same.
            let _ = give.send(started);
            if let Some(handle) = handle {
                // The report reaches every handle by itself.
                let _ = handle.wait().await;
            }
        });
    };
    thread::Builder::new()
        .name("actogram".to_owned())
        .spawn(body)
        .map_err(Error::Thread)?;
    take.recv()
        .map_err(|_ended| Error::Thread(io::Error::other("the thread ended while it started the bot")))?
}

fn check(polling: &PollingSettings) -> Result<(), ConfigError> {
    let second = Duration::from_secs(1);
    if polling.poll_timeout < second || polling.poll_timeout > PollingSettings::LONGEST_POLL {
        return Err(ConfigError::Setting {
            setting: "poll_timeout",
            bound: "from 1 s to 50 s",
        });
    }
    if polling.watchdog < polling.poll_timeout + PollingSettings::MARGIN {
        return Err(ConfigError::Setting {
            setting: "poll_watchdog",
            bound: "at least the poll timeout plus 10 s",
        });
    }
    Ok(())
}
