//! Within one batch a chat that is slow, stuck or waiting delays no other chat, and takes no more than its own slot.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actogram::{Context, DeadUpdate, HandlerError, HandlerResult, RetryPolicy};
use support::{Gate, Log, Stage, collecting, on_actix, sharing, until, until_snapshot};

/// Peer failures 9, 10 and 11: Ann has more updates waiting than there are slots, and the first of them is stuck.
#[test]
fn an_idle_chat_is_served_while_another_is_stuck_with_a_long_backlog() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let (handled, gate) = (Log::new(), Gate::closed());
        let backlog = ann.say_all((0..98).map(|n| n.to_string()));
        let idle = bob.say("hello");
        let stuck_chat = ann.chat_id();
        let bot = stage
            .actogram()
            .concurrency(2)
            .handlers(sharing(
                (handled.clone(), gate.clone()),
                move |(handled, gate): (Log<i64>, Gate), ctx: Context| async move {
                    if ctx.chat_id() == Some(stuck_chat) {
                        gate.pass().await;
                    }
                    handled.add(ctx.update().id());
                },
            ))
            .start()
            .await
            .unwrap();

        let snapshot =
            until_snapshot(&bot, "Bob is served", |snapshot| snapshot.engine.totals.done == 1).await;
        assert_eq!(handled.all(), [idle]);
        assert_eq!((snapshot.engine.running, snapshot.engine.waiting), (1, 97));
        gate.open();
        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(stage.bot.polls()[0].returned.len(), 99, "one batch");
        assert_eq!(handled.all()[1..], backlog);
    });
}

/// A chat with a long backlog gets one turn per round: Bob's three updates do not wait behind Ann's ninety.
#[test]
fn chats_take_turns() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let handled = Log::new();
        ann.say_all((0..90).map(|n| n.to_string()));
        bob.say_all(["one", "two", "three"]);
        let bot = stage
            .actogram()
            .concurrency(1)
            .handlers(sharing(
                handled.clone(),
                |handled: Log<i64>, ctx: Context| async move {
                    handled.add(ctx.chat_id().unwrap());
                },
            ))
            .start()
            .await
            .unwrap();

        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        let (a, b) = (ann.chat_id(), bob.chat_id());
        assert_eq!(handled.all()[..6], [a, b, a, b, a, b]);
    });
}

/// Peer failure 15.
#[test]
fn never_more_handlers_run_than_concurrency_allows() {
    on_actix(async {
        const CONCURRENCY: usize = 3;
        let stage = Stage::lenient();
        let gate = Gate::closed();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let users: Vec<_> = (0..20).map(|n| stage.bot.user(&format!("user {n}"))).collect();
        for user in &users {
            user.say_all(["one", "two", "three"]);
        }
        let bot = stage
            .actogram()
            .concurrency(CONCURRENCY)
            .handlers(sharing(
                (gate.clone(), Arc::clone(&running), Arc::clone(&most)),
                |(gate, running, most): (Gate, Arc<AtomicUsize>, Arc<AtomicUsize>), _: Context| async move {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    gate.pass().await;
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, SeqCst);
                },
            ))
            .start()
            .await
            .unwrap();

        until("every slot is taken", || running.load(SeqCst) >= CONCURRENCY).await;
        let snapshot = bot.snapshot().await.unwrap().engine;
        assert_eq!(
            (snapshot.running, snapshot.waiting),
            (CONCURRENCY, 60 - CONCURRENCY)
        );
        gate.open();
        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(most.load(SeqCst), CONCURRENCY);
    });
}

/// Sets its flag when it is dropped.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Peer failures 16 and 30: the only slot is free again because the stuck handler is gone, not merely forgotten.
#[test]
fn a_handler_that_passes_its_deadline_is_dropped_and_those_behind_it_run() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let (seen, dead) = (Log::new(), Log::<DeadUpdate>::new());
        let dropped = Arc::new(AtomicBool::new(false));
        let stuck = ann.say("stuck");
        ann.say("behind it");
        bob.say("elsewhere");
        let bot = stage
            .actogram()
            .concurrency(1)
            .handler_timeout(Duration::from_millis(200))
            .retry(RetryPolicy::never())
            .on_error(collecting(&dead))
            .handlers(sharing(
                (seen.clone(), Arc::clone(&dropped)),
                |(seen, dropped): (Log<(String, bool)>, Arc<AtomicBool>), ctx: Context| async move {
                    let text = ctx.text().unwrap().to_owned();
                    if text == "stuck" {
                        let _held = Held(dropped);
                        pending::<()>().await;
                    } else {
                        seen.add((text, dropped.load(SeqCst)));
                    }
                },
            ))
            .start()
            .await
            .unwrap();

        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;

        assert_eq!(bot.snapshot().await.unwrap().engine.totals.overdue, 1);
        assert!(bot.shutdown().await.unwrap().is_clean());
        let mut seen = seen.all();
        seen.sort();
        assert_eq!(
            seen,
            [("behind it".to_owned(), true), ("elsewhere".to_owned(), true)]
        );
        let dead = dead.all();
        assert_eq!((dead.len(), dead[0].update.id()), (1, stuck));
        assert!(dead[0].error.contains("deadline"), "{}", dead[0].error);
    });
}

/// Peer failure 10: with one slot for all, a chat that waits an hour for its next attempt is not in the way.
#[test]
fn a_chat_that_waits_for_its_next_attempt_occupies_no_slot() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let handled = Log::new();
        let failing = ann.say("fail");
        let behind = ann.say("behind it");
        let others = bob.say_all(["one", "two", "three"]);
        let bot = stage
            .actogram()
            .concurrency(1)
            .handlers(sharing(
                handled.clone(),
                |handled: Log<i64>, ctx: Context| async move {
                    if ctx.text() == Some("fail") {
                        return Err(HandlerError::retry_after("not now", Duration::from_secs(3600)));
                    }
                    handled.add(ctx.update().id());
                    HandlerResult::Ok(())
                },
            ))
            .start()
            .await
            .unwrap();

        let snapshot =
            until_snapshot(&bot, "Bob is served", |snapshot| snapshot.engine.totals.done == 3).await;
        let report = bot.shutdown_now().await.unwrap();

        assert_eq!((snapshot.engine.running, snapshot.engine.retrying), (0, 1));
        assert_eq!(handled.all(), others, "Ann's second waits for her first");
        let abandoned: Vec<_> = report
            .abandoned
            .iter()
            .map(|abandoned| (abandoned.update_id, abandoned.running))
            .collect();
        assert_eq!(abandoned, [(Some(failing), false), (Some(behind), false)]);
        assert_eq!(
            stage.bot.pending().len(),
            5,
            "a batch is confirmed up to its first open update"
        );
    });
}
