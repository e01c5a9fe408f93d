//! `register(..)`: the server learns of the webhook, whatever happens at first, and keeps it when the bot stops.

#![allow(clippy::unwrap_used, reason = "test code")]

mod scripted_server;
mod support;
mod webhook_poster;

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use actogram::{
    Bot, BotHandle, Context, Error, Webhook, WebhookError, WebhookRegistration, WebhookRoute, api::Server,
    update::UpdateKind,
};
use scripted_server::{Reply, ScriptedServer, error, ok, raw};
use support::{Gate, Log, Stage, on_actix, sharing, until_blocking, until_snapshot};
use webhook_poster::{
    SECRET, text_update,
    wire::{Wire, post},
};

const URL: &str = "https://bots.example.org/telegram";

async fn ignore(_: Context) {}

fn webhook() -> Webhook {
    Webhook::new(SECRET).register(URL)
}

async fn start(bot: Bot, webhook: Webhook) -> Result<(BotHandle, WebhookRoute), Error> {
    bot.handlers(|| ignore).start_webhook(webhook).await
}

async fn registration(bot: &BotHandle) -> WebhookRegistration {
    bot.snapshot().await.unwrap().webhook.unwrap().registration
}

fn scripted(server: &ScriptedServer) -> Bot {
    Bot::new(format!("123456:{}", scripted_server::SECRET))
        .server(Server::parse(&format!("http://{}", server.address())).unwrap())
        .direct()
}

#[test]
fn the_call_carries_the_address_the_secret_and_what_was_set() {
    on_actix(async {
        let server = ScriptedServer::start(|request| match request.method.as_str() {
            "getwebhookinfo" => ok(r#"{"url":"","has_custom_certificate":false,"pending_update_count":3}"#),
            _ => ok("true"),
        });
        let bot = scripted(&server).allowed_updates([UpdateKind::Message, UpdateKind::CallbackQuery]);
        let webhook = webhook()
            .max_connections(80)
            .ip_address(Ipv4Addr::new(203, 0, 113, 9).into());

        let (bot, _route) = start(bot, webhook).await.unwrap();

        assert_eq!(registration(&bot).await, WebhookRegistration::Registered);
        assert!(bot.shutdown().await.unwrap().is_clean());
        let requests = server.requests();
        let methods: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(
            methods,
            ["getwebhookinfo", "setwebhook"],
            "and stopping calls nothing"
        );
        let params: serde_json::Value = serde_json::from_slice(&requests[1].body).unwrap();
        assert_eq!(
            params,
            serde_json::json!({
                "url": URL,
                "secret_token": SECRET,
                "max_connections": 80,
                "ip_address": "203.0.113.9",
                "allowed_updates": ["message", "callback_query"],
            }),
            "nothing is dropped, nothing is sent that was not set"
        );
    });
}

#[test]
fn what_was_not_set_is_not_sent() {
    on_actix(async {
        let server = ScriptedServer::start(|_| ok("true"));

        let (bot, _route) = start(scripted(&server), webhook()).await.unwrap();

        assert!(bot.shutdown().await.unwrap().is_clean());
        let params: serde_json::Value = serde_json::from_slice(&server.requests()[1].body).unwrap();
        assert_eq!(params, serde_json::json!({"url": URL, "secret_token": SECRET}));
    });
}

#[test]
fn without_register_the_server_is_told_nothing() {
    on_actix(async {
        let server = ScriptedServer::start(|_| ok("true"));

        let (bot, _route) = start(scripted(&server), Webhook::new(SECRET)).await.unwrap();

        assert_eq!(registration(&bot).await, WebhookRegistration::NotAsked);
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(server.requests().len(), 0);
    });
}

#[test]
fn a_webhook_is_set_again_and_nothing_is_dropped_and_it_outlives_the_bot() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.bot.user("Ann").say("hello");
        for _ in 0..2 {
            // The server takes one call per second.
            let (bot, _route) = start(stage.actogram(), webhook()).await.unwrap();
            until_snapshot(&bot, "it is set", |snapshot| {
                snapshot.webhook.as_ref().unwrap().registration == WebhookRegistration::Registered
            })
            .await;
            let info = bot.api().get_webhook_info().await.unwrap();
            assert_eq!(info.url, URL);
            assert_eq!(info.pending_update_count, 1);
            assert!(bot.shutdown().await.unwrap().is_clean());
            assert_eq!(
                bot.api().get_webhook_info().await.unwrap().url,
                URL,
                "it stays set"
            );
        }
    });
}

#[test]
fn a_certificate_is_uploaded() {
    on_actix(async {
        let stage = Stage::lenient();
        let mut certificate = tempfile::NamedTempFile::new().unwrap();
        certificate.write_all(b"-----BEGIN CERTIFICATE-----").unwrap();

        let (bot, _route) = start(stage.actogram(), webhook().certificate(certificate.path()))
            .await
            .unwrap();

        let info = bot.api().get_webhook_info().await.unwrap();
        assert!(info.has_custom_certificate);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn what_passes_by_itself_is_repeated() {
    on_actix(async {
        let server = ScriptedServer::start({
            let calls = std::sync::atomic::AtomicUsize::new(0);
            move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => raw("502 Bad Gateway", "<html>"),
                2 => error(409, "Conflict: terminated by other setWebhook"),
                4 => raw("500 Internal Server Error", ""),
                _ => ok("true"),
            }
        });

        let (bot, _route) = start(scripted(&server), webhook()).await.unwrap();

        until_snapshot(&bot, "it is set", |snapshot| {
            snapshot.webhook.as_ref().unwrap().registration == WebhookRegistration::Registered
        })
        .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Nothing is left behind: the journal can be opened again at once.
#[test]
fn a_refusal_says_what_the_server_said_and_stops_the_bot() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let bot = || stage.actogram().journal(folder.path().join("bot.db"));
        let plain = Webhook::new(SECRET).register("http://bots.example.org/telegram");

        let error = start(bot(), plain).await.unwrap_err();

        assert!(
            matches!(error, Error::Webhook(WebhookError::Refused(_))),
            "{error:?}"
        );
        let shown = format!("{error:?}");
        assert!(
            shown.contains("register(..)") && shown.contains("An HTTPS URL must be provided"),
            "{shown}"
        );
        let (bot, _route) = start(bot(), webhook()).await.unwrap();
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_certificate_that_cannot_be_read_is_an_error_before_anything_is_started() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let (journal, missing) = (folder.path().join("bot.db"), folder.path().join("missing.pem"));
        let bot = || stage.actogram().journal(&journal);

        let error = start(bot(), webhook().certificate(&missing)).await.unwrap_err();

        let shown = error.to_string();
        assert!(
            matches!(error, Error::Webhook(WebhookError::CertificateFile { .. })),
            "{error:?}"
        );
        assert!(
            shown.contains("missing.pem") && shown.contains("certificate(..)"),
            "{shown}"
        );
        assert!(!journal.exists());
    });
}

/// Its host has given up waiting, so there is nobody who could mount the route or stop the bot.
#[test]
fn a_start_that_nobody_waits_for_any_more_sets_nothing_and_leaves_nothing_behind() {
    on_actix(async {
        let (answer, held) = mpsc::channel();
        let held = Arc::new(Mutex::new(held));
        let server = ScriptedServer::start(move |request| match request.method.as_str() {
            "getwebhookinfo" => Reply::Gate(Arc::clone(&held), 200, r#"{"ok":true,"result":{}}"#.to_owned()),
            _ => ok("true"),
        });
        let folder = tempfile::tempdir().unwrap();
        let bot = || scripted(&server).journal(folder.path().join("bot.db"));
        let starting = actix_rt::spawn(start(bot(), webhook()));
        support::until("it asks", || !server.requests().is_empty()).await;

        starting.abort();
        assert!(starting.await.unwrap_err().is_cancelled());

        let begun = std::time::Instant::now();
        let (next, _route) = loop {
            match start(bot(), Webhook::new(SECRET)).await {
                Ok(started) => break started,
                Err(error) => assert!(begun.elapsed() < scripted_server::LONG, "{error}"),
            }
        };
        drop(answer);
        next.api()
            .call_raw("getMe", &serde_json::Value::Null, None)
            .await
            .unwrap();
        assert!(next.shutdown().await.unwrap().is_clean());
        let requests = server.requests();
        let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(methods, ["getwebhookinfo", "getme"]);
    });
}

/// It could overwrite what the next process has set meanwhile.
#[test]
fn a_stop_sets_nothing_any_more_although_it_drains() {
    let (answer, held) = mpsc::channel();
    let held = Arc::new(Mutex::new(held));
    let server = ScriptedServer::start(move |request| match request.method.as_str() {
        "getwebhookinfo" => Reply::Gate(Arc::clone(&held), 200, r#"{"ok":true,"result":{}}"#.to_owned()),
        _ => ok("true"),
    });
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (begun, gate) = (Log::new(), Gate::closed());
    let bot = scripted(&server).handlers(sharing(
        (begun.clone(), gate.clone()),
        |(begun, gate): (Log<i64>, Gate), ctx: Context| async move {
            begun.add(ctx.update().id());
            if ctx.update().id() == 1 {
                ctx.bot().unwrap().request_shutdown();
                gate.pass().await;
            }
        },
    ));
    let running = thread::spawn(move || on_actix(bot.run_webhook(webhook(), address)).unwrap());
    until_blocking("it listens", || TcpStream::connect(address).is_ok());
    until_blocking("it asks", || !server.requests().is_empty());
    let send = move |id| {
        Wire::once(
            address,
            &post("/telegram", SECRET, text_update(id, id, "").as_bytes()),
        )
    };
    let first = thread::spawn(move || send(1));
    until_blocking("the handler runs", || begun.len() > 0);
    let mut ids = 2..;
    until_blocking("it drains", || send(ids.next().unwrap()).status == 503);

    answer.send(()).unwrap();
    // Time for a call that must not come.
    for id in ids.take(50) {
        assert_eq!(send(id).status, 503);
    }
    gate.open();

    assert_eq!(first.join().unwrap().status, 200);
    assert!(running.join().unwrap().is_clean());
    let requests = server.requests();
    let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    assert!(!methods.contains(&"setwebhook"), "{methods:?}");
}

#[test]
fn a_wrong_setting_is_reported_before_anything_is_started() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let journal = folder.path().join("bot.db");
        for (webhook, text) in [
            (Webhook::new("short"), "16"),
            (Webhook::new("has.dots.has.dots.has"), "A-Z"),
            (Webhook::new(SECRET).path("no-slash"), "path"),
            (
                Webhook::new(SECRET).only_from_telegram_by_header("bad header"),
                "header",
            ),
        ] {
            let bot = stage.actogram().journal(&journal);
            let error = start(bot, webhook).await.unwrap_err();
            let shown = format!("{error:?}");
            assert!(
                matches!(error, Error::Config(_)) && shown.contains(text),
                "{shown}"
            );
        }
        assert!(!Path::new(&journal).exists());
    });
}
