//! Without a journal a request waits for its handler: the server keeps the update until it was handled.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
mod webhook_poster;

use std::{sync::Arc, thread, time::Duration};

use actogram::{
    Bot, BotHandle, Context, DeadUpdate, HandlerError, HandlerResult, Lane, RetryPolicy, Webhook,
};
use support::{Gate, Log, Stage, collecting, sharing, until_blocking};
use webhook_poster::{
    Letter, Poster, SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Answer, Wire, post},
};

/// A bot without a journal whose handlers wait at a gate.
struct Scene {
    _stage: Stage,
    begun: Log<i64>,
    gate: Gate,
    bot: BotHandle,
    host: Arc<Host>,
}

impl Scene {
    fn new(change: impl FnOnce(Webhook) -> Webhook, set: impl FnOnce(Bot) -> Bot) -> Self {
        let (stage, begun, gate) = (Stage::lenient(), Log::new(), Gate::closed());
        let bot = stage.actogram().direct().handlers(sharing(
            (begun.clone(), gate.clone()),
            |(begun, gate): (Log<i64>, Gate), ctx: Context| async move {
                begun.add(ctx.update().id());
                gate.pass().await;
            },
        ));
        let (bot, route) = set(bot).spawn_webhook(change(Webhook::new(SECRET))).unwrap();
        let host = Arc::new(Host::start(mounting(route)));
        Self {
            _stage: stage,
            begun,
            gate,
            bot,
            host,
        }
    }

    /// Posts on a thread of its own.
    fn post(&self, id: i64, chat: i64) -> thread::JoinHandle<Answer> {
        let address = self.host.address;
        thread::spawn(move || {
            Wire::once(
                address,
                &post("/telegram", SECRET, text_update(id, chat, "x").as_bytes()),
            )
        })
    }

    fn until_begun(&self, count: usize) {
        until_blocking("handlers have begun", || self.begun.len() == count);
    }

    fn end(self) {
        Arc::into_inner(self.host).unwrap().stop();
        assert!(wait_blocking(self.bot.shutdown()).unwrap().is_clean());
    }
}

#[test]
fn a_request_is_answered_after_its_handler() {
    let scene = Scene::new(|webhook| webhook, |bot| bot);

    let (first, second) = (scene.post(1, 7), scene.post(2, 8));
    scene.until_begun(2);
    assert!(!first.is_finished() && !second.is_finished());
    scene.gate.open();

    assert_eq!(
        (first.join().unwrap().status, second.join().unwrap().status),
        (200, 200)
    );
    scene.end();
}

/// The server gives a request up after 60 s and sends the update again at once: peer failure 18 is that it then runs twice.
#[test]
fn a_handler_that_outlasts_its_request_is_not_joined_by_a_second_one() {
    let scene = Scene::new(
        |webhook| webhook.answer_within(Duration::from_millis(100)),
        |bot| bot,
    );

    for _ in 0..3 {
        let answer = scene.post(1, 7).join().unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    }
    scene.gate.open();
    until_blocking("the handler has ended", || {
        wait_blocking(scene.bot.snapshot()).unwrap().engine.totals.done == 1
    });

    assert_eq!(scene.post(1, 7).join().unwrap().status, 200);
    assert_eq!(scene.begun.all(), [1]);
    let counts = wait_blocking(scene.bot.snapshot()).unwrap().webhook.unwrap();
    assert_eq!((counts.accepted, counts.refused.still_running), (1, 3));
    scene.end();
}

#[test]
fn more_than_the_concurrency_is_left_to_the_server() {
    let scene = Scene::new(|webhook| webhook, |bot| bot.concurrency(2));

    let in_hand = [scene.post(1, 7), scene.post(2, 8)];
    scene.until_begun(2);
    let answer = scene.post(3, 9).join().unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    scene.gate.open();
    for request in in_hand {
        assert_eq!(request.join().unwrap().status, 200);
    }

    assert_eq!(scene.post(3, 9).join().unwrap().status, 200);
    assert_eq!(scene.begun.len(), 3);
    scene.end();
}

/// A callback query is in another queue of the server than the messages of its chat, so both may arrive at once.
#[test]
fn updates_of_one_chat_are_handled_one_after_the_other_whatever_the_server_does() {
    let scene = Scene::new(|webhook| webhook, |bot| bot);

    let first = scene.post(1, 7);
    scene.until_begun(1);
    let second = scene.post(2, 7);
    until_blocking("the second waits", || {
        wait_blocking(scene.bot.snapshot()).unwrap().engine.waiting == 1
    });
    assert_eq!(scene.begun.all(), [1]);
    scene.gate.open();

    assert_eq!(
        (first.join().unwrap().status, second.join().unwrap().status),
        (200, 200)
    );
    assert_eq!(scene.begun.all(), [1, 2]);
    scene.end();
}

#[test]
fn lanes_are_chosen_as_with_polling() {
    let scene = Scene::new(
        |webhook| webhook,
        |bot| {
            bot.lane_by(|_| Lane::new("all in one"))
                .bypass(|update| update.id() == 3)
        },
    );

    let first = scene.post(1, 7);
    scene.until_begun(1);
    let (second, bypassing) = (scene.post(2, 8), scene.post(3, 9));
    scene.until_begun(2);
    assert_eq!(scene.begun.all(), [1, 3], "the second waits, the third passes by");
    scene.gate.open();

    for request in [first, second, bypassing] {
        assert_eq!(request.join().unwrap().status, 200);
    }
    scene.end();
}

/// The retries happen while the request waits; an update that is given up is acknowledged, as with polling.
#[test]
fn a_failing_handler_is_repeated_within_its_request_and_then_given_up() {
    let (stage, attempts, dead) = (Stage::lenient(), Log::new(), Log::<DeadUpdate>::new());
    let (bot, route) = stage
        .actogram()
        .direct()
        .retry(RetryPolicy::new([Duration::from_millis(10)]))
        .handlers(sharing(
            attempts.clone(),
            |attempts: Log<u32>, ctx: Context| async move {
                attempts.add(ctx.attempt());
                HandlerResult::Err(HandlerError::retry(std::io::Error::other("no")))
            },
        ))
        .on_error(collecting(&dead))
        .spawn_webhook(Webhook::new(SECRET))
        .unwrap();
    let host = Host::start(mounting(route));

    let update = post("/telegram", SECRET, text_update(1, 7, "x").as_bytes());
    assert_eq!(Wire::once(host.address, &update).status, 200);

    assert_eq!(attempts.all(), [1, 2]);
    assert_eq!(dead.all().len(), 1);
    host.stop();
    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());
}

#[test]
fn a_thousand_updates_are_each_handled_once_and_in_order() {
    let scene = Scene::new(|webhook| webhook, |bot| bot);
    scene.gate.open();
    let letters: Vec<_> = (1..=1_000)
        .map(|id| Letter {
            id,
            chat: id % 20,
            text: id.to_string(),
        })
        .collect();

    Poster::start(scene.host.address, "/telegram", 40, &letters).join();

    let begun = scene.begun.all();
    assert_eq!(begun.len(), 1_000);
    for chat in 0..20 {
        let of_chat: Vec<_> = begun.iter().filter(|id| **id % 20 == chat).collect();
        assert!(of_chat.is_sorted(), "{of_chat:?}");
    }
    scene.end();
}
