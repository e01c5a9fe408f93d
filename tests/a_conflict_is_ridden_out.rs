//! Somebody else takes the updates of the bot for a while, as during a deploy. The bot waits, says so, and comes back.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{Bot, Context};
use actogram_simulator::{Fault, PollOutcome};
use serde_json::json;
use support::{Log, Stage, on_actix, sharing, until_snapshot};

fn noting(stage: &Stage, handled: &Log<i64>) -> Bot {
    stage
        .actogram()
        // Longer than the test, so that no poll ends by itself at an awkward moment.
        .poll_timeout(Duration::from_secs(50))
        .handlers(sharing(
            handled.clone(),
            |handled: Log<i64>, ctx: Context| async move {
                handled.add(ctx.update().id());
            },
        ))
}

/// Peer failure 26.
#[test]
fn another_poller_takes_the_poll_away_and_the_bot_comes_back() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.expect_violation("concurrent_polls");
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let bot = noting(&stage, &handled).start().await.unwrap();
        let mut issued = Vec::new();

        for round in 1..=3 {
            stage.until("the bot polls", |view| view.is_polling()).await;
            let other = actix_rt::spawn(stage.call("getUpdates", &json!({"timeout": 50})));
            until_snapshot(&bot, "the bot meets the conflict", |snapshot| {
                snapshot.polling.conflicts >= round
            })
            .await;
            assert_eq!(other.await.unwrap(), 409, "the bot has taken the poll back");
            issued.push(ann.say(&format!("round {round}")));
            stage
                .until("it is confirmed", |view| view.pending_count() == 0)
                .await;
        }

        let counts = bot.snapshot().await.unwrap().polling;
        assert_eq!(counts.conflicts, 3);
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), issued);
    });
}

/// The first poll of a bot does not wait, and the server lets it pass by one that does.
#[test]
fn another_poller_from_before_the_start_is_met_by_the_second_poll() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.expect_violation("concurrent_polls");
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let other = || actix_rt::spawn(stage.call("getUpdates", &json!({"timeout": 50})));
        let first = other();
        stage.until("the other polls", |view| view.is_polling()).await;
        let bot = noting(&stage, &handled).start().await.unwrap();
        assert_eq!(first.await.unwrap(), 409, "the bot takes the poll");

        let second = other();
        until_snapshot(&bot, "the bot meets the conflict", |snapshot| {
            snapshot.polling.conflicts == 1
        })
        .await;
        assert_eq!(second.await.unwrap(), 409, "the bot has taken the poll back");
        let issued = ann.say("hello");
        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        let polls = stage.bot.polls();
        let (passed, met) = (&polls[1], &polls[2]);
        assert_eq!((passed.timeout, passed.outcome), (0, PollOutcome::Answered));
        assert_eq!((met.timeout, met.outcome), (50, PollOutcome::Conflict));
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued]);
    });
}

/// Peer failure 26.
#[test]
fn a_webhook_that_is_set_for_a_while_stops_nothing_for_good() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.expect_violation("poll_while_webhook_set");
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let bot = noting(&stage, &handled).start().await.unwrap();
        let mut issued = vec![ann.say("before")];
        stage
            .until("the first is confirmed", |view| view.pending_count() == 0)
            .await;
        stage.until("the bot polls", |view| view.is_polling()).await;

        let webhook = json!({"url": "https://example.org/hook"});
        assert_eq!(stage.call("setWebhook", &webhook).await, 200);
        issued.push(ann.say("while the webhook is set"));
        let snapshot = until_snapshot(&bot, "several conflicts are counted", |snapshot| {
            snapshot.polling.conflicts >= 3
        })
        .await;
        let visible = snapshot.engine.polling.last_error.unwrap();
        assert!(
            visible.contains("delete_webhook_at_start") && visible.contains("run_webhook"),
            "it says what to do: {visible}"
        );
        assert_eq!(stage.bot.pending().len(), 1, "a refused poll brings nothing");
        assert_eq!(stage.call("deleteWebhook", &json!({})).await, 200);
        stage
            .until("the second is confirmed", |view| view.pending_count() == 0)
            .await;

        issued.push(ann.say("after"));
        stage
            .until("the third is confirmed", |view| view.pending_count() == 0)
            .await;
        let polling = bot.snapshot().await.unwrap().engine.polling;
        assert_eq!((polling.last_error, polling.failures_in_a_row), (None, 0));
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), issued);
    });
}

/// A webhook that was left behind before the bot ever polled is no reason to end either.
#[test]
fn a_webhook_from_before_the_start_is_waited_out() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.expect_violation("poll_while_webhook_set");
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let webhook = json!({"url": "https://example.org/hook"});
        assert_eq!(stage.call("setWebhook", &webhook).await, 200);
        let issued = ann.say("hello?");
        let bot = noting(&stage, &handled).start().await.unwrap();
        until_snapshot(&bot, "a conflict is counted", |snapshot| {
            snapshot.polling.conflicts >= 2
        })
        .await;

        assert_eq!(stage.call("deleteWebhook", &json!({})).await, 200);
        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued]);
    });
}

#[test]
fn a_webhook_is_deleted_before_the_first_poll_when_that_was_asked_for() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let webhook = json!({"url": "https://example.org/hook"});
        assert_eq!(stage.call("setWebhook", &webhook).await, 200);
        let issued = ann.say("while the webhook was set");
        stage
            .bot
            .fault(Fault::DropBeforeProcessing.on("deleteWebhook").times(2));

        let bot = noting(&stage, &handled)
            .delete_webhook_at_start()
            .start()
            .await
            .unwrap();
        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        assert_eq!(bot.snapshot().await.unwrap().polling.conflicts, 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued], "nothing was dropped");
    });
}
