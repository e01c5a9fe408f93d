//! Calls to one chat keep their order, whatever happens; what waits is bounded, visible, and gone with its caller.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use actix_rt::time::timeout;
use actogram::api::{Api, ApiError, ApiStats, MultipartForm, Pacing};
use frankenstein::methods::GetChatParams;
use futures_util::future::join_all;
use scripted_server::{LONG, MESSAGE, Reply, Request, ScriptedServer, flood_wait, ok};
use serde_json::json;

const ANSWER: &str = r#"{"ok":true,"result":{"message_id":1,"date":2,"chat":{"id":7,"type":"private"}}}"#;

/// A server that answers nothing before its gate is opened, by dropping the first half.
fn gated() -> (mpsc::Sender<()>, ScriptedServer) {
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let server = ScriptedServer::start(move |_| Reply::Gate(Arc::clone(&gate), 200, ANSWER.to_owned()));
    (open, server)
}

/// The number in the text of each message, in order of arrival.
fn numbers(server: &ScriptedServer) -> Vec<usize> {
    server.requests().iter().map(number).collect()
}

fn number(request: &Request) -> usize {
    let body = request.body_text();
    let digits: String = body
        .split("number ")
        .nth(1)
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap()
}

async fn until_stats(api: &Api, what: &str, holds: impl Fn(&ApiStats) -> bool) -> ApiStats {
    timeout(LONG, async {
        loop {
            let stats = api.stats().await.unwrap();
            if holds(&stats) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited too long until {what}"))
}

#[actix::test]
async fn concurrent_calls_to_one_chat_arrive_in_the_order_they_were_made() {
    let busy = Arc::new(AtomicUsize::new(0));
    let server = ScriptedServer::start({
        let busy = Arc::clone(&busy);
        move |_| {
            assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0, "two calls at once");
            std::thread::yield_now();
            busy.fetch_sub(1, Ordering::SeqCst);
            ok(MESSAGE)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, "content").unwrap();
    let api = server.api();

    let calls = (0..60).map(|n| {
        let (api, path, text) = (api.clone(), path.clone(), format!("number {n}"));
        async move {
            if n % 3 == 0 {
                let form = MultipartForm::new().text("chat_id", "7").text("caption", text);
                let form = form.file("document", path);
                api.call_form("sendDocument", form, None).await.map(drop)
            } else {
                api.send_text(7, &text).await.map(drop)
            }
        }
    });
    let outcomes = timeout(LONG, join_all(calls)).await.unwrap();

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(numbers(&server), (0..60).collect::<Vec<_>>());
}

#[actix::test]
async fn a_flood_wait_does_not_change_the_order() {
    let floods = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |request| {
        if number(request) == 2 && floods.fetch_add(1, Ordering::SeqCst) < 2 {
            flood_wait(1)
        } else {
            ok(MESSAGE)
        }
    });
    let api = server.api();

    let texts: Vec<_> = (0..6).map(|n| format!("number {n}")).collect();
    let outcomes = timeout(LONG, join_all(texts.iter().map(|text| api.send_text(7, text))))
        .await
        .unwrap();

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(numbers(&server), [0, 1, 2, 2, 2, 3, 4, 5]);
}

#[actix::test]
async fn a_failed_call_does_not_stop_those_behind_it() {
    let server = ScriptedServer::start(|request| match number(request) {
        1 => Reply::Close,
        3 => scripted_server::error(400, "Bad Request: message is too long"),
        _ => ok(MESSAGE),
    });
    let api = server.api();

    let texts: Vec<_> = (0..5).map(|n| format!("number {n}")).collect();
    let outcomes = timeout(LONG, join_all(texts.iter().map(|text| api.send_text(7, text))))
        .await
        .unwrap();

    let fine: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, true, false, true]);
    assert_eq!(numbers(&server), [0, 1, 2, 3, 4]);
}

#[actix::test]
async fn reading_and_answering_do_not_wait_behind_a_slow_send() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let server = ScriptedServer::start(move |request| match request.method.as_str() {
        "sendmessage" => Reply::Gate(Arc::clone(&gate), 200, ANSWER.to_owned()),
        _ => ok("true"),
    });
    let api = server.api();
    let slow = actix_rt::spawn({
        let api = api.clone();
        async move { api.send_text(7, "slow").await }
    });
    until_stats(&api, "it runs", |stats| stats.running == 1).await;

    let about = json!({"chat_id": 7, "action": "typing", "callback_query_id": "1"});
    for method in ["getChat", "sendChatAction", "answerCallbackQuery"] {
        timeout(LONG, api.call_raw(method, &about, None))
            .await
            .unwrap()
            .unwrap();
    }
    let behind = api.call_raw("deleteMessage", &about, None);
    timeout(Duration::from_millis(20), behind)
        .await
        .expect_err("this one waits");

    drop(open);
    timeout(LONG, slow).await.unwrap().unwrap().unwrap();
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method != "deletemessage")
    );
}

#[actix::test]
async fn a_dropped_call_leaves_its_line_at_once() {
    let (open, server) = gated();
    let api = Api::start(server.config().max_waiting(100, 1));
    let first = actix_rt::spawn({
        let api = api.clone();
        async move { api.send_text(7, "number 0").await }
    });
    until_stats(&api, "the first runs", |stats| stats.running == 1).await;
    let mut second = Box::pin(api.send_text(7, "number 1"));
    timeout(Duration::from_millis(1), &mut second).await.unwrap_err();
    until_stats(&api, "the second waits", |stats| stats.waiting == 1).await;
    let full = api.send_text(7, "number 2").await.unwrap_err();
    assert!(
        matches!(
            full,
            ApiError::QueueFull {
                limit: 1,
                of_chat: true,
                ..
            }
        ),
        "{full:?}"
    );

    drop(second);
    until_stats(&api, "its place is free", |stats| stats.waiting == 0).await;
    let third = actix_rt::spawn({
        let api = api.clone();
        async move { api.send_text(7, "number 3").await }
    });
    until_stats(&api, "the third waits", |stats| stats.waiting == 1).await;

    drop(open);
    timeout(LONG, first).await.unwrap().unwrap().unwrap();
    timeout(LONG, third).await.unwrap().unwrap().unwrap();
    assert_eq!(numbers(&server), [0, 3]);
}

#[actix::test]
async fn what_waits_is_bounded_in_all_and_visible() {
    let (open, server) = gated();
    let api = Api::start(server.config().max_connections(2).max_waiting(3, 100));
    let calls: Vec<_> = (0..5)
        .map(|chat| {
            let api = api.clone();
            actix_rt::spawn(async move { api.send_text(chat, "number 0").await })
        })
        .collect();
    let stats = until_stats(&api, "all are there", |stats| stats.waiting == 3).await;

    let full = api.send_text(9, "number 0").await.unwrap_err();

    assert_eq!((stats.running, stats.longest_line, stats.held_chats), (2, 1, 0));
    assert_eq!(stats.bot_held_for, None);
    assert!(
        matches!(
            full,
            ApiError::QueueFull {
                limit: 3,
                of_chat: false,
                ..
            }
        ),
        "{full:?}"
    );
    assert!(full.is_transient() && !full.may_have_been_sent());
    drop(open);
    for call in calls {
        timeout(LONG, call).await.unwrap().unwrap().unwrap();
    }
    let stats = until_stats(&api, "nothing is left", |stats| stats.running == 0).await;
    assert_eq!(stats.waiting, 0);
}

#[actix::test]
async fn a_turn_that_does_not_come_in_time_is_an_error_of_its_own() {
    let (open, server) = gated();
    let wait = Duration::from_millis(30);
    let api = Api::start(server.config().max_wait(wait));
    let first = actix_rt::spawn({
        let api = api.max_wait(LONG);
        async move { api.send_text(7, "number 0").await }
    });
    until_stats(&api, "the first runs", |stats| stats.running == 1).await;

    let late = timeout(LONG, api.send_text(7, "number 1"))
        .await
        .unwrap()
        .unwrap_err();

    assert!(
        matches!(&late, ApiError::WaitedTooLong { limit, .. } if *limit == wait),
        "{late:?}"
    );
    assert!(late.is_transient() && !late.may_have_been_sent());
    drop(open);
    timeout(LONG, first).await.unwrap().unwrap().unwrap();
    assert_eq!(numbers(&server), [0]);
}

#[actix::test]
async fn held_chats_and_a_held_bot_are_visible() {
    let server = ScriptedServer::start(|_| flood_wait(3600));
    let api = server.api();
    for chat in 1..=3 {
        api.send_text(chat, "number 0").await.unwrap_err();
    }

    let stats = api.stats().await.unwrap();

    assert_eq!(stats.held_chats, 3);
    assert!(
        stats.bot_held_for.unwrap() > Duration::from_secs(3000),
        "{stats:?}"
    );
    assert_eq!((stats.waiting, stats.running), (0, 0));
}

#[actix::test]
async fn a_paced_handle_keeps_its_pace_and_leaves_others_alone() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let api = server.api();
    let paced = api.paced(Pacing::bulk().per_second(1));
    paced.send_text(1, "number 0").await.unwrap();

    let mut waiting = Box::pin(paced.send_text(2, "number 1"));
    timeout(Duration::from_millis(1), &mut waiting)
        .await
        .expect_err("waits for its pace");
    until_stats(&api, "it waits", |stats| stats.waiting == 1).await;
    for chat in 3..30 {
        timeout(LONG, api.send_text(chat, "number 2"))
            .await
            .unwrap()
            .unwrap();
    }
    let params = GetChatParams::builder().chat_id(1).build();
    let reading = timeout(LONG, paced.get_chat(&params)).await.unwrap();

    assert!(
        matches!(reading, Err(ApiError::Decode { .. })),
        "the call was made"
    );
    timeout(LONG, waiting).await.unwrap().unwrap();
}
