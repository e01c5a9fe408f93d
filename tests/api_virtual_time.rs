//! Waits are exact: on a clock that is turned by hand nothing goes a moment too early, and nobody waits for another.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actogram::api::{Api, Pacing};
use futures_util::future::join_all;
use scripted_server::{HandTurnedClock, MESSAGE, Request, ScriptedServer, flood_wait, ok, until};
use tokio::{task::JoinHandle, time::Instant};

const MOMENT: Duration = Duration::from_millis(1);

fn is_to_chat(request: &Request, chat_id: i64) -> bool {
    request.body_text().contains(&format!("\"chat_id\":{chat_id},"))
}

fn send(api: &Api, chat: i64) -> JoinHandle<()> {
    let api = api.clone();
    actix_rt::spawn(async move {
        api.send_text(chat, "hi").await.unwrap();
    })
}

/// Lets everything happen that can happen at this moment: a call that finds nothing to wait for is answered.
async fn settle(api: &Api) {
    api.call_raw("getMe", &serde_json::json!({}), None).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Peer failure 22.
#[actix::test]
async fn a_hundred_chats_are_served_at_once_while_one_is_flooded() {
    let flooded = Arc::new(AtomicBool::new(true));
    let server = ScriptedServer::start({
        let flooded = Arc::clone(&flooded);
        move |request| {
            if is_to_chat(request, 1) && flooded.load(Ordering::SeqCst) {
                flood_wait(50)
            } else {
                ok(MESSAGE)
            }
        }
    });
    let clock = HandTurnedClock::stop();
    let api = server.api();
    let waiting: Vec<_> = (0..5).map(|_| send(&api, 1)).collect();
    until("the wait is known", || server.requests().len() == 1).await;
    settle(&api).await;
    assert_eq!(api.stats().await.unwrap().held_chats, 1);

    let before = Instant::now();
    let outcomes = join_all((2..=101).map(|chat| api.send_text(chat, "hi"))).await;

    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(Instant::now(), before, "no time has passed");
    let to_flooded = || {
        server
            .requests()
            .iter()
            .filter(|request| is_to_chat(request, 1))
            .count()
    };
    assert_eq!(to_flooded(), 1);
    flooded.store(false, Ordering::SeqCst);
    clock.turn(Duration::from_secs(50) - MOMENT).await;
    settle(&api).await;
    assert_eq!(to_flooded(), 1, "a moment too early");
    clock.turn(2 * MOMENT).await;
    join_all(waiting).await.into_iter().for_each(Result::unwrap);
    assert_eq!(to_flooded(), 6);
}

#[actix::test]
async fn a_paced_handle_keeps_its_pace_to_the_moment() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let clock = HandTurnedClock::stop();
    let api = server.api();
    let paced = api.paced(Pacing::bulk().per_second(4));
    let sent = || {
        server
            .requests()
            .iter()
            .filter(|request| request.method == "sendmessage")
            .count()
    };

    let calls: Vec<_> = (1..=10).map(|chat| send(&paced, chat)).collect();
    until("the burst is sent", || sent() == 4).await;
    clock.turn(MOMENT).await;
    for more in 5..=10 {
        clock.turn(Duration::from_millis(248)).await;
        settle(&api).await;
        assert_eq!(sent(), more - 1, "too early");
        clock.turn(2 * MOMENT).await;
        until("the next one is sent", || sent() == more).await;
    }

    join_all(calls).await.into_iter().for_each(Result::unwrap);
}

#[actix::test]
async fn replies_do_not_wait_for_the_pace_of_a_broadcast() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let _clock = HandTurnedClock::stop();
    let api = server.api();
    let broadcast = api.paced(Pacing::bulk().per_second(1));
    let _bulk: Vec<_> = (1..=50).map(|chat| send(&broadcast, chat)).collect();

    let replies = join_all((51..=100).map(|chat| api.send_text(chat, "hi"))).await;

    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(api.stats().await.unwrap().waiting, 49);
}
