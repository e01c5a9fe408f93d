//! A router as a whole: what it asks the server for, what it answers, and what becomes of what nobody takes.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{
    Context, FromUpdate, HandlerError, RetryPolicy, Router,
    extract::{Command, Data, ExtractError, Raw, Text},
    update::UpdateKind,
};
use actogram_simulator::Fault;
use serde_json::{Value, json};
use support::{Log, Stage, collecting, on_actix, until_snapshot};

async fn nothing() {}

async fn echo(Text(text): Text) -> String {
    text
}

/// Returns what the first poll of a bot with this router says about the kinds it wants.
async fn allowed_updates(stage: &Stage, router: fn() -> Router) -> Option<String> {
    let before = stage.bot.polls().len();
    let bot = stage.actogram().handlers(router).start().await.unwrap();
    stage
        .until("the bot polls", |view| {
            view.polls().len() > before && view.is_polling()
        })
        .await;
    assert!(bot.shutdown().await.unwrap().is_clean());
    stage.bot.polls()[before].raw_allowed_updates.clone()
}

#[test]
fn the_server_is_asked_for_the_kinds_that_routes_take() {
    on_actix(async {
        let stage = Stage::lenient();

        let some = allowed_updates(&stage, || {
            Router::new()
                .text(nothing)
                .scope(Router::new().on(UpdateKind::ChatMember, nothing))
        });
        assert_eq!(some.await.as_deref(), Some(r#"["message","chat_member"]"#));

        // The server would remember the kinds of the version before.
        let all = allowed_updates(&stage, || Router::new().text(nothing).default(nothing));
        assert_eq!(all.await.as_deref(), Some("[]"));
        assert_ne!(stage.bot.push_kind("poll", &json!({"id": "1"})), 0);
    });
}

#[test]
fn kinds_that_were_set_on_the_bot_win() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = stage
            .actogram()
            .allowed_updates([UpdateKind::Poll])
            .handlers(|| Router::new().text(nothing))
            .start()
            .await
            .unwrap();
        stage.until("the bot polls", |view| view.is_polling()).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        let first = stage.bot.polls()[0].raw_allowed_updates.clone();
        assert_eq!(first.as_deref(), Some(r#"["poll"]"#));
    });
}

#[test]
fn a_router_that_cannot_be_built_is_an_error_of_the_start() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = stage
            .actogram()
            .handlers(|| Router::new().command("/start", nothing));

        let error = bot.start().await.unwrap_err();

        assert!(error.to_string().contains("factory panicked"), "{error}");
        assert!(stage.bot.polls().is_empty());
    });
}

#[test]
fn other_handlers_are_not_built_to_be_asked() {
    on_actix(async {
        let stage = Stage::lenient();
        let built = Log::new();
        let factory = {
            let built = built.clone();
            move || {
                built.add(std::thread::current().id());
                |_: Context| async {}
            }
        };

        let bot = stage.actogram().handlers(factory).start().await.unwrap();

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(built.len(), 2, "one per worker");
        assert!(!built.all().contains(&std::thread::current().id()));
    });
}

/// Returns the lists of commands that were set.
fn lists(stage: &Stage) -> Vec<Value> {
    let calls = stage.bot.sent().into_iter();
    calls
        .filter(|call| call.method == "setMyCommands")
        .map(|call| serde_json::from_str(call.params["commands"].as_str().unwrap()).unwrap())
        .collect()
}

#[test]
fn commands_are_published_until_it_has_worked_and_only_when_they_changed() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("hello");
        for fault in [
            Fault::GatewayHtml(502).on("getMyCommands"),
            Fault::GatewayHtml(502).on("setMyCommands"),
        ] {
            stage.bot.fault(fault);
        }
        let router = || {
            Router::new()
                .command(("start", "Begins"), nothing)
                .command("hidden", nothing)
                .text(echo)
        };
        let bot = || stage.actogram().handlers(router).publish_commands();

        // The bot works although publishing does not.
        let first = bot().start().await.unwrap();
        stage
            .until("the commands are set", |view| {
                view.sent().iter().any(|call| call.method == "setMyCommands")
            })
            .await;
        stage
            .until("hello is answered", |view| {
                view.texts_to(ann.chat_id()).len() == 1
            })
            .await;
        assert!(first.shutdown().await.unwrap().is_clean());
        // The same list once more: it is looked up, and nothing is to be done.
        stage
            .bot
            .fault(Fault::DelayProcessing(Duration::from_millis(1)).on("getMyCommands"));
        let second = bot().start().await.unwrap();
        stage
            .until("the list is looked up", |view| view.faults_left() == 0)
            .await;
        ann.say("again");
        stage
            .until("that is answered", |view| view.texts_to(ann.chat_id()).len() == 2)
            .await;
        assert!(second.shutdown().await.unwrap().is_clean());

        assert_eq!(
            lists(&stage),
            [json!([{"command": "start", "description": "Begins"}])]
        );
    });
}

#[test]
fn commands_are_left_alone_unless_the_bot_is_told_to_publish_them() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("hello");
        let bot = stage
            .actogram()
            .handlers(|| Router::new().command(("start", "Begins"), nothing).text(echo))
            .start()
            .await
            .unwrap();
        until_snapshot(&bot, "hello is answered", |snapshot| {
            snapshot.engine.totals.done == 1
        })
        .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert!(lists(&stage).is_empty());
    });
}

#[test]
fn a_list_the_server_refuses_does_no_harm() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        stage.bot.fault(
            Fault::Error {
                code: 400,
                description: "Bad Request: BOT_COMMAND_INVALID".to_owned(),
            }
            .on("setMyCommands"),
        );
        let bot = stage
            .actogram()
            .handlers(|| Router::new().command(("start", "Begins"), nothing).text(echo))
            .publish_commands()
            .start()
            .await
            .unwrap();
        stage.until("it is refused", |view| view.faults_left() == 0).await;

        ann.say("hello");
        until_snapshot(&bot, "hello is answered", |snapshot| {
            snapshot.engine.totals.done == 1
        })
        .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Notes the arguments of a command.
async fn note(seen: Data<Log<String>>, Command(arguments): Command<String>) {
    seen.add(arguments);
}

/// Returns a factory of routers for `/note`, which notes down its arguments.
fn noting(seen: &Log<String>) -> impl Fn() -> Router + Clone + Send + 'static + use<> {
    let seen = Data::new(seen.clone());
    move || Router::new().app_data(seen.clone()).command("note", note)
}

#[test]
fn the_name_of_the_bot_is_asked_for_once_for_all_workers() {
    on_actix(async {
        let stage = Stage::lenient();
        let seen = Log::new();
        // Whoever asks besides the first one strikes the second fault.
        stage
            .bot
            .fault(Fault::DelayProcessing(Duration::from_millis(100)).on("getMe"));
        stage.bot.fault(Fault::GatewayHtml(502).on("getMe"));
        for n in 0..8 {
            let user = stage.bot.user("Somebody");
            user.say(&format!("/note@{} {n}", stage.bot.username().to_uppercase()));
            user.say(&format!("/note@some_other_bot {n}"));
        }
        let bot = stage.actogram().handlers(noting(&seen)).start().await.unwrap();

        let snapshot =
            until_snapshot(&bot, "all are done", |snapshot| snapshot.engine.totals.done == 16).await;

        let mut noted = seen.all();
        noted.sort();
        assert_eq!(noted, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(snapshot.unrouted, 8, "commands of another bot are none of ours");
        assert_eq!(stage.bot.faults_left(), 1);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_command_waits_for_the_name_of_the_bot_and_others_do_not() {
    on_actix(async {
        let stage = Stage::lenient();
        let seen = Log::new();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        stage.bot.fault(Fault::GatewayHtml(502).on("getMe"));
        ann.say(&format!("/note@{} ann", stage.bot.username()));
        bob.say("/note bob");
        let bot = stage
            .actogram()
            .handlers(noting(&seen))
            .retry(RetryPolicy::new([Duration::from_millis(20)]))
            .start()
            .await
            .unwrap();

        let snapshot =
            until_snapshot(&bot, "both are done", |snapshot| snapshot.engine.totals.done == 2).await;

        let mut noted = seen.all();
        noted.sort();
        assert_eq!(noted, ["ann", "bob"]);
        assert_eq!((snapshot.unrouted, snapshot.engine.totals.dead), (0, 0));
        assert_eq!(stage.bot.faults_left(), 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn wrong_arguments_are_answered_and_the_update_is_handled() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say_all(["/add 1", "/add 1 2", "/none"]);
        let dead = Log::new();
        let bot = stage
            .actogram()
            .handlers(|| {
                Router::new()
                    .command("add", |Command((a, b)): Command<(u8, u8)>| async move {
                        (a + b).to_string()
                    })
                    .command("none", || async {
                        Err::<(), _>(HandlerError::reply("there is none"))
                    })
            })
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        until_snapshot(&bot, "all are done", |snapshot| snapshot.engine.totals.done == 3).await;

        assert_eq!(
            ann.heard(),
            ["an argument is missing\nusage: /add", "3", "there is none"]
        );
        assert_eq!(dead.len(), 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_panic_in_an_extractor_costs_only_its_update() {
    struct Fragile;

    impl FromUpdate for Fragile {
        async fn from_update(context: &Context) -> Result<Self, ExtractError> {
            assert_ne!(context.text(), Some("boom"), "as told");
            Ok(Self)
        }
    }

    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        ann.say_all(["one", "boom", "two"]);
        bob.say("three");
        let dead = Log::new();
        let bot = stage
            .actogram()
            .handlers(|| Router::new().text(|_: Fragile, Text(text): Text| async { text }))
            .retry(RetryPolicy::never())
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        until_snapshot(&bot, "all have ended", |snapshot| {
            (snapshot.engine.totals.done, snapshot.engine.totals.dead) == (3, 1)
        })
        .await;

        assert_eq!(ann.heard(), ["one", "two"]);
        assert_eq!(bob.heard(), ["three"]);
        assert!(dead.all()[0].error.contains("as told"), "{}", dead.all()[0].error);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn what_cannot_be_decoded_goes_to_a_raw_handler_or_becomes_a_dead_letter() {
    on_actix(async {
        let stage = Stage::lenient();
        let raw = Log::<String>::new();
        let dead = Log::new();
        let factory = {
            let raw = Data::new(raw.clone());
            move || {
                let take = |log: Data<Log<String>>, raw: Raw| async move {
                    log.add(raw.to_string());
                    "received"
                };
                let is_for_raw = |ctx: &Context| ctx.raw().contains("for raw");
                Router::new()
                    .app_data(raw.clone())
                    .scope(Router::new().guard(is_for_raw).text(nothing).raw(take))
                    .text(echo)
            }
        };
        let ann = stage.bot.user("Ann");
        let chat = json!({"id": ann.chat_id(), "type": "galaxy"});
        let message = |text| json!({"message_id": 1, "date": 1, "chat": chat, "text": text});
        stage
            .bot
            .push_kind("telepathy", &json!({"thought": "one for raw", "chat": chat}));
        stage.bot.push_kind("message", &message("two for raw"));
        stage.bot.push_kind("message", &message("for the text handler"));
        let bot = stage
            .actogram()
            .handlers(factory)
            .on_error(collecting(&dead))
            .retry(RetryPolicy::never())
            .start()
            .await
            .unwrap();

        until_snapshot(&bot, "all have ended", |snapshot| {
            snapshot.engine.totals.done + snapshot.engine.totals.dead == 3
        })
        .await;

        let (raw, dead) = (raw.all(), dead.all());
        assert!(
            raw.len() == 2 && raw[0].contains("one") && raw[1].contains("two"),
            "{raw:?}"
        );
        assert_eq!(ann.heard(), ["received", "received"]);
        assert_eq!(dead.len(), 1);
        assert!(dead[0].update.raw().contains("for the text handler"));
        assert!(dead[0].error.contains("typed model"), "{}", dead[0].error);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn what_nobody_takes_is_counted_and_done() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say_all(["one", "/start", "two"]);
        let bot = stage
            .actogram()
            .handlers(|| Router::new().command("start", nothing))
            .start()
            .await
            .unwrap();

        let snapshot =
            until_snapshot(&bot, "all are done", |snapshot| snapshot.engine.totals.done == 3).await;

        assert_eq!((snapshot.unrouted, snapshot.engine.totals.dead), (2, 0));
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
