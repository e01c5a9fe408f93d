//! No more is held than the credit allows, and a source that has more is slowed down, not dropped.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actogram_actors::{CreditPolicy, Outcome};
use support::{Feed, Gate, engine, until, virtual_time};

#[test]
fn a_window_is_never_exceeded_and_everything_comes_through() {
    virtual_time(async {
        let feed = Feed::new();
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let engine = engine(&feed, move |delivery| {
            let count = Arc::clone(&count);
            async move {
                tokio::time::sleep(Duration::from_millis(*delivery.payload % 7)).await;
                count.fetch_add(1, Ordering::Relaxed);
                Outcome::Done
            }
        })
        .credit(CreditPolicy::Window(50))
        .start()
        .await
        .unwrap();

        let lanes: Vec<String> = (0..5000).map(|n| format!("lane:{}", n % 300)).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        until("all are handled", || handled.load(Ordering::Relaxed) == 5000).await;

        assert!(engine.shutdown().await.unwrap().is_clean());
        assert!(
            feed.most_unfinished() <= 50,
            "{} were held",
            feed.most_unfinished()
        );
        assert!(feed.credits().iter().all(|credit| (1..=50).contains(credit)));
        assert_eq!(feed.settled().len(), 5000);
    });
}

#[test]
fn no_more_than_the_set_number_runs_at_once() {
    virtual_time(async {
        let feed = Feed::new();
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        let engine = engine(&feed, move |_| {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            async move {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Outcome::Done
            }
        })
        .concurrency(16)
        .start()
        .await
        .unwrap();

        let lanes: Vec<String> = (0..200).map(|n| format!("lane:{n}")).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        until("all are settled", || feed.settled_count() == 200).await;

        assert_eq!(most.load(Ordering::Relaxed), 16);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn in_lockstep_the_next_batch_is_fetched_only_after_all_of_the_last_one_ended() {
    virtual_time(async {
        let feed = Feed::new();
        let gate = Gate::closed();
        let door = gate.clone();
        let engine = engine(&feed, move |delivery| {
            let door = door.clone();
            async move {
                if *delivery.payload == 7 {
                    door.pass().await;
                }
                Outcome::Done
            }
        })
        .credit(CreditPolicy::Lockstep(10))
        .start()
        .await
        .unwrap();

        let lanes: Vec<String> = (0..20).map(|n| format!("lane:{n}")).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(feed.credits(), [10], "one delivery of the batch still runs");
        assert!(feed.settled().is_empty(), "a batch is reported as a whole");

        gate.open();
        until("the second batch is settled", || feed.settled_count() == 20).await;
        assert_eq!(feed.credits(), [10, 10, 10]);
        engine.shutdown().await.unwrap();
    });
}
