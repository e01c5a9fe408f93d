//! Calls share a bounded number of connections, end with their caller, and outlive closed connections.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_rt::{Arbiter, time::timeout};
use actogram::api::{Api, ApiError};
use futures_util::future::join_all;
use scripted_server::{LONG, MESSAGE, Reply, ScriptedServer, ok};
use tokio::task::spawn_blocking;

const ANSWER: &str = r#"{"ok":true,"result":{"message_id":1,"date":2,"chat":{"id":7,"type":"private"}}}"#;

/// Compiles only if handles and the futures of calls can go to any thread.
#[test]
fn handles_and_calls_can_go_to_any_thread() {
    fn assert_handle<T: Clone + Send + Sync + 'static>() {}
    fn assert_send<T: Send>(_: &T) {}
    fn calls(api: &Api) {
        assert_send(&api.send_text(7, "hi"));
        assert_send(&api.get_me());
        assert_send(&api.call_raw("getMe", &serde_json::Value::Null, None));
        assert_send(&frankenstein::AsyncTelegramApi::get_me(api));
    }

    assert_handle::<Api>();
    let _ = calls;
}

#[actix::test]
async fn five_hundred_calls_share_at_most_a_hundred_connections() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let api = server.api();

    let outcomes = timeout(LONG, join_all((0..500).map(|chat| api.send_text(chat, "hi"))))
        .await
        .unwrap();

    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(server.requests().len(), 500);
    assert!(server.most_open() <= 100, "{}", server.most_open());
}

#[actix::test]
async fn calls_beyond_the_connections_wait_in_order() {
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let server = ScriptedServer::start(move |_| Reply::Gate(Arc::clone(&gate), 200, ANSWER.to_owned()));
    let api = Api::start(server.config().max_connections(1));

    let calls = join_all((0..20).map(|chat| api.send_text(chat, "hi")));
    drop(open);
    let outcomes = timeout(LONG, calls).await.unwrap();

    assert!(outcomes.iter().all(Result::is_ok));
    let chats: Vec<_> = server
        .requests()
        .iter()
        .map(scripted_server::Request::body_text)
        .collect();
    let expected: Vec<_> = (0..20)
        .map(|chat| format!(r#"{{"chat_id":{chat},"text":"hi"}}"#))
        .collect();
    assert_eq!(chats, expected);
    assert_eq!(server.most_open(), 1);
}

#[actix::test]
async fn waiting_for_a_connection_does_not_use_up_the_deadline() {
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let server = ScriptedServer::start(move |_| Reply::Gate(Arc::clone(&gate), 200, ANSWER.to_owned()));
    let api = Api::start(server.config().max_connections(1));
    let deadline = Duration::from_millis(500);
    let params = serde_json::json!({});
    let mut first = Box::pin(api.call_raw("getMe", &params, Some(LONG)));
    let mut second = Box::pin(api.call_raw("getMe", &params, Some(deadline)));
    timeout(Duration::from_millis(10), &mut first).await.unwrap_err();

    timeout(2 * deadline, &mut second)
        .await
        .expect_err("the second call waits");
    drop(open);

    timeout(LONG, first).await.unwrap().unwrap();
    timeout(LONG, second).await.unwrap().unwrap();
}

#[actix::test]
async fn a_dropped_call_closes_its_connection_and_frees_its_slot() {
    let (arrived, arrival) = mpsc::channel();
    let (closed, closing) = mpsc::channel();
    let server = ScriptedServer::start(move |request| {
        if request.body_text().contains("stall") {
            arrived.send(()).unwrap();
            return Reply::Stall(closed.clone());
        }
        ok(MESSAGE)
    });
    // The deadline of the call must not be what ends it.
    let api = Api::start(server.config().max_connections(1).timeout(100 * LONG));

    tokio::select! {
        outcome = api.send_text(7, "stall") => panic!("{outcome:?}"),
        arrival = spawn_blocking(move || arrival.recv_timeout(LONG)) => arrival.unwrap().unwrap(),
    }

    spawn_blocking(move || closing.recv_timeout(LONG))
        .await
        .unwrap()
        .expect("the connection is closed");
    timeout(LONG, api.send_text(7, "next")).await.unwrap().unwrap();
}

#[actix::test]
async fn a_connection_closed_by_the_server_between_calls_is_no_error() {
    let (closed, closing) = mpsc::channel();
    let closing = Arc::new(Mutex::new(closing));
    let server = ScriptedServer::start(move |_| Reply::JsonThenClose(200, ANSWER.to_owned(), closed.clone()));
    let api = server.api();

    for call in 1..=5 {
        api.send_text(7, "hi").await.unwrap();

        let closing = Arc::clone(&closing);
        spawn_blocking(move || closing.lock().unwrap().recv_timeout(LONG))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(server.connections(), call);
    }
}

/// A server that closes each connection after one answer, when told to.
fn closing_when_told() -> (mpsc::Sender<()>, mpsc::Receiver<()>, ScriptedServer) {
    let (close, gate) = mpsc::channel();
    let (closed, closing) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let server = ScriptedServer::start(move |_| {
        Reply::JsonThenGate(200, ANSWER.to_owned(), Arc::clone(&gate), closed.clone())
    });
    (close, closing, server)
}

/// The runtime learns that a connection was closed only when it looks for events. Here it has no chance to do so before
/// the next request is written, which the server would then never see: blocking the thread is the point.
#[actix::test]
async fn a_connection_found_closed_at_the_last_moment_is_no_error_and_no_second_message() {
    let (close, closing, server) = closing_when_told();
    let api = Api::start(server.config().attempts(1));

    for call in 1..=20 {
        api.send_text(7, "hi").await.unwrap();
        assert_eq!((server.connections(), server.requests().len()), (call, call));

        close.send(()).unwrap();
        closing.recv_timeout(LONG).unwrap();
    }
}

#[actix::test]
async fn many_connections_closed_behind_the_clients_back_give_way_to_one_new_one() {
    let (close, closing, server) = closing_when_told();
    let api = Api::start(server.config().attempts(1));
    let texts = join_all((0..30).map(|chat| api.send_text(chat, "hi")));
    assert!(timeout(LONG, texts).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(server.connections(), 30);
    for _ in 0..30 {
        close.send(()).unwrap();
        closing.recv_timeout(LONG).unwrap();
    }

    api.send_text(7, "last").await.unwrap();

    assert_eq!((server.connections(), server.requests().len()), (31, 31));
}

#[actix::test]
async fn calls_reuse_their_connections_under_load() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let api = server.api();

    for _ in 0..50 {
        let calls = join_all((0..10).map(|chat| api.send_text(chat, "hi")));
        assert!(timeout(LONG, calls).await.unwrap().iter().all(Result::is_ok));
    }

    assert_eq!(server.requests().len(), 500);
    assert!(server.connections() <= 10, "{}", server.connections());
}

#[actix::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let api = Api::start(server.config().keep_alive(Duration::ZERO));

    for _ in 0..3 {
        api.send_text(7, "hi").await.unwrap();
    }

    assert_eq!(server.connections(), 3);
}

#[actix::test]
async fn a_gateway_on_another_arbiter_serves_calls_from_here() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let arbiter = Arbiter::new();
    let api = Api::start_in(&arbiter.handle(), server.config());

    api.send_text(7, "hi").await.unwrap();

    arbiter.stop();
    spawn_blocking(move || arbiter.join()).await.unwrap().unwrap();
}

#[actix::test]
async fn calls_after_the_arbiter_has_stopped_were_not_sent() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let arbiter = Arbiter::new();
    let api = Api::start_in(&arbiter.handle(), server.config());
    api.send_text(7, "hi").await.unwrap();

    arbiter.stop();
    spawn_blocking(move || arbiter.join()).await.unwrap().unwrap();
    let error = timeout(LONG, api.send_text(7, "hi")).await.unwrap().unwrap_err();

    assert!(matches!(error, ApiError::Stopped { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn a_call_on_the_wire_when_the_arbiter_stops_has_an_unknown_outcome() {
    let (closed, closing) = mpsc::channel();
    let (arrived, arrival) = mpsc::channel();
    let server = ScriptedServer::start(move |_| {
        arrived.send(()).unwrap();
        Reply::Stall(closed.clone())
    });
    let arbiter = Arbiter::new();
    let api = Api::start_in(&arbiter.handle(), server.config());
    let call = actix_rt::spawn({
        let api = api.clone();
        async move { api.send_text(7, "hi").await }
    });
    spawn_blocking(move || arrival.recv_timeout(LONG))
        .await
        .unwrap()
        .unwrap();

    arbiter.stop();
    let error = timeout(LONG, call).await.unwrap().unwrap().unwrap_err();

    assert!(error.may_have_been_sent(), "{error:?}");
    spawn_blocking(move || closing.recv_timeout(LONG))
        .await
        .unwrap()
        .expect("the connection is closed");
    spawn_blocking(move || arbiter.join()).await.unwrap().unwrap();
}
