//! Unit tests of the pool, above all of threads that several pools share.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
};

use super::{
    acts::{Act, Noting, Seen},
    *,
};
use crate::delivery::{Delivery, Lane, Outcome, Seq};

const DEADLINE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);

fn on_actix<F: Future>(test: F) -> F::Output {
    actix_rt::System::new().block_on(async {
        tokio::time::timeout(2 * PATIENCE, test)
            .await
            .expect("the test ends")
    })
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn pool_on(threads: &WorkerThreads, seen: &Seen) -> Pool<Act> {
    let placement = Placement::Shared(threads.clone());
    Pool::start(placement, seen.factory(), DEADLINE).await.unwrap()
}

/// Sends one delivery where the pool wants it; the reply is `None` when it was lost.
fn send(pool: &mut Pool<Act>, act: Act) -> actix_rt::task::JoinHandle<Option<Outcome>> {
    let booking = pool.assign();
    let delivery = Delivery::new(Seq(1), Lane::new("lane"), act);
    let reply = pool.handle(&booking).send(Handle { delivery });
    actix_rt::spawn(async move {
        let reply = reply.await.ok();
        drop(booking);
        reply
    })
}

fn is_done(reply: Option<Outcome>) -> bool {
    reply.is_some_and(|outcome| matches!(outcome, Outcome::Done))
}

#[test]
fn the_thread_with_the_least_to_do_for_all_is_chosen() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(4), Seen::default());
        let mut first = pool_on(&threads, &seen).await;
        let mut second = pool_on(&threads, &seen).await;

        for _ in 0..4 {
            drop(send(&mut first, Act::Wait));
            drop(send(&mut second, Act::Wait));
        }
        until("all have begun", || seen.begun(Act::Wait) == 8).await;

        let mut loads = HashMap::new();
        for (_, thread) in seen.begun.lock().unwrap().iter() {
            *loads.entry(*thread).or_insert(0) += 1;
        }
        assert_eq!(loads.into_values().collect::<Vec<_>>(), [2, 2, 2, 2]);
        first.close(PATIENCE).await;
        second.close(PATIENCE).await;
    });
}

#[test]
fn a_delivery_that_has_ended_is_on_no_books() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(1), Seen::default());
        let mut pool = pool_on(&threads, &seen).await;
        let thread = threads.thread(0).unwrap();

        let replies = [Act::Nothing, Act::Wait, Act::Nothing].map(|act| send(&mut pool, act));
        assert_eq!(thread.busy(), 3);
        pool.close(PATIENCE).await;
        for reply in replies {
            reply.await.unwrap();
        }

        assert_eq!(thread.busy(), 0);
    });
}

#[test]
fn closing_one_pool_frees_its_consumers_on_their_threads_and_leaves_the_other() {
    on_actix(async {
        let threads = WorkerThreads::new(2);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let mut second = pool_on(&threads, &of_second).await;
        let (dropped, kept) = (send(&mut first, Act::Wait), send(&mut second, Act::Wait));
        until("both have begun", || {
            of_first.begun(Act::Wait) + of_second.begun(Act::Wait) == 2
        })
        .await;

        first.close(PATIENCE).await;

        let freed = of_first.freed.lock().unwrap().clone();
        assert_eq!(freed.len(), 2, "closing waits until they are freed");
        assert!(freed.iter().all(|(home, end)| home == end), "{freed:?}");
        assert!(!is_done(dropped.await.unwrap()));
        assert!(!kept.is_finished());
        assert!(is_done(send(&mut second, Act::Nothing).await.unwrap()));
        assert_eq!(of_second.freed(), 0);
        second.close(PATIENCE).await;
    });
}

#[test]
fn the_threads_end_with_the_last_holder_whether_that_is_the_value_or_a_pool() {
    on_actix(async {
        for value_goes_first in [true, false] {
            let (threads, seen) = (WorkerThreads::new(2), Seen::default());
            let mut first = pool_on(&threads, &seen).await;
            let mut second = pool_on(&threads, &seen).await;
            let thread = threads.thread(0).unwrap();

            let value = (!value_goes_first).then(|| threads.clone());
            drop(threads);
            first.close(PATIENCE).await;
            assert!(thread.is_alive());
            second.close(PATIENCE).await;
            assert_eq!(thread.is_alive(), !value_goes_first);
            drop(value);

            until("the thread has ended", || !thread.is_alive()).await;
        }
    });
}

#[test]
fn a_pool_that_is_dropped_without_being_closed_leaves_nothing() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(2), Seen::default());
        let mut pool = pool_on(&threads, &seen).await;
        let lost = send(&mut pool, Act::Wait);
        until("it has begun", || seen.begun(Act::Wait) == 1).await;

        drop(pool);

        assert!(!is_done(lost.await.unwrap()));
        until("the consumers are freed", || seen.freed() == 2).await;
        assert!(threads.thread(0).unwrap().is_alive());
    });
}

#[test]
fn a_thousand_pools_come_and_go_on_the_same_threads() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(2), Seen::default());
        for round in 0..1000 {
            let mut pool = pool_on(&threads, &seen).await;
            assert!(is_done(send(&mut pool, Act::Nothing).await.unwrap()));
            if round % 3 > 0 {
                pool.close(PATIENCE).await;
                assert!(pool.workers.is_empty());
            }
        }

        until("all consumers are freed", || seen.freed() == 2000).await;
        assert_eq!(seen.built(), 2000);
        let homes: HashSet<_> = seen.freed.lock().unwrap().iter().map(|(home, _)| *home).collect();
        assert_eq!(homes.len(), 2, "the threads are the same all the time");
        assert_eq!(
            threads.thread(0).unwrap().busy() + threads.thread(1).unwrap().busy(),
            0
        );
    });
}

#[test]
fn a_thread_that_ends_is_replaced_once_and_each_pool_starts_anew_on_it() {
    on_actix(async {
        let threads = WorkerThreads::new(1);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let mut second = pool_on(&threads, &of_second).await;
        let bystander = send(&mut second, Act::Wait);
        until("it has begun", || of_second.begun(Act::Wait) == 1).await;

        assert!(send(&mut first, Act::EndThread).await.unwrap().is_none());
        assert!(bystander.await.unwrap().is_none(), "what ran there is lost");
        assert!(is_done(send(&mut second, Act::Nothing).await.unwrap()));
        let replaced = threads.thread(0).unwrap();
        assert!(is_done(send(&mut first, Act::Nothing).await.unwrap()));

        assert!(
            Arc::ptr_eq(&replaced, &threads.thread(0).unwrap()),
            "once for both"
        );
        assert!(Arc::ptr_eq(&replaced, &first.workers[0].thread));
        assert!(Arc::ptr_eq(&replaced, &second.workers[0].thread));
        assert_eq!((of_first.built(), of_second.built()), (2, 2));
        first.close(PATIENCE).await;
        second.close(PATIENCE).await;
        assert_eq!((of_first.freed(), of_second.freed()), (2, 2));
    });
}

/// The thread takes no work any more, but what is on it is not all dropped yet.
#[test]
fn nothing_is_given_to_a_thread_that_is_ending() {
    on_actix(async {
        let threads = WorkerThreads::new(1);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let unblock = of_first.blocking();
        drop(send(&mut first, Act::BlockWhenDropped));
        // What is older is dropped first, so this one's actor is there for as long as that blocks.
        let mut second = pool_on(&threads, &of_second).await;
        drop(send(&mut first, Act::EndThread));
        until("the end blocks", || of_first.blocks()).await;

        assert!(is_done(send(&mut second, Act::Nothing).await.unwrap()));

        assert_eq!(of_second.built(), 2);
        drop(unblock);
        first.close(PATIENCE).await;
        second.close(PATIENCE).await;
    });
}

#[test]
fn a_start_on_a_thread_that_is_about_to_end_goes_to_its_successor() {
    on_actix(async {
        let threads = WorkerThreads::new(1);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let unblock = of_first.blocking();
        drop(send(&mut first, Act::Block));
        until("it blocks", || of_first.blocks()).await;
        threads.thread(0).unwrap().arbiter().stop();

        let (mut second, ()) = tokio::join!(pool_on(&threads, &of_second), async {
            drop(unblock);
        });

        assert!(is_done(send(&mut second, Act::Nothing).await.unwrap()));
        assert_eq!(of_second.built(), 1);
        first.close(PATIENCE).await;
        second.close(PATIENCE).await;
    });
}

#[test]
fn threads_that_have_ended_with_their_system_start_again_in_another() {
    let (threads, seen) = (WorkerThreads::new(2), Seen::default());
    for round in 1..=2 {
        let runner = actix_rt::System::new();
        runner.block_on(async {
            let mut pool = pool_on(&threads, &seen).await;
            assert!(is_done(send(&mut pool, Act::Nothing).await.unwrap()));
            assert_eq!(seen.built(), 2 * round);
            pool.close(PATIENCE).await;
            actix_rt::System::current().stop();
        });
        runner.run().unwrap();
    }
}

/// A handler's value that panics while it is dropped ends the task of that attempt, and nothing else.
#[test]
fn what_is_lost_alone_costs_no_worker() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(1), Seen::default());
        let placement = Placement::Shared(threads.clone());
        let deadline = Duration::from_millis(1);
        let mut pool = Pool::start(placement, seen.factory(), deadline).await.unwrap();

        assert!(send(&mut pool, Act::PanicWhenDropped).await.unwrap().is_none());
        assert!(is_done(send(&mut pool, Act::Nothing).await.unwrap()));

        assert_eq!(seen.built(), 1);
        pool.close(PATIENCE).await;
    });
}

#[test]
fn a_blocked_thread_holds_no_close_and_what_waited_for_it_never_begins() {
    on_actix(async {
        let threads = WorkerThreads::new(1);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let mut second = pool_on(&threads, &of_second).await;
        let unblock = of_first.blocking();
        let blocking = send(&mut first, Act::Block);
        until("it blocks", || of_first.blocks()).await;
        let waiting = send(&mut second, Act::Nothing);

        second.close(Duration::from_millis(10)).await;
        assert_eq!(of_second.freed(), 0, "its thread is blocked");
        drop(unblock);

        assert!(is_done(blocking.await.unwrap()));
        assert!(!is_done(waiting.await.unwrap()));
        until("the consumer is freed", || of_second.freed() == 1).await;
        assert_eq!(of_second.begun(Act::Nothing), 0);
        first.close(PATIENCE).await;
    });
}

#[test]
fn workers_are_silent_only_while_all_of_them_are_blocked() {
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(2), Seen::default());
        let mut pool = pool_on(&threads, &seen).await;
        let clock = Cell::new(Instant::now());
        let limit = Duration::from_secs(60);
        let silence = |pool: &Pool<Act>| {
            clock.set(clock.get() + Duration::from_secs(10));
            pool.silence(clock.get())
        };

        let first = seen.blocking();
        drop(send(&mut pool, Act::Block));
        until("one is blocked", || seen.blocks()).await;
        for _ in 0..10 {
            until("the other answers", || silence(&pool).is_zero()).await;
        }
        let second = seen.blocking();
        drop(send(&mut pool, Act::Block));
        until("both are blocked", || seen.blocks()).await;
        until("nobody answers", || silence(&pool) > limit).await;

        drop(first);
        until("one answers again", || silence(&pool).is_zero()).await;
        drop(second);
        pool.close(PATIENCE).await;
    });
}

/// In virtual time the patience of the start passes at once.
#[test]
fn a_start_on_a_blocked_thread_is_an_error_and_harms_nobody() {
    let runner = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    });
    runner.block_on(async {
        let threads = WorkerThreads::new(1);
        let (of_first, of_second) = (Seen::default(), Seen::default());
        let mut first = pool_on(&threads, &of_first).await;
        let unblock = of_first.blocking();
        let blocking = send(&mut first, Act::Block);
        until("it blocks", || of_first.blocks()).await;
        tokio::time::pause();

        let placement = Placement::Shared(threads.clone());
        let error = Pool::<Act>::start(placement, of_second.factory(), DEADLINE)
            .await
            .unwrap_err();

        assert!(
            matches!(error, EngineError::WorkerBlocked { worker: 0 }),
            "{error}"
        );
        tokio::time::resume();
        drop(unblock);
        assert!(is_done(blocking.await.unwrap()));
        until("nothing is left of the second", || of_second.freed() == 1).await;
        assert!(is_done(send(&mut first, Act::Nothing).await.unwrap()));
        first.close(PATIENCE).await;
    });
}

#[test]
fn a_factory_that_panics_fails_its_own_start_only() {
    fn broken() -> Noting {
        panic!("scripted panic")
    }
    on_actix(async {
        let (threads, seen) = (WorkerThreads::new(2), Seen::default());
        let mut pool = pool_on(&threads, &seen).await;

        let placement = Placement::Shared(threads.clone());
        let error = Pool::<Act>::start(placement, broken, DEADLINE).await.unwrap_err();

        assert!(
            matches!(error, EngineError::FactoryPanicked { worker: 0 }),
            "{error}"
        );
        assert!(is_done(send(&mut pool, Act::Nothing).await.unwrap()));
        assert_eq!(seen.built(), 2, "its threads are the same");
        pool.close(PATIENCE).await;
    });
}
