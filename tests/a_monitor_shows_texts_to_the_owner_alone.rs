//! Dead letters over HTTP, who may see and change them, and what happens to requests that make no sense.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;

use std::net::SocketAddr;

use actix_web::{
    App,
    http::{Method, StatusCode},
    test as web,
};
use actogram::{
    BotHandle, Context, HandlerError, HandlerResult,
    monitor::{AccessToken, scope},
};
use serde_json::{Value, json};
use support::{Log, Stage, on_actix, sharing, until_snapshot};
use tempfile::TempDir;
use watched::Watched;

const SECRET: &str = "bad: my secret";
const TOKEN: &str = "correct-horse-battery-staple";

/// What is for the owner alone.
const OWNED: [&str; 5] = ["/status", "/events", "/dead", "/dead/1", "/nothing"];

/// "bad …" is given up at the first attempt of each.
async fn obey(handled: Log<String>, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    let known = handled.all().contains(&text);
    handled.add(text.clone());
    if text.starts_with("bad") && !known {
        return Err(HandlerError::give_up("it is bad"));
    }
    Ok(())
}

struct Scene {
    stage: Stage,
    handled: Log<String>,
    bot: BotHandle,
    watched: Watched,
    folder: TempDir,
}

impl Scene {
    /// A bot with dead letters, three of Ann (1 to 3) and one of Bob (4).
    async fn start() -> Self {
        let (stage, handled, folder) = (Stage::lenient(), Log::new(), tempfile::tempdir().unwrap());
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        ann.say_all([SECRET, "bad 2", "bad 3"]);
        bob.say("bad 4");
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .handlers(sharing(handled.clone(), obey))
            .start()
            .await
            .unwrap();
        until_snapshot(&bot, "all are given up", |snapshot| {
            snapshot.engine.totals.dead == 4
        })
        .await;
        let watched = Watched::of(&bot);
        Self {
            stage,
            handled,
            bot,
            watched,
            folder,
        }
    }

    async fn dead(&self, query: &str) -> Value {
        let said = self.watched.get(&format!("/dead{query}")).await;
        assert_eq!(said.status, StatusCode::OK, "{query}: {}", said.text);
        said.json()
    }

    /// Returns the ids of the letters that a query chooses.
    async fn ids(&self, query: &str) -> Vec<i64> {
        let page = self.dead(query).await;
        let letters = page["letters"].as_array().unwrap();
        letters
            .iter()
            .map(|letter| letter["id"].as_i64().unwrap())
            .collect()
    }

    async fn end(self) {
        assert!(self.bot.shutdown().await.unwrap().is_clean());
        self.watched.stop().await;
    }
}

#[test]
fn dead_letters_are_listed_a_page_at_a_time_without_their_texts() {
    on_actix(async {
        let scene = Scene::start().await;
        let all = scene.dead("").await;
        let lane = all["letters"][3]["lane"].as_str().unwrap().replace(':', "%3A");

        assert_eq!(scene.ids("").await, [1, 2, 3, 4]);
        assert_eq!(all["letters"][0]["errors"], json!(["handler failed: it is bad"]));
        assert_eq!(
            (&all["letters"][0]["reason"], &all["next"]),
            (&json!("failed"), &Value::Null)
        );
        assert!(!all.to_string().contains("my secret"));
        let first = scene.dead("?limit=3").await;
        assert_eq!(first["next"], 3);
        assert_eq!(scene.ids("?limit=3&after=3").await, [4]);
        assert_eq!(scene.ids(&format!("?lane={lane}")).await, [4]);
        assert_eq!(scene.ids("?reason=crashed").await, [] as [i64; 0]);
        assert_eq!(scene.ids("?reason=failed&lane=chat%3A0").await, [] as [i64; 0]);
        scene.end().await;
    });
}

#[test]
fn one_letter_is_shown_with_its_text() {
    on_actix(async {
        let scene = Scene::start().await;

        let shown = scene.watched.get("/dead/1").await.json();

        let raw: Value = serde_json::from_str(shown["raw"].as_str().unwrap()).unwrap();
        assert_eq!(raw["message"]["text"], SECRET);
        assert_eq!(shown["letter"]["id"], 1);
        scene.end().await;
    });
}

#[test]
fn a_retried_letter_is_handled_again_and_a_dropped_one_is_gone() {
    on_actix(async {
        let scene = Scene::start().await;

        assert_eq!(
            scene.watched.post("/dead/1/retry").await.json(),
            json!({ "done": true })
        );
        assert_eq!(
            scene.watched.post("/dead/2/drop").await.json(),
            json!({ "done": true })
        );
        assert_eq!(
            scene.watched.post("/dead/1/retry").await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            scene.watched.post("/dead/2/drop").await.status,
            StatusCode::NOT_FOUND
        );
        until_snapshot(&scene.bot, "it is handled", |snapshot| {
            snapshot.engine.totals.done == 1
        })
        .await;

        assert_eq!(scene.handled.all().last().unwrap(), SECRET);
        assert_eq!(scene.ids("").await, [3, 4]);
        scene.end().await;
    });
}

#[test]
fn several_letters_are_changed_at_once() {
    on_actix(async {
        let scene = Scene::start().await;

        let dropped = scene.watched.post_json("/dead/drop", r#"{"ids":[1,77]}"#).await;
        let retried = scene.watched.post_json("/dead/retry", r#"{"ids":[2,3,1]}"#).await;
        until_snapshot(&scene.bot, "both are handled", |snapshot| {
            snapshot.engine.totals.done == 2
        })
        .await;

        assert_eq!(
            dropped.json(),
            json!({ "done": [1], "missing": [77], "damaged": [], "foreign": [] })
        );
        assert_eq!(
            retried.json(),
            json!({ "done": [2, 3], "missing": [1], "damaged": [], "foreign": [] })
        );
        assert_eq!(scene.ids("").await, [4]);
        scene.end().await;
    });
}

#[test]
fn a_damaged_letter_can_only_be_dropped() {
    on_actix(async {
        let scene = Scene::start().await;
        let other = rusqlite::Connection::open(scene.folder.path().join("bot.db")).unwrap();
        other
            .execute("UPDATE dead SET raw = raw || ' ' WHERE seq = 1", [])
            .unwrap();

        assert_eq!(scene.watched.get("/dead/1").await.status, StatusCode::CONFLICT);
        assert_eq!(
            scene.watched.post("/dead/1/retry").await.status,
            StatusCode::CONFLICT
        );
        let both = scene.watched.post_json("/dead/retry", r#"{"ids":[1,2]}"#).await;
        assert_eq!(
            both.json(),
            json!({ "done": [2], "missing": [], "damaged": [1], "foreign": [] })
        );
        assert_eq!(scene.watched.post("/dead/1/drop").await.status, StatusCode::OK);
        scene.end().await;
    });
}

/// What another bot gave up that was started on the file before would wait for that bot.
#[test]
fn a_letter_of_another_bot_can_only_be_shown_and_dropped() {
    on_actix(async {
        let scene = Scene::start().await;
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
        let token = "7654321:SecondSecondSecondSecondSecondSecon";
        let second = scene.stage.simulator.bot_with_token(token).unwrap();
        let first = scene.bot.api().bot_id();
        second.user("Carl").say("bad 5");
        let bot = scene
            .stage
            .actogram_for(&second)
            .journal(scene.folder.path().join("bot.db"))
            .handlers(sharing(scene.handled.clone(), obey))
            .start()
            .await
            .unwrap();
        until_snapshot(&bot, "its own is given up", |snapshot| {
            snapshot.engine.totals.dead == 1
        })
        .await;
        let watched = Watched::of(&bot);

        let letters = watched.get("/dead").await.json();
        let retried = watched.post("/dead/1/retry").await;
        let several = watched.post_json("/dead/retry", r#"{"ids":[1,2,5]}"#).await;
        let dropped = watched.post("/dead/3/drop").await;

        let bots: Vec<_> = letters["letters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|letter| &letter["bot"])
            .collect();
        assert_eq!(
            bots,
            [
                &json!(first),
                &json!(first),
                &json!(first),
                &json!(first),
                &json!(7_654_321)
            ]
        );
        assert_eq!(retried.status, StatusCode::CONFLICT);
        let error = retried.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(&format!("of bot {first}")), "{error}");
        assert_eq!(
            several.json(),
            json!({ "done": [5], "missing": [], "damaged": [], "foreign": [1, 2] })
        );
        assert_eq!(dropped.status, StatusCode::OK);
        assert_eq!(watched.get("/dead/1").await.status, StatusCode::OK);
        assert!(bot.shutdown().await.unwrap().is_clean());
        watched.stop().await;
        scene.watched.stop().await;
    });
}

#[test]
fn nothing_is_changed_without_the_header_or_by_a_get() {
    on_actix(async {
        let scene = Scene::start().await;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let text = [("content-type", "text/plain")];

        for path in ["/dead/1/retry", "/dead/1/drop", "/dead/retry", "/dead/drop"] {
            for headers in [&form, &text] {
                let said = scene
                    .watched
                    .request(Method::POST, path, headers, r#"{"ids":[1]}"#)
                    .await;
                assert_eq!(said.status, StatusCode::FORBIDDEN, "{path}");
            }
        }
        for path in ["/dead/1/retry", "/dead/1/drop"] {
            let said = scene
                .watched
                .request(Method::GET, path, &[("x-actogram", "1")], "")
                .await;
            assert_eq!(said.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
        // `retry` and `drop` are no ids.
        assert_eq!(
            scene.watched.get("/dead/retry").await.status,
            StatusCode::METHOD_NOT_ALLOWED
        );

        assert_eq!(scene.ids("").await, [1, 2, 3, 4]);
        scene.end().await;
    });
}

#[test]
fn requests_that_make_no_sense_get_the_right_status() {
    on_actix(async {
        let scene = Scene::start().await;
        let long = "x".repeat(20_000);

        for (path, expected) in [
            ("/dead/99", StatusCode::NOT_FOUND),
            ("/dead/-1", StatusCode::NOT_FOUND),
            ("/dead/abc", StatusCode::NOT_FOUND),
            ("/dead/99999999999999999999", StatusCode::NOT_FOUND),
            ("/dead/1/burn", StatusCode::NOT_FOUND),
            ("/dead?limit=0", StatusCode::BAD_REQUEST),
            ("/dead?limit=501", StatusCode::BAD_REQUEST),
            ("/dead?limit=x", StatusCode::BAD_REQUEST),
            ("/dead?after=x", StatusCode::BAD_REQUEST),
            ("/dead?reason=boredom", StatusCode::BAD_REQUEST),
            ("/dead?raeson=failed", StatusCode::BAD_REQUEST),
            ("/dead?%ff=%ff", StatusCode::BAD_REQUEST),
            ("/nothing", StatusCode::NOT_FOUND),
            ("/../../etc/passwd", StatusCode::NOT_FOUND),
            ("/..%2f..%2fetc%2fpasswd", StatusCode::NOT_FOUND),
            ("/%2e%2e/%2e%2e/etc/passwd", StatusCode::NOT_FOUND),
            ("//etc/passwd", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(scene.watched.get(path).await.status, expected, "{path}");
        }
        let huge = scene.watched.get(&format!("/dead?lane={long}")).await;
        assert_eq!(
            (huge.status, &huge.json()["letters"]),
            (StatusCode::OK, &json!([]))
        );
        let large = format!(r#"{{"ids":[{}1]}}"#, "1,".repeat(40_000));
        let many = format!(r#"{{"ids":[{}1]}}"#, "1,".repeat(1_000));
        for (body, expected) in [
            ("", StatusCode::BAD_REQUEST),
            ("{", StatusCode::BAD_REQUEST),
            ("[]", StatusCode::BAD_REQUEST),
            (r#"{"ids":1}"#, StatusCode::BAD_REQUEST),
            (r#"{"ids":["1"]}"#, StatusCode::BAD_REQUEST),
            (r#"{"ids":[1],"force":true}"#, StatusCode::BAD_REQUEST),
            (many.as_str(), StatusCode::BAD_REQUEST),
            (large.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let said = scene.watched.post_json("/dead/retry", body).await;
            assert_eq!(said.status, expected, "{body:.40}");
            assert!(said.json()["error"].is_string(), "{}", said.text);
        }

        assert_eq!(scene.ids("").await, [1, 2, 3, 4]);
        scene.end().await;
    });
}

#[test]
fn whoever_connects_from_elsewhere_sees_health_and_numbers_and_nothing_else() {
    on_actix(async {
        let scene = Scene::start().await;
        let app = web::init_service(App::new().service(scope("/bot", scene.bot.clone()))).await;
        let ask = async |method: Method, path: &str, peer: &str| {
            let peer: SocketAddr = format!("{peer}:4000").parse().unwrap();
            let request = web::TestRequest::with_uri(&format!("/bot{path}"))
                .method(method)
                .insert_header(("host", "localhost"))
                .insert_header(("x-actogram", "1"))
                .peer_addr(peer);
            web::call_service(&app, request.to_request()).await.status()
        };

        for path in ["/healthz", "/readyz", "/metrics", "/"] {
            assert!(ask(Method::GET, path, "192.0.2.1").await.is_success(), "{path}");
        }
        for path in OWNED {
            assert_eq!(
                ask(Method::GET, path, "192.0.2.1").await,
                StatusCode::FORBIDDEN,
                "{path}"
            );
        }
        assert_eq!(
            ask(Method::POST, "/dead/1/retry", "192.0.2.1").await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(ask(Method::GET, "/dead", "127.0.0.1").await, StatusCode::OK);

        let open = scene.watched.get("/metrics").await.text + &scene.watched.get("/readyz").await.text;
        assert!(!open.contains("chat:") && !open.contains("secret"), "{open}");
        assert_eq!(scene.ids("").await, [1, 2, 3, 4]);
        scene.end().await;
    });
}

#[test]
fn with_a_token_only_whoever_sends_it_is_the_owner() {
    on_actix(async {
        let scene = Scene::start().await;
        let bot = scene.bot.clone();
        let locked =
            Watched::start(move || scope("/bot", bot.clone()).access_token(AccessToken::new(TOKEN).unwrap()));
        let right = format!("Bearer {TOKEN}");

        for path in OWNED {
            let said = locked.get(path).await;
            assert_eq!(said.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(said.headers.get("www-authenticate").unwrap(), "Bearer");
            let wrong = locked
                .request(Method::GET, path, &[("authorization", "Bearer nonsense")], "")
                .await;
            assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(locked.post("/dead/1/drop").await.status, StatusCode::UNAUTHORIZED);
        let without_header = locked
            .request(Method::POST, "/dead/1/drop", &[("authorization", &right)], "")
            .await;
        assert_eq!(without_header.status, StatusCode::FORBIDDEN);
        let shown = locked
            .request(Method::GET, "/dead/1", &[("authorization", &right)], "")
            .await;
        assert!(shown.text.contains("my secret"));
        // A token works through a proxy too.
        let headers = [
            ("authorization", right.as_str()),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(
            locked.request(Method::GET, "/status", &headers, "").await.status,
            StatusCode::OK
        );
        assert_eq!(locked.get("/metrics").await.status, StatusCode::OK);
        locked.stop().await;
        scene.end().await;
    });
}

#[test]
fn every_answer_forbids_what_a_page_could_be_misused_for() {
    on_actix(async {
        let scene = Scene::start().await;

        for path in [
            "/",
            "/metrics",
            "/status",
            "/dead",
            "/dead/1",
            "/dead/99",
            "/nothing",
            "/dead?limit=0",
        ] {
            let headers = scene.watched.get(path).await.headers;
            let header = |name| {
                headers
                    .get(name)
                    .unwrap_or_else(|| panic!("{path} has no {name}"))
                    .to_str()
                    .unwrap()
            };
            assert!(header("content-security-policy").starts_with("default-src 'none'; script-src 'sha256-"));
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("x-frame-options"), "DENY");
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert!(!headers.contains_key("access-control-allow-origin"));
        }
        let refused = scene.watched.request(Method::POST, "/dead/1/drop", &[], "").await;
        assert!(refused.headers.contains_key("content-security-policy"));
        scene.end().await;
    });
}

#[test]
fn the_page_is_in_a_folder_that_its_addresses_are_relative_to() {
    on_actix(async {
        let scene = Scene::start().await;

        let said = scene.watched.get("").await;

        assert_eq!(said.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(said.headers.get("location").unwrap(), "./bot/");
        scene.end().await;
    });
}

#[test]
fn dead_letters_of_a_stopped_bot_cannot_be_had_any_more() {
    on_actix(async {
        let scene = Scene::start().await;
        assert!(scene.bot.shutdown().await.unwrap().is_clean());

        assert_eq!(
            scene.watched.get("/dead").await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        let retried = scene.watched.post_json("/dead/retry", r#"{"ids":[1]}"#).await;
        assert_eq!(
            (retried.status, &retried.json()["done"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!([]))
        );
        scene.watched.stop().await;
    });
}
