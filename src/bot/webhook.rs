//! Starting a bot whose updates are posted to it.

use std::{future::ready, net::ToSocketAddrs, sync::Arc};

use actogram_actors::CreditPolicy;

use super::{
    Bot,
    keeping::Kept,
    start::{Prepared, on_own_thread},
};
#[cfg(feature = "journal")]
use crate::webhook::JournalIntake;
use crate::{
    api::Api,
    backing::Backing,
    bot_facts::BotFacts,
    error::Error,
    handle::BotHandle,
    report::BotReport,
    source::PollingMonitor,
    webhook::{
        CheckedWebhook, DirectIntake, Intake, Listening, Registration, Webhook, WebhookMonitor, WebhookRoute,
        second_signal,
    },
    worker::Own,
};

/// By webhook: the server posts updates to a route. Needs the cargo feature `webhook`.
///
/// With a [journal](Bot::journal) a request is answered when its update is on disk, without one when it was handled. Order
/// and everything else about handling is as with polling; each update of a chat waits for those that arrived before it.
///
/// A webhook and polling exclude each other at the server: as long as a webhook is set, polling is refused. Setting one
/// ([`Webhook::register`]) takes the updates away from a process that polls, which then waits and says so;
/// [`delete_webhook_at_start`](Bot::delete_webhook_at_start) is the way back.
impl Bot {
    /// Starts the bot on this thread's actix system, as [`start`](Self::start), and returns its handle with the route to be
    /// mounted in the application of the host. Takes no signals.
    ///
    /// The host decides in which order to stop; [`BotHandle::shutdown`] first and the HTTP server afterwards is better: the
    /// route then answers `503`, what runs is finished, and whoever still waits for an answer gets it. The other way round
    /// loses nothing either, but [without a journal](Self::direct) some updates may be handled again after the next start.
    ///
    /// ```no_run
    /// # use actix_web::{App, HttpServer};
    /// # use actogram::{Bot, Context, Webhook};
    /// # async fn echo(_: Context) {}
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let (bot, route) = Bot::from_env()
    ///     .handlers(|| echo)
    ///     .start_webhook(Webhook::from_env())
    ///     .await?;
    /// let server = HttpServer::new(move || App::new().service(route.clone()))
    ///     .disable_signals()
    ///     .bind("127.0.0.1:8080")?
    ///     .run();
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and [`Error::Webhook`] when the certificate to be uploaded cannot be read (nothing was
    /// started then) or the server refuses the webhook within 10 s. The bot is stopped then, as it is when the future is
    /// dropped.
    pub async fn start_webhook(self, webhook: Webhook) -> Result<(BotHandle, WebhookRoute), Error> {
        let (handle, route, registration) = self.begin_webhook(webhook.checked()?, false).await?;
        let starting = Starting(Some(handle));
        register(registration, starting.bot()).await?;
        Ok((starting.done(), route))
    }

    /// Starts the bot on a thread of its own, as [`spawn`](Self::spawn), for hosts whose actix system should not run it. The
    /// route works on every thread.
    ///
    /// Blocks until the workers have started, and up to 10 s more when the webhook is to be
    /// [registered](Webhook::register).
    ///
    /// # Errors
    ///
    /// As [`start_webhook`](Self::start_webhook), and [`Error::Thread`].
    pub fn spawn_webhook(self, webhook: Webhook) -> Result<(BotHandle, WebhookRoute), Error> {
        on_own_thread(|| self.start_webhook(webhook))
    }

    /// Runs the bot, as [`run`](Self::run), with an HTTP server of its own that listens on `address` and serves the route
    /// and nothing else: HTTPS with [`Webhook::tls`], else plain HTTP for a proxy in front.
    ///
    /// When it is told to stop, the route answers `503`, what runs is finished until the drain deadline, and then the
    /// server ends: whoever is slow to send or to read gets up to 5 s, or nothing after a second signal. The webhook stays set.
    ///
    /// # Errors
    ///
    /// As [`start_webhook`](Self::start_webhook), and [`Error::Webhook`] when the address or the files for TLS are of no
    /// use (nothing was started then) or the HTTP server fails later (the bot has drained and stopped then).
    pub async fn run_webhook(
        self,
        webhook: Webhook,
        address: impl ToSocketAddrs,
    ) -> Result<BotReport, Error> {
        let files = webhook.tls_files();
        let webhook = webhook.checked()?;
        let listening = Listening::bind(address, files.as_ref())?;
        let (handle, route, registration) = self.begin_webhook(webhook, true).await?;
        let hurry = second_signal();
        let mut serving = match listening.serve(route) {
            Ok(serving) => serving,
            Err(error) => {
                handle.shutdown_now().await?;
                return Err(error.into());
            }
        };
        if let Err(error) = register(registration, &handle).await {
            serving.stop(ready(())).await;
            return Err(error);
        }
        tokio::select! {
            report = handle.wait() => {
                serving.stop(hurry).await;
                report
            }
            error = serving.failed() => {
                tracing::error!(%error, "webhook cannot be reached any more, stopping");
                handle.shutdown().await?;
                Err(error.into())
            }
        }
    }

    async fn begin_webhook(
        self,
        webhook: CheckedWebhook,
        take_signals: bool,
    ) -> Result<(BotHandle, WebhookRoute, Option<Registration>), Error> {
        let Prepared {
            config,
            polling,
            keeping,
            workers,
            engine,
            publishing,
        } = self.prepare(take_signals)?;
        webhook.check_files()?;
        let monitor = WebhookMonitor::default();
        let kept = keeping.open(config.token.bot_id()).await?;
        let api = Api::start(config);
        let bot = Arc::<BotFacts>::default();
        let (introduce, own) = Own::channel();
        let drain_deadline = engine.drain_deadline;
        let (engine, intake, backing) = match kept {
            Kept::AtServer => {
                let (intake, source) =
                    DirectIntake::new(engine.concurrency, webhook.answer_within(), monitor.clone());
                let backing = Backing::Poster(intake.clone());
                let workers = workers.complete(&api, &backing, &bot, own);
                let credit = CreditPolicy::Window(engine.concurrency);
                let engine = engine.start_direct(source, credit, workers).await;
                (engine, Intake::Direct(intake), backing)
            }
            #[cfg(feature = "journal")]
            Kept::InJournal { journal, in_hand } => {
                let intake = JournalIntake::new(journal.clone(), monitor.clone());
                let backing = Backing::Journal {
                    journal: journal.clone(),
                    in_hand: in_hand.clone(),
                };
                let workers = workers.complete(&api, &backing, &bot, own);
                let engine = engine
                    .start_journaled(
                        intake.source(),
                        journal,
                        in_hand,
                        workers,
                        PollingMonitor::default(),
                    )
                    .await;
                (engine, Intake::Journal(intake), backing)
            }
        };
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                backing.close().await;
                return Err(error.into());
            }
        };
        tracing::info!(bot_id = api.bot_id(), "started with a webhook");
        publishing.begin(&api, &engine);
        let (route, registration) =
            webhook.open(intake, polling.lanes, polling.allowed_updates, monitor.clone());
        let handle = BotHandle::new(
            engine,
            api,
            PollingMonitor::default(),
            backing.clone(),
            bot,
            drain_deadline,
        )
        .with_webhook(monitor);
        #[cfg(feature = "metrics")]
        let handle = handle.reporting();
        introduce.send_replace(Some(Arc::new(handle.clone())));
        let stopped = handle.clone();
        actix_rt::spawn(async move {
            // What became of it is told to who asks.
            let _ = stopped.wait().await;
            // The route lives as long as its host, and must not hold on to the journal.
            backing.close().await;
        });
        Ok((handle, route, registration))
    }
}

/// A bot whose start has not returned yet. Nobody else has a handle, so it is stopped when it is dropped.
struct Starting(Option<BotHandle>);

impl Starting {
    fn bot(&self) -> &BotHandle {
        self.0.as_ref().expect("it is taken out at the end alone")
    }

    fn done(mut self) -> BotHandle {
        self.0.take().expect("it is taken out at the end alone")
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(bot) = &self.0 {
            bot.request_shutdown();
        }
    }
}

/// Sets the webhook, if that is wanted. When it is refused, the bot is stopped.
async fn register(registration: Option<Registration>, handle: &BotHandle) -> Result<(), Error> {
    let Some(registration) = registration else {
        return Ok(());
    };
    if let Err(error) = registration.begin(handle).await {
        handle.shutdown_now().await?;
        return Err(error.into());
    }
    Ok(())
}
