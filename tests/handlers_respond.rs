//! What handlers return is sent to where the update came from.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{
    Answer, BotHandle, Context, Edit, HandlerError, InlineKeyboard, Reply, RetryPolicy, Router,
    extract::{CallbackData, Text},
    frankenstein::types::{ReplyKeyboardRemove, ReplyMarkup},
    update::UpdateKind,
};
use actogram_simulator::Sent;
use serde_json::{Value, json};
use support::{Stage, on_actix, until_snapshot};

async fn start(stage: &Stage, router: fn() -> Router) -> BotHandle {
    let bot = stage
        .actogram()
        .retry(RetryPolicy::new([Duration::from_millis(20)]))
        .handlers(router);
    bot.start().await.unwrap()
}

/// Waits until so many updates are done and none is given up, stops the bot, and returns what it has sent.
async fn sent_after(stage: &Stage, bot: BotHandle, updates: u64) -> Vec<Sent> {
    let snapshot = until_snapshot(&bot, "all have ended", |snapshot| {
        snapshot.engine.totals.done + snapshot.engine.totals.dead == updates
    })
    .await;
    assert_eq!(snapshot.engine.totals.dead, 0);
    assert!(bot.shutdown().await.unwrap().is_clean());
    stage.bot.sent()
}

fn parameter(call: &Sent, name: &str) -> Value {
    let text = call.params.get(name).and_then(Value::as_str).unwrap_or("null");
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[test]
fn texts_are_sent_and_nothing_else_is() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say_all(["/text", "/owned", "/some", "/none", "/empty", "/nothing", "/two"]);
        let bot = start(&stage, || {
            Router::new()
                .command("text", || async { "text" })
                .command("owned", || async { String::from("owned") })
                .command("some", || async { Ok::<_, HandlerError>(Some("some")) })
                .command("none", || async { None::<String> })
                .command("empty", || async { " \n" })
                .command("nothing", || async {})
                .command("two", || async { ("one", Some("two"), None::<&str>) })
        })
        .await;

        sent_after(&stage, bot, 7).await;

        assert_eq!(ann.heard(), ["text", "owned", "some", "one", "two"]);
    });
}

#[test]
fn a_plain_handler_responds_as_well() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("hello");
        let bot = stage
            .actogram()
            .handlers(|| |ctx: Context| async move { ctx.text().map(str::to_uppercase) })
            .start()
            .await
            .unwrap();

        sent_after(&stage, bot, 1).await;

        assert_eq!(ann.heard(), ["HELLO"]);
    });
}

#[test]
fn a_reply_carries_all_it_was_given() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say_all(["/all", "/remove"]);
        let bot = start(&stage, || {
            Router::new()
                .command("all", || async {
                    let keyboard = InlineKeyboard::new()
                        .button("A", "a")
                        .row()
                        .link("B", "https://b.example/");
                    Reply::html("<b>hi</b>")
                        .keyboard(keyboard)
                        .quoting()
                        .silent()
                        .protected()
                })
                .command("remove", || async {
                    let remove = ReplyKeyboardRemove::builder().remove_keyboard(true).build();
                    Reply::text("<b>gone</b>").markup(ReplyMarkup::ReplyKeyboardRemove(remove))
                })
        })
        .await;

        let sent = sent_after(&stage, bot, 2).await;

        let message_id = parameter(&sent[0], "reply_parameters")["message_id"].clone();
        assert_eq!(
            parameter(&sent[0], "reply_parameters"),
            json!({"message_id": message_id, "allow_sending_without_reply": true})
        );
        assert!(message_id.is_i64());
        assert_eq!(
            parameter(&sent[0], "reply_markup")["inline_keyboard"],
            json!([
                [{"text": "A", "callback_data": "a"}],
                [{"text": "B", "url": "https://b.example/"}],
            ])
        );
        assert_eq!(parameter(&sent[0], "parse_mode"), "HTML");
        assert_eq!(parameter(&sent[0], "disable_notification"), true);
        assert_eq!(parameter(&sent[0], "protect_content"), true);
        assert_eq!(
            parameter(&sent[1], "reply_markup"),
            json!({"remove_keyboard": true})
        );
        for name in [
            "parse_mode",
            "reply_parameters",
            "disable_notification",
            "protect_content",
        ] {
            assert_eq!(parameter(&sent[1], name), Value::Null, "{name}");
        }
    });
}

#[test]
fn replies_go_to_the_topic_of_the_message_or_of_the_pressed_button() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, forum) = (stage.bot.user("Ann"), stage.bot.supergroup("Forum"));
        let topic = forum.open_topic();
        let from = json!({"id": ann.id(), "is_bot": false, "first_name": "Ann"});
        let message = json!({
            "message_id": 900, "date": 1, "message_thread_id": topic, "is_topic_message": true, "text": "hi",
            "chat": {"id": forum.id(), "type": "supergroup", "title": "Forum", "is_forum": true}, "from": from,
        });
        stage.bot.push_kind("message", &message);
        let query = json!({"id": "1", "from": from, "message": message, "chat_instance": "1", "data": "x"});
        stage.bot.push_kind("callback_query", &query);
        let bot = start(&stage, || {
            Router::new()
                .text(|Text(text): Text| async { text })
                .callback("", || async { "pressed" })
        })
        .await;

        let sent = sent_after(&stage, bot, 2).await;

        let targets: Vec<_> = sent
            .iter()
            .map(|call| (call.chat_id, parameter(call, "message_thread_id")))
            .collect();
        assert_eq!(
            targets,
            [(Some(forum.id()), json!(topic)), (Some(forum.id()), json!(topic))]
        );
    });
}

#[test]
fn a_press_is_answered_and_its_message_edited_even_if_that_changes_nothing() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("/begin");
        let bot = start(&stage, || {
            let keyboard = || InlineKeyboard::new().button("A", "say:a");
            Router::new()
                .command("begin", move || async move {
                    Reply::text("begin").keyboard(keyboard())
                })
                .callback(
                    "say:",
                    move |CallbackData(text): CallbackData<String>| async move {
                        (
                            Edit::text(text).keyboard(keyboard()),
                            Answer::text("done").alert().cache_seconds(5),
                        )
                    },
                )
        })
        .await;
        stage
            .until("the message is there", |view| !view.sent().is_empty())
            .await;
        let message = stage.bot.sent()[0].message_id.unwrap();

        ann.press(message, "say:a").unwrap();
        ann.press(message, "say:a").unwrap();
        let sent = sent_after(&stage, bot, 3).await;

        let methods: Vec<_> = sent.iter().map(|call| &*call.method).collect();
        assert_eq!(
            methods,
            [
                "sendMessage",
                "editMessageText",
                "answerCallbackQuery",
                "answerCallbackQuery"
            ]
        );
        assert_eq!(
            stage.bot.refused().len(),
            1,
            "the second edit is refused: nothing changed"
        );
        let answer = &sent[2];
        assert_eq!(
            (
                parameter(answer, "text"),
                parameter(answer, "show_alert"),
                parameter(answer, "cache_time")
            ),
            (json!("done"), json!(true), json!(5))
        );
    });
}

#[test]
fn a_press_that_an_earlier_attempt_has_answered_is_handled() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("/begin");
        let bot = start(&stage, || {
            Router::new()
                .command("begin", || async {
                    Reply::text("begin").keyboard(InlineKeyboard::new().button("A", "a"))
                })
                .callback("a", |ctx: Context| async move {
                    let failure = if ctx.attempt() == 1 {
                        Err(HandlerError::retry("once more"))
                    } else {
                        Ok(())
                    };
                    (Answer::new(), failure)
                })
        })
        .await;
        stage
            .until("the message is there", |view| !view.sent().is_empty())
            .await;

        ann.press(stage.bot.sent()[0].message_id.unwrap(), "a").unwrap();
        let sent = sent_after(&stage, bot, 2).await;

        assert_eq!(sent.len(), 2);
        assert_eq!(stage.bot.refused().len(), 1, "a query is answered once");
    });
}

#[test]
fn an_answer_to_what_is_no_press_is_given_up() {
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say_all(["/answer", "/edit"]);
        let bot = start(&stage, || {
            Router::new()
                .command("answer", || async { Answer::new() })
                .command("edit", || async { Edit::text("x") })
                .on(UpdateKind::Poll, || async { "a poll has no chat" })
        })
        .await;
        stage.bot.push_kind("poll", &json!({"id": "1"}));

        until_snapshot(&bot, "all are given up", |snapshot| {
            snapshot.engine.totals.dead == 3
        })
        .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert!(stage.bot.sent().is_empty());
    });
}
