//! In virtual time, with the engine's part played by the test.

use std::future::Future;

use actix_rt::task::JoinHandle;
use actogram_actors::{Ending, Settled};
use tokio::{task::yield_now, time::Instant};

use super::*;

const ANSWER_WITHIN: Duration = Duration::from_secs(50);

struct Scene {
    intake: DirectIntake,
    source: PostedSource,
    monitor: WebhookMonitor,
}

impl Scene {
    fn new(limit: usize) -> Self {
        let monitor = WebhookMonitor::default();
        let (intake, source) = DirectIntake::new(limit, ANSWER_WITHIN, monitor.clone());
        Self {
            intake,
            source,
            monitor,
        }
    }

    fn take(&self, text: &str) -> JoinHandle<Result<(), Refusal>> {
        let update = Update::from_json(text).unwrap();
        let intake = self.intake.clone();
        actix_rt::spawn(async move { intake.take(update.lane().clone(), update).await })
    }

    /// Returns what the engine is given next: the id and the seq of each.
    async fn given(&self) -> Vec<(i64, Seq)> {
        let batch = self.source.next_batch(Credit(100)).await.unwrap();
        batch
            .into_iter()
            .map(|delivery| (delivery.payload.id(), delivery.seq))
            .collect()
    }

    fn end(&self, seq: Seq, ending: Ending) {
        self.source.record(Progress {
            settled_through: Some(seq),
            settled: vec![Settled {
                seq,
                ending,
                attempt: 1,
            }],
        });
    }
}

fn text(id: i64) -> String {
    format!(r#"{{"update_id":{id}}}"#)
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

/// Lets every task run as far as it can.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[test]
fn a_request_is_answered_when_its_update_has_ended_and_not_before() {
    virtual_time(async {
        let scene = Scene::new(10);
        let taken = scene.take(&text(1));
        let given = scene.given().await;
        settle().await;
        assert!(!taken.is_finished());

        scene.end(given[0].1, Ending::Done);

        assert_eq!(taken.await.unwrap(), Ok(()));
        assert_eq!(scene.monitor.counts().accepted, 1);
    });
}

/// Given up is ended: `on_error` has seen it, and nothing would be better the next time.
#[test]
fn an_update_that_is_given_up_is_acknowledged() {
    virtual_time(async {
        let scene = Scene::new(10);
        let taken = scene.take(&text(1));
        let given = scene.given().await;

        scene.end(given[0].1, Ending::Dead { errors: Vec::new() });

        assert_eq!(taken.await.unwrap(), Ok(()));
    });
}

/// Peer failure 18.
#[test]
fn an_update_that_comes_again_while_it_runs_is_not_given_out_twice() {
    virtual_time(async {
        let scene = Scene::new(10);
        let started = Instant::now();
        let first = scene.take(&text(1));
        let given = scene.given().await;
        assert_eq!(first.await.unwrap(), Err(Refusal::StillRunning));
        assert_eq!(started.elapsed(), ANSWER_WITHIN);

        let second = scene.take(&text(1));
        let other = scene.take(&text(2));
        assert_eq!(scene.given().await.len(), 1, "only the other one is new");
        scene.end(given[0].1, Ending::Done);

        assert_eq!(second.await.unwrap(), Ok(()));
        assert!(!other.is_finished());
        let counts = scene.monitor.counts();
        assert_eq!((counts.accepted, counts.duplicates), (1, 1));
    });
}

#[test]
fn an_update_that_ended_after_its_request_is_acknowledged_when_it_comes_again() {
    virtual_time(async {
        let scene = Scene::new(10);
        let hung_up = scene.take(&text(1));
        let given = scene.given().await;
        hung_up.abort();
        scene.end(given[0].1, Ending::Done);

        assert_eq!(scene.take(&text(1)).await.unwrap(), Ok(()));

        let counts = scene.monitor.counts();
        assert_eq!((counts.accepted, counts.duplicates), (1, 1));
    });
}

#[test]
fn an_id_with_another_content_is_another_update() {
    virtual_time(async {
        let scene = Scene::new(10);
        let _first = scene.take(&text(1));
        let _second = scene.take(r#"{"update_id":1,"poll":{"id":"9"}}"#);

        settle().await;
        assert_eq!(scene.given().await.len(), 2);
    });
}

#[test]
fn no_more_are_in_hand_than_may_be() {
    virtual_time(async {
        let scene = Scene::new(2);
        let taken = [scene.take(&text(1)), scene.take(&text(2))];
        let given = scene.given().await;
        assert_eq!(scene.take(&text(3)).await.unwrap(), Err(Refusal::Busy));
        assert!(!taken[0].is_finished());

        scene.end(given[0].1, Ending::Done);
        let third = scene.take(&text(3));

        assert_eq!(scene.given().await[0].0, 3);
        assert!(!third.is_finished());
    });
}

#[test]
fn a_closed_intake_finishes_what_it_has_and_takes_nothing_new() {
    virtual_time(async {
        let scene = Scene::new(10);
        let running = scene.take(&text(1));
        let given = scene.given().await;

        scene.source.set_open(false);
        assert_eq!(scene.take(&text(2)).await.unwrap(), Err(Refusal::Closed));
        let again = scene.take(&text(1));
        scene.end(given[0].1, Ending::Done);

        assert_eq!(running.await.unwrap(), Ok(()));
        assert_eq!(again.await.unwrap(), Ok(()));
    });
}

/// A drain that ended at its deadline: the server keeps what has no 200.
#[test]
fn what_the_engine_abandons_is_not_acknowledged() {
    virtual_time(async {
        let scene = Scene::new(10);
        let intake = scene.intake.clone();
        let (running, waiting) = (scene.take(&text(1)), scene.take(&text(2)));
        let given = scene.source.next_batch(Credit(1)).await.unwrap();
        scene.source.set_open(false);

        drop(scene.source);

        assert_eq!(running.await.unwrap(), Err(Refusal::Closed));
        assert_eq!(waiting.await.unwrap(), Err(Refusal::Closed));
        assert_eq!(intake.update_id(given[0].seq), Some(1), "the report names it");
        let late = Update::from_json(&text(3)).unwrap();
        assert_eq!(intake.take(late.lane().clone(), late).await, Err(Refusal::Closed));
    });
}

/// A pause must not forget what runs: it would be handled a second time.
#[test]
fn a_commit_during_a_pause_forgets_nothing() {
    virtual_time(async {
        let scene = Scene::new(10);
        let taken = scene.take(&text(1));
        let given = scene.given().await;
        scene.source.set_open(false);
        scene.source.commit().await.unwrap();
        scene.source.set_open(true);
        let again = scene.take(&text(1));
        settle().await;
        assert!(!taken.is_finished() && !again.is_finished());

        scene.end(given[0].1, Ending::Done);

        assert_eq!((taken.await.unwrap(), again.await.unwrap()), (Ok(()), Ok(())));
    });
}

/// The end of a stop may be far away, and another process may be there to handle it.
#[test]
fn what_the_engine_has_not_taken_when_it_closes_is_given_up_at_once() {
    virtual_time(async {
        let scene = Scene::new(10);
        let started = Instant::now();
        let running = scene.take(&text(1));
        let given = scene.given().await;
        let waiting = scene.take(&text(2));
        settle().await;

        scene.source.set_open(false);

        assert_eq!(waiting.await.unwrap(), Err(Refusal::Closed));
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert!(!running.is_finished());
        scene.source.set_open(true);
        let again = scene.take(&text(2));
        assert_eq!(
            scene.given().await.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [2],
            "once"
        );
        scene.end(given[0].1, Ending::Done);
        assert_eq!(running.await.unwrap(), Ok(()));
        assert!(!again.is_finished());
    });
}

/// Returns the lanes in which the engine is given what comes next.
async fn lanes(scene: &Scene) -> Vec<String> {
    let batch = scene.source.next_batch(Credit(100)).await.unwrap();
    batch.iter().map(|delivery| delivery.lane.to_string()).collect()
}

fn said(id: i64, chat: i64) -> String {
    format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}}}}}}"#)
}

const ENDS: &str = r#"{"update_id":3,"message":{"chat":{"id":-7},"migrate_to_chat_id":-1007}}"#;
const BEGINS: &str = r#"{"update_id":3,"message":{"chat":{"id":-1007},"migrate_from_chat_id":-7}}"#;

#[test]
fn either_service_message_leads_what_comes_into_the_lane_of_what_is_in_hand() {
    for service in [ENDS, BEGINS] {
        virtual_time(async {
            let scene = Scene::new(10);
            let _taken = scene.take(&said(1, -7));
            settle().await;
            let _taken = scene.take(service);
            settle().await;
            let _taken = [scene.take(&said(4, -1007)), scene.take(&said(5, -7))];
            settle().await;

            assert_eq!(lanes(&scene).await, ["chat:-7"; 4]);
        });
    }
}

#[test]
fn what_is_held_is_given_to_the_engine_when_one_lane_is_empty_and_is_answered_when_it_has_ended() {
    virtual_time(async {
        let scene = Scene::new(10);
        let _taken = [scene.take(&said(1, -7)), scene.take(&said(2, -1007))];
        let given = scene.given().await;
        let service = scene.take(ENDS);
        settle().await;
        let again = scene.take(ENDS);
        settle().await;

        scene.end(given[0].1, Ending::Done);
        let then = scene.source.next_batch(Credit(100)).await.unwrap();

        let found: Vec<_> = then
            .iter()
            .map(|one| (one.payload.id(), one.lane.as_str()))
            .collect();
        assert_eq!(found, [(3, "chat:-1007")], "once, behind what is there");
        assert!(!service.is_finished());
        scene.end(then[0].seq, Ending::Done);
        assert_eq!((service.await.unwrap(), again.await.unwrap()), (Ok(()), Ok(())));
    });
}

#[test]
fn what_is_held_counts_as_in_hand_and_is_not_acknowledged_when_it_is_abandoned() {
    virtual_time(async {
        let scene = Scene::new(3);
        let _taken = [scene.take(&said(1, -7)), scene.take(&said(2, -1007))];
        let _given = scene.given().await;
        let held = scene.take(BEGINS);
        settle().await;
        assert_eq!(scene.take(&said(4, 8)).await.unwrap(), Err(Refusal::Busy));

        drop(scene.source);

        assert_eq!(held.await.unwrap(), Err(Refusal::Closed));
    });
}

#[test]
fn what_is_held_is_given_up_when_it_could_go_but_the_intake_is_closed() {
    virtual_time(async {
        let scene = Scene::new(3);
        let taken = [scene.take(&said(1, -7)), scene.take(&said(2, -1007))];
        let given = scene.given().await;
        let held = scene.take(BEGINS);
        settle().await;
        scene.source.set_open(false);
        assert!(!held.is_finished());

        scene.end(given[0].1, Ending::Done);

        assert_eq!(held.await.unwrap(), Err(Refusal::Closed));
        assert!(taken[0].is_finished() && !taken[1].is_finished());
        scene.source.set_open(true);
        let _again = scene.take(BEGINS);
        assert_eq!(lanes(&scene).await.len(), 1);
    });
}

#[test]
fn a_service_message_that_was_refused_moves_nothing() {
    virtual_time(async {
        let scene = Scene::new(1);
        let _taken = scene.take(&said(1, -7));
        let given = scene.given().await;
        assert_eq!(scene.take(ENDS).await.unwrap(), Err(Refusal::Busy));
        scene.end(given[0].1, Ending::Done);

        let _taken = scene.take(&said(2, -7));

        assert_eq!(lanes(&scene).await, ["chat:-7"]);
    });
}

#[test]
fn lanes_with_names_of_their_own_do_not_move() {
    virtual_time(async {
        let scene = Scene::new(10);
        for (text, lane) in [
            (ENDS, "own:-7"),
            (&said(4, -7), "own:-7"),
            (&said(5, -7), "bypass:5"),
        ] {
            let update = Update::from_json(text).unwrap();
            let admission = scene.intake.lock().admit(&Lane::new(lane), update);
            assert!(matches!(admission, Admission::InHand(_)));
        }

        assert_eq!(lanes(&scene).await, ["own:-7", "own:-7", "bypass:5"]);
    });
}

#[test]
fn what_has_ended_is_remembered_up_to_a_bound() {
    virtual_time(async {
        let scene = Scene::new(1);
        let last = i64::try_from(REMEMBERED).unwrap() + 1;
        for id in 1..=last {
            let update = Update::from_json(&text(id)).unwrap();
            let admission = scene.intake.lock().admit(&update.lane().clone(), update);
            assert!(matches!(admission, Admission::InHand(_)));
            let given = scene.given().await;
            scene.end(given[0].1, Ending::Done);
        }

        assert_eq!(scene.intake.lock().ended.len(), REMEMBERED);
        assert_eq!(scene.intake.lock().oldest.len(), REMEMBERED);
        assert_eq!(scene.take(&text(last)).await.unwrap(), Ok(()), "it is known");
    });
}
