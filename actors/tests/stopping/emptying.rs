//! With `Engine::drain_source` a stop handles all that the source keeps, within the one deadline.

use std::{sync::Arc, time::Duration};

use actogram_actors::{
    Backoff, CreditPolicy, Delivery, Engine, EngineHandle, Failure, Outcome, RetryPlace, RetryPolicy, Seq,
    ShutdownReport, SourceError, StopReason,
};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::support::{
    Feed, Gate, Graveyard, Log, Script, engine, engine_of,
    store::{Keeper, Store, StoreSource},
    until, virtual_time,
};

const DEADLINE: Duration = Duration::from_secs(25);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns an engine in two halves, one delivery at a time, that empties its source when it stops.
fn emptying<F, R>(
    store: &Store,
    feed: &Feed,
    consume: F,
) -> Engine<StoreSource, Script, impl Fn() -> Script + Clone + Send + 'static + use<F, R>>
where
    F: Fn(Delivery<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Outcome> + 'static,
{
    two_halves(store, feed, &Gate::opened(), consume).drain_source()
}

fn two_halves<F, R>(
    store: &Store,
    feed: &Feed,
    gate: &Gate,
    consume: F,
) -> Engine<StoreSource, Script, impl Fn() -> Script + Clone + Send + 'static + use<F, R>>
where
    F: Fn(Delivery<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Outcome> + 'static,
{
    engine_of(store.source(), &Graveyard::default(), consume)
        .credit(CreditPolicy::Window(1))
        .concurrency(1)
        .retry(RetryPolicy::never())
        .retry_place(RetryPlace::Source)
        .drain_deadline(DEADLINE)
        .fed_by(feed.source(), Keeper::start(store, gate), Backoff::default())
}

/// Returns what a handler does that notes its delivery after a while.
fn noting(
    log: &Log<u64>,
    time: Duration,
) -> impl Fn(Delivery<u64>) -> LocalBoxFuture<'static, Outcome> + Clone + Send + 'static {
    let log = log.clone();
    move |delivery| {
        let log = log.clone();
        Box::pin(async move {
            tokio::time::sleep(time).await;
            log.add(*delivery.payload);
            Outcome::Done
        })
    }
}

async fn started<F>(engine: Engine<StoreSource, Script, F>, store: &Store) -> EngineHandle
where
    F: Fn() -> Script + Clone + Send + 'static,
{
    let engine = engine.start().await.unwrap();
    until("the first one is given out", || store.given_out() == 1).await;
    engine
}

#[test]
fn everything_is_handled_in_the_order_of_its_lane() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        for n in 0..60 {
            store.keep(&format!("lane:{}", n % 7), n);
        }
        let engine = emptying(&store, &Feed::new(), noting(&log, Duration::from_millis(100)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.emptied, report.left), (Some(true), Some(0)));
        assert_eq!(report.drain.completed, 60, "what was handled meanwhile counts");
        assert_eq!(report.last_fetched, Some(Seq(60)));
        for lane in 0..7 {
            let of_lane: Vec<_> = log.all().into_iter().filter(|n| n % 7 == lane).collect();
            assert!(of_lane.is_sorted() && of_lane.len() >= 8, "{of_lane:?}");
        }
    });
}

#[test]
fn without_the_option_what_has_not_begun_is_left_and_the_stop_is_clean() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = two_halves(&store, &Feed::new(), &Gate::opened(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.emptied, report.left), (None, Some(9)));
        assert_eq!(log.all(), [0]);
    });
}

#[test]
fn without_a_first_half_there_is_nothing_to_empty() {
    virtual_time(async {
        let (feed, log) = (Feed::new(), Log::new());
        let engine = engine(&feed, noting(&log, seconds(1)))
            .credit(CreditPolicy::Window(1))
            .drain_source()
            .start()
            .await
            .unwrap();
        feed.offer([("a", 1), ("a", 2)]);
        until("the first one runs", || {
            feed.fetched_at().len() == 1 && feed.most_unfinished() == 1
        })
        .await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.emptied, report.left), (None, None));
        assert_eq!(log.all(), [1]);
    });
}

#[test]
fn in_the_last_fifth_of_the_deadline_nothing_begins_and_what_runs_ends() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..100).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, Duration::from_millis(700)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown().await.unwrap();

        assert!(!report.is_clean());
        assert!(report.drain.abandoned.is_empty(), "{report:?}");
        assert!(
            (seconds(20)..seconds(21)).contains(&report.took),
            "took {:?}",
            report.took
        );
        assert_eq!(report.emptied, Some(false));
        assert_eq!(report.left, Some(100 - log.len() as u64));
    });
}

#[test]
fn a_stuck_handler_holds_the_stop_until_the_deadline_and_no_longer() {
    virtual_time(async {
        let store = Store::new();
        (0..3).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), |_| std::future::pending());
        let engine = started(engine, &store).await;

        let report = engine.shutdown().await.unwrap();

        assert!(
            (DEADLINE..seconds(26)).contains(&report.took),
            "took {:?}",
            report.took
        );
        assert_eq!(report.drain.abandoned.len(), 1);
        assert_eq!(report.left, Some(3), "the abandoned one is among them");
        assert!(!report.is_clean());
    });
}

#[test]
fn what_runs_when_time_is_up_and_was_the_last_makes_the_stop_clean() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        store.keep("a", 1);
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(22)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.emptied, report.left), (Some(false), Some(0)));
    });
}

#[test]
fn an_urgent_request_cuts_it_short() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..100).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let patient = engine.shutdown();
        tokio::time::sleep(Duration::from_millis(4_500)).await;
        let asked = Instant::now();
        let report = engine.shutdown_now().await.unwrap();

        assert!(asked.elapsed() < seconds(1), "took {:?}", asked.elapsed());
        assert_eq!(report.drain.abandoned.len(), 1);
        assert_eq!(report.left, Some(100 - log.len() as u64));
        assert!(log.len() >= 4 && !report.is_clean(), "{report:?}");
        assert_eq!(patient.await.unwrap().left, report.left);
    });
}

#[test]
fn it_can_be_looked_at_meanwhile_and_not_afterwards() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown();
        until("it is emptying", || log.len() == 3).await;
        let snapshot = engine.snapshot().await.unwrap();
        assert!(snapshot.stopping);
        assert!(snapshot.totals.done >= 2, "{snapshot:?}");
        assert!(engine.pause().await.is_err(), "there is nothing to be paused");
        report.await.unwrap();

        assert!(engine.snapshot().await.is_err());
    });
}

#[test]
fn a_first_request_that_is_urgent_begins_nothing_more() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown_now().await.unwrap();

        assert!(report.took < seconds(1), "took {:?}", report.took);
        assert_eq!((log.len(), report.left), (0, Some(10)));
        assert_eq!(store.given_out(), 1);
    });
}

/// Stops while the first attempt runs, which fails; the second one is due after `delay`.
async fn a_repetition_after(delay: Duration) -> (Arc<ShutdownReport>, u32) {
    let store = Store::new();
    store.keep("a", 1);
    let attempts = Log::new();
    let seen = attempts.clone();
    let engine = emptying(&store, &Feed::new(), move |delivery| {
        let seen = seen.clone();
        async move {
            tokio::time::sleep(seconds(1)).await;
            seen.add(delivery.attempt);
            if seen.len() == 1 {
                Outcome::Failed(Failure::transient("once"))
            } else {
                Outcome::Done
            }
        }
    })
    .retry(RetryPolicy::new([delay]));
    let engine = started(engine, &store).await;
    let report = engine.shutdown().await.unwrap();
    (report, u32::try_from(attempts.len()).unwrap())
}

#[test]
fn a_repetition_that_is_due_in_time_is_waited_for() {
    virtual_time(async {
        let (report, attempts) = a_repetition_after(seconds(10)).await;

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((attempts, report.left), (2, Some(0)));
        assert_eq!((report.drain.retried, report.drain.completed), (1, 1));
    });
}

#[test]
fn a_repetition_that_is_due_later_is_not_waited_for_and_is_left() {
    virtual_time(async {
        let (report, attempts) = a_repetition_after(seconds(60)).await;

        assert!(report.took < seconds(3), "took {:?}", report.took);
        assert_eq!((report.emptied, report.left, attempts), (Some(true), Some(1), 1));
        assert!(!report.is_clean());
    });
}

#[test]
fn a_source_that_fails_meanwhile_ends_it_and_is_reported() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown();
        until("it is emptying", || log.len() == 3).await;
        store.fail(SourceError::fatal("the disk is gone"));
        let report = report.await.unwrap();

        assert!(report.took < seconds(6), "took {:?}", report.took);
        let error = report.source_error.as_ref().map(ToString::to_string);
        assert_eq!(error.as_deref(), Some("the disk is gone"));
        assert_eq!(
            (report.reason, report.emptied),
            (StopReason::Requested, Some(false))
        );
        assert!(!report.is_clean());
        assert_eq!(report.drain.completed, log.len() as u64, "what ran has ended");
    });
}

#[test]
fn a_source_that_failed_before_is_not_waited_for() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        store.fail(SourceError::fatal("the disk is gone"));

        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let report = engine.start().await.unwrap().wait().await.unwrap();

        assert!(report.took < seconds(3), "took {:?}", report.took);
        assert_eq!((report.reason, report.left), (StopReason::SourceFailed, Some(10)));
        assert!(report.source_error.is_some() && !report.is_clean(), "{report:?}");
    });
}

#[test]
fn a_source_that_panics_meanwhile_ends_it_and_is_reported() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;

        let report = engine.shutdown();
        until("it is emptying", || log.len() == 3).await;
        store.panic();
        let report = report.await.unwrap();

        assert!(report.took < seconds(6), "took {:?}", report.took);
        assert!(report.lost_actor && !report.is_clean(), "{report:?}");
    });
}

#[test]
fn a_first_half_that_has_failed_leaves_the_second_one_to_be_emptied() {
    virtual_time(async {
        let (store, feed, log) = (Store::new(), Feed::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        feed.fail(SourceError::fatal("revoked"));

        let engine = emptying(&store, &feed, noting(&log, seconds(1)));
        let report = engine.start().await.unwrap().wait().await.unwrap();

        assert_eq!(report.reason, StopReason::SourceFailed);
        assert_eq!((report.emptied, report.left), (Some(true), Some(0)));
        assert_eq!(log.len(), 10);
    });
}

#[test]
fn a_paused_engine_is_emptied_as_well() {
    virtual_time(async {
        let (store, log) = (Store::new(), Log::new());
        (0..10).for_each(|n| store.keep("a", n));
        let engine = emptying(&store, &Feed::new(), noting(&log, seconds(1)));
        let engine = started(engine, &store).await;
        engine.pause().await.unwrap();

        let report = engine.shutdown().await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!(log.len(), 10);
    });
}

#[test]
fn what_the_first_half_has_in_its_hands_is_waited_for() {
    virtual_time(async {
        let (store, feed, log, gate) = (Store::new(), Feed::new(), Log::new(), Gate::closed());
        let engine = two_halves(&store, &feed, &gate, noting(&log, seconds(1))).drain_source();
        let engine = engine.start().await.unwrap();
        feed.offer([("a", 7)]);
        until("it is handed over", || feed.most_unfinished() == 1).await;

        let report = engine.shutdown();
        tokio::time::sleep(seconds(1)).await;
        gate.open();
        let report = report.await.unwrap();

        assert!(report.is_clean(), "{report:?}");
        assert_eq!((log.all(), report.left), (vec![7], Some(0)));
        assert_eq!(feed.commits().len(), 1, "the first half is told as ever");
    });
}
