//! A failed delivery is repeated on schedule, keeps its lane waiting, and ends as a dead letter that is shown once.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram_actors::{Cause, Ending, Failure, Outcome, RetryPolicy};
use support::{Feed, Graveyard, Log, engine, engine_with_graveyard, until, virtual_time};
use tokio::time::Instant;

#[test]
fn repetitions_come_after_1_2_5_15_and_60_seconds_and_then_the_letter_is_dead() {
    virtual_time(async {
        let (feed, graveyard) = (Feed::new(), Graveyard::default());
        let log = Log::new();
        let seen = log.clone();
        let engine = engine_with_graveyard(&feed, &graveyard, move |delivery| {
            seen.add((delivery.attempt, Instant::now()));
            async move { Outcome::Failed(Failure::transient(format!("failure {}", delivery.attempt))) }
        })
        .start()
        .await
        .unwrap();

        feed.offer([("a", 1)]);
        until("it is settled", || feed.settled_count() == 1).await;

        let attempts = log.all();
        let numbers: Vec<_> = attempts.iter().map(|(attempt, _)| *attempt).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        for (pair, plain) in attempts.windows(2).zip([1.0, 2.0, 5.0, 15.0, 60.0]) {
            let delay = (pair[1].1 - pair[0].1).as_secs_f64();
            assert!(
                (plain * 0.8..=plain * 1.2 + 0.01).contains(&delay),
                "{delay} s instead of {plain} s ± 20 %"
            );
        }
        let letters = graveyard.take();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].history.len(), 5);
        assert_eq!(letters[0].cause.chain(), "handler failed: failure 6");
        let Ending::Dead { errors } = &feed.settled()[0].ending else {
            panic!("not dead")
        };
        assert_eq!(errors.len(), 6);
        assert_eq!(errors[0], "handler failed: failure 1");
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_permanent_failure_is_buried_at_once_and_those_behind_it_run() {
    virtual_time(async {
        let (feed, graveyard) = (Feed::new(), Graveyard::default());
        let log = Log::new();
        let seen = log.clone();
        let engine = engine_with_graveyard(&feed, &graveyard, move |delivery| {
            seen.add(*delivery.payload);
            async move {
                if *delivery.payload == 1 {
                    Outcome::Failed(Failure::permanent("never"))
                } else {
                    Outcome::Done
                }
            }
        })
        .start()
        .await
        .unwrap();

        feed.offer([("a", 1), ("a", 2)]);
        until("both are settled", || feed.settled_count() == 2).await;

        assert_eq!(log.all(), [1, 2]);
        assert_eq!(graveyard.take().len(), 1);
        assert_eq!(engine.snapshot().await.unwrap().totals.dead, 1);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn being_told_to_wait_is_obeyed_exactly_and_costs_no_attempt() {
    virtual_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let engine = engine(&feed, move |delivery| {
            seen.add((delivery.attempt, Instant::now()));
            let waits = seen.len();
            async move {
                if waits <= 9 {
                    Outcome::Failed(Failure::not_yet("flood", Duration::from_secs(30)))
                } else {
                    Outcome::Done
                }
            }
        })
        .retry(RetryPolicy::quick())
        .start()
        .await
        .unwrap();

        feed.offer([("a", 1)]);
        until("it is settled", || feed.settled_count() == 1).await;

        assert!(log.all().iter().all(|(attempt, _)| *attempt == 1));
        assert!(
            log.all()
                .windows(2)
                .all(|pair| pair[1].1 - pair[0].1 >= Duration::from_secs(30))
        );
        assert_eq!(feed.settled()[0].ending, Ending::Done);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_panic_costs_its_own_delivery_an_attempt_and_nothing_else() {
    virtual_time(async {
        let (feed, graveyard) = (Feed::new(), Graveyard::default());
        let log = Log::new();
        let seen = log.clone();
        let engine = engine_with_graveyard(&feed, &graveyard, move |delivery| {
            // One panics before its future exists, one inside it.
            assert!(*delivery.payload != 1, "before the future");
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(*delivery.payload != 2, "inside the future");
                seen.add(*delivery.payload);
                Outcome::Done
            }
        })
        .retry(RetryPolicy::new([Duration::from_secs(1)]))
        .start()
        .await
        .unwrap();

        feed.offer([("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5)]);
        until("all are settled", || feed.settled_count() == 5).await;

        let mut handled = log.all();
        handled.sort_unstable();
        assert_eq!(handled, [3, 4, 5]);
        let mut causes: Vec<_> = graveyard
            .take()
            .into_iter()
            .map(|letter| letter.cause.to_string())
            .collect();
        causes.sort();
        assert_eq!(
            causes,
            [
                "handler panicked: before the future",
                "handler panicked: inside the future"
            ]
        );
        let totals = engine.snapshot().await.unwrap().totals;
        assert_eq!((totals.panicked, totals.retried, totals.dead), (4, 2, 2));
        assert!(engine.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn the_deadline_really_drops_the_handler_and_frees_the_lane() {
    struct Guard(Log<&'static str>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.add("dropped");
        }
    }

    virtual_time(async {
        let (feed, graveyard) = (Feed::new(), Graveyard::default());
        let log = Log::new();
        let seen = log.clone();
        let engine = engine_with_graveyard(&feed, &graveyard, move |delivery| {
            let seen = seen.clone();
            async move {
                if *delivery.payload == 1 {
                    let _guard = Guard(seen.clone());
                    tokio::time::sleep(Duration::from_secs(100)).await;
                    seen.add("went on");
                }
                seen.add("ended");
                Outcome::Done
            }
        })
        .handler_deadline(Duration::from_secs(10))
        .retry(RetryPolicy::never())
        .concurrency(1)
        .start()
        .await
        .unwrap();

        feed.offer([("a", 1), ("a", 2)]);
        until("both are settled", || feed.settled_count() == 2).await;
        tokio::time::sleep(Duration::from_secs(1000)).await;

        assert_eq!(
            log.all(),
            ["dropped", "ended"],
            "the stuck one never went on, the next one ran"
        );
        let letters = graveyard.take();
        assert!(matches!(letters[0].cause, Cause::DeadlinePassed(deadline) if deadline.as_secs() == 10));
        assert_eq!(engine.snapshot().await.unwrap().totals.overdue, 1);
        engine.shutdown().await.unwrap();
    });
}
