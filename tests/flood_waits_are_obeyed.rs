//! A 429 is obeyed for as long as it says, by whom it concerns, and by nobody else. That no call comes too early is
//! checked by the stage at the end of each test.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{Bot, Context, DeadUpdate, HandlerResult, RetryPolicy};
use actogram_simulator::{Fault, PollOutcome};
use support::{Log, Stage, collecting, on_actix, sharing, until_snapshot};

type Attempts = Log<(i64, u32)>;

/// Returns a bot that answers everything, and notes who asked and the number of the attempt.
fn answering(stage: &Stage, attempts: &Attempts) -> Bot {
    stage.actogram().handlers(sharing(
        attempts.clone(),
        |attempts: Attempts, ctx: Context| async move {
            attempts.add((ctx.chat_id().unwrap(), ctx.attempt()));
            ctx.reply("answer").await?;
            HandlerResult::Ok(())
        },
    ))
}

#[test]
fn no_poll_is_sent_before_the_wait_is_over() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts) = (stage.bot.user("Ann"), Attempts::new());
        stage.bot.fault(Fault::FloodWait(1).on("getUpdates").times(2));
        ann.say("hello");
        let bot = answering(&stage, &attempts).start().await.unwrap();

        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        assert_eq!(bot.snapshot().await.unwrap().polling.flood_waits, 2);
        let polls = stage.bot.polls();
        for pair in polls[..3].windows(2) {
            assert_eq!(pair[0].outcome, PollOutcome::NotProcessed);
            assert!(pair[1].at.since(pair[0].at) >= Duration::from_secs(1));
        }
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(ann.heard(), ["answer"]);
    });
}

/// Peer failure 22.
#[test]
fn a_chat_under_flood_control_gets_its_reply_after_the_wait() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts) = (stage.bot.user("Ann"), Attempts::new());
        stage.bot.fault(
            Fault::FloodWait(1)
                .on("sendMessage")
                .to_chat(ann.chat_id())
                .times(2),
        );
        ann.say("hello");
        let bot = answering(&stage, &attempts).start().await.unwrap();

        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(ann.heard(), ["answer"]);
        assert_eq!(
            attempts.all(),
            [(ann.chat_id(), 1)],
            "the call waits, not the update"
        );
        let (refused, sent) = (stage.bot.refused(), stage.bot.sent());
        assert_eq!(refused.len(), 2);
        assert!(sent[0].at.since(refused[1].at) >= Duration::from_secs(1));
    });
}

/// Peer failure 22. Nothing that Ann is sent could go out within the time of this test.
#[test]
fn other_chats_are_answered_while_one_waits_for_its_reply() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let attempts = Attempts::new();
        stage
            .bot
            .fault(Fault::FloodWait(59).on("sendMessage").to_chat(ann.chat_id()));
        let first = ann.say("hello");
        bob.say_all(["one", "two", "three"]);
        let bot = answering(&stage, &attempts).concurrency(2).start().await.unwrap();

        stage
            .until("Bob has his answers", |view| {
                view.texts_to(bob.chat_id()).len() == 3
            })
            .await;
        let snapshot = until_snapshot(&bot, "only Ann is left", |snapshot| {
            snapshot.engine.running == 1 && snapshot.engine.totals.done == 3
        })
        .await;
        let report = bot.shutdown_now().await.unwrap();

        assert_eq!(snapshot.engine.retrying, 0, "the call waits, not the update");
        assert!(ann.heard().is_empty());
        let abandoned: Vec<_> = report
            .abandoned
            .iter()
            .map(|abandoned| (abandoned.update_id, abandoned.running))
            .collect();
        assert_eq!(abandoned, [(Some(first), true)]);
    });
}

#[test]
fn a_wait_that_is_too_long_for_a_call_makes_the_update_wait() {
    on_actix(async {
        const WAIT: u64 = 70_000;
        let stage = Stage::lenient();
        let [bob, ann, carl] = ["Bob", "Ann", "Carl"].map(|name| stage.bot.user(name));
        let attempts = Attempts::new();
        stage
            .bot
            .fault(Fault::FloodWait(WAIT).on("sendMessage").to_chat(ann.chat_id()));
        bob.say("hello");
        let waiting = ann.say("hello");
        let behind = carl.say("hello");
        let bot = answering(&stage, &attempts).concurrency(1).start().await.unwrap();

        until_snapshot(&bot, "Ann's update waits and the others are done", |snapshot| {
            snapshot.engine.retrying == 1 && snapshot.engine.totals.done == 2 && snapshot.engine.running == 0
        })
        .await;
        let report = bot.shutdown_now().await.unwrap();

        assert_eq!(
            (bob.heard().len(), ann.heard().len(), carl.heard().len()),
            (1, 0, 1)
        );
        assert_eq!(
            (report.abandoned.len(), report.abandoned[0].update_id),
            (1, Some(waiting))
        );
        assert!(!report.abandoned[0].running);
        assert_eq!(
            report.committed_offset,
            Some(waiting),
            "Bob's update is confirmed"
        );
        assert_eq!(stage.bot.pending(), [waiting, behind]);

        // The waits of flood control are shorter than the life of an update.
        stage.simulator.advance_clock(Duration::from_secs(WAIT));
        let bot = answering(&stage, &attempts).start().await.unwrap();
        stage
            .until("the rest is confirmed", |view| view.pending_count() == 0)
            .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!((bob.heard().len(), ann.heard().len()), (1, 1));
    });
}

#[test]
fn a_flood_wait_costs_no_attempt() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts, dead) = (stage.bot.user("Ann"), Attempts::new(), Log::<DeadUpdate>::new());
        stage.bot.fault(Fault::FloodWait(1).on("sendMessage").times(2));
        ann.say("hello");
        let bot = answering(&stage, &attempts)
            .api_config(|config| config.max_flood_wait(Duration::ZERO))
            .retry(RetryPolicy::never())
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        stage
            .until("it is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!((ann.heard().len(), dead.len()), (1, 0));
        assert_eq!(attempts.all(), [(ann.chat_id(), 1); 3]);
    });
}

/// What is finished is told to the server by a poll, and that one is under flood control when the bot has to stop.
#[test]
fn stopping_does_not_break_a_flood_wait() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts) = (stage.bot.user("Ann"), Attempts::new());
        let bot = answering(&stage, &attempts).start().await.unwrap();
        stage.until("the bot polls", |view| view.is_polling()).await;
        stage.bot.fault(Fault::FloodWait(3600).on("getUpdates"));
        let unconfirmed = ann.say("hello");
        until_snapshot(&bot, "the next poll is refused", |snapshot| {
            snapshot.polling.flood_waits == 1
        })
        .await;

        let report = bot.shutdown().await.unwrap();

        assert_eq!(ann.heard(), ["answer"]);
        assert_eq!(stage.bot.pending(), [unconfirmed]);
        let told = report.commit_error.unwrap();
        assert!(told.contains("flood control"), "{told}");
        assert!(report.abandoned.is_empty());
    });
}
