//! A lane with a backlog, a slow handler or a pending repetition never takes a slot or a turn from another lane.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram_actors::{CreditPolicy, Failure, Outcome, RetryPolicy};
use support::{Feed, Gate, Log, engine, until, virtual_time};
use tokio::time::Instant;

#[test]
fn an_idle_lane_is_served_at_once_beside_a_lane_with_a_long_backlog() {
    virtual_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let engine = engine(&feed, move |delivery| {
            let seen = seen.clone();
            async move {
                if delivery.lane.as_str() == "slow" {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                } else {
                    seen.add(Instant::now());
                }
                Outcome::Done
            }
        })
        .concurrency(2)
        .credit(CreditPolicy::Window(1000))
        .start()
        .await
        .unwrap();
        feed.offer((0..500).map(|n| ("slow", n)));
        tokio::time::sleep(Duration::from_secs(1)).await;

        let offered = Instant::now();
        feed.offer([("idle", 1)]);
        until("the idle lane is served", || log.len() == 1).await;

        assert!(
            log.all()[0] - offered < Duration::from_millis(50),
            "served after {:?}",
            log.all()[0] - offered
        );
        engine.shutdown_now().await.unwrap();
    });
}

#[test]
fn deliveries_that_wait_for_their_turn_occupy_no_slot() {
    virtual_time(async {
        let feed = Feed::new();
        let gate = Gate::closed();
        let log = Log::new();
        let (door, seen) = (gate.clone(), log.clone());
        let engine = engine(&feed, move |delivery| {
            let (door, seen) = (door.clone(), seen.clone());
            async move {
                if delivery.lane.as_str() == "stuck" {
                    door.pass().await;
                } else {
                    seen.add(*delivery.payload);
                }
                Outcome::Done
            }
        })
        .concurrency(2)
        .start()
        .await
        .unwrap();

        // One slot is held by the head of the stuck lane; 20 more of that lane wait.
        feed.offer((0..20).map(|n| ("stuck", n)));
        let others: Vec<String> = (0..30).map(|n| format!("other:{n}")).collect();
        feed.offer(others.iter().map(String::as_str).zip(100..));

        until("all others are served", || log.len() == 30).await;
        let snapshot = engine.snapshot().await.unwrap();
        assert_eq!((snapshot.running, snapshot.waiting, snapshot.lanes), (1, 19, 1));
        gate.open();
        assert!(engine.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_lane_that_waits_for_its_repetition_occupies_no_slot() {
    virtual_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let engine = engine(&feed, move |delivery| {
            let seen = seen.clone();
            async move {
                if delivery.lane.as_str() == "failing" && delivery.attempt == 1 {
                    return Outcome::Failed(Failure::transient("not now"));
                }
                seen.add((delivery.lane.to_string(), *delivery.payload));
                Outcome::Done
            }
        })
        .concurrency(1)
        .retry(RetryPolicy::new([Duration::from_secs(600)]))
        .start()
        .await
        .unwrap();

        feed.offer([("failing", 1), ("failing", 2), ("other", 3)]);
        until("the other lane is served", || log.len() == 1).await;
        let waiting = engine.snapshot().await.unwrap();
        until("everything is served", || log.len() == 3).await;

        assert_eq!((waiting.running, waiting.retrying, waiting.waiting), (0, 1, 1));
        let order: Vec<_> = log.all().into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(order, [3, 1, 2], "the failing lane keeps its order");
        engine.shutdown().await.unwrap();
    });
}
