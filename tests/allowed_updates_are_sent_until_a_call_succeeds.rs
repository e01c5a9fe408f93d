//! The kinds a bot wants reach the server, whatever happens to the first calls, and are not sent again afterwards.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram::{Context, update::UpdateKind};
use actogram_simulator::{Fault, PollOutcome};
use serde_json::json;
use support::{Stage, on_actix, until_snapshot};

async fn ignore(_: Context) {}

/// Peer failure 21.
#[test]
fn they_are_sent_again_until_an_answer_has_arrived() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        for fault in [
            Fault::DropBeforeProcessing.on("getUpdates"),
            Fault::GatewayHtml(502).on("getUpdates"),
            Fault::FloodWait(1).on("getUpdates"),
            Fault::DropAfterProcessing.on("getUpdates"),
            Fault::TruncatedJson.on("getUpdates"),
            Fault::EmptyBody(200).on("getUpdates"),
        ] {
            stage.bot.fault(fault);
        }
        ann.say_all(["one", "two"]);
        let bot = stage
            .actogram()
            .allowed_updates([UpdateKind::Message, UpdateKind::ChatMember, UpdateKind::Unknown])
            .handlers(|| ignore)
            .start()
            .await
            .unwrap();

        stage
            .until("the next poll waits", |view| {
                view.pending_count() == 0 && view.is_polling()
            })
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        let polls = stage.bot.polls();
        let succeeded = polls
            .iter()
            .position(|poll| poll.outcome == PollOutcome::Answered)
            .unwrap();
        assert_eq!(succeeded, 6, "every fault has struck");
        let sent: Vec<_> = polls
            .iter()
            .map(|poll| poll.raw_allowed_updates.as_deref())
            .collect();
        let wanted = Some(r#"["message","chat_member"]"#);
        assert!(
            sent[..=succeeded].iter().all(|kinds| *kinds == wanted),
            "{sent:?}"
        );
        assert!(sent[succeeded + 1..].iter().all(Option::is_none), "{sent:?}");
    });
}

#[test]
fn they_decide_what_the_server_queues() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let bot = stage
            .actogram()
            .allowed_updates([UpdateKind::Message])
            .handlers(|| ignore)
            .start()
            .await
            .unwrap();
        stage.until("the bot polls", |view| view.is_polling()).await;

        assert_eq!(stage.bot.push_kind("poll", &json!({"id": "1"})), 0);
        assert_ne!(ann.say("hello"), 0);

        until_snapshot(&bot, "the message is handled", |snapshot| {
            snapshot.engine.totals.done == 1
        })
        .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_bot_that_does_not_choose_leaves_the_choice_of_the_server_alone() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("hello");
        let bot = stage.actogram().handlers(|| ignore).start().await.unwrap();
        stage
            .until("the next poll waits", |view| {
                view.pending_count() == 0 && view.is_polling()
            })
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert!(
            stage
                .bot
                .polls()
                .iter()
                .all(|poll| poll.raw_allowed_updates.is_none())
        );
    });
}
