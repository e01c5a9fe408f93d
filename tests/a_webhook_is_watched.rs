//! A bot with a webhook is watched like one that polls: ready before anybody posts, with its posts and refusals counted.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;
mod webhook_poster;

use std::time::{Duration, Instant};

use actogram::{BotHandle, Context, HandlerError, HandlerResult, Webhook, monitor::scope};
use serde_json::json;
use support::{Stage, on_actix, until_blocking};
use tempfile::TempDir;
use watched::Watched;
use webhook_poster::{
    SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Answer, Wire, post, request},
};

#[test]
fn a_webhook_is_ready_before_the_first_post_and_its_requests_are_counted() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let (bot, route) = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .handlers(|| |_: Context| async {})
            .spawn_webhook(Webhook::new(SECRET))
            .unwrap();
        let host = Host::start(mounting(route));
        let watched = Watched::of(&bot);

        let ready = watched.get("/readyz").await;
        assert_eq!(ready.json(), json!({ "ready": true, "reasons": [] }));

        let update = text_update(1, 7, "hello");
        for (secret, status) in [(SECRET, 200), (SECRET, 200), ("another-secret-of-length", 403)] {
            let answer = Wire::once(host.address, &post("/telegram", secret, update.as_bytes()));
            assert_eq!(answer.status, status);
        }

        let counted = watched
            .until("/status", "all three requests", |said| {
                said.json()["intake"]["webhook_refused"]["wrong_secret"] == 1
            })
            .await
            .json();
        assert_eq!(counted["intake"]["by_webhook"], true);
        assert_eq!(counted["intake"]["received"], 2);
        assert!(counted["intake"]["heard_age"].is_number());
        assert_eq!(counted["journal"]["journaled"], 1);
        assert_eq!(counted["journal"]["duplicates"], 1);
        let metrics = watched.get("/metrics").await.text;
        for line in [
            r#"reason="wrong_secret"} 1"#,
            "actogram_webhook_age_seconds{",
            r#"actogram_api_calls_unfinished{"#,
        ] {
            assert!(metrics.contains(line), "{line} is missing in {metrics}");
        }
        assert!(!metrics.contains("actogram_poll_age_seconds{"), "{metrics}");

        // It waits with a runtime of its own.
        std::thread::spawn(|| host.stop()).join().unwrap();
        assert!(bot.shutdown().await.unwrap().is_clean());
        watched.stop().await;
    });
}

/// A host with the monitor of a bot that has one dead letter, and what a client writes to it byte by byte.
struct Scene {
    stage: Stage,
    bot: BotHandle,
    host: Host,
    _folder: TempDir,
}

impl Scene {
    fn start() -> Self {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        stage.bot.user("Ann").say("hello");
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .handlers(|| |_: Context| async { HandlerResult::Err(HandlerError::give_up("it is bad")) })
            .spawn()
            .unwrap();
        let monitored = bot.clone();
        let host = Host::start(move |config| {
            config.service(scope("/bot", monitored.clone()));
        });
        let scene = Self {
            stage,
            bot,
            host,
            _folder: folder,
        };
        until_blocking("it is given up", || scene.dead_letters() == 1);
        scene
    }

    fn dead_letters(&self) -> u64 {
        wait_blocking(self.bot.journal_stats()).unwrap().dead_letters
    }

    fn send(&self, request: &[u8]) -> Answer {
        Wire::once(self.host.address, request)
    }

    fn end(self) {
        assert!(wait_blocking(self.bot.shutdown()).unwrap().is_clean());
        self.host.stop();
        assert_eq!(self.stage.bot.pending().len(), 0);
    }
}

#[test]
fn paths_that_try_to_get_out_or_to_get_around_lead_nowhere() {
    let scene = Scene::start();
    let far = format!("/bot/dead/{}", "9".repeat(60_000));

    for (path, expected) in [
        ("/bot/dead", 200),
        ("/bot/dead/1", 200),
        ("/bot/dead/%31", 200),
        ("/bot/dead/", 404),
        ("/bot//dead", 404),
        ("//bot/dead", 404),
        ("/bot/./dead", 404),
        ("/bot/dead/../status", 404),
        ("/bot/dead/%2e%2e/status", 404),
        ("/bot/dead%2f1", 404),
        ("/bot/dead/..%5c..%5cetc", 404),
        ("/bot/../../etc/passwd", 404),
        ("/bot/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/bot/dead/9223372036854775807", 404),
        ("/bot/dead/9223372036854775808", 404),
        ("/bot/dead/-9223372036854775809", 404),
        ("/bot/dead/1%00", 404),
        ("/bot/dead/%ff", 404),
        ("/bot/dead/1;drop", 404),
        ("/BOT/dead", 404),
        (far.as_str(), 404),
        ("/bot/dead?lane=%00", 200),
        ("/bot/dead?lane=%27%20OR%201=1", 200),
        ("/bot/dead?after=9223372036854775808", 400),
    ] {
        let answer = scene.send(&request("GET", path, &[], b""));
        assert_eq!(answer.status, expected, "{path:.60}");
        assert!(!answer.body.contains("root:"), "{path:.60}");
    }

    scene.end();
}

#[test]
fn requests_that_are_not_meant_or_not_the_owners_change_nothing() {
    let scene = Scene::start();
    let action = ("x-actogram", "1");
    let json = ("content-type", "application/json");
    let one = br#"{"ids":[1]}"#.as_slice();
    let deep = [br#"{"ids":"#.as_slice(), &[b'['; 60_000]].concat();
    let long = [br#"{"ids":["#.as_slice(), &[b' '; 10 << 20], b"1]}"].concat();
    let drop_all = |headers: &[(&str, &str)], body: &[u8]| request("POST", "/bot/dead/drop", headers, body);
    let hosted = |hosts: &str| {
        let text =
            format!("POST /bot/dead/1/drop HTTP/1.1\r\n{hosts}x-actogram: 1\r\ncontent-length: 0\r\n\r\n");
        text.into_bytes()
    };
    for (name, request, expected) in [
        ("no header", drop_all(&[json], one), 403),
        (
            "no json",
            drop_all(&[action, ("content-type", "text/plain")], one),
            400,
        ),
        ("no type", drop_all(&[action], one), 400),
        ("no text", drop_all(&[action, json], b"{\"ids\":[\xff]}"), 400),
        ("half", drop_all(&[action, json], br#"{"ids":[1"#), 400),
        ("deep", drop_all(&[action, json], &deep), 400),
        ("10 MB", drop_all(&[action, json], &long), 413),
        (
            "compressed",
            drop_all(&[action, json, ("content-encoding", "gzip")], &[0x1f, 0x8b, 8, 0]),
            400,
        ),
        ("a fraction", drop_all(&[action, json], br#"{"ids":[1.5]}"#), 400),
        ("another name", hosted("host: evil.example\r\n"), 403),
        (
            "a name like this machine's",
            hosted("host: localhost.evil.example\r\n"),
            403,
        ),
        (
            "two names",
            hosted("host: localhost\r\nhost: evil.example\r\n"),
            400,
        ),
        ("no name", hosted(""), 400),
        (
            "another name in the address",
            b"POST http://evil.example/bot/dead/1/drop HTTP/1.1\r\nhost: localhost\r\nx-actogram: 1\r\n\r\n"
                .to_vec(),
            403,
        ),
        (
            "a proxy",
            hosted("host: localhost\r\nforwarded: for=192.0.2.1\r\n"),
            403,
        ),
        (
            "HTTP/1.0, which a proxy may speak",
            b"POST /bot/dead/1/drop HTTP/1.0\r\nhost: localhost\r\nx-actogram: 1\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
            403,
        ),
        (
            "another method",
            request("DELETE", "/bot/dead/1", &[action], b""),
            405,
        ),
        (
            "a method of nobody's",
            request("BREW", "/bot/dead/1", &[action], b""),
            405,
        ),
        (
            "a method without the header",
            request("BREW", "/bot/dead/1", &[], b""),
            403,
        ),
    ] {
        let answer = scene.send(&request);
        assert_eq!(answer.status, expected, "{name}: {answer:?}");
    }

    assert_eq!(scene.dead_letters(), 1);
    let dropped = scene.send(&drop_all(&[action, json], one));
    assert_eq!(
        (dropped.status, scene.dead_letters()),
        (200, 0),
        "that is how it is done"
    );
    scene.end();
}

/// None of them reads any event, and neither the bot nor the host waits for them in the end.
#[test]
fn sixteen_pages_may_be_live_and_one_that_hangs_up_makes_room() {
    let scene = Scene::start();
    let mut idle: Vec<_> = (0..16)
        .map(|_| {
            let mut wire = Wire::open(scene.host.address).unwrap();
            wire.write(&request("GET", "/bot/events", &[], b"")).unwrap();
            wire
        })
        .collect();
    let taken: Vec<_> = idle.iter_mut().map(|wire| wire.read_status().unwrap()).collect();
    assert_eq!(taken, [200; 16]);
    let seventeenth = scene.send(&request("GET", "/bot/events", &[], b""));
    assert_eq!(
        (seventeenth.status, seventeenth.header("retry-after")),
        (503, Some("10"))
    );

    idle.truncate(8);
    until_blocking("there is room again", || {
        let mut one_more = Wire::open(scene.host.address).unwrap();
        one_more.write(&request("GET", "/bot/events", &[], b"")).unwrap();
        one_more.read_status().unwrap() == 200
    });
    let started = Instant::now();
    scene.end();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
