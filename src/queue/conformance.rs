//! What every [`Queue`] has to do, as tests that each implementation runs.

use std::{future::Future, time::Duration};

use actogram_actors::Lane;

use super::{Leased, Queue, Seam, Settlement, Ticket, Verdict};
use crate::update::Update;

/// Makes queues that share what they keep.
pub(crate) trait Bench {
    /// The implementation.
    type Queue: Queue;

    /// Opens the queue, again and again on the same store.
    fn open(&self) -> impl Future<Output = Self::Queue>;

    /// Lets go of the queue in order.
    fn close(&self, queue: Self::Queue) -> impl Future<Output = ()>;

    /// Leaves what a `kill -9` leaves.
    fn kill(&self, queue: Self::Queue) -> impl Future<Output = ()>;
}

/// Runs every rule, each on a fresh store.
pub(crate) async fn exercise<B: Bench>(fresh: impl AsyncFn() -> B) {
    pushed_updates_are_leased_in_the_order_of_their_lane(&fresh().await).await;
    a_duplicate_is_left_out_but_the_same_id_with_other_content_is_not(&fresh().await).await;
    a_dropped_lease_loses_nothing(&fresh().await).await;
    a_retry_comes_back_with_its_numbers_and_holds_its_lane(&fresh().await).await;
    what_was_not_settled_survives_a_kill_and_what_was_flushed_does_not_come_back(&fresh().await).await;
    an_orderly_close_counts_no_attempt(&fresh().await).await;
    only_the_first_new_update_of_a_run_tells_of_the_run_before(&fresh().await).await;
    a_kill_is_counted_apart_from_the_attempts_that_failed(&fresh().await).await;
    a_dead_update_never_comes_back(&fresh().await).await;
    a_chat_with_another_id_is_one_lane_behind_what_is_on_lease(&fresh().await).await;
    a_chat_with_another_id_stays_one_lane_after_a_kill(&fresh().await).await;
    it_is_exhausted_when_the_last_lease_has_ended_and_no_retry_is_due_in_time(&fresh().await).await;
}

fn update(id: i64, chat: i64) -> (Lane, Update) {
    let raw = format!(r#"{{"update_id":{id},"message":{{"message_id":{id},"chat":{{"id":{chat}}}}}}}"#);
    let update = Update::from_json(&raw).unwrap();
    (update.lane().clone(), update)
}

fn ids(leased: &[Leased]) -> Vec<i64> {
    leased.iter().map(|leased| leased.update.id()).collect()
}

fn settle<Q: Queue>(queue: &Q, ticket: Ticket, verdict: Verdict) {
    queue.settle(vec![Settlement { ticket, verdict }]);
}

/// Leases what is there, without waiting for more.
async fn lease<Q: Queue>(queue: &Q, limit: usize) -> Vec<Leased> {
    queue.flush().await.unwrap();
    tokio::time::timeout(Duration::from_millis(200), queue.lease(limit))
        .await
        .map_or_else(|_nothing| Vec::new(), |leased| leased.unwrap())
}

async fn pushed_updates_are_leased_in_the_order_of_their_lane<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    let pushed = queue
        .push(vec![update(1, 10), update(2, 20), update(3, 10), update(4, 10)])
        .await
        .unwrap();
    assert_eq!((pushed.kept, pushed.duplicates), (4, 0));

    let first = lease(&queue, 10).await;
    assert_eq!(ids(&first), [1, 2], "the head of each lane");
    assert!(first.iter().all(|leased| leased.attempt == 1));
    settle(&queue, first[0].ticket, Verdict::Finished);
    let second = lease(&queue, 10).await;
    assert_eq!(ids(&second), [3]);
    settle(&queue, second[0].ticket, Verdict::Finished);
    let limited = lease(&queue, 1).await;

    assert_eq!(ids(&limited), [4]);
    bench.close(queue).await;
}

async fn a_duplicate_is_left_out_but_the_same_id_with_other_content_is_not<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue.push(vec![update(1, 10)]).await.unwrap();
    let leased = lease(&queue, 10).await;
    settle(&queue, leased[0].ticket, Verdict::Finished);

    let again = queue.push(vec![update(1, 10), update(1, 99)]).await.unwrap();

    assert_eq!((again.kept, again.duplicates), (1, 1));
    assert_eq!(lease(&queue, 10).await[0].lane.as_str(), "chat:99");
    bench.kill(queue).await;
    let queue = bench.open().await;
    let after_restart = queue.push(vec![update(1, 10)]).await.unwrap();
    assert_eq!(after_restart.duplicates, 1, "ids are remembered across restarts");
    bench.close(queue).await;
}

async fn a_dropped_lease_loses_nothing<B: Bench>(bench: &B) {
    let queue = bench.open().await;

    for _ in 0..3 {
        let dropped = tokio::time::timeout(Duration::from_millis(1), queue.lease(10)).await;
        assert!(dropped.is_err(), "there is nothing to lease yet");
    }
    queue.push(vec![update(1, 10)]).await.unwrap();

    assert_eq!(ids(&lease(&queue, 10).await), [1]);
    bench.close(queue).await;
}

async fn a_retry_comes_back_with_its_numbers_and_holds_its_lane<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue.push(vec![update(1, 10), update(2, 10)]).await.unwrap();
    let retry = |counts| Verdict::Retry {
        delay: Duration::ZERO,
        counts,
        error: "not yet".to_owned(),
    };

    let first = lease(&queue, 10).await;
    settle(&queue, first[0].ticket, retry(true));
    let second = lease(&queue, 10).await;
    settle(&queue, second[0].ticket, retry(false));
    let third = lease(&queue, 10).await;

    let numbers: Vec<_> = [&first, &second, &third]
        .map(|leased| (leased[0].update.id(), leased[0].attempt, leased[0].waits))
        .into();
    assert_eq!(numbers, [(1, 1, 0), (1, 2, 0), (1, 2, 1)]);
    let later = Verdict::Retry {
        delay: Duration::from_secs(600),
        counts: true,
        error: "much later".to_owned(),
    };
    settle(&queue, third[0].ticket, later);
    assert!(lease(&queue, 10).await.is_empty(), "the lane waits");
    bench.kill(queue).await;
    let queue = bench.open().await;
    assert!(
        lease(&queue, 10).await.is_empty(),
        "and it still waits after a restart"
    );
    bench.close(queue).await;
}

async fn what_was_not_settled_survives_a_kill_and_what_was_flushed_does_not_come_back<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue
        .push(vec![update(1, 10), update(2, 20), update(3, 30)])
        .await
        .unwrap();
    let leased = lease(&queue, 2).await;
    settle(&queue, leased[0].ticket, Verdict::Finished);
    queue.flush().await.unwrap();

    bench.kill(queue).await;
    let queue = bench.open().await;

    let mut left = ids(&lease(&queue, 10).await);
    left.sort_unstable();
    assert_eq!(left, [2, 3]);
    bench.close(queue).await;
}

async fn an_orderly_close_counts_no_attempt<B: Bench>(bench: &B) {
    let mut queue = bench.open().await;
    queue.push(vec![update(1, 10)]).await.unwrap();
    for _ in 0..8 {
        assert_eq!(lease(&queue, 10).await[0].attempt, 1);
        bench.close(queue).await;
        queue = bench.open().await;
    }

    assert_eq!(lease(&queue, 10).await[0].attempt, 1);
    bench.close(queue).await;
}

async fn only_the_first_new_update_of_a_run_tells_of_the_run_before<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    let fresh = queue.push(vec![update(7, 10), update(5, 10)]).await.unwrap();
    assert_eq!(fresh.seam, None, "there was no run before");
    assert_eq!(queue.push(vec![update(6, 10)]).await.unwrap().seam, None);

    bench.kill(queue).await;
    let queue = bench.open().await;
    assert_eq!(queue.push(Vec::new()).await.unwrap().seam, None);
    let told = queue.push(vec![update(9, 10), update(10, 10)]).await.unwrap();
    assert_eq!(told.seam, Some(Seam { last: 6, first: 9 }));
    assert_eq!(queue.push(vec![update(11, 10)]).await.unwrap().seam, None);

    bench.close(queue).await;
    let queue = bench.open().await;
    let again = queue.push(vec![update(11, 10), update(99, 10)]).await.unwrap();
    assert_eq!((again.seam, again.kept), (None, 1), "it goes on where it was");
    assert_eq!(queue.push(vec![update(100, 10)]).await.unwrap().seam, None);
    bench.close(queue).await;
}

async fn a_kill_is_counted_apart_from_the_attempts_that_failed<B: Bench>(bench: &B) {
    let mut queue = bench.open().await;
    queue.push(vec![update(1, 10)]).await.unwrap();
    let mut numbers = Vec::new();
    for fails in [false, true, false, true, false] {
        let leased = lease(&queue, 10).await;
        numbers.push((leased[0].attempt, leased[0].crashes));
        if fails {
            let verdict = Verdict::Retry {
                delay: Duration::ZERO,
                counts: true,
                error: "failed".to_owned(),
            };
            settle(&queue, leased[0].ticket, verdict);
        } else {
            bench.kill(queue).await;
            queue = bench.open().await;
        }
    }

    assert_eq!(numbers, [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)]);
    assert_eq!(lease(&queue, 10).await[0].crashes, 3);
    bench.close(queue).await;
}

async fn a_dead_update_never_comes_back<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue.push(vec![update(1, 10), update(2, 10)]).await.unwrap();
    let leased = lease(&queue, 10).await;
    settle(
        &queue,
        leased[0].ticket,
        Verdict::Dead {
            errors: vec!["bad".to_owned()],
        },
    );

    assert_eq!(ids(&lease(&queue, 10).await), [2], "those behind it go on");
    bench.kill(queue).await;
    let queue = bench.open().await;
    assert_eq!(ids(&lease(&queue, 10).await), [2]);
    bench.close(queue).await;
}

/// The service message in the group that ends.
fn migration(id: i64, from: i64, to: i64) -> (Lane, Update) {
    let raw =
        format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{from}}},"migrate_to_chat_id":{to}}}}}"#);
    let update = Update::from_json(&raw).unwrap();
    (update.lane().clone(), update)
}

/// Leases and ends one after the other, as long as there is just one, and returns the ids.
async fn one_by_one<Q: Queue>(queue: &Q) -> Vec<i64> {
    let mut all = Vec::new();
    loop {
        let leased = lease(queue, 10).await;
        let [one] = &*leased else {
            assert!(leased.is_empty(), "{:?} run at once", ids(&leased));
            return all;
        };
        assert_eq!(one.lane.as_str(), "chat:-1007");
        all.push(one.update.id());
        settle(queue, one.ticket, Verdict::Finished);
    }
}

async fn a_chat_with_another_id_is_one_lane_behind_what_is_on_lease<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue
        .push(vec![update(1, -7), update(2, -1007), update(3, -7)])
        .await
        .unwrap();
    let running = lease(&queue, 10).await;
    assert_eq!(ids(&running), [1, 2]);

    queue
        .push(vec![update(4, -1007), migration(5, -7, -1007), update(6, -7)])
        .await
        .unwrap();

    assert!(lease(&queue, 10).await.is_empty());
    settle(&queue, running[1].ticket, Verdict::Finished);
    assert!(lease(&queue, 10).await.is_empty(), "the old lane still runs");
    settle(&queue, running[0].ticket, Verdict::Finished);
    assert_eq!(one_by_one(&queue).await, [3, 4, 5, 6]);
    bench.close(queue).await;
}

async fn a_chat_with_another_id_stays_one_lane_after_a_kill<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    queue
        .push(vec![update(1, -7), update(2, -1007), update(3, -7)])
        .await
        .unwrap();
    lease(&queue, 10).await;
    queue.push(vec![migration(4, -7, -1007)]).await.unwrap();

    bench.kill(queue).await;
    let queue = bench.open().await;
    queue
        .push(vec![update(5, -7), update(6, -1007), update(7, -7)])
        .await
        .unwrap();

    assert_eq!(one_by_one(&queue).await, [1, 2, 3, 4, 5, 6, 7]);
    bench.close(queue).await;
}

async fn it_is_exhausted_when_the_last_lease_has_ended_and_no_retry_is_due_in_time<B: Bench>(bench: &B) {
    let queue = bench.open().await;
    let within = Duration::from_secs(60);
    queue.exhausted(within).await.unwrap();
    queue
        .push(vec![update(1, 10), update(2, 10), update(3, 20)])
        .await
        .unwrap();
    let mut exhausted = Box::pin(queue.exhausted(within));
    let retry = |seconds| Verdict::Retry {
        delay: Duration::from_secs(seconds),
        counts: true,
        error: "not yet".to_owned(),
    };

    let first = lease(&queue, 10).await;
    settle(&queue, first[0].ticket, Verdict::Finished);
    settle(&queue, first[1].ticket, retry(600));
    assert_eq!(queue.unfinished().await.unwrap(), 2);
    let second = lease(&queue, 10).await;
    assert_eq!(ids(&second), [2]);
    let waits = tokio::time::timeout(Duration::from_millis(20), &mut exhausted).await;
    assert!(waits.is_err(), "one is on lease");
    settle(&queue, second[0].ticket, Verdict::Finished);

    exhausted.await.unwrap();
    assert_eq!(queue.unfinished().await.unwrap(), 1);
    let later = queue.exhausted(Duration::from_secs(3600));
    let waits = tokio::time::timeout(Duration::from_millis(20), later).await;
    assert!(waits.is_err(), "the repetition is due before that");
    bench.close(queue).await;
}
