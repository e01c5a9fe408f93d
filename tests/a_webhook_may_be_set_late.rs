//! A webhook whose fate at the server is open when starting has waited long enough: the bot runs, and tries on.

#![allow(clippy::unwrap_used, reason = "test code")]

mod scripted_server;
mod support;
mod webhook_poster;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use actogram::{Bot, BotHandle, Context, Error, Webhook, WebhookRegistration, WebhookRoute, api::Server};
use scripted_server::{HandTurnedClock, Reply, ScriptedServer, error, flood_wait, ok, raw};
use support::{Gate, on_actix, sharing};
use webhook_poster::{
    SECRET,
    host::{Host, mounting},
    text_update,
    wire::{Wire, post},
};

const URL: &str = "https://bots.example.org/telegram";

/// How long starting waits for the webhook.
const PATIENCE: Duration = Duration::from_secs(10);

/// Timers go by whole ones.
const MOMENT: Duration = Duration::from_millis(1);

fn webhook() -> Webhook {
    Webhook::new(SECRET).path("/telegram").register(URL)
}

async fn start(bot: Bot) -> Result<(BotHandle, WebhookRoute), Error> {
    bot.handlers(|| async |_: Context| {})
        .start_webhook(webhook())
        .await
}

async fn registration(bot: &BotHandle) -> WebhookRegistration {
    bot.snapshot().await.unwrap().webhook.unwrap().registration
}

fn scripted(server: &ScriptedServer) -> Bot {
    Bot::new(format!("123456:{}", scripted_server::SECRET))
        .server(Server::parse(&format!("http://{}", server.address())).unwrap())
        .direct()
}

/// Returns a server whose first answer to `setWebhook` waits until the sender is used or dropped.
fn hesitating(answer: Reply) -> (ScriptedServer, mpsc::Sender<()>) {
    let Reply::Json(status, body) = answer else {
        panic!("only JSON can be held back")
    };
    let (decide, gate) = mpsc::channel();
    let (gate, first) = (Arc::new(Mutex::new(gate)), AtomicBool::new(true));
    let server = ScriptedServer::start(move |request| {
        if request.method == "setwebhook" && first.swap(false, Ordering::SeqCst) {
            Reply::Gate(Arc::clone(&gate), status, body.clone())
        } else {
            ok("true")
        }
    });
    (server, decide)
}

fn tries(server: &ScriptedServer) -> usize {
    let requests = server.requests();
    let asked = requests
        .iter()
        .filter(|request| request.method == "getwebhookinfo");
    asked.count()
}

/// Starts a bot while `setWebhook` is not answered, which takes as long as starting waits for it.
async fn start_undecided(server: &ScriptedServer, bot: Bot, clock: &HandTurnedClock) -> BotHandle {
    let starting = actix_rt::spawn(start(bot));
    scripted_server::until("it is called", || server.requests().len() == 2).await;
    clock.turn(PATIENCE + MOMENT).await;
    let (bot, _route) = starting.await.unwrap().unwrap();
    assert_eq!(
        registration(&bot).await,
        WebhookRegistration::Pending { last_error: None }
    );
    bot
}

/// Waits by the clock on the wall until the registration is as it should be, and returns it.
async fn until_registration(
    bot: &BotHandle,
    what: &str,
    holds: impl Fn(&WebhookRegistration) -> bool,
) -> WebhookRegistration {
    let begun = Instant::now();
    loop {
        let registration = registration(bot).await;
        if holds(&registration) {
            return registration;
        }
        assert!(
            begun.elapsed() < scripted_server::LONG,
            "waited too long until {what}: {registration:?}"
        );
        tokio::task::yield_now().await;
    }
}

async fn decided(bot: &BotHandle) -> WebhookRegistration {
    let pending = WebhookRegistration::Pending { last_error: None };
    until_registration(bot, "there is an answer", |registration| *registration != pending).await
}

async fn until_set(bot: &BotHandle) {
    until_registration(bot, "it is set", |registration| {
        *registration == WebhookRegistration::Registered
    })
    .await;
}

/// Lets everything happen that can happen at this moment.
async fn settle(bot: &BotHandle) {
    bot.api()
        .call_raw("getMe", &serde_json::json!({}), None)
        .await
        .unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Starts a bot whose first `setWebhook` gets this answer when starting has waited long enough, and checks that it is tried
/// again after the pause, and works then. Returns what the bot told in between.
async fn is_set_after(pause: Duration, answer: Reply) -> WebhookRegistration {
    let clock = HandTurnedClock::stop();
    let (server, decide) = hesitating(answer);
    let bot = start_undecided(&server, scripted(&server), &clock).await;
    decide.send(()).unwrap();
    let told = decided(&bot).await;
    assert!(!bot.is_stopping());

    clock.turn(pause - MOMENT).await;
    settle(&bot).await;
    assert_eq!(tries(&server), 1, "a moment too early");
    clock.turn(2 * MOMENT).await;
    until_set(&bot).await;

    assert_eq!(tries(&server), 2);
    assert!(bot.shutdown().await.unwrap().is_clean());
    told
}

#[test]
fn a_wait_that_the_server_asks_for_is_waited_to_the_moment() {
    on_actix(async {
        // Longer than calls wait by themselves.
        let told = is_set_after(Duration::from_secs(100), flood_wait(100)).await;

        let WebhookRegistration::Pending { last_error } = told else {
            panic!("it was told to wait")
        };
        assert!(last_error.unwrap().contains("flood control"));
    });
}

/// Whoever started the bot has gone on, so it stays: for the routes of its host, and for what is in its journal. Some
/// refusals pass by themselves.
#[test]
fn a_refusal_after_the_start_is_told_and_repeated_once_a_minute() {
    on_actix(async {
        let refusal = error(400, "Bad Request: bad webhook: Failed to resolve host");

        let told = is_set_after(Duration::from_secs(60), refusal).await;

        let WebhookRegistration::Refused { reason } = told else {
            panic!("it was refused")
        };
        assert!(reason.contains("Failed to resolve host"), "{reason}");
    });
}

#[test]
fn nothing_is_tried_any_more_after_a_stop() {
    on_actix(async {
        let clock = HandTurnedClock::stop();
        let (server, decide) = hesitating(error(502, "Bad Gateway"));
        let bot = start_undecided(&server, scripted(&server), &clock).await;

        assert!(bot.shutdown().await.unwrap().is_clean(), "during the call");

        drop(decide);
        for _ in 0..10 {
            clock.turn(PATIENCE).await;
            settle(&bot).await;
        }
        assert_eq!(tries(&server), 1);
    });
}

#[test]
fn stopping_does_not_wait_for_a_webhook_that_cannot_be_set() {
    on_actix(async {
        let clock = HandTurnedClock::stop();
        let server = ScriptedServer::start(|_| raw("502 Bad Gateway", "<html>"));
        let starting = actix_rt::spawn(start(scripted(&server)));
        scripted_server::until("it tries", || !server.requests().is_empty()).await;
        clock.turn(PATIENCE + MOMENT).await;

        let (bot, _route) = starting.await.unwrap().unwrap();

        // The call is repeated quickly before it has failed.
        let begun = Instant::now();
        while registration(&bot).await == (WebhookRegistration::Pending { last_error: None }) {
            assert!(begun.elapsed() < scripted_server::LONG, "it tries for too long");
            clock.turn(10 * MOMENT).await;
        }
        let WebhookRegistration::Pending { last_error } = registration(&bot).await else {
            panic!("it cannot be set")
        };
        assert!(last_error.unwrap().contains("getWebhookInfo"));
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_stop_during_the_start_ends_the_wait_for_the_webhook() {
    on_actix(async {
        let (server, _undecided) = hesitating(ok("true"));
        let folder = tempfile::tempdir().unwrap();
        let bot = || scripted(&server).journal(folder.path().join("bot.db"));
        leave_an_update(bot()).await;
        let (_clock, gate) = (HandTurnedClock::stop(), Gate::closed());
        let stopped_by_its_handler =
            bot().handlers(sharing(gate.clone(), |gate: Gate, ctx: Context| async move {
                gate.pass().await;
                ctx.bot().unwrap().request_shutdown();
            }));
        let starting = actix_rt::spawn(stopped_by_its_handler.start_webhook(webhook()));
        scripted_server::until("it is called", || server.requests().len() == 2).await;

        gate.open();
        let (bot, _route) = starting.await.unwrap().unwrap();

        assert!(bot.wait().await.unwrap().is_clean());
        assert_eq!(tries(&server), 1, "no time has passed, and nothing was answered");
    });
}

/// Puts an update into the journal of a bot whose handler does not end.
async fn leave_an_update(bot: Bot) {
    let (bot, route) = bot
        .handlers(|| async |_: Context| std::future::pending::<()>().await)
        .start_webhook(Webhook::new(SECRET).path("/telegram"))
        .await
        .unwrap();
    let host = Host::start(mounting(route));
    let address = host.address;
    let posted = tokio::task::spawn_blocking(move || {
        let update = text_update(1, 7, "stop");
        Wire::once(address, &post("/telegram", SECRET, update.as_bytes()))
    });
    assert_eq!(posted.await.unwrap().status, 200);
    bot.shutdown_now().await.unwrap();
    tokio::task::spawn_blocking(move || host.stop()).await.unwrap();
}

#[test]
fn a_server_that_does_not_answer_delays_the_start_and_does_not_hinder_it() {
    on_actix(async {
        let clock = HandTurnedClock::stop();
        let (server, _undecided) = hesitating(ok("true"));
        let bot = scripted(&server).api_config(|api| api.timeout(Duration::from_secs(12)));

        let bot = start_undecided(&server, bot, &clock).await;

        clock.turn(Duration::from_secs(2)).await;
        assert!(matches!(
            decided(&bot).await,
            WebhookRegistration::Pending { last_error: Some(_) }
        ));
        clock.turn(Duration::from_secs(1)).await;
        until_set(&bot).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
