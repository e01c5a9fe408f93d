//! A failing source is asked again after a growing delay, a source that failed for good stops the engine, and what was
//! accepted is finished either way.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram_actors::{Backoff, CreditPolicy, Outcome, SourceError, StopReason};
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
        report.await.unwrap();

        assert_eq!((before.stopping, during.stopping), (false, true));
        assert_eq!(during.longest[0].lane.as_str(), "a");
        assert!(engine.is_stopping());
    });
}
