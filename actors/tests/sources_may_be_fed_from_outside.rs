//! What a source needs that cannot ask for deliveries but is given them: to know when none are wanted, and to hear of
//! each end at once.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram_actors::{CreditPolicy, Outcome, SourceError};
use support::{Feed, Gate, engine, until, virtual_time};

#[test]
fn a_source_is_told_when_it_is_paused_resumed_and_stopped() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();
        assert_eq!(feed.openings(), [] as [bool; 0], "it begins open");

        engine.pause().await.unwrap();
        assert_eq!(feed.openings(), [false]);
        engine.resume().await.unwrap();
        assert_eq!(feed.openings(), [false, true]);
        engine.shutdown().await.unwrap();

        assert_eq!(feed.openings(), [false, true, false]);
    });
}

#[test]
fn a_source_is_told_that_it_is_over_when_it_has_failed() {
    virtual_time(async {
        let feed = Feed::new();
        feed.fail(SourceError::fatal("revoked"));
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();

        engine.wait().await.unwrap();

        assert_eq!(feed.openings(), [false]);
    });
}

#[test]
fn what_ends_during_a_drain_is_told_while_the_drain_goes_on() {
    virtual_time(async {
        let (feed, short, long) = (Feed::new(), Gate::closed(), Gate::closed());
        let gates = (short.clone(), long.clone());
        let engine = engine(&feed, move |delivery| {
            let (short, long) = gates.clone();
            async move {
                if *delivery.payload == 1 { short } else { long }.pass().await;
                Outcome::Done
            }
        })
        // No credit is left, which is no reason to keep an end to oneself.
        .credit(CreditPolicy::Window(2))
        .start()
        .await
        .unwrap();
        let seqs = feed.offer([("a", 1), ("b", 2)]);
        until("both run", || feed.most_unfinished() == 2).await;
        let report = engine.shutdown();
        until("it drains", || feed.openings() == [false]).await;

        short.open();
        until("the short one is told", || feed.settled_count() == 1).await;
        assert_eq!(feed.settled()[0].seq, seqs[0]);
        assert!(engine.report().is_none(), "the drain goes on");
        long.open();

        let report = report.await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(feed.settled_count(), 2);
    });
}
