//! What may happen twice is repeated by itself; what must not is sent once, and its unknown outcome is reported.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_rt::time::timeout;
use actogram::api::{Api, ApiError, NotSentCause};
use frankenstein::{
    methods::{AnswerCallbackQueryParams, DeleteMessageParams, EditMessageTextParams},
    response::MessageOrBool,
};
use scripted_server::{LONG, MESSAGE, Reply, ScriptedServer, config_for, error, flood_wait, ok, raw};
use serde_json::json;

/// Answers the first calls as told and then with a message.
fn after(replies: Vec<fn() -> Reply>) -> ScriptedServer {
    let calls = AtomicUsize::new(0);
    ScriptedServer::start(move |_| match replies.get(calls.fetch_add(1, Ordering::SeqCst)) {
        Some(reply) => reply(),
        None => ok(MESSAGE),
    })
}

fn bad_gateway() -> Reply {
    raw("502 Bad Gateway\r\ncontent-length: 6", "<html>")
}

/// Peer failure 23: a network error on a send must not become nine copies of one message.
#[actix::test]
async fn a_send_with_an_unknown_outcome_is_one_request_on_the_wire() {
    for reply in [
        || Reply::Close,
        bad_gateway,
        || Reply::Raw(b"garbage\r\n\r\n".to_vec()),
        || raw("200 OK\r\ncontent-length: 100", "{\"ok\":true,\"res"),
        || error(500, "Internal Server Error: restart"),
    ] {
        let server = ScriptedServer::start(move |_| reply());

        let outcome = timeout(LONG, server.api().send_text(7, "hi"))
            .await
            .unwrap()
            .unwrap_err();

        assert!(matches!(outcome, ApiError::Unknown { .. }), "{outcome:?}");
        assert_eq!(server.requests().len(), 1, "{outcome:?}");
    }
}

#[actix::test]
async fn a_harmless_call_is_repeated_until_it_has_an_outcome() {
    let server = after(vec![|| Reply::Close, bad_gateway]);

    let (api, params) = (server.api(), json!({"chat_id": 7}));

    timeout(LONG, api.call_raw("getChat", &params, None))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[actix::test]
async fn a_harmless_call_is_given_up_after_a_few_attempts() {
    let server = ScriptedServer::start(|_| Reply::Close);
    let api = Api::start(server.config().attempts(2));

    let outcome = timeout(LONG, api.get_me()).await.unwrap().unwrap_err();

    assert!(matches!(outcome, ApiError::Unknown { .. }), "{outcome:?}");
    assert_eq!(server.requests().len(), 2);
}

#[actix::test]
async fn repetition_can_be_turned_off() {
    let server = ScriptedServer::start(|_| Reply::Close);
    let api = Api::start(server.config().attempts(1));

    timeout(LONG, api.get_me()).await.unwrap().unwrap_err();

    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn the_attempts_share_the_deadline_of_the_call() {
    let server = ScriptedServer::start(|_| Reply::Stall(std::sync::mpsc::channel().0));
    let api = server.api();

    let (params, deadline) = (json!({}), Duration::from_millis(200));
    let call = api.call_raw("getMe", &params, Some(deadline));
    let outcome = timeout(LONG, call).await.unwrap().unwrap_err();

    assert!(matches!(outcome, ApiError::Unknown { .. }), "{outcome:?}");
    assert_eq!(server.requests().len(), 1, "no time was left");
}

#[actix::test]
async fn a_send_is_repeated_if_its_caller_says_so() {
    let server = after(vec![|| Reply::Close, bad_gateway]);

    timeout(LONG, server.api().repeat_unknown().send_text(7, "hi"))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(server.requests().len(), 3);
}

#[actix::test]
async fn no_later_failure_hides_that_a_send_may_have_gone_out() {
    for second in [
        || error(400, "Bad Request: chat not found"),
        || flood_wait(3600),
        || Reply::Close,
    ] {
        let server = after(vec![|| Reply::Close, second]);
        let api = Api::start(server.config().attempts(2)).repeat_unknown();

        let outcome = timeout(LONG, api.send_text(7, "hi")).await.unwrap().unwrap_err();

        assert!(outcome.may_have_been_sent(), "{outcome:?}");
        assert_eq!(server.requests().len(), 2);
    }
}

#[actix::test]
async fn a_call_that_was_not_sent_is_repeated_whatever_it_is() {
    // Nothing listens until a first attempt has been refused.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = Api::start(config_for(&format!("http://{address}")).attempts(10));
    let call = actix_rt::spawn({
        let api = api.clone();
        async move { api.send_text(7, "hi").await }
    });
    let other = api
        .call_raw("getMe", &json!({}), Some(Duration::from_millis(100)))
        .await;
    assert!(
        matches!(
            other,
            Err(ApiError::NotSent {
                source: NotSentCause::Connect(_),
                ..
            })
        ),
        "{other:?}"
    );

    let server = ScriptedServer::start_at(address, |_| ok(MESSAGE));

    timeout(LONG, call).await.unwrap().unwrap().unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn a_repetition_that_finds_the_work_done_is_a_success() {
    let edited = after(vec![|| Reply::Close, || {
        error(
            400,
            "Bad Request: message is not modified: specified new message content is the same",
        )
    }]);
    let deleted = after(vec![|| Reply::Close, || {
        error(400, "Bad Request: message to delete not found")
    }]);
    let answered = after(vec![|| Reply::Close, || {
        error(
            400,
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        )
    }]);

    let edit = EditMessageTextParams::builder()
        .chat_id(7)
        .message_id(1)
        .text("new")
        .build();
    let edit = edited.api().edit_message_text(&edit).await.unwrap();
    let delete = DeleteMessageParams::builder().chat_id(7).message_id(1).build();
    let delete = deleted.api().delete_message(&delete).await.unwrap();
    let answer = AnswerCallbackQueryParams::builder()
        .callback_query_id("1")
        .build();
    let answer = answered.api().answer_callback_query(&answer).await.unwrap();

    assert_eq!(edit, MessageOrBool::Bool(true));
    assert!(delete && answer);
}

#[actix::test]
async fn the_same_refusals_of_a_first_attempt_stay_refusals() {
    for (method, text) in [
        ("editMessageText", "Bad Request: message is not modified"),
        ("deleteMessage", "Bad Request: message to delete not found"),
        ("answerCallbackQuery", "Bad Request: query is too old"),
    ] {
        let server = ScriptedServer::start(move |_| error(400, text));

        let outcome = server.api().call_raw(method, &json!({}), None).await.unwrap_err();

        assert!(
            matches!(outcome, ApiError::Refused { code: 400, .. }),
            "{outcome:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}
