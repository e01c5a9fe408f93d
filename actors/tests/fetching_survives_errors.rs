//! A failing source is asked again after a growing delay, a source that failed for good stops the engine, and what was
//! accepted is finished either way.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, ResponseFuture};
use actogram_actors::{
    Backoff, CreditPolicy, DispatchBatch, EngineHandle, Outcome, Receipt, Refused, ShutdownReport,
    SourceError, StopReason,
};
use support::{Feed, Gate, engine, until, virtual_time};

#[test]
fn a_failing_source_is_asked_again_with_growing_delays_never_in_a_hot_loop() {
    virtual_time(async {
        let feed = Feed::new();
        for _ in 0..10 {
            feed.fail(SourceError::transient("down"));
        }
        feed.offer([("a", 1)]);
        let engine = engine(&feed, |_| async { Outcome::Done })
            .backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(30), 0.2))
            .start()
            .await
            .unwrap();

        until("the source is back", || feed.settled_count() == 1).await;

        let times = feed.fetched_at();
        for (pair, plain) in times.windows(2).zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
            let delay = (pair[1] - pair[0]).as_secs_f64();
            assert!(
                (plain * 0.8..=plain * 1.2 + 0.01).contains(&delay),
                "{delay} s instead of {plain} s ± 20 %"
            );
        }
        let polling = engine.snapshot().await.unwrap().polling;
        assert_eq!(
            (polling.failures, polling.failures_in_a_row, polling.last_error),
            (10, 0, None)
        );
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_wait_that_the_other_side_asks_for_is_never_cut_short() {
    virtual_time(async {
        let feed = Feed::new();
        feed.fail(SourceError::transient("flood").with_retry_after(Duration::from_secs(600)));
        feed.offer([("a", 1)]);
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();

        until("it is settled", || feed.settled_count() == 1).await;

        let times = feed.fetched_at();
        assert!(times[1] - times[0] >= Duration::from_secs(600));
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_source_that_failed_for_good_drains_and_stops_the_engine() {
    virtual_time(async {
        let (feed, gate) = (Feed::new(), Gate::closed());
        let door = gate.clone();
        feed.offer([("a", 1)]);
        feed.fail(SourceError::fatal("revoked"));
        let engine = engine(&feed, move |_| {
            let door = door.clone();
            async move {
                door.pass().await;
                Outcome::Done
            }
        })
        .start()
        .await
        .unwrap();
        until("the source has failed", || feed.fetched_at().len() == 2).await;

        gate.open();
        let report = engine.wait().await.unwrap();

        assert_eq!(report.reason, StopReason::SourceFailed);
        assert_eq!(report.source_error.as_ref().unwrap().to_string(), "revoked");
        assert_eq!(feed.settled_count(), 1, "what was accepted was finished");
    });
}

#[test]
fn a_source_that_panics_stops_the_engine_and_says_so() {
    virtual_time(async {
        let feed = Feed::new();
        feed.panic();
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();

        let report = engine.wait().await.unwrap();

        assert_eq!(report.reason, StopReason::Lost);
        assert!(report.lost_actor && !report.is_clean());
    });
}

/// The end of a receiver between two halves that can keep nothing any more.
#[derive(Clone, Copy)]
enum Failing {
    Reported,
    Panicking,
}

/// Waits at its gate and fails then.
struct FailingReceiver(Gate, Failing);

impl Actor for FailingReceiver {
    type Context = Context<Self>;
}

impl actix::Handler<DispatchBatch<u64>> for FailingReceiver {
    type Result = ResponseFuture<Result<Receipt, Refused>>;

    fn handle(&mut self, _: DispatchBatch<u64>, _: &mut Self::Context) -> Self::Result {
        let Self(gate, failing) = self;
        let (gate, failing) = (gate.clone(), *failing);
        Box::pin(async move {
            gate.pass().await;
            match failing {
                Failing::Reported => Err(Refused::Failed("the disk is gone".into())),
                Failing::Panicking => panic!("scripted panic of the receiver"),
            }
        })
    }
}

/// Returns an engine in two halves: the receiver between them fails when the gate opens, and the second half's source when
/// the test says so.
async fn two_halves(failing: Failing) -> (EngineHandle, Gate, Feed) {
    let (gate, feed) = (Gate::closed(), Feed::new());
    let receiver = FailingReceiver(gate.clone(), failing).start().recipient();
    let engine = engine(&feed, |_| async { Outcome::Done })
        .fed_by(Feed::new().source(), receiver, Backoff::default())
        .start()
        .await
        .unwrap();
    until("the second half fetches", || feed.fetched_at().len() == 1).await;
    (engine, gate, feed)
}

fn tells_of_the_disk(report: &Arc<ShutdownReport>) -> bool {
    let error = report.source_error.as_ref().map(SourceError::chain);
    report.reason == StopReason::SourceFailed
        && error.as_deref() == Some("the disk is gone")
        && !report.lost_actor
}

#[test]
fn what_both_halves_share_and_has_failed_is_reported_whichever_half_is_the_first_to_tell() {
    virtual_time(async {
        let disk = || SourceError::fatal("the disk is gone");

        let (engine, receiver, _) = two_halves(Failing::Reported).await;
        receiver.open();
        let report = engine.wait().await.unwrap();
        assert!(tells_of_the_disk(&report), "the first half alone: {report:?}");

        let (engine, receiver, second) = two_halves(Failing::Reported).await;
        receiver.open();
        second.fail(disk());
        let report = engine.wait().await.unwrap();
        assert!(tells_of_the_disk(&report), "the first half first: {report:?}");

        let (engine, receiver, second) = two_halves(Failing::Reported).await;
        second.fail(disk());
        receiver.open();
        let report = engine.wait().await.unwrap();
        assert!(tells_of_the_disk(&report), "the second half first: {report:?}");

        let (engine, _, second) = two_halves(Failing::Reported).await;
        second.fail(disk());
        let report = engine.wait().await.unwrap();
        assert!(tells_of_the_disk(&report), "the second half alone: {report:?}");
    });
}

#[test]
fn a_receiver_that_panics_is_reported_as_lost_whatever_else_has_failed() {
    virtual_time(async {
        let (engine, receiver, _) = two_halves(Failing::Panicking).await;
        receiver.open();
        let report = engine.wait().await.unwrap();
        assert_eq!(report.reason, StopReason::Lost);
        assert!(report.lost_actor && report.source_error.is_none(), "{report:?}");

        for receiver_first in [true, false] {
            let (engine, receiver, second) = two_halves(Failing::Panicking).await;
            if receiver_first {
                receiver.open();
            }
            second.fail(SourceError::fatal("revoked"));
            receiver.open();
            let report = engine.wait().await.unwrap();
            assert!(report.lost_actor, "{receiver_first}: {report:?}");
        }
    });
}

#[test]
fn a_paused_source_is_not_asked_and_what_ends_meanwhile_is_committed() {
    virtual_time(async {
        let (feed, gate) = (Feed::new(), Gate::closed());
        let door = gate.clone();
        let engine = engine(&feed, move |_| {
            let door = door.clone();
            async move {
                door.pass().await;
                Outcome::Done
            }
        })
        .start()
        .await
        .unwrap();
        let seqs = feed.offer([("a", 1)]);
        until("it is fetched", || feed.fetched_at().len() == 2).await;

        engine.pause().await.unwrap();
        assert_eq!(feed.cancelled(), 1, "the waiting fetch was cancelled");
        feed.offer([("a", 2)]);
        gate.open();
        until("the finished one is committed", || {
            feed.commits().last() == Some(&Some(seqs[0]))
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert_eq!(feed.settled_count(), 1);
        assert!(engine.snapshot().await.unwrap().polling.paused);

        engine.resume().await.unwrap();
        until("the second is settled", || feed.settled_count() == 2).await;
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn how_long_success_is_waited_for_counts_from_the_first_try_and_only_while_one_is_wanted() {
    virtual_time(async {
        let (feed, gate) = (Feed::new(), Gate::closed());
        feed.fail(SourceError::transient("down").with_retry_after(Duration::from_secs(30)));
        feed.fail(SourceError::transient("down").with_retry_after(Duration::from_secs(60)));
        feed.offer([("a", 1)]);
        let passed = gate.clone();
        let engine = engine(&feed, move |_| {
            let gate = passed.clone();
            async move {
                gate.pass().await;
                Outcome::Done
            }
        })
        .credit(CreditPolicy::Lockstep(1))
        .start()
        .await
        .unwrap();

        until("it failed twice", || feed.fetched_at().len() == 2).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let trying = engine.snapshot().await.unwrap().polling.trying_for.unwrap();
        until("it came", || feed.fetched_at().len() == 3).await;
        tokio::time::sleep(Duration::from_secs(200)).await;
        let busy = engine.snapshot().await.unwrap().polling;
        gate.open();
        until("it is settled", || feed.settled_count() == 1).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let idle = engine.snapshot().await.unwrap().polling.trying_for.unwrap();
        engine.pause().await.unwrap();
        let paused = engine.snapshot().await.unwrap().polling;

        assert!((50..55).contains(&trying.as_secs()), "{trying:?}");
        assert_eq!(busy.trying_for, None, "no more is wanted while it is handled");
        assert!(busy.last_success_age.unwrap() >= Duration::from_secs(200));
        assert!((5..7).contains(&idle.as_secs()), "{idle:?}");
        assert_eq!(paused.trying_for, None);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_snapshot_tells_that_the_engine_stops_before_it_has() {
    virtual_time(async {
        let (feed, gate) = (Feed::new(), Gate::closed());
        feed.offer([("a", 1)]);
        let passed = gate.clone();
        let engine = engine(&feed, move |_| {
            let gate = passed.clone();
            async move {
                gate.pass().await;
                Outcome::Done
            }
        })
        .start()
        .await
        .unwrap();
        until("it was fetched", || !feed.fetched_at().is_empty()).await;
        let before = engine.snapshot().await.unwrap();

        let report = engine.shutdown();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let during = engine.snapshot().await.unwrap();
        gate.open();
        let report = report.await.unwrap();

        assert_eq!((before.stopping, during.stopping), (false, true));
        assert_eq!(during.longest[0].lane.as_str(), "a");
        assert!(engine.is_stopping());
        let last = report.last_look.as_ref().unwrap();
        assert_eq!((last.totals.done, last.lanes, last.stopping), (1, 0, true));
        assert_eq!(last.polling.fetches, 1);
        assert!(last.polling.last_success_age >= Some(Duration::from_secs(1)));
    });
}
