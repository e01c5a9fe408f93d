//! Shutdown is latched and bounded, whatever is going on when it is asked for.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "stopping/emptying.rs"]
mod a_source_that_is_to_be_emptied;

use std::{sync::OnceLock, time::Duration};

use actogram_actors::{
    CreditPolicy, EngineHandle, Failure, Offset, Outcome, RetryPolicy, SourceError, StopReason,
};
use futures_util::future::join3;
use support::{Feed, Gate, Log, engine, real_time, until, virtual_time};
use tokio::time::Instant;

#[test]
fn under_full_load_everything_accepted_is_finished_and_committed() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |delivery| async move {
            tokio::time::sleep(Duration::from_millis(100 + *delivery.payload % 50)).await;
            Outcome::Done
        })
        .credit(CreditPolicy::Window(200))
        .concurrency(50)
        .start()
        .await
        .unwrap();
        let lanes: Vec<String> = (0..10_000).map(|n| format!("lane:{}", n % 97)).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        until("some are settled", || feed.settled_count() > 500).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.reason, StopReason::Requested);
        assert!(report.drain.completed > 0);
        let handed_over = report.last_fetched.unwrap();
        assert_eq!(
            feed.settled_through(),
            Some(handed_over),
            "everything handed over is settled"
        );
        let offset = Offset(i64::try_from(handed_over.0).unwrap());
        assert_eq!(report.committed.as_ref().unwrap(), &Some(offset));
        assert_eq!(feed.commits(), [Some(handed_over)]);
    });
}

#[test]
fn before_the_first_fetch_succeeds_it_stops_at_once() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();
        let started = Instant::now();

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean());
        assert_eq!(report.last_fetched, None);
        assert!(started.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn during_the_backoff_of_a_failing_source_it_stops_at_once() {
    virtual_time(async {
        let feed = Feed::new();
        feed.fail(SourceError::transient("flood").with_retry_after(Duration::from_secs(86_400)));
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();
        until("the fetch has failed", || feed.fetched_at().len() == 1).await;
        let started = Instant::now();

        assert!(engine.shutdown().await.unwrap().is_clean());

        assert!(started.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_repetition_that_fits_into_the_drain_is_waited_for() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |delivery| async move {
            if delivery.attempt == 1 {
                Outcome::Failed(Failure::transient("once"))
            } else {
                Outcome::Done
            }
        })
        .retry(RetryPolicy::new([Duration::from_secs(10)]))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 1)]);
        until("it waits for its repetition", || feed.fetched_at().len() == 2).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!(feed.settled_count(), 1);
    });
}

#[test]
fn at_the_deadline_what_still_runs_is_dropped_reported_and_left_unsettled() {
    virtual_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let engine = engine(&feed, move |delivery| {
            let seen = seen.clone();
            async move {
                if *delivery.payload == 2 {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                seen.add(*delivery.payload);
                Outcome::Done
            }
        })
        .drain_deadline(Duration::from_secs(25))
        .start()
        .await
        .unwrap();
        let seqs = feed.offer([("a", 1), ("b", 2), ("b", 3), ("c", 4)]);
        until("the quick ones are settled", || feed.settled_count() == 2).await;

        let report = engine.shutdown().await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;

        assert!(!report.is_clean());
        assert!(
            (25.0..26.0).contains(&report.took.as_secs_f64()),
            "took {:?}",
            report.took
        );
        let abandoned: Vec<_> = report
            .drain
            .abandoned
            .iter()
            .map(|a| (a.seq, a.lane.to_string(), a.running))
            .collect();
        assert_eq!(
            abandoned,
            [(seqs[1], "b".to_owned(), true), (seqs[2], "b".to_owned(), false)]
        );
        assert_eq!(log.all(), [1, 4], "the dropped handler never went on");
        assert_eq!(
            feed.settled_through(),
            Some(seqs[0]),
            "nothing behind the gap is told to be finished"
        );
        assert_eq!(feed.commits(), [Some(seqs[0])]);
    });
}

#[test]
fn what_is_abandoned_is_dropped_before_the_commit_not_after_it() {
    struct Guard(Log<Instant>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.add(Instant::now());
        }
    }

    virtual_time(async {
        let feed = Feed::new();
        feed.hang_commits();
        let log = Log::new();
        let dropped = log.clone();
        let engine = engine(&feed, move |_| {
            let guard = Guard(dropped.clone());
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        })
        .drain_deadline(Duration::from_secs(25))
        .commit_deadline(Duration::from_secs(4))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 1)]);
        until("it runs", || feed.fetched_at().len() == 2).await;
        let started = Instant::now();

        let report = engine.shutdown().await.unwrap();

        assert!(
            report.took >= Duration::from_secs(29),
            "the commit hung: {:?}",
            report.took
        );
        assert!(
            log.all()[0] - started < Duration::from_secs(26),
            "the handler went on during the commit"
        );
    });
}

#[test]
fn a_second_urgent_request_cuts_the_drain_short() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Outcome::Done
        })
        .drain_deadline(Duration::from_secs(1000))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 1)]);
        until("it runs", || feed.fetched_at().len() == 2).await;
        let started = Instant::now();

        let patient = engine.shutdown();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let urgent = engine.shutdown_now().await.unwrap();
        let patient = patient.await.unwrap();

        assert!(started.elapsed() < Duration::from_secs(6));
        assert_eq!(urgent.drain.abandoned.len(), 1);
        assert_eq!(patient.drain, urgent.drain, "everyone gets the same report");
    });
}

#[test]
fn a_first_request_that_is_urgent_waits_for_nothing() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Outcome::Done
        })
        .drain_deadline(Duration::from_secs(1000))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 1), ("a", 2)]);
        until("it runs", || feed.fetched_at().len() == 2).await;

        let report = engine.shutdown_now().await.unwrap();

        assert!(report.took < Duration::from_secs(1), "took {:?}", report.took);
        let running: Vec<_> = report.drain.abandoned.iter().map(|a| a.running).collect();
        assert_eq!(running, [true, false]);
    });
}

#[test]
fn asking_many_times_before_during_and_after_gives_everyone_the_same_report() {
    virtual_time(async {
        let feed = Feed::new();
        let gate = Gate::closed();
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
        feed.offer([("a", 1)]);
        until("it runs", || feed.fetched_at().len() == 2).await;

        let asks = join3(engine.shutdown(), engine.shutdown(), engine.wait());
        let (first, second, waited) = {
            gate.open();
            asks.await
        };
        let late = engine.shutdown().await.unwrap();

        let first = first.unwrap();
        for other in [second.unwrap(), waited.unwrap(), late, engine.report().unwrap()] {
            assert!(std::sync::Arc::ptr_eq(&first, &other));
        }
        assert!(engine.snapshot().await.is_err());
        assert!(engine.pause().await.is_err());
    });
}

#[test]
fn after_panics_it_stops_cleanly() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async { panic!("scripted panic") })
            .retry(RetryPolicy::never())
            .start()
            .await
            .unwrap();
        let lanes: Vec<String> = (0..50).map(|n| format!("lane:{n}")).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        until("some have panicked", || feed.settled_count() > 10).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!(feed.settled_count(), 50);
    });
}

#[test]
fn a_handler_can_stop_its_own_engine() {
    static ENGINE: OnceLock<EngineHandle> = OnceLock::new();
    virtual_time(async {
        let feed = Feed::new();
        let handle = engine(&feed, |_| async {
            ENGINE.get().unwrap().request_shutdown();
            Outcome::Done
        })
        .start()
        .await
        .unwrap();
        ENGINE.set(handle.clone()).unwrap();
        feed.offer([("a", 1)]);

        let report = handle.wait().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!(feed.settled_count(), 1);
    });
}

#[test]
fn a_handler_that_waits_for_the_stop_it_asked_for_is_dropped_at_the_deadline() {
    static ENGINE: OnceLock<EngineHandle> = OnceLock::new();
    virtual_time(async {
        let feed = Feed::new();
        let handle = engine(&feed, |_| async {
            ENGINE.get().unwrap().shutdown().await.unwrap();
            Outcome::Done
        })
        .start()
        .await
        .unwrap();
        ENGINE.set(handle.clone()).unwrap();
        feed.offer([("a", 1)]);

        let report = handle.wait().await.unwrap();

        assert_eq!(report.drain.abandoned.len(), 1);
        assert_eq!(feed.settled_count(), 0, "it comes again");
    });
}

#[test]
fn a_dropped_wait_does_not_take_the_stop_back() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();

        drop(engine.shutdown());

        assert!(engine.wait().await.unwrap().is_clean());
    });
}

#[test]
fn a_commit_that_fails_is_repeated_and_one_that_hangs_is_given_up() {
    virtual_time(async {
        let feed = Feed::new();
        feed.fail_commits(3);
        let repeated = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();
        assert!(repeated.shutdown().await.unwrap().is_clean());
        assert_eq!(feed.commits().len(), 1);

        let feed = Feed::new();
        feed.hang_commits();
        let hung = engine(&feed, |_| async { Outcome::Done })
            .commit_deadline(Duration::from_secs(4))
            .start()
            .await
            .unwrap();
        let report = hung.shutdown().await.unwrap();
        assert!(report.committed.is_err() && !report.is_clean());
        assert!(report.took < Duration::from_secs(5));
    });
}

#[test]
fn a_commit_that_is_told_to_wait_is_repeated_after_the_wait_or_not_at_all() {
    virtual_time(async {
        let told_to_wait =
            |seconds| SourceError::transient("flood").with_retry_after(Duration::from_secs(seconds));
        let feed = Feed::new();
        feed.fail_commit(told_to_wait(2));
        let waits = engine(&feed, |_| async { Outcome::Done })
            .commit_deadline(Duration::from_secs(4))
            .start()
            .await
            .unwrap();
        let report = waits.shutdown().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert!(report.took >= Duration::from_secs(2), "took {:?}", report.took);

        let feed = Feed::new();
        feed.fail_commit(told_to_wait(3600));
        let gives_up = engine(&feed, |_| async { Outcome::Done })
            .commit_deadline(Duration::from_secs(4))
            .start()
            .await
            .unwrap();
        let report = gives_up.shutdown().await.unwrap();
        assert_eq!(report.committed.as_ref().unwrap_err().to_string(), "flood");
        assert!(report.took < Duration::from_secs(1), "took {:?}", report.took);
        assert!(feed.commits().is_empty());
    });
}

#[test]
fn while_paused_it_stops_cleanly() {
    virtual_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |_| async { Outcome::Done }).start().await.unwrap();
        engine.pause().await.unwrap();

        assert!(engine.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn from_another_thread_and_another_runtime_it_stops_too() {
    let feed = Feed::new();
    let fed = feed.clone();
    let (give, take) = std::sync::mpsc::channel();
    let host = std::thread::spawn(move || {
        real_time(async move {
            let engine = engine(&fed, |_| async { Outcome::Done }).start().await.unwrap();
            give.send(engine.clone()).unwrap();
            engine.wait().await.unwrap();
        });
    });
    let engine = take.recv_timeout(Duration::from_secs(10)).unwrap();
    feed.offer([("a", 1)]);

    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = tokio.block_on(async {
        until("it is settled", || feed.settled_count() == 1).await;
        engine.shutdown().await.unwrap()
    });

    assert!(report.is_clean());
    host.join().unwrap();
}
