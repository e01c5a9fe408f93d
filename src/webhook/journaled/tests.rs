//! In virtual time, against a queue whose room and commits are the test's.

use std::{
    future::Future,
    rc::Rc,
    sync::{Mutex, MutexGuard},
};

use actix_rt::task::JoinHandle;
use tokio::{sync::oneshot, task::yield_now, time::Instant};

use super::*;
use crate::queue::{Journal, JournalSettings, Leased, QueueError, Settlement, Verdict};

type Commit = oneshot::Sender<Result<Pushed, QueueError>>;

#[derive(Default)]
struct State {
    room: usize,
    /// Whoever has asked for room is kept waiting with the answer that was right then.
    answers_late: bool,
    /// Pushes that wait for their commit.
    waiting: Vec<(i64, Commit)>,
    pushed: Vec<i64>,
}

/// A queue of which the test decides everything.
#[derive(Clone, Default)]
struct Scripted {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Scripted {
    fn with_room(room: usize) -> Self {
        let queue = Self::default();
        queue.lock().room = room;
        queue
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn set_room(&self, room: usize) {
        self.lock().room = room;
        self.changed.notify_waiters();
    }

    /// Ends every push that waits now.
    fn commit(&self, result: &Result<Pushed, QueueError>) {
        for (_, commit) in std::mem::take(&mut self.lock().waiting) {
            let _ = commit.send(result.clone());
        }
    }

    fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }
}

impl Queue for Scripted {
    async fn push(&self, updates: Vec<(Lane, Update)>) -> Result<Pushed, QueueError> {
        let (commit, committed) = oneshot::channel();
        {
            let mut state = self.lock();
            let id = updates[0].1.id();
            state.pushed.push(id);
            state.waiting.push((id, commit));
            state.room = state.room.saturating_sub(1);
        }
        committed.await.unwrap()
    }

    async fn room(&self) -> Result<usize, QueueError> {
        loop {
            let changed = self.changed.notified();
            let room = self.lock().room;
            if room == 0 {
                changed.await;
                continue;
            }
            while self.lock().answers_late {
                yield_now().await;
            }
            return Ok(room);
        }
    }

    async fn lease(&self, _: usize) -> Result<Vec<Leased>, QueueError> {
        std::future::pending().await
    }

    fn settle(&self, _: Vec<Settlement>) {}

    async fn flush(&self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn exhausted(&self, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64, QueueError> {
        Ok(0)
    }
}

const KEPT: Result<Pushed, QueueError> = Ok(Pushed {
    kept: 1,
    duplicates: 0,
    seam: None,
});

/// The intake, with its source being run as the engine does.
struct Scene {
    queue: Scripted,
    intake: JournalIntake<Scripted>,
    source: Rc<GrantingSource<Scripted>>,
    monitor: WebhookMonitor,
}

impl Scene {
    fn new(queue: Scripted) -> Self {
        let monitor = WebhookMonitor::default();
        let intake = JournalIntake::new(queue.clone(), monitor.clone());
        let source = Rc::new(intake.source());
        let running = Rc::clone(&source);
        actix_rt::spawn(async move { running.next_batch(Credit(1)).await });
        Self {
            queue,
            intake,
            source,
            monitor,
        }
    }

    fn take(&self, id: i64) -> JoinHandle<Result<(), Refusal>> {
        let update = Update::from_json(&format!(r#"{{"update_id":{id}}}"#)).unwrap();
        let intake = self.intake.clone();
        actix_rt::spawn(async move { intake.take(update.lane().clone(), update).await })
    }

    async fn until_waiting(&self, pushes: usize) {
        until(|| self.queue.waiting() == pushes).await;
    }
}

/// Lets others run until the condition holds; virtual time stands still.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        yield_now().await;
    }
    panic!("it does not happen");
}

fn virtual_time<F: Future>(test: F) -> F::Output {
    actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    })
    .block_on(test)
}

#[test]
fn an_update_is_acknowledged_when_it_is_committed_and_not_before() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(10));
        let taken = scene.take(1);
        scene.until_waiting(1).await;
        assert!(!taken.is_finished());
        assert_eq!(scene.monitor.counts().accepted, 0);

        scene.queue.commit(&KEPT);

        assert_eq!(taken.await.unwrap(), Ok(()));
        assert_eq!(scene.monitor.counts().accepted, 1);
    });
}

/// What lets a hundred requests share an fsync.
#[test]
fn a_hundred_requests_wait_for_one_commit() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1_000));
        let taken: Vec<_> = (1..=100).map(|id| scene.take(id)).collect();

        scene.until_waiting(100).await;
        scene.queue.commit(&KEPT);

        for taken in taken {
            assert_eq!(taken.await.unwrap(), Ok(()));
        }
    });
}

#[test]
fn no_more_is_pushed_than_there_is_room_for_and_the_rest_is_told_soon() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(3));
        let started = Instant::now();
        let taken: Vec<_> = (1..=10).map(|id| scene.take(id)).collect();
        scene.until_waiting(3).await;
        scene.queue.commit(&KEPT);

        let mut results = Vec::new();
        for taken in taken {
            results.push(taken.await.unwrap());
        }

        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
        assert_eq!(
            results
                .iter()
                .filter(|result| **result == Err(Refusal::Full))
                .count(),
            7
        );
        assert_eq!(started.elapsed(), GRANT_PATIENCE);
        assert_eq!(scene.queue.lock().pushed.len(), 3);
    });
}

#[test]
fn room_that_was_told_before_a_push_is_not_used_twice() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(2));
        let first = scene.take(1);
        scene.until_waiting(1).await;
        scene.queue.lock().answers_late = true;
        scene.queue.commit(&KEPT);
        assert_eq!(first.await.unwrap(), Ok(()));
        // One place is left, which the source is about to be told, and which has been granted already.
        let second = scene.take(2);
        scene.until_waiting(1).await;
        scene.queue.commit(&KEPT);
        assert_eq!(second.await.unwrap(), Ok(()));

        scene.queue.lock().answers_late = false;

        assert_eq!(scene.take(3).await.unwrap(), Err(Refusal::Full));
        assert_eq!(scene.queue.lock().pushed, [1, 2]);
        let fourth = scene.take(4);
        scene.queue.set_room(1);
        scene.until_waiting(1).await;
        scene.queue.commit(&KEPT);
        assert_eq!(fourth.await.unwrap(), Ok(()));
    });
}

/// A stop waits for it only for so long, and a host may keep its threads busy.
#[test]
fn a_push_is_ordered_before_anything_else_runs_on_its_thread() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1));
        until(|| scene.intake.grants.available.available_permits() == 1).await;
        let update = Update::from_json(r#"{"update_id":1}"#).unwrap();
        let mut taking = scene.intake.take(update.lane().clone(), update).boxed_local();

        assert!(poll_immediate(&mut taking).await.is_none());

        assert_eq!(scene.queue.lock().pushed, [1]);
        scene.queue.commit(&KEPT);
        assert_eq!(taking.await, Ok(()));
    });
}

#[test]
fn room_that_comes_in_time_is_used() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(0));
        let taken = scene.take(1);
        tokio::time::sleep(GRANT_PATIENCE / 2).await;
        assert_eq!(scene.queue.waiting(), 0);

        scene.queue.set_room(1);
        scene.until_waiting(1).await;
        scene.queue.commit(&KEPT);

        assert_eq!(taken.await.unwrap(), Ok(()));
    });
}

#[test]
fn grants_are_renewed_for_as_long_as_there_is_room() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(100_000));
        for round in 0..20 {
            let taken: Vec<_> = (0..100).map(|id| scene.take(100 * round + id)).collect();
            scene.until_waiting(100).await;
            scene.queue.commit(&KEPT);
            for taken in taken {
                assert_eq!(taken.await.unwrap(), Ok(()));
            }
        }
        assert_eq!(scene.monitor.counts().accepted, 2_000);
    });
}

/// The disk is full: pushes wait in the journal. Those of requests that gave up still count, so that a server which goes on
/// sending cannot fill the memory.
#[test]
fn pushes_that_wait_for_the_disk_are_bounded_even_when_their_requests_gave_up() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(100_000));
        let gave_up: Vec<_> = (0..1_000).map(|id| scene.take(id)).collect();
        scene.until_waiting(MOST_GRANTS).await;
        let mut results = Vec::new();
        for taken in gave_up {
            results.push(taken.await.unwrap());
        }

        assert!(results.iter().all(|result| *result == Err(Refusal::Full)));
        assert_eq!(scene.queue.waiting(), MOST_GRANTS);
        assert_eq!(scene.take(2_000).await.unwrap(), Err(Refusal::Full));
        assert_eq!(scene.queue.waiting(), MOST_GRANTS);

        scene.queue.commit(&KEPT);
        until(|| scene.monitor.counts().accepted == MOST_GRANTS as u64).await;
        let taken = scene.take(3_000);
        scene.until_waiting(1).await;
        scene.queue.commit(&KEPT);
        assert_eq!(taken.await.unwrap(), Ok(()), "it resumes by itself");
    });
}

#[test]
fn a_request_that_is_dropped_takes_neither_its_update_nor_its_grant_along() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1));
        let taken = scene.take(1);
        scene.until_waiting(1).await;

        taken.abort();
        assert!(taken.await.unwrap_err().is_cancelled());
        scene.queue.commit(&KEPT);
        until(|| scene.monitor.counts().accepted == 1).await;
        scene.queue.set_room(1);

        let next = scene.take(2);
        scene.until_waiting(1).await;
        scene.queue.commit(&KEPT);
        assert_eq!(next.await.unwrap(), Ok(()));
    });
}

#[test]
fn a_duplicate_is_acknowledged_and_counted_as_one() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1));
        let taken = scene.take(1);
        scene.until_waiting(1).await;

        scene.queue.commit(&Ok(Pushed {
            kept: 0,
            duplicates: 1,
            seam: None,
        }));

        assert_eq!(taken.await.unwrap(), Ok(()));
        let counts = scene.monitor.counts();
        assert_eq!((counts.accepted, counts.duplicates), (0, 1));
    });
}

#[test]
fn a_journal_that_failed_acknowledges_nothing() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1));
        let taken = scene.take(1);
        scene.until_waiting(1).await;

        scene.queue.commit(&Err(QueueError {
            reason: "disk on fire".to_owned(),
        }));

        assert_eq!(taken.await.unwrap(), Err(Refusal::Failed));
        assert_eq!(scene.monitor.counts().accepted, 0);
    });
}

#[test]
fn a_journal_that_was_closed_meanwhile_has_not_failed() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(1));
        let taken = scene.take(1);
        scene.until_waiting(1).await;

        scene.source.set_open(false);
        scene.queue.commit(&Err(QueueError {
            reason: "it is closed".to_owned(),
        }));

        assert_eq!(taken.await.unwrap(), Err(Refusal::Closed));
    });
}

#[test]
fn a_closed_intake_refuses_at_once_and_finishes_what_it_has_begun() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(10));
        let begun = scene.take(1);
        scene.until_waiting(1).await;

        scene.source.set_open(false);
        assert_eq!(scene.take(2).await.unwrap(), Err(Refusal::Closed));
        scene.queue.commit(&KEPT);

        assert_eq!(begun.await.unwrap(), Ok(()));
        assert_eq!(scene.queue.lock().pushed, [1]);
    });
}

/// In real time, against a real journal.
#[actix_rt::test]
async fn a_full_journal_refuses_until_something_was_handled() {
    let folder = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        rows: 2,
        ..JournalSettings::default()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), 42, settings)
        .await
        .unwrap();
    let intake = JournalIntake::new(journal.clone(), WebhookMonitor::default());
    let source = intake.source();
    let running = actix_rt::spawn(async move { source.next_batch(Credit(1)).await.map(drop) });
    let take = |id: i64| {
        let update = Update::from_json(&format!(r#"{{"update_id":{id}}}"#)).unwrap();
        intake.take(update.lane().clone(), update)
    };

    assert_eq!((take(1).await, take(2).await), (Ok(()), Ok(())));
    assert_eq!(take(3).await, Err(Refusal::Full));
    let leased = journal.lease(1).await.unwrap();
    journal.settle(vec![Settlement {
        ticket: leased[0].ticket,
        verdict: Verdict::Finished,
    }]);

    assert_eq!(take(3).await, Ok(()));
    journal.close().await;
    assert!(
        running.await.unwrap().is_err(),
        "a closed journal ends the source"
    );
}

/// Who empties the journal must not miss what is on its way there.
#[test]
fn a_commit_waits_for_the_pushes_that_are_under_way() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(10));
        let taken = [scene.take(1), scene.take(2)];
        scene.until_waiting(2).await;
        scene.source.set_open(false);
        let source = Rc::clone(&scene.source);
        let commit = actix_rt::spawn(async move { source.commit().await.unwrap() });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!commit.is_finished());

        scene.queue.commit(&KEPT);

        commit.await.unwrap();
        for taken in taken {
            assert_eq!(taken.await.unwrap(), Ok(()));
        }
        assert_eq!(scene.monitor.counts().accepted, 2);
    });
}

#[test]
fn a_commit_does_not_wait_for_a_full_disk() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(10));
        let _taken = scene.take(1);
        scene.until_waiting(1).await;
        scene.source.set_open(false);
        let started = Instant::now();

        scene.source.commit().await.unwrap();

        assert_eq!(started.elapsed(), PUSH_PATIENCE);
    });
}

#[test]
fn a_grant_that_comes_after_the_end_is_not_used() {
    virtual_time(async {
        let scene = Scene::new(Scripted::with_room(0));
        let taken = scene.take(1);
        tokio::time::sleep(GRANT_PATIENCE / 2).await;

        scene.source.set_open(false);
        scene.queue.set_room(1);

        assert_eq!(taken.await.unwrap(), Err(Refusal::Closed));
        assert_eq!(scene.queue.lock().pushed, [] as [i64; 0]);
    });
}
