//! Starting a bot: its parts are put together here.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

#[cfg(feature = "journal")]
use actix::Actor;
#[cfg(feature = "journal")]
use actogram_actors::RetryPlace;
use actogram_actors::{Consumer, CreditPolicy, Engine, EngineError, Placement, RetryPolicy, Source};

#[cfg(feature = "journal")]
use super::Delivery;
use super::{
    Bot, commands,
    keeping::{self, Kept},
};
#[cfg(feature = "journal")]
use crate::queue::{Intake, QueuedSource};
use crate::{
    api::{Api, Transport},
    bot_facts::BotFacts,
    error::{ConfigError, Error},
    handle::BotHandle,
    report::BotReport,
    router::Interests,
    source::{PollingMonitor, PollingSettings, PollingSource},
    worker::WorkerFactory,
};

/// Most updates of one batch; see <https://core.telegram.org/bots/api#getupdates>.
const BATCH: usize = 100;

impl Bot {
    /// Runs the bot until it is told to stop by SIGTERM, SIGINT or a handler, and returns how it stopped.
    ///
    /// The first signal drains and stops, the second stops without waiting, the third kills the process. The report can
    /// be returned from `main`, where it sets the exit code. Dropping the future does not stop the bot.
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
    /// [`spawn`](Self::spawn) there), [`EngineError::FactoryPanicked`] when a handler could not be built (a router with a wrong name of a command, for
    /// instance). The token
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
        let (give, take) = mpsc::sync_channel(1);
        let body = move || {
            actix_rt::System::new().block_on(async move {
                let started = self.begin(false).await;
                let handle = started.as_ref().ok().cloned();
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

    async fn begin(self, take_signals: bool) -> Result<BotHandle, Error> {
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
            publish_commands,
        } = self;
        let config = api?;
        let journal = journal?;
        let handlers = handlers.ok_or(ConfigError::NoHandlers)?;
        check(&polling)?;
        if actix_rt::System::try_current().is_none() {
            return Err(EngineError::NoSystem.into());
        }

        let interests = commands::ask(&*handlers)?;
        if polling.allowed_updates.is_none() {
            polling.allowed_updates = interests.as_ref().map(Interests::allowed_updates);
        }

        let monitor = PollingMonitor::default();
        // A client of its own: sending can never starve polling of connections.
        let source = PollingSource::new(Transport::new(&config), polling, monitor.clone());
        let bot_id = config.token.bot_id();
        let kept = keeping::open(
            journal,
            #[cfg(feature = "journal")]
            &journal_config,
            delivery,
            bot_id,
        )
        .await?;
        let api = Api::start(config);
        let backing = kept.backing(&monitor);
        let bot = Arc::<BotFacts>::default();
        let workers = WorkerFactory {
            handlers,
            api: api.clone(),
            on_error,
            max_ages,
            backing: backing.clone(),
            bot: Arc::clone(&bot),
        };
        let settings = EngineSettings {
            placement,
            concurrency,
            handler_timeout,
            drain_deadline,
            take_signals,
        };
        let engine = match kept {
            Kept::AtServer => {
                let engine = Engine::new(source, move || workers.build())
                    .credit(CreditPolicy::Lockstep(BATCH))
                    .retry(retry.unwrap_or_else(RetryPolicy::quick))
                    .backoff(poll_backoff);
                settings.apply(engine).start().await
            }
            #[cfg(feature = "journal")]
            Kept::InJournal { journal, in_hand } => {
                let intake = Intake::new(journal.clone(), monitor.clone()).start();
                let retry = match delivery {
                    Delivery::AtLeastOnce => retry.unwrap_or_else(RetryPolicy::patient),
                    Delivery::AtMostOnce => RetryPolicy::never().max_waits(0),
                };
                let engine = Engine::new(QueuedSource::new(journal, in_hand), move || workers.build())
                    // Only what may run now is taken from the journal; the rest waits there.
                    .credit(CreditPolicy::Window(concurrency.max(1)))
                    .retry(retry)
                    .retry_place(RetryPlace::Source)
                    .fed_by(source, intake.recipient(), poll_backoff);
                settings.apply(engine).start().await
            }
        };
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                backing.close().await;
                return Err(error.into());
            }
        };
        tracing::info!(bot_id, "started");
        if publish_commands {
            match interests {
                Some(interests) => {
                    actix_rt::spawn(commands::publish(api.clone(), interests, engine.clone()));
                }
                None => tracing::warn!("no commands to publish, because the handler is no router"),
            }
        }
        Ok(BotHandle::new(engine, api, monitor, backing, bot, drain_deadline))
    }
}

/// What both kinds of delivery have in common.
struct EngineSettings {
    placement: Placement,
    concurrency: usize,
    handler_timeout: Duration,
    drain_deadline: Duration,
    take_signals: bool,
}

impl EngineSettings {
    fn apply<S, C, F>(self, engine: Engine<S, C, F>) -> Engine<S, C, F>
    where
        S: Source,
        C: Consumer<S::Payload>,
        F: Fn() -> C + Clone + Send + 'static,
    {
        let engine = engine
            .placement(self.placement)
            .concurrency(self.concurrency)
            .handler_deadline(self.handler_timeout)
            .drain_deadline(self.drain_deadline);
        if self.take_signals {
            engine.take_signals()
        } else {
            engine
        }
    }
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
