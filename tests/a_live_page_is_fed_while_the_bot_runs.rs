//! The events that a live page is fed with: they come by themselves, to a bounded number of pages, until the bot stops.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/watched.rs"]
mod watched;

use std::time::Duration;

use actix_web::http::StatusCode;
use actogram::{BotHandle, Context, monitor::scope};
use futures_util::StreamExt;
use serde_json::{Value, json};
use support::{PATIENCE, Stage, on_actix};
use watched::{Watched, client};

async fn bot(stage: &Stage) -> BotHandle {
    stage
        .actogram()
        .handlers(|| |_: Context| async {})
        .start()
        .await
        .unwrap()
}

/// Returns the events in a piece of a stream, as name and data.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap().to_owned();
            (
                name,
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn events_come_by_themselves_and_end_when_the_bot_stops() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = bot(&stage).await;
        let watched = Watched::of(&bot);
        let answer = client()
            .get(format!("{}/events", watched.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream");
        let mut stream = answer;

        let first = stream.next().await.unwrap().unwrap();
        let second = stream.next().await.unwrap().unwrap();
        assert!(bot.shutdown().await.unwrap().is_clean());
        let mut rest = String::new();
        while let Some(chunk) = stream.next().await {
            rest.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }

        for chunk in [first, second] {
            let events = events(std::str::from_utf8(&chunk).unwrap());
            assert_eq!(events.len(), 1);
            assert_eq!(
                (events[0].0.as_str(), &events[0].1["stage"]),
                ("status", &json!("running"))
            );
        }
        let rest = events(&rest);
        let [.., (status, last), (end, stage)] = rest.as_slice() else {
            panic!("{rest:?}")
        };
        assert_eq!((status.as_str(), end.as_str()), ("status", "end"));
        assert_eq!(
            (&last["stage"], stage),
            (&json!("stopped"), &json!({ "stage": "stopped" }))
        );
        watched.stop().await;
    });
}

#[test]
fn events_end_when_their_time_is_over_and_leave_their_place() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = bot(&stage).await;
        let shown = bot.clone();
        let brief = Watched::start(move || {
            let time = Duration::from_millis(1500);
            scope("/bot", shown.clone()).max_viewers(1).view_time(time)
        });

        for _ in 0..2 {
            let said = brief.get("/events").await;
            assert_eq!(said.status, StatusCode::OK);
            let events = events(&said.text);
            assert!(!events.is_empty());
            assert!(
                events
                    .iter()
                    .all(|(name, data)| name == "status" && data["stage"] == "running"),
                "{events:?}"
            );
        }

        brief.stop().await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn no_more_pages_are_live_than_allowed_and_one_that_goes_makes_room() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = bot(&stage).await;
        let shown = bot.clone();
        let narrow = Watched::start(move || scope("/bot", shown.clone()).max_viewers(2));
        let open = async || {
            let mut stream = client()
                .get(format!("{}/events", narrow.url))
                .send()
                .await
                .unwrap();
            let first = stream.next().await;
            (stream.status(), first.is_some(), stream)
        };
        let one = open().await;
        let two = open().await;
        assert_eq!((one.0, two.0), (StatusCode::OK, StatusCode::OK));

        let refused = narrow.get("/events").await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers.get("retry-after").unwrap(), "10");

        drop(one);
        let started = std::time::Instant::now();
        while open().await.0 != StatusCode::OK {
            assert!(started.elapsed() < PATIENCE, "the place is not given back");
        }
        narrow.stop().await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
