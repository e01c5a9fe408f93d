//! A bot with a webhook is watched like one that polls: ready before anybody posts, with its posts and refusals counted.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;
mod webhook_poster;

use actogram::{Context, Webhook};
use serde_json::json;
use support::{Stage, on_actix};
use watched::Watched;
use webhook_poster::{
    SECRET,
    host::{Host, mounting},
    text_update,
    wire::{Wire, post},
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
