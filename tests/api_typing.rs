//! A handler can show that it is busy, for exactly as long as it is, at no risk.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actogram::{CallbackError, Context, api::ApiError, update::Update};
use frankenstein::types::ChatAction;
use scripted_server::{HandTurnedClock, LONG, MESSAGE, Reply, ScriptedServer, error, flood_wait, ok, until};
use tokio::sync::oneshot;

const INTERVAL: Duration = Duration::from_millis(4_500);
const MOMENT: Duration = Duration::from_millis(1);

const IN_TOPIC: &str = r#"{"update_id":1,"message":{"message_id":1,"date":2,"message_thread_id":5,"is_topic_message":true,
    "chat":{"id":-1007,"type":"supergroup","title":"t"},"text":"hi"}}"#;
const POLL: &str = r#"{"update_id":1,"poll":{"id":"1","question":"?","options":[],"total_voter_count":0,
    "is_closed":false,"is_anonymous":true,"type":"regular","allows_multiple_answers":false}}"#;

fn context(update: &str, server: &ScriptedServer) -> Context {
    Context::new(Update::from_json(update).unwrap(), server.api(), 1)
}

/// Lets everything happen that can happen at this moment.
async fn settle(ctx: &Context) {
    ctx.api()
        .call_raw("getMe", &serde_json::json!({}), None)
        .await
        .unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn shown(server: &ScriptedServer) -> usize {
    server
        .requests()
        .iter()
        .filter(|request| request.method == "sendchataction")
        .count()
}

#[actix::test]
async fn the_action_is_renewed_before_it_vanishes_and_ends_with_the_future() {
    let server = ScriptedServer::start(|_| ok("true"));
    let clock = HandTurnedClock::stop();
    let ctx = context(IN_TOPIC, &server);
    let (finish, finished) = oneshot::channel();
    let busy = actix_rt::spawn({
        let ctx = ctx.clone();
        async move {
            ctx.while_showing(ChatAction::UploadPhoto, finished)
                .await
                .unwrap()
        }
    });

    for times in 1..=4 {
        until("it is shown", || shown(&server) == times).await;
        settle(&ctx).await;
        clock.turn(INTERVAL - MOMENT).await;
        settle(&ctx).await;
        assert_eq!(shown(&server), times, "too early");
        clock.turn(2 * MOMENT).await;
    }
    until("it is shown", || shown(&server) == 5).await;
    finish.send("answer").unwrap();
    assert_eq!(busy.await.unwrap(), "answer");

    clock.turn(10 * INTERVAL).await;
    settle(&ctx).await;
    assert_eq!(shown(&server), 5);
    let request = server.requests()[0].clone();
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let expected = serde_json::json!({"chat_id": -1007, "message_thread_id": 5, "action": "upload_photo"});
    assert_eq!(body, expected);
}

#[actix::test]
async fn the_action_ends_when_the_handler_is_dropped() {
    let server = ScriptedServer::start(|_| ok("true"));
    let clock = HandTurnedClock::stop();
    let ctx = context(IN_TOPIC, &server);
    let mut busy = Box::pin(ctx.typing(pending::<()>()));
    tokio::select! {
        biased;
        () = &mut busy => unreachable!(),
        () = until("it is shown", || shown(&server) == 1) => {}
    }

    drop(busy);

    clock.turn(10 * INTERVAL).await;
    settle(&ctx).await;
    assert_eq!(shown(&server), 1);
}

#[actix::test]
async fn under_flood_control_nothing_is_shown_until_the_wait_has_passed() {
    let calls = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |request| {
        if request.method == "sendchataction" && calls.fetch_add(1, Ordering::SeqCst) == 0 {
            flood_wait(20)
        } else {
            ok("true")
        }
    });
    let clock = HandTurnedClock::stop();
    let ctx = context(IN_TOPIC, &server);
    let busy = actix_rt::spawn({
        let ctx = ctx.clone();
        async move { ctx.typing(pending::<()>()).await }
    });
    until("the wait is told", || shown(&server) == 1).await;
    settle(&ctx).await;

    for _ in 0..19 {
        clock.turn(Duration::from_secs(1)).await;
        settle(&ctx).await;
        assert_eq!(shown(&server), 1);
    }
    clock.turn(Duration::from_secs(1) + MOMENT).await;
    until("it is shown", || shown(&server) == 2).await;
    busy.abort();
}

#[actix::test]
async fn a_refused_action_is_not_tried_again() {
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "sendchataction" => error(400, "Bad Request: not supported"),
        _ => ok("true"),
    });
    let clock = HandTurnedClock::stop();
    let ctx = context(IN_TOPIC, &server);
    let busy = actix_rt::spawn({
        let ctx = ctx.clone();
        async move { ctx.typing(pending::<()>()).await }
    });
    until("it is refused", || shown(&server) == 1).await;
    settle(&ctx).await;

    clock.turn(10 * INTERVAL).await;
    settle(&ctx).await;

    assert_eq!(shown(&server), 1);
    busy.abort();
}

#[actix::test]
async fn the_future_neither_waits_for_the_action_nor_fails_with_it() {
    let server = ScriptedServer::start(|_| Reply::Stall(std::sync::mpsc::channel().0));
    let ctx = context(IN_TOPIC, &server);

    let answer = actix_rt::time::timeout(
        LONG,
        ctx.typing(async {
            until("the action is on its way", || shown(&server) == 1).await;
            "answer"
        }),
    );

    assert_eq!(answer.await.unwrap(), "answer");
}

#[actix::test]
async fn without_a_chat_nothing_is_shown() {
    let server = ScriptedServer::start(|_| ok("true"));
    let ctx = context(POLL, &server);

    let answer = ctx.typing(async {
        tokio::task::yield_now().await;
        settle(&ctx).await;
        "answer"
    });

    assert_eq!(answer.await, "answer");
    assert_eq!(shown(&server), 0);
}

const PRESSED: &str = r#"{"update_id":1,"callback_query":{"id":"q","chat_instance":"c","data":"yes",
    "from":{"id":7,"is_bot":false,"first_name":"A"},
    "message":{"message_id":3,"date":2,"chat":{"id":7,"type":"private"},"text":"?"}}}"#;
const PRESSED_INLINE: &str = r#"{"update_id":1,"callback_query":{"id":"q","chat_instance":"c","data":"yes",
    "from":{"id":7,"is_bot":false,"first_name":"A"},"inline_message_id":"i"}}"#;
const PRESSED_NOWHERE: &str = r#"{"update_id":1,"callback_query":{"id":"q","chat_instance":"c",
    "from":{"id":7,"is_bot":false,"first_name":"A"}}}"#;

#[actix::test]
async fn a_pressed_button_is_answered_and_its_message_edited() {
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "editmessagetext" if request.body_text().contains("chat_id") => ok(MESSAGE),
        _ => ok("true"),
    });
    let ctx = context(PRESSED, &server);

    ctx.answer_callback().await.unwrap();
    ctx.answer_callback_with("noted").await.unwrap();
    ctx.edit("done").await.unwrap();
    context(PRESSED_INLINE, &server).edit("done").await.unwrap();

    let bodies: Vec<serde_json::Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            serde_json::json!({"callback_query_id": "q"}),
            serde_json::json!({"callback_query_id": "q", "text": "noted"}),
            serde_json::json!({"chat_id": 7, "message_id": 3, "text": "done"}),
            serde_json::json!({"inline_message_id": "i", "text": "done"}),
        ]
    );
}

#[actix::test]
async fn a_message_of_the_bot_is_edited() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let ctx = context(IN_TOPIC, &server);
    let sent = ctx.reply("wait").await.unwrap();

    let edited = ctx.edit_message(&sent, "done").await.unwrap();

    assert_eq!(edited.unwrap().message_id, 1);
    let body: serde_json::Value = serde_json::from_slice(&server.requests()[1].body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"chat_id": 7, "message_id": 1, "text": "done"})
    );
}

#[actix::test]
async fn shorthands_for_buttons_say_what_is_missing() {
    let server = ScriptedServer::start(|_| error(400, "Bad Request: query is too old"));

    let none = context(IN_TOPIC, &server).answer_callback().await.unwrap_err();
    let nowhere = context(PRESSED_NOWHERE, &server).edit("done").await.unwrap_err();
    let late = context(PRESSED, &server).answer_callback().await.unwrap_err();

    assert!(
        matches!(none, CallbackError::NoCallback { update_id: 1 }),
        "{none:?}"
    );
    assert!(
        matches!(nowhere, CallbackError::NoMessage { update_id: 1 }),
        "{nowhere:?}"
    );
    assert!(
        matches!(late, CallbackError::Call(ApiError::Refused { code: 400, .. })),
        "{late:?}"
    );
    assert_eq!(server.requests().len(), 1);
}
