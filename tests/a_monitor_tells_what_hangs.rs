//! A bot that answers as if it were well, and does nothing, is not alive: the process should be restarted.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_web::http::StatusCode;
use actogram::{Context, HandlerResult, monitor::scope};
use serde_json::json;
use support::{Gate, Stage, on_actix, sharing, until, until_blocking, until_snapshot};
use watched::{Watched, client};

/// Blocks the thread until the sender is dropped.
async fn block(until: Arc<Mutex<mpsc::Receiver<()>>>, _: Context) -> HandlerResult {
    let _ = until.lock().unwrap().recv();
    Ok(())
}

#[test]
fn a_bot_whose_handlers_block_all_its_threads_for_too_long_is_not_alive() {
    on_actix(async {
        let stage = Stage::lenient();
        let (release, blocked) = mpsc::channel();
        let bot = stage
            .actogram()
            .handlers(sharing(Arc::new(Mutex::new(blocked)), block))
            .start()
            .await
            .unwrap();
        let strict = bot.clone();
        let strict = Watched::start(move || scope("/bot", strict.clone()).max_block(Duration::from_secs(2)));
        let patient = Watched::of(&bot);
        for name in ["Ann", "Bob"] {
            stage.bot.user(name).say("hello");
        }
        until_snapshot(&bot, "both threads are blocked", |snapshot| {
            snapshot.engine.running == 2
        })
        .await;

        let said = strict
            .until("/healthz", "it is not alive", |said| {
                said.status == StatusCode::SERVICE_UNAVAILABLE
            })
            .await;

        assert_eq!(said.json()["reason"]["code"], "workers_silent");
        assert_eq!(
            patient.get("/healthz").await.status,
            StatusCode::OK,
            "not for long enough"
        );
        let bot_id = bot.api().bot_id();
        let silent = patient.metrics().await[&format!("actogram_workers_silent_seconds{{bot=\"{bot_id}\"}}")];
        assert!(silent >= 2.0, "{silent}");
        drop(release);
        strict
            .until("/healthz", "it is alive again", |said| {
                said.status == StatusCode::OK
            })
            .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        strict.stop().await;
        patient.stop().await;
    });
}

#[test]
fn a_bot_whose_thread_ends_while_it_stops_is_lost() {
    let (stage, gate) = (Stage::lenient(), Gate::closed());
    stage.bot.user("Ann").say("hello");
    let bot = stage
        .actogram()
        .handlers(sharing(gate, |gate: Gate, _: Context| async move {
            gate.pass().await;
        }));
    let bot = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let bot = bot.start().await.unwrap();
            until_snapshot(&bot, "it is handled", |snapshot| snapshot.engine.running == 1).await;
            bot.request_shutdown();
            until("it stops", || bot.is_stopping()).await;
            bot
        })
    })
    .join()
    .unwrap();

    on_actix(async {
        let watched = Watched::of(&bot);
        let health = watched.get("/healthz").await;
        assert_eq!(
            (health.status, &health.json()["reason"]["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("lost"))
        );
        let mut events = client()
            .get(format!("{}/events", watched.url))
            .send()
            .await
            .unwrap();
        let events = events.body().limit(1 << 20).await.unwrap();
        assert!(std::str::from_utf8(&events).unwrap().contains("event: end"));
        watched.stop().await;
    });
}

/// Returns the answer to a request, without the thread of the test giving time to anybody.
fn ask_blocking(watched: &Watched, path: &str) -> String {
    let mut connection = TcpStream::connect(watched.address()).unwrap();
    let request = format!("GET /bot{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_bot_that_hangs_while_it_stops_is_not_alive_once_it_should_have_stopped() {
    on_actix(async {
        let (stage, gate) = (Stage::lenient(), Gate::closed());
        stage.bot.user("Ann").say("hello");
        let bot = stage
            .actogram()
            .drain_deadline(Duration::from_secs(1))
            .handlers(sharing(gate.clone(), |gate: Gate, _: Context| async move {
                gate.pass().await;
            }))
            .start()
            .await
            .unwrap();
        until_snapshot(&bot, "it is handled", |snapshot| snapshot.engine.running == 1).await;
        let watched = Watched::of(&bot);
        assert_eq!(watched.get("/healthz").await.status, StatusCode::OK);
        let stopping = bot.shutdown();
        until("it stops", || bot.is_stopping()).await;

        // This is the thread of the bot.
        assert!(ask_blocking(&watched, "/healthz").starts_with("HTTP/1.1 200"));
        let mut last = String::new();
        until_blocking("it is not alive", || {
            last = ask_blocking(&watched, "/healthz");
            last.starts_with("HTTP/1.1 503")
        });

        assert!(last.contains(r#""code":"silent""#), "{last}");
        gate.open();
        stopping.await.unwrap();
        assert_eq!(watched.get("/healthz").await.status, StatusCode::OK);
        watched.stop().await;
    });
}
