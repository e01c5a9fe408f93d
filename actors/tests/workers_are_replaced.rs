//! Worker threads: built by the factory on their own thread, replaced when they die, ended by the shutdown, shared by several
//! engines.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{collections::HashSet, time::Duration};

use actogram_actors::{Ending, Engine, EngineError, Outcome, Placement, RetryPolicy, WorkerThreads};
use support::{Feed, Gate, Log, engine, real_time, until, virtual_time};

#[test]
fn each_worker_has_a_thread_of_its_own() {
    real_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let engine = engine(&feed, move |_| {
            seen.add(std::thread::current().id());
            async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Outcome::Done
            }
        })
        .placement(Placement::Workers(3))
        .start()
        .await
        .unwrap();
        let lanes: Vec<String> = (0..100).map(|n| format!("lane:{n}")).collect();
        feed.offer(lanes.iter().map(String::as_str).zip(0..));
        until("all are settled", || feed.settled_count() == 100).await;

        let threads: HashSet<_> = log.all().into_iter().collect();
        assert_eq!(threads.len(), 3);
        assert!(!threads.contains(&std::thread::current().id()));
        assert!(engine.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_worker_whose_thread_ends_is_replaced_and_its_deliveries_run_again() {
    real_time(async {
        let feed = Feed::new();
        let engine = engine(&feed, |delivery| async move {
            if *delivery.payload == 0 && delivery.attempt == 1 {
                actix_rt::Arbiter::current().stop();
                std::future::pending::<()>().await;
            }
            Outcome::Done
        })
        .placement(Placement::Workers(1))
        .retry(RetryPolicy::new([Duration::from_millis(10)]))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 0), ("a", 1), ("b", 2)]);

        until("all are settled", || feed.settled_count() == 3).await;

        let report = engine.shutdown().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        let endings: Vec<_> = feed.settled().into_iter().map(|settled| settled.ending).collect();
        assert_eq!(endings, [Ending::Done, Ending::Done, Ending::Done]);
        let attempts = feed.settled().iter().map(|settled| settled.attempt).max();
        assert_eq!(attempts, Some(2), "the lost attempt was counted");
    });
}

#[test]
fn a_factory_that_panics_is_an_error_of_the_start() {
    fn broken() -> Broken {
        panic!("scripted panic")
    }
    struct Broken;
    impl actogram_actors::Consumer<u64> for Broken {
        async fn consume(&self, _: actogram_actors::Delivery<u64>) -> Outcome {
            Outcome::Done
        }
    }
    let shared = Placement::Shared(WorkerThreads::new(2));
    for placement in [Placement::Workers(2), shared, Placement::Current] {
        real_time(async {
            let started = Engine::new(Feed::new().source(), broken)
                .placement(placement)
                .start()
                .await;

            assert!(
                matches!(started, Err(EngineError::FactoryPanicked { worker: 0 })),
                "{started:?}"
            );
        });
    }
}

#[test]
fn settings_out_of_bounds_are_refused() {
    virtual_time(async {
        let build = || engine(&Feed::new(), |_| async { Outcome::Done });

        for (engine, setting) in [
            (build().concurrency(0), "concurrency"),
            (build().placement(Placement::Workers(0)), "workers"),
            (
                build().placement(Placement::Shared(WorkerThreads::new(0))),
                "workers",
            ),
            (
                build().credit(actogram_actors::CreditPolicy::Lockstep(0)),
                "credit",
            ),
            (build().handler_deadline(Duration::ZERO), "handler deadline"),
        ] {
            let error = engine.start().await.unwrap_err();
            assert!(error.to_string().starts_with(setting), "{error}");
        }
    });
}

#[test]
fn outside_an_actix_system_the_start_is_an_error_not_a_panic() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    let started = tokio.block_on(engine(&Feed::new(), |_| async { Outcome::Done }).start());

    assert!(matches!(started, Err(EngineError::NoSystem)), "{started:?}");
}

#[test]
fn a_handler_that_blocks_its_thread_does_not_hold_the_shutdown() {
    real_time(async {
        let feed = Feed::new();
        let log = Log::new();
        let seen = log.clone();
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = std::sync::Arc::new(std::sync::Mutex::new(blocked));
        let engine = engine(&feed, move |_| {
            let (seen, blocked) = (seen.clone(), std::sync::Arc::clone(&blocked));
            async move {
                seen.add(());
                // Blocks the worker's thread until the test has its report.
                let _ = blocked.lock().unwrap().recv();
                Outcome::Done
            }
        })
        .placement(Placement::Workers(1))
        .drain_deadline(Duration::from_millis(50))
        .start()
        .await
        .unwrap();
        feed.offer([("a", 1)]);
        until("it blocks", || log.len() == 1).await;

        let report = engine.shutdown().await.unwrap();

        assert_eq!(report.drain.abandoned.len(), 1);
        assert!(
            report.committed.is_ok(),
            "the commit waits for no receipt that cannot come: {report:?}"
        );
        drop(unblock);
    });
}

#[test]
fn of_two_engines_on_shared_threads_one_stops_and_the_other_loses_nothing() {
    real_time(async {
        let threads = WorkerThreads::new(2);
        let (feeds, gate) = ([Feed::new(), Feed::new()], Gate::closed());
        let [first, second] = feeds.each_ref().map(|feed| {
            let gate = gate.clone();
            engine(feed, move |_| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Outcome::Done
                }
            })
            .placement(Placement::Shared(threads.clone()))
            .drain_deadline(Duration::from_millis(20))
        });
        let (first, second) = (first.start().await.unwrap(), second.start().await.unwrap());
        for feed in &feeds {
            feed.offer([("a", 0), ("a", 1), ("b", 2), ("c", 3)]);
        }
        for engine in [&first, &second] {
            while engine.snapshot().await.unwrap().running < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }

        let report = first.shutdown().await.unwrap();
        gate.open();

        assert_eq!(report.drain.abandoned.len(), 4, "{report:?}");
        until("the second has done its work", || feeds[1].settled_count() == 4).await;
        feeds[1].offer([("a", 4), ("d", 5)]);
        until("and does more", || feeds[1].settled_count() == 6).await;
        let report = second.shutdown().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert!(feeds[1].settled().iter().all(|settled| settled.attempt == 1));
        assert_eq!(feeds[0].settled_count(), 0);
    });
}

#[test]
fn what_two_engines_had_on_a_shared_thread_that_ended_runs_again_in_both() {
    real_time(async {
        let threads = WorkerThreads::new(1);
        let (feeds, running) = ([Feed::new(), Feed::new()], Log::new());
        let engines = feeds.each_ref().map(|feed| {
            let running = running.clone();
            engine(feed, move |delivery| {
                let running = running.clone();
                async move {
                    if delivery.attempt == 1 {
                        running.add(());
                        until("both run", || running.len() == 2).await;
                        actix_rt::Arbiter::current().stop();
                        std::future::pending::<()>().await;
                    }
                    Outcome::Done
                }
            })
            .placement(Placement::Shared(threads.clone()))
            .retry(RetryPolicy::new([Duration::from_millis(10)]))
        });
        let mut handles = Vec::new();
        for engine in engines {
            handles.push(engine.start().await.unwrap());
        }

        for feed in &feeds {
            feed.offer([("a", 0)]);
        }

        until("both are settled", || {
            feeds.iter().all(|feed| feed.settled_count() == 1)
        })
        .await;
        for (handle, feed) in handles.iter().zip(&feeds) {
            assert!(handle.shutdown().await.unwrap().is_clean());
            let settled = feed.settled();
            assert_eq!((&settled[0].ending, settled[0].attempt), (&Ending::Done, 2));
        }
    });
}

/// The other engine is a neighbour of the blocking handler on one thread only, and its stop keeps to its deadlines.
#[test]
fn a_handler_that_blocks_a_shared_thread_holds_only_what_waits_there() {
    real_time(async {
        let threads = WorkerThreads::new(1);
        let (feeds, log) = ([Feed::new(), Feed::new()], Log::new());
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = std::sync::Arc::new(std::sync::Mutex::new(blocked));
        let seen = log.clone();
        let blocking = engine(&feeds[0], move |_| {
            let (seen, blocked) = (seen.clone(), std::sync::Arc::clone(&blocked));
            async move {
                seen.add("blocking");
                let _ = blocked.lock().unwrap().recv();
                Outcome::Done
            }
        });
        let seen = log.clone();
        let neighbour = engine(&feeds[1], move |_| {
            seen.add("neighbour");
            async { Outcome::Done }
        });
        let shared = Placement::Shared(threads);
        let blocking = blocking.placement(shared.clone()).start().await.unwrap();
        let neighbour = neighbour
            .placement(shared)
            .drain_deadline(Duration::from_millis(20));
        let neighbour = neighbour.start().await.unwrap();
        feeds[0].offer([("a", 0)]);
        until("it blocks", || log.len() == 1).await;
        feeds[1].offer([("a", 0), ("b", 1)]);
        while neighbour.snapshot().await.unwrap().running < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        let report = neighbour.shutdown().await.unwrap();
        assert_eq!(report.drain.abandoned.len(), 2, "{report:?}");
        drop(unblock);

        assert!(blocking.shutdown().await.unwrap().is_clean());
        assert_eq!(
            log.all(),
            ["blocking"],
            "what was abandoned is not begun afterwards"
        );
    });
}
