//! Health, readiness, numbers, state and events of a running bot, over HTTP.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actogram::{BotHandle, Context, HandlerError, HandlerResult, JournalConfig, RetryPolicy, monitor::scope};
use actogram_simulator::{Fault, Restart, View};
use serde_json::{Value, json};
use support::{Gate, Stage, on_actix, sharing, until, until_snapshot};
use tempfile::TempDir;
use watched::{Watched, client};

/// "bad …" is given up, "wait …" waits at the gate, "say …" is answered.
async fn obey(gate: Gate, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    match text.split(' ').next() {
        Some("bad") => return Err(HandlerError::give_up("it is bad")),
        Some("wait") => gate.pass().await,
        Some("say") => drop(ctx.reply(text).await?),
        _ => {}
    }
    Ok(())
}

struct Scene {
    stage: Stage,
    bot: BotHandle,
    gate: Gate,
    folder: TempDir,
    watched: Watched,
}

impl Scene {
    async fn start() -> Self {
        Self::start_on(Stage::lenient()).await
    }

    async fn start_on(stage: Stage) -> Self {
        Self::start_in(stage, tempfile::tempdir().unwrap()).await
    }

    async fn start_in(stage: Stage, folder: TempDir) -> Self {
        Self::start_with(stage, folder, |config| config).await
    }

    async fn start_with(
        stage: Stage,
        folder: TempDir,
        change: impl FnOnce(JournalConfig) -> JournalConfig,
    ) -> Self {
        let gate = Gate::closed();
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .journal_config(change)
            .retry(RetryPolicy::new([Duration::from_millis(5)]))
            .handlers(sharing(gate.clone(), obey))
            .start()
            .await
            .unwrap();
        let watched = Watched::of(&bot);
        Self {
            stage,
            bot,
            gate,
            folder,
            watched,
        }
    }

    /// Waits until `/readyz` gives exactly these reasons.
    async fn until_reasons(&self, codes: &[&str]) {
        let said = self
            .watched
            .until("/readyz", &format!("{codes:?}"), |said| {
                reasons(&said.json()) == codes
            })
            .await;
        assert_eq!(said.status.is_success(), codes.is_empty());
        assert_eq!(said.json()["ready"], codes.is_empty());
    }

    async fn end(self) {
        self.gate.open();
        assert!(self.bot.shutdown().await.unwrap().is_clean());
        self.watched.stop().await;
    }
}

fn reasons(answer: &Value) -> Vec<&str> {
    let reasons = answer["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_bot_is_ready_from_its_first_poll_to_its_stop() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.simulator.go_down();
        let scene = Scene::start_on(stage).await;

        scene.until_reasons(&["starting"]).await;
        let bot = format!("{{bot=\"{}\"}}", scene.bot.api().bot_id());
        let metrics = scene.watched.metrics().await;
        assert!(metrics[&format!("actogram_poll_overdue_seconds{bot}")] > 0.0);
        assert!(!metrics.contains_key(&format!("actogram_poll_age_seconds{bot}")));
        scene.stage.simulator.go_up();
        scene.until_reasons(&[]).await;
        scene.bot.pause().await.unwrap();
        scene.until_reasons(&["paused"]).await;
        let metrics = scene.watched.metrics().await;
        assert_eq!(metrics[&format!("actogram_poll_overdue_seconds{bot}")], 0.0);
        scene.bot.resume().await.unwrap();
        scene.until_reasons(&[]).await;
        scene.stage.bot.user("Ann").say("wait");
        scene
            .watched
            .until("/status", "it runs", |said| said.json()["work"]["running"] == 1)
            .await;
        let stopping = scene.bot.shutdown();
        until("it stops", || scene.bot.is_stopping()).await;
        // At once: what was known a moment ago does not count any more.
        assert_eq!(reasons(&scene.watched.get("/readyz").await.json()), ["stopping"]);
        let said = scene
            .watched
            .until("/readyz", "it says what is left", |said| said.json()["left"] == 1)
            .await;
        assert_eq!(reasons(&said.json()), ["stopping"]);
        assert_eq!(
            scene.watched.get("/healthz").await.json(),
            json!({ "healthy": true, "stage": "stopping" })
        );
        scene.gate.open();
        assert!(stopping.await.unwrap().is_clean());

        let ready = scene.watched.get("/readyz").await.json();
        assert_eq!((reasons(&ready), &ready["left"]), (vec!["stopped"], &Value::Null));
        let health = scene.watched.get("/healthz").await;
        assert_eq!(
            (health.status, health.json()["stage"].as_str()),
            (StatusCode::OK, Some("stopped"))
        );
        let metrics = scene.watched.metrics().await;
        assert_eq!(metrics[&format!("actogram_up{bot}")], 0.0);
        // It is closed, which is no failure.
        assert!(!metrics.contains_key(&format!("actogram_journal_writable{bot}")));
        scene.watched.stop().await;
    });
}

#[test]
fn a_quiet_bot_is_ready_before_a_long_poll_has_been_answered() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .poll_timeout(Duration::from_secs(50))
            .handlers(|| async |_: Context| {})
            .start()
            .await
            .unwrap();
        let watched = Watched::of(&bot);

        watched
            .until("/readyz", "it is ready", |said| said.status == StatusCode::OK)
            .await;

        let polls = stage.bot.polls();
        assert!(polls[0].answered_at.is_some());
        assert!(
            polls[1..].iter().all(|poll| poll.answered_at.is_none()),
            "{polls:?}"
        );
        assert!(bot.shutdown().await.unwrap().is_clean());
        watched.stop().await;
    });
}

#[test]
fn a_bot_that_is_not_answered_for_too_long_is_not_ready_but_alive() {
    on_actix(async {
        let scene = Scene::start().await;
        let bot = scene.bot.clone();
        let strict = Watched::start(move || scope("/bot", bot.clone()).max_silence(Duration::from_secs(3)));
        scene.until_reasons(&[]).await;

        scene.stage.simulator.go_down();
        let said = strict
            .until("/readyz", "it is overdue", |said| {
                said.status == StatusCode::SERVICE_UNAVAILABLE
            })
            .await;

        assert_eq!(reasons(&said.json()), ["overdue"]);
        assert_eq!(strict.get("/healthz").await.status, StatusCode::OK);
        let status = strict.get("/status").await.json();
        let error = status["intake"]["last_error"].as_str().unwrap();
        assert!(
            !error.is_empty() && !error.contains(scene.stage.bot.token()),
            "{error}"
        );
        scene.stage.simulator.go_up();
        scene.until_reasons(&[]).await;
        strict.stop().await;
        scene.end().await;
    });
}

#[test]
fn a_bot_that_stopped_by_itself_is_neither_ready_nor_alive() {
    on_actix(async {
        let scene = Scene::start().await;
        scene.until_reasons(&[]).await;

        scene.stage.bot.fault(Fault::Unauthorized.on("getUpdates"));
        assert!(scene.bot.wait().await.is_err());

        let health = scene.watched.get("/healthz").await;
        assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(health.json()["reason"]["code"], "failed");
        assert_eq!(reasons(&scene.watched.get("/readyz").await.json()), ["stopped"]);
        scene.watched.stop().await;
    });
}

#[test]
fn a_bot_whose_journal_cannot_be_written_is_not_ready_until_it_can() {
    on_actix(async {
        let scene = Scene::start().await;
        scene.until_reasons(&[]).await;
        let other = rusqlite::Connection::open(scene.folder.path().join("bot.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();

        scene.stage.bot.user("Ann").say("hello");
        scene
            .watched
            .until("/readyz", "the journal is the reason", |said| {
                // While SQLite waits for the other program, the journal does not answer either.
                matches!(reasons(&said.json())[..], ["journal_blocked" | "journal_silent"])
            })
            .await;
        let metrics = scene.watched.metrics().await;
        assert_eq!(
            metrics[&format!(
                "actogram_journal_writable{{bot=\"{}\"}}",
                scene.bot.api().bot_id()
            )],
            0.0
        );
        other.execute_batch("ROLLBACK").unwrap();

        scene.until_reasons(&[]).await;
        scene.end().await;
    });
}

#[test]
fn a_bot_whose_journal_is_full_is_not_ready_until_there_is_room() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let folder = tempfile::tempdir().unwrap();
        let scene = Scene::start_with(stage, folder, |config| config.max_updates(3)).await;
        scene.until_reasons(&[]).await;

        ann.say_all(["wait", "2", "3", "4"]);
        scene.until_reasons(&["journal_full"]).await;
        assert_eq!(scene.watched.get("/healthz").await.status, StatusCode::OK);
        assert_eq!(scene.watched.get("/status").await.json()["journal"]["full"], true);
        scene.gate.open();

        scene.until_reasons(&[]).await;
        scene
            .stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
        scene.end().await;
    });
}

#[test]
fn the_metrics_count_what_happened() {
    on_actix(async {
        let scene = Scene::start().await;
        let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
        scene.stage.bot.fault(Fault::FloodWait(1).on("sendMessage"));
        ann.say_all(["say one", "bad", "wait", "behind", "behind"]);
        bob.say("say two");
        scene
            .watched
            .until("/status", "all but three have ended", |said| {
                let work = &said.json()["work"];
                work["done"] == 2 && work["dead"] == 1 && work["running"] == 1
            })
            .await;

        let metrics = scene.watched.metrics().await;
        let journal = &scene.watched.get("/status").await.json()["journal"];

        assert_eq!(
            (&journal["dead_letters_dropped"], &journal["set_aside_dropped"]),
            (&json!(0), &json!(0))
        );
        let bot = format!("bot=\"{}\"", scene.bot.api().bot_id());
        for (name, labels, expected) in [
            ("up", "", 1.0),
            ("updates_received_total", "", 6.0),
            ("updates_journaled_total", "", 6.0),
            ("updates_duplicated_total", "", 0.0),
            ("updates_handled_total", ",outcome=\"done\"", 2.0),
            ("updates_handled_total", ",outcome=\"dead\"", 1.0),
            ("updates_handled_total", ",outcome=\"expired\"", 0.0),
            ("updates_unfinished", ",state=\"running\"", 1.0),
            ("updates_unfinished", ",state=\"waiting\"", 2.0),
            ("updates_unfinished", ",state=\"retrying\"", 0.0),
            ("lanes", "", 1.0),
            ("dead_letters", "", 1.0),
            ("journal_rows", "", 3.0),
            ("journal_writable", "", 1.0),
            ("dead_letters_dropped_total", "", 0.0),
            ("journal_set_aside_dropped_total", "", 0.0),
            ("attempt_seconds_count", "", 3.0),
            ("attempt_seconds_bucket", ",le=\"300\"", 3.0),
            ("api_calls_total", ",outcome=\"sent\"", 2.0),
            ("api_flood_waits_total", "", 1.0),
            ("poll_conflicts_total", "", 0.0),
        ] {
            let key = format!("actogram_{name}{{{bot}{labels}}}");
            assert_eq!(metrics.get(&key), Some(&expected), "{key}");
        }
        for name in [
            "journal_bytes",
            "journal_sync_seconds_count",
            "journal_sync_seconds_sum",
            "oldest_update_age_seconds",
        ] {
            assert!(metrics[&format!("actogram_{name}{{{bot}}}")] > 0.0, "{name}");
        }
        let answer = scene.watched.get("/metrics").await;
        assert_eq!(
            answer.headers.get("content-type").unwrap(),
            "text/plain; version=0.0.4; charset=utf-8"
        );
        scene.end().await;
    });
}

#[test]
fn an_update_that_comes_twice_is_counted_as_a_duplicate() {
    on_actix(async {
        let first = Scene::start().await;
        first.stage.bot.user("Ann").say("hello");
        let confirmed = |view: &View<'_>| view.pending_count() == 0;
        first.stage.until("it is confirmed", confirmed).await;
        assert!(first.bot.shutdown().await.unwrap().is_clean());
        first.watched.stop().await;
        let forget = Restart::LoseConfirmationsSince(Duration::from_secs(600));
        first.stage.simulator.restart(forget);

        let scene = Scene::start_in(first.stage, first.folder).await;

        let status = scene
            .watched
            .until("/status", "it is noticed", |said| {
                // Each part is asked by itself, so one may be a moment ahead.
                let said = said.json();
                said["journal"]["duplicates"] == 1 && said["intake"]["received"] == 1
            })
            .await
            .json();
        assert_eq!(status["journal"]["journaled"], 0);
        assert_eq!(status["work"]["done"], 0);
        scene.end().await;
    });
}

#[test]
fn the_longest_lanes_are_those_with_the_most_updates_in_the_journal() {
    on_actix(async {
        let scene = Scene::start().await;
        let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
        ann.say_all(["wait", "2"]);
        bob.say_all(["wait", "2", "3"]);

        let status = scene
            .watched
            .until("/status", "both wait", |said| said.json()["work"]["running"] == 2)
            .await
            .json();

        let lane = |chat: i64, updates| json!({ "lane": format!("chat:{chat}"), "updates": updates, "state": "running" });
        assert_eq!(
            status["longest"],
            json!([lane(bob.chat_id(), 3), lane(ann.chat_id(), 2)])
        );
        scene.end().await;
    });
}

#[test]
fn a_bot_without_a_journal_is_watched_as_well() {
    on_actix(async {
        let (stage, gate) = (Stage::lenient(), Gate::closed());
        let ann = stage.bot.user("Ann");
        let bot = stage
            .actogram()
            .handlers(sharing(gate.clone(), obey))
            .start()
            .await
            .unwrap();
        let watched = Watched::of(&bot);
        ann.say_all(["wait", "2"]);

        let status = watched
            .until("/status", "it runs", |said| said.json()["work"]["running"] == 1)
            .await
            .json();

        assert_eq!(status["journal"], json!({ "state": "none" }));
        assert_eq!(status["longest"][0]["updates"], 2);
        assert_eq!(status["work"]["waiting"], 1);
        assert!(!watched.get("/metrics").await.text.contains("actogram_journal"));
        assert_eq!(watched.get("/dead").await.status, StatusCode::NOT_FOUND);
        assert_eq!(watched.get("/readyz").await.status, StatusCode::OK);
        gate.open();
        assert!(bot.shutdown().await.unwrap().is_clean());
        watched.stop().await;
    });
}

#[test]
fn two_bots_are_watched_side_by_side() {
    on_actix(async {
        let scene = Scene::start().await;
        let other_stage = Stage::lenient();
        let second = other_stage
            .simulator
            .bot_with_token("7654321:SecondSecondSecondSecondSecondSecon")
            .unwrap();
        let (ann, bob) = (scene.stage.bot.user("Ann"), second.user("Bob"));
        let second = other_stage
            .actogram_for(&second)
            .handlers(|| async |_: Context| {})
            .start()
            .await
            .unwrap();
        ann.say_all(["one", "two"]);
        bob.say("one");
        for (bot, done) in [(&scene.bot, 2), (&second, 1)] {
            until_snapshot(bot, "all is handled", |snapshot| {
                snapshot.engine.totals.done == done
            })
            .await;
        }
        let (one, two) = (scene.bot.clone(), second.clone());
        let server = actix_web::HttpServer::new(move || {
            actix_web::App::new()
                .service(scope("/one/", one.clone()))
                .service(scope("/deep/two", two.clone()))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);

        for (path, bot) in [("/one", &scene.bot), ("/deep/two", &second)] {
            let mut answer = client().get(format!("{root}{path}/status")).send().await.unwrap();
            let status: Value = answer.json().await.unwrap();
            assert_eq!(status["bot"], bot.api().bot_id());
        }
        for (path, bot, done) in [("/one", &scene.bot, 2), ("/deep/two", &second, 1)] {
            let mut answer = client()
                .get(format!("{root}{path}/metrics"))
                .send()
                .await
                .unwrap();
            let text = String::from_utf8(answer.body().await.unwrap().to_vec()).unwrap();
            let label = format!("bot=\"{}\"", bot.api().bot_id());
            let handled = format!("actogram_updates_handled_total{{{label},outcome=\"done\"}} {done}");
            assert!(text.lines().any(|line| line == handled), "{handled} in {text}");
            assert!(
                text.lines()
                    .all(|line| line.starts_with('#') || line.contains(&label)),
                "each number is this bot's: {text}"
            );
        }

        handle.stop(false).await;
        assert!(second.shutdown().await.unwrap().is_clean());
        scene.end().await;
    });
}

#[test]
fn probes_may_ask_by_head_and_nothing_may_be_asked_by_a_wrong_method() {
    on_actix(async {
        let scene = Scene::start().await;

        for path in ["/healthz", "/readyz"] {
            scene
                .watched
                .until(path, "it is well", |said| said.status == StatusCode::OK)
                .await;
            let said = scene.watched.request(Method::HEAD, path, &[], "").await;
            assert_eq!((said.status, said.text.as_str()), (StatusCode::OK, ""), "{path}");
        }
        for path in [
            "/healthz", "/readyz", "/metrics", "/", "/status", "/events", "/dead",
        ] {
            let said = scene.watched.post(path).await;
            assert_eq!(said.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
        scene.end().await;
    });
}
