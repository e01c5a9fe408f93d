//! Stale updates expire, control commands pass their queue, a handler can end its update early, jumps of ids are counted.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{AckError, Context, Fate, update::UpdateKind};
use serde_json::json;
use support::{Gate, Log, Stage, on_actix, sharing, until, until_snapshot};

/// Peer failure 32: after downtime days of backlog are replayed, or everything is dropped.
#[test]
fn updates_older_than_their_kind_may_be_end_unhandled_and_are_counted() {
    on_actix(async {
        let folder = tempfile::tempdir().unwrap();
        for journal in [None, Some(folder.path().join("bot.db"))] {
            let (stage, handled) = (Stage::new(), Log::new());
            let mut bot = stage
                .actogram()
                .max_age(UpdateKind::Message, Duration::from_secs(3600));
            if let Some(path) = &journal {
                bot = bot.journal(path);
            }
            let bot = bot
                .handlers(sharing(
                    handled.clone(),
                    |handled: Log<String>, ctx: Context| async move {
                        handled.add(ctx.text().unwrap_or_default().to_owned());
                    },
                ))
                .start()
                .await
                .unwrap();
            let ann = stage.bot.user("Ann");
            let chat = json!({"id": ann.chat_id(), "type": "private", "first_name": "Ann"});
            stage
                .bot
                .push(&json!({"message": {"message_id": 1, "date": 1_000_000, "chat": chat, "text": "old"}}));
            ann.say("new");

            until_snapshot(&bot, "both have ended", |snapshot| {
                snapshot.engine.totals.done + snapshot.engine.totals.expired == 2
            })
            .await;

            assert_eq!(handled.all(), ["new"]);
            assert_eq!(bot.snapshot().await.unwrap().engine.totals.expired, 1);
            assert!(bot.shutdown().await.unwrap().is_clean());
        }
    });
}

/// Peer failure 31: `/stop` waits behind the stuck update it should stop.
#[test]
fn a_control_command_passes_the_queue_of_its_chat() {
    on_actix(async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, gate, handled) = (Stage::new(), Gate::closed(), Log::new());
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .bypass(|update| update.raw().contains("/stop"))
            .handlers(sharing(
                (gate.clone(), handled.clone()),
                |(gate, handled): (Gate, Log<String>), ctx: Context| async move {
                    let text = ctx.text().unwrap_or_default().to_owned();
                    if text == "work" {
                        gate.pass().await;
                    }
                    handled.add(text.clone());
                    if text == "/stop" {
                        gate.open();
                    }
                },
            ))
            .start()
            .await
            .unwrap();
        stage.bot.user("Ann").say_all(["work", "more", "/stop"]);

        until("all are handled", || handled.len() == 3).await;

        assert_eq!(handled.all()[0], "/stop");
        let in_order: Vec<_> = handled.all().into_iter().filter(|text| text != "/stop").collect();
        assert_eq!(in_order, ["work", "more"]);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Peer failure 28: a `/restart` whose update is never confirmed restarts the process for ever.
#[test]
fn an_update_that_was_acknowledged_early_does_not_come_back() {
    on_actix(async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, begun) = (Stage::new(), Log::new());
        let bot = || {
            stage
                .actogram()
                .journal(folder.path().join("bot.db"))
                .handlers(sharing(
                    begun.clone(),
                    |begun: Log<String>, ctx: Context| async move {
                        let text = ctx.text().unwrap_or_default().to_owned();
                        begun.add(text.clone());
                        if text == "/restart" {
                            ctx.ack_now().await.unwrap();
                            begun.add("acknowledged".to_owned());
                            // The process would end here.
                            std::future::pending::<()>().await;
                        }
                    },
                ))
        };
        stage.bot.user("Ann").say_all(["/restart", "next"]);
        let first = bot().start().await.unwrap();
        until("it is acknowledged", || begun.len() == 2).await;

        let report = first.shutdown_now().await.unwrap();
        assert_eq!(report.abandoned[0].fate, Fate::Acknowledged);
        let second = bot().start().await.unwrap();
        until("the next one ran", || begun.len() == 3).await;
        second.shutdown().await.unwrap();

        assert_eq!(begun.all(), ["/restart", "acknowledged", "next"]);
    });
}

#[test]
fn without_a_journal_nothing_can_be_acknowledged_early() {
    on_actix(async {
        let (stage, answers) = (Stage::new(), Log::new());
        let bot = stage
            .actogram()
            .handlers(sharing(
                answers.clone(),
                |answers: Log<bool>, ctx: Context| async move {
                    answers.add(matches!(ctx.ack_now().await, Err(AckError::NoJournal)));
                },
            ))
            .start()
            .await
            .unwrap();

        stage.bot.user("Ann").say("hello");
        until("it is handled", || answers.len() == 1).await;

        assert_eq!(answers.all(), [true]);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_jump_of_ids_is_counted() {
    on_actix(async {
        let stage = Stage::new();
        let ann = stage.bot.user("Ann");
        let bot = stage
            .actogram()
            .handlers(|| |_: Context| async {})
            .start()
            .await
            .unwrap();
        ann.say("one");
        stage
            .until("the first is confirmed", |view| view.pending_count() == 0)
            .await;
        assert_eq!(bot.snapshot().await.unwrap().polling.id_jumps, 0);

        stage.bot.jump_ids_to(1_900_000_000).unwrap();
        ann.say("two");
        stage
            .until("the second is confirmed", |view| view.pending_count() == 0)
            .await;

        assert_eq!(bot.snapshot().await.unwrap().polling.id_jumps, 1);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
