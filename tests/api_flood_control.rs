//! A 429 is obeyed: by the chat it concerns, for as long as it says, and by nobody else.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_rt::time::timeout;
use actogram::api::{Api, ApiError};
use scripted_server::{LONG, MESSAGE, Reply, Request, ScriptedServer, flood_wait, ok, raw};
use serde_json::json;

fn is_to_chat(request: &Request, chat_id: i64) -> bool {
    request.body_text().contains(&format!("\"chat_id\":{chat_id},"))
}

/// Answers calls to chat 1 with a wait and everything else with success.
fn chat_one_floods(secs: u64) -> ScriptedServer {
    ScriptedServer::start(move |request| {
        if is_to_chat(request, 1) {
            flood_wait(secs)
        } else {
            ok(MESSAGE)
        }
    })
}

#[actix::test]
async fn a_short_wait_is_waited_for_and_the_call_repeated() {
    let calls = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => flood_wait(1),
        _ => ok(MESSAGE),
    });

    timeout(LONG, server.api().send_text(1, "hi"))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(server.requests().len(), 2);
}

#[actix::test]
async fn a_wait_beyond_the_limit_is_reported_at_once() {
    let server = chat_one_floods(61);

    let error = server.api().send_text(1, "hi").await.unwrap_err();

    let wait = error.retry_after().unwrap();
    assert!(
        wait > Duration::from_secs(30) && wait <= Duration::from_secs(61),
        "{wait:?}"
    );
    assert!(error.is_transient() && !error.may_have_been_sent());
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn waits_add_up_to_the_limit() {
    let server = chat_one_floods(1);
    let api = Api::start(server.config().max_flood_wait(Duration::from_secs(2)));

    let error = timeout(LONG, api.send_text(1, "hi")).await.unwrap().unwrap_err();

    assert!(matches!(error, ApiError::FloodWait { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 3);
}

#[actix::test]
async fn a_wait_of_more_than_65535_seconds_is_understood() {
    let server = chat_one_floods(1_209_600);

    let error = server.api().send_text(1, "hi").await.unwrap_err();

    assert!(
        error.retry_after().unwrap() > Duration::from_secs(1_209_000),
        "{error:?}"
    );
}

#[actix::test]
async fn a_wait_in_the_header_alone_is_understood() {
    let server = ScriptedServer::start(|_| {
        raw(
            "429 Too Many Requests\r\nretry-after: 70000\r\ncontent-length: 6",
            "<html>",
        )
    });

    let error = server.api().send_text(1, "hi").await.unwrap_err();

    assert!(
        error.retry_after().unwrap() > Duration::from_secs(69_000),
        "{error:?}"
    );
}

#[actix::test]
async fn a_limit_of_zero_hands_every_wait_to_the_caller() {
    let server = chat_one_floods(1);
    let api = Api::start(server.config().max_flood_wait(Duration::ZERO));

    let error = api.send_text(1, "hi").await.unwrap_err();

    assert!(matches!(error, ApiError::FloodWait { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn a_held_chat_is_not_called_again() {
    let server = chat_one_floods(3600);
    let api = server.api();
    api.send_text(1, "first").await.unwrap_err();

    let error = api.send_text(1, "second").await.unwrap_err();

    assert!(
        error.retry_after().unwrap() > Duration::from_secs(3000),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn other_chats_go_on_while_one_waits() {
    let server = chat_one_floods(3600);
    // One connection: a waiting call that kept it would stop the others.
    let config = server
        .config()
        .max_connections(1)
        .max_flood_wait(Duration::from_secs(7200));
    let api = Api::start(config);
    let mut waiting = Box::pin(api.send_text(1, "hi"));

    // Polled together, so that the waiting call has begun before the others.
    let others = async {
        for chat in 2..5 {
            api.send_text(chat, "hi").await.unwrap();
        }
        api.call_raw("getMe", &json!({}), None).await.unwrap();
    };
    timeout(LONG, async {
        tokio::select! {
            biased;
            outcome = &mut waiting => panic!("{outcome:?}"),
            () = others => {}
        }
    })
    .await
    .unwrap();

    assert!(is_to_chat(&server.requests()[0], 1));
    assert_eq!(server.requests().len(), 5);
}

#[actix::test]
async fn several_flooded_chats_hold_the_bot() {
    let server = ScriptedServer::start(|_| flood_wait(3600));
    let api = server.api();
    for chat in 1..4 {
        api.send_text(chat, "hi").await.unwrap_err();
    }

    let error = api.send_text(4, "hi").await.unwrap_err();

    assert!(matches!(error, ApiError::FloodWait { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 3);
}

#[actix::test]
async fn a_flooded_method_without_a_chat_does_not_silence_the_bot_for_hours() {
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "setmyname" => flood_wait(80_000),
        _ => ok(MESSAGE),
    });
    let api = server.api();

    api.call_raw("setMyName", &json!({"name": "a"}), None)
        .await
        .unwrap_err();
    api.call_raw("setMyName", &json!({"name": "b"}), None)
        .await
        .unwrap_err();
    api.send_text(1, "hi").await.unwrap();

    assert_eq!(server.requests().len(), 2);
}

#[actix::test]
async fn a_call_is_never_repeated_after_an_unknown_outcome() {
    let server = ScriptedServer::start(|_| Reply::Close);

    server.api().send_text(1, "hi").await.unwrap_err();

    assert_eq!(server.requests().len(), 1);
}
