//! A bot stops cleanly in every situation: what was fetched is finished and confirmed, and nobody waits for ever.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    future::pending,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use actogram::{Bot, BotHandle, BotReport, Context, EngineError, Error, Fate, HandlerResult, StopReason};
use actogram_simulator::Fault;
use support::{Gate, Log, Stage, on_actix, sharing, until, until_snapshot};

type Handled = Log<i64>;

/// Returns a bot that notes what it begins, waits at the gate, and notes what it has ended.
fn gated(stage: &Stage, begun: &Handled, ended: &Handled, gate: &Gate) -> Bot {
    stage.actogram().handlers(sharing(
        (begun.clone(), ended.clone(), gate.clone()),
        |(begun, ended, gate): (Handled, Handled, Gate), ctx: Context| async move {
            begun.add(ctx.update().id());
            gate.pass().await;
            // Work that goes on for a while after the stop was asked for.
            tokio::time::sleep(Duration::from_millis(20)).await;
            ended.add(ctx.update().id());
        },
    ))
}

fn noting(stage: &Stage, handled: &Handled) -> Bot {
    let open = Gate::closed();
    open.open();
    gated(stage, &Handled::new(), handled, &open)
}

/// Checks that a bot that starts now is given nothing but what is said now.
async fn nothing_is_repeated(stage: &Stage) {
    let handled = Handled::new();
    let bot = noting(stage, &handled).start().await.unwrap();
    let fresh = stage.bot.user("Newcomer").say("anything left?");
    stage
        .until("the fresh update is confirmed", |view| view.pending_count() == 0)
        .await;
    assert!(bot.shutdown().await.unwrap().is_clean());
    assert_eq!(handled.all(), [fresh]);
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

/// Peer failure 5.
#[test]
fn shutdown_returns_when_the_running_handlers_have_ended() {
    on_actix(async {
        let stage = Stage::lenient();
        let (begun, ended, gate) = (Handled::new(), Handled::new(), Gate::closed());
        let issued: Vec<_> = (0..10)
            .map(|n| stage.bot.user(&format!("user {n}")).say("hello"))
            .collect();
        let bot = gated(&stage, &begun, &ended, &gate).start().await.unwrap();
        until("all handlers run", || begun.len() == 10).await;

        let stopped = bot.shutdown();
        assert_eq!(ended.len(), 0);
        gate.open();
        let report = stopped.await.unwrap();

        assert_eq!(sorted(ended.all()), issued);
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.reason, report.completed), (StopReason::Requested, 10));
        assert_eq!(report.committed_offset, Some(issued[9] + 1));
        nothing_is_repeated(&stage).await;
    });
}

/// Peer failures 6 and 28: the handler of an update in the middle of a batch stops its own bot.
#[test]
fn a_stop_in_the_middle_of_a_batch_leaves_nothing_to_be_repeated() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
        let issued = ann.say_all((0..30).map(|n| {
            if n == 10 {
                "/stop".to_owned()
            } else {
                n.to_string()
            }
        }));
        let own = Arc::new(OnceLock::<BotHandle>::new());
        let bot = stage
            .actogram()
            .handlers(sharing(
                (handled.clone(), Arc::clone(&own)),
                |(handled, own): (Handled, Arc<OnceLock<BotHandle>>), ctx: Context| async move {
                    if ctx.text() == Some("/stop") {
                        own.wait().request_shutdown();
                    }
                    handled.add(ctx.update().id());
                },
            ))
            .start()
            .await
            .unwrap();
        own.set(bot.clone()).unwrap();

        let report = bot.wait().await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!(handled.all(), issued);
        assert_eq!(stage.bot.confirmed(), issued);
        let last = stage.bot.polls().pop().unwrap();
        let asked = [last.raw_offset, last.raw_limit, last.raw_timeout].map(Option::unwrap);
        let expected = [(issued[29] + 1).to_string(), "1".to_owned(), "0".to_owned()];
        assert_eq!(asked, expected, "a confirmation, no poll");
        nothing_is_repeated(&stage).await;
    });
}

/// Peer failure 7: requests to stop are neither lost nor waited for in vain, however long the queue of a chat is.
#[test]
fn stopping_twice_with_a_long_queue_drains_it_once() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let (begun, ended, gate) = (Handled::new(), Handled::new(), Gate::closed());
        let issued = ann.say_all((0..100).map(|n| n.to_string()));
        let bot = gated(&stage, &begun, &ended, &gate).start().await.unwrap();
        until("the first handler runs", || begun.len() == 1).await;

        let (first, second) = (bot.shutdown(), bot.shutdown());
        bot.request_shutdown();
        gate.open();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());

        assert!(first.is_clean(), "{first}");
        assert_eq!(first.to_string(), second.to_string());
        assert_eq!(
            bot.shutdown().await.unwrap().to_string(),
            first.to_string(),
            "also afterwards"
        );
        assert_eq!(ended.all(), issued);
        nothing_is_repeated(&stage).await;
    });
}

#[test]
fn what_has_not_ended_at_the_deadline_is_dropped_reported_and_comes_again() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let (begun, ended) = (Handled::new(), Handled::new());
        let stuck = ann.say("stuck");
        let behind = ann.say("behind it");
        let other = bob.say("stuck as well");
        let bot = gated(&stage, &begun, &ended, &Gate::closed())
            .drain_deadline(Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        until("both run", || begun.len() == 2).await;

        let report = bot.shutdown().await.unwrap();

        assert!(!report.is_clean());
        let abandoned: Vec<_> = report
            .abandoned
            .iter()
            .map(|abandoned| (abandoned.update_id.unwrap(), abandoned.running))
            .collect();
        assert_eq!(abandoned, [(stuck, true), (behind, false), (other, true)]);
        assert!(
            report
                .abandoned
                .iter()
                .all(|abandoned| abandoned.fate == Fate::FetchedAgain)
        );
        let handled = Handled::new();
        let bot = noting(&stage, &handled).start().await.unwrap();
        stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(sorted(handled.all()), [stuck, behind, other]);
        assert_eq!(ended.len(), 0);
    });
}

/// Sets its flag when it is dropped.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn stopping_now_drops_the_running_handlers_and_cuts_a_drain_short() {
    on_actix(async {
        let stage = Stage::lenient();
        let dropped = Arc::new(AtomicBool::new(false));
        let begun = Handled::new();
        let update = stage.bot.user("Ann").say("stuck");
        let bot = stage
            .actogram()
            .drain_deadline(Duration::from_secs(3600))
            .handlers(sharing(
                (begun.clone(), Arc::clone(&dropped)),
                |(begun, dropped): (Handled, Arc<AtomicBool>), ctx: Context| async move {
                    let _held = Held(dropped);
                    begun.add(ctx.update().id());
                    pending::<()>().await;
                },
            ))
            .start()
            .await
            .unwrap();
        until("the handler runs", || begun.len() == 1).await;

        let drained = bot.shutdown();
        let report = bot.shutdown_now().await.unwrap();

        assert_eq!(drained.await.unwrap().to_string(), report.to_string());
        assert_eq!(report.abandoned.len(), 1);
        assert_eq!(report.abandoned[0].update_id, Some(update));
        until("the handler is dropped", || dropped.load(SeqCst)).await;
        assert_eq!(stage.bot.pending(), [update]);
    });
}

/// The order to hurry may be the first one.
#[test]
fn stopping_now_does_not_need_a_drain_to_cut_short() {
    on_actix(async {
        let stage = Stage::lenient();
        let (begun, ended) = (Handled::new(), Handled::new());
        let first = stage.bot.user("Ann").say("hello");
        let second = stage.bot.user("Bob").say("hello");
        let gate = Gate::closed();
        let bot = gated(&stage, &begun, &ended, &gate)
            .drain_deadline(Duration::from_secs(3600))
            .start()
            .await
            .unwrap();
        until("both run", || begun.len() == 2).await;

        let report = bot.shutdown_now().await.unwrap();

        let abandoned: Vec<_> = report
            .abandoned
            .iter()
            .map(|abandoned| abandoned.update_id)
            .collect();
        assert_eq!(abandoned, [Some(first), Some(second)]);
        gate.open();
        assert_eq!(stage.bot.pending(), [first, second]);
        assert_eq!(ended.len(), 0);
    });
}

#[test]
fn a_bot_that_never_reached_the_server_stops_cleanly() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.simulator.go_down();
        let bot = noting(&stage, &Handled::new()).start().await.unwrap();
        until_snapshot(&bot, "a poll has failed", |snapshot| {
            snapshot.engine.polling.failures > 0
        })
        .await;

        let report = bot.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!((report.committed_offset, report.completed), (None, 0));
        assert!(stage.bot.polls().is_empty());
    });
}

#[test]
fn a_bot_stops_at_once_while_flood_control_keeps_it_from_polling() {
    on_actix(async {
        let stage = Stage::lenient();
        stage.bot.fault(Fault::FloodWait(3600).on("getUpdates"));
        let bot = noting(&stage, &Handled::new()).start().await.unwrap();
        until_snapshot(&bot, "the poll was refused", |snapshot| {
            snapshot.polling.flood_waits == 1
        })
        .await;

        let report = bot.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!(stage.bot.polls().len(), 1);
    });
}

#[test]
fn a_bot_stops_cleanly_after_panics() {
    on_actix(async {
        let stage = Stage::lenient();
        let handled = Handled::new();
        let ann = stage.bot.user("Ann");
        let mut issued = Vec::new();
        for n in 0..6 {
            ann.say("panic");
            issued.push(stage.bot.user(&format!("user {n}")).say("fine"));
        }
        let bot = stage
            .actogram()
            .retry(actogram::RetryPolicy::never())
            .handlers(sharing(
                handled.clone(),
                |handled: Handled, ctx: Context| async move {
                    assert_ne!(ctx.text(), Some("panic"), "as the test wants it");
                    handled.add(ctx.update().id());
                    HandlerResult::Ok(())
                },
            ))
            .start()
            .await
            .unwrap();
        until("the first is handled", || handled.len() >= 1).await;

        let report = bot.shutdown().await.unwrap();

        assert!(report.is_clean() && !report.lost_actor, "{report}");
        assert_eq!(sorted(handled.all()), issued);
        nothing_is_repeated(&stage).await;
    });
}

/// The long poll that waits has told the server everything already, so stopping costs no further call.
#[test]
fn an_idle_bot_stops_without_another_call() {
    on_actix(async {
        let stage = Stage::lenient();
        let handled = Handled::new();
        let issued = stage.bot.user("Ann").say("hello");
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(50))
            .start()
            .await
            .unwrap();
        stage
            .until("a poll has confirmed it and waits", |view| {
                view.pending_count() == 0 && view.is_polling()
            })
            .await;
        let polls = stage.bot.polls();
        let began = polls.last().unwrap().at;
        // A request that is younger than a second counts as possibly not received.
        let old = Duration::from_millis(1_100);
        until("the poll is old enough", || stage.bot.now().since(began) > old).await;

        let report = bot.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!(report.committed_offset, Some(issued + 1));
        assert_eq!(stage.bot.polls().len(), polls.len());
        nothing_is_repeated(&stage).await;
    });
}

/// The server is gone when the bot stops: it says so, within its deadline, and the batch comes again.
#[test]
fn an_offset_that_cannot_be_told_is_reported() {
    on_actix(async {
        let stage = Stage::lenient();
        let (begun, ended, gate) = (Handled::new(), Handled::new(), Gate::closed());
        let issued = stage.bot.user("Ann").say("hello");
        let bot = gated(&stage, &begun, &ended, &gate).start().await.unwrap();
        until("the handler runs", || begun.len() == 1).await;

        let stopped = bot.shutdown();
        stage.simulator.go_down();
        gate.open();
        let report: BotReport = stopped.await.unwrap();
        stage.simulator.go_up();

        assert_eq!(ended.all(), [issued], "what was fetched is handled");
        assert!(!report.is_clean() && report.commit_error.is_some(), "{report}");
        assert!(report.abandoned.is_empty());
        assert_eq!(stage.bot.pending(), [issued]);
    });
}

#[test]
fn the_handle_of_a_stopped_bot_says_that_it_is_gone() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = noting(&stage, &Handled::new()).start().await.unwrap();
        bot.shutdown().await.unwrap();

        for outcome in [
            bot.snapshot().await.map(drop),
            bot.pause().await,
            bot.resume().await,
        ] {
            assert!(
                matches!(outcome, Err(Error::Engine(EngineError::Gone))),
                "{outcome:?}"
            );
        }
        assert!(bot.wait().await.unwrap().is_clean());
    });
}
