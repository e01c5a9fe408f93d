//! A bot lives in any application: in its actix system, beside its tokio runtime, without either, next to other bots.

#![allow(clippy::unwrap_used, reason = "test code")]

mod side_by_side;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use actix::{Actor, ActorContext, ResponseFuture};
use actix_web::{App, HttpResponse, HttpServer, web};
use actogram::{
    Bot, BotHandle, ConfigError, Context, EngineError, Error, HandlerResult, IncomingUpdate, Placement,
    RetryPolicy, Router, WorkerThreads, extract::Command,
};
use support::{Log, PATIENCE, Stage, on_actix, sharing, until, until_blocking};

type Handled = Log<i64>;

fn noting(bot: Bot, handled: &Handled) -> Bot {
    bot.handlers(sharing(
        handled.clone(),
        |handled: Handled, ctx: Context| async move {
            handled.add(ctx.update().id());
        },
    ))
}

async fn ignore(_: Context) {}

/// Waits on a thread without any runtime of its own.
fn wait_blocking<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

async fn greet(bot: web::Data<BotHandle>, chat: web::Path<i64>) -> HttpResponse {
    match bot.api().send_text(*chat, "from the web").await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::BadGateway().finish(),
    }
}

/// The web application and the bot are in one system: a request makes the bot speak.
#[test]
fn a_bot_starts_inside_a_web_application() {
    actix_web::rt::System::new().block_on(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
        let bot = noting(stage.actogram(), &handled).start().await.unwrap();
        let shared = web::Data::new(bot.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .route("/greet/{chat}", web::post().to(greet))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let url = format!("http://{}/greet/{}", server.addrs()[0], ann.chat_id());
        let server = server.run();
        let running = server.handle();
        let serving = actix_web::rt::spawn(server);

        let issued = ann.say("hello");
        let answer = awc::Client::builder()
            .timeout(PATIENCE)
            .finish()
            .post(url)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;
        running.stop(true).await;
        serving.await.unwrap().unwrap();

        assert!(
            bot.shutdown().await.unwrap().is_clean(),
            "the bot outlives the web server"
        );
        assert_eq!(ann.heard(), ["from the web"]);
        assert_eq!(handled.all(), [issued]);
    });
}

#[test]
fn handlers_may_run_on_the_thread_of_the_host() {
    on_actix(async {
        let stage = Stage::lenient();
        let threads = Log::new();
        stage.bot.user("Ann").say("hello");
        let bot = stage
            .actogram()
            .placement(Placement::Current)
            .handlers(sharing(
                threads.clone(),
                |threads: Log<_>, _: Context| async move {
                    threads.add(thread::current().id());
                },
            ))
            .start()
            .await
            .unwrap();
        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(threads.all(), [thread::current().id()]);
    });
}

/// Everything of the handle works from a runtime that knows nothing of actix.
#[test]
fn a_bot_is_spawned_from_a_tokio_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
        let bot = noting(stage.actogram(), &handled).spawn().unwrap();
        let issued = ann.say("hello");

        let used = tokio::spawn({
            let (bot, chat) = (bot.clone(), ann.chat_id());
            async move {
                bot.api()
                    .send_text(chat, "from a task")
                    .await
                    .expect("the api works");
                bot.pause().await?;
                let paused = bot.snapshot().await?.engine.polling.paused;
                bot.resume().await?;
                Ok::<_, Error>(paused)
            }
        });
        assert!(used.await.unwrap().unwrap());
        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;
        let waiting = tokio::spawn({
            let bot = bot.clone();
            async move { bot.wait().await }
        });
        let report = bot.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!(waiting.await.unwrap().unwrap().to_string(), report.to_string());
        assert_eq!(handled.all(), [issued]);
        assert_eq!(ann.heard(), ["from a task"]);
    });
}

#[test]
fn a_bot_is_spawned_from_a_plain_thread() {
    let stage = Stage::lenient();
    let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
    let bot = noting(stage.actogram(), &handled).spawn().unwrap();

    let issued = ann.say("hello");
    stage.until_blocking("the update is confirmed", |view| view.pending_count() == 0);
    bot.request_shutdown();

    assert!(wait_blocking(bot.wait()).unwrap().is_clean());
    assert_eq!(handled.all(), [issued]);
}

#[test]
fn dropping_the_handle_stops_nothing() {
    let stage = Stage::lenient();
    let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
    drop(noting(stage.actogram(), &handled).spawn().unwrap());
    stage.until_blocking("the bot polls", |view| view.is_polling());

    let issued = ann.say("hello");
    stage.until_blocking("the update is confirmed", |view| view.pending_count() == 0);

    assert_eq!(handled.all(), [issued]);
}

/// The error says which call to use instead; nothing panics.
#[test]
fn starting_outside_an_actix_system_is_an_error() {
    let stage = Stage::lenient();

    let error = wait_blocking(stage.actogram().handlers(|| ignore).start()).unwrap_err();
    assert!(matches!(error, Error::Engine(EngineError::NoSystem)), "{error}");
    let error = wait_blocking(stage.actogram().handlers(|| ignore).run()).unwrap_err();
    assert!(matches!(error, Error::Engine(EngineError::NoSystem)), "{error}");

    assert!(stage.bot.polls().is_empty());
}

#[test]
fn a_missing_or_wrong_setting_is_an_error_of_every_way_to_start() {
    let stage = Stage::lenient();
    let ready = || stage.actogram().handlers(|| ignore);
    let config = |error: Error| match error {
        Error::Config(error) => error,
        other => panic!("{other}"),
    };

    let error = config(stage.actogram().spawn().unwrap_err());
    assert!(matches!(error, ConfigError::NoHandlers), "{error}");
    let error = config(Bot::new("no token").handlers(|| ignore).spawn().unwrap_err());
    assert!(matches!(error, ConfigError::Token(_)), "{error}");
    for (bot, name) in [
        (ready().poll_timeout(Duration::ZERO), "poll_timeout"),
        (ready().poll_timeout(Duration::from_secs(51)), "poll_timeout"),
        (ready().poll_watchdog(Duration::from_secs(11)), "poll_watchdog"),
    ] {
        let error = config(bot.spawn().unwrap_err());
        assert!(
            matches!(error, ConfigError::Setting { setting, .. } if setting == name),
            "{error}"
        );
    }
    for bot in [
        ready().workers(0),
        ready().shared_workers(&WorkerThreads::new(0)),
        ready().concurrency(0),
        ready().handler_timeout(Duration::ZERO),
    ] {
        let error = on_actix(bot.start()).unwrap_err();
        assert!(
            matches!(error, Error::Engine(EngineError::Setting { .. })),
            "{error}"
        );
    }
    let panicking = stage.actogram().handlers(|| {
        if thread::current().name() != Some("nobody") {
            panic!("as the test wants it");
        }
        ignore
    });
    let error = panicking.spawn().unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::FactoryPanicked { .. })),
        "{error}"
    );

    assert!(stage.bot.polls().is_empty(), "nothing was started");
}

async fn stop(bot: BotHandle) -> &'static str {
    bot.request_shutdown();
    "stopping"
}

async fn tell(ctx: Context, Command(text): Command) -> HandlerResult {
    let broadcast = ctx.bot()?.broadcast("news").to(ctx.chat_id());
    broadcast.text(text).in_memory().start().await?;
    Ok(())
}

/// `/stop` is answered before the bot ends. Its handlers have known it, and yet nothing is left of it afterwards.
#[test]
fn a_handler_reaches_the_bot_that_it_works_for() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, witness) = (stage.bot.user("Ann"), Arc::new(()));
        let held = Arc::clone(&witness);
        let router = move || {
            assert!(Arc::strong_count(&held) > 1);
            Router::new().command("stop", stop).command("tell", tell)
        };
        let bot = stage.actogram().handlers(router).start().await.unwrap();

        ann.say("/tell news");
        stage
            .until("the broadcast has arrived", |view| {
                view.texts_to(ann.chat_id()) == ["news"]
            })
            .await;
        ann.say("/stop");

        assert!(bot.wait().await.unwrap().is_clean());
        assert_eq!(ann.heard(), ["news", "stopping"]);
        drop(bot);
        until("its handlers are freed", || Arc::strong_count(&witness) == 1).await;
    });
}

#[test]
fn nothing_is_left_of_a_bot_whose_system_ends_without_stopping_it() {
    let stage = Stage::lenient();
    let witness = Arc::new(());
    let held = Arc::clone(&witness);
    on_actix(async {
        let bot = stage.actogram().handlers(move || {
            assert!(Arc::strong_count(&held) > 1);
            ignore
        });
        drop(bot.start().await.unwrap());
        stage.until("the bot polls", |view| view.is_polling()).await;
    });

    until_blocking("its handlers are freed", || Arc::strong_count(&witness) == 1);
}

/// A team's own actor. It does what the text says, and notes it with its number.
struct Desk {
    number: usize,
    log: Log<(usize, String, u32)>,
}

impl Actor for Desk {
    type Context = actix::Context<Self>;
}

impl actix::Handler<IncomingUpdate> for Desk {
    type Result = ResponseFuture<HandlerResult>;

    fn handle(
        &mut self,
        IncomingUpdate { context }: IncomingUpdate,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let text = context.text().unwrap().to_owned();
        self.log.add((self.number, text.clone(), context.attempt()));
        match (text.as_str(), context.attempt()) {
            ("retire", _) => ctx.stop(),
            ("break", 1) => panic!("as the test wants it"),
            _ => {}
        }
        Box::pin(async move {
            context.reply(format!("{text} done")).await?;
            Ok(())
        })
    }
}

#[test]
fn updates_go_to_an_actor_as_messages_and_an_actor_that_ends_is_replaced() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let (log, built) = (Log::new(), Arc::new(AtomicUsize::new(0)));
        let texts = ["hello", "break", "again", "retire", "again"];
        ann.say_all(texts);
        let (desk_log, count) = (log.clone(), Arc::clone(&built));
        let bot = stage
            .actogram()
            .workers(1)
            .retry(RetryPolicy::new([Duration::from_millis(10)]))
            .recipients(move || {
                let number = count.fetch_add(1, SeqCst) + 1;
                let log = desk_log.clone();
                Desk { number, log }.start().recipient()
            })
            .start()
            .await
            .unwrap();

        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        let expected = [
            (1, "hello", 1),
            (1, "break", 1),
            (2, "break", 2),
            (2, "again", 1),
            (2, "retire", 1),
            (3, "again", 1),
        ]
        .map(|(number, text, attempt)| (number, text.to_owned(), attempt));
        assert_eq!(log.all(), expected);
        assert_eq!(ann.heard(), texts.map(|text| format!("{text} done")));
        until("no desk is built that nobody needs", || built.load(SeqCst) == 3).await;
    });
}
