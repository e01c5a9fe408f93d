use super::Hooked;
use crate::{Fault, FloodProfile, Rules, WebhookAnswer, WebhookFault};

fn reply(method: &str, chat: i64) -> WebhookAnswer {
    WebhookAnswer::json(format!(
        r#"{{"method":"{method}","chat_id":{chat},"text":"from a reply"}}"#
    ))
}

#[test]
fn a_reply_is_executed_once_and_its_answer_goes_nowhere() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    hooked.say("hello");

    hooked.answer(reply("sendMessage", ann));

    assert_eq!(hooked.stage.bot().view().texts_to(ann), ["from a reply"]);
    assert_eq!(
        hooked.stage.bot().view().posts()[0].reply_method.as_deref(),
        Some("sendMessage")
    );
    assert!(hooked.stage.world.take_replies().is_empty());
    assert!(hooked.stage.violations().is_empty());
}

#[test]
fn a_reply_in_a_failure_is_not_executed() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    hooked.say("hello");

    hooked.answer(WebhookAnswer {
        status: 500,
        ..reply("sendMessage", ann)
    });

    assert!(hooked.stage.bot().view().texts_to(ann).is_empty());
}

#[test]
fn a_lost_answer_takes_its_reply_with_it() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    hooked.stage.bot().webhook_fault(WebhookFault::LoseAnswer);
    hooked.say("hello");

    hooked.answer(reply("sendMessage", ann));

    assert!(hooked.stage.bot().view().texts_to(ann).is_empty());
    hooked.wait(2_000);
    assert_eq!(hooked.posted().len(), 1);
}

#[test]
fn webhook_methods_and_getters_are_not_executed_and_noticed() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    hooked.say("hello");

    hooked.answer(reply("deleteWebhook", ann));

    assert_ne!(hooked.info()["url"], "");
    assert_eq!(hooked.stage.violations(), ["webhook_reply_ignored"]);
}

#[test]
fn a_reply_that_the_bot_would_have_to_correct_is_noticed() {
    let mut hooked = Hooked::new();
    hooked.say("hello");

    hooked.answer(reply("sendMessage", 404));

    hooked
        .stage
        .call("sendMessage", &[("chat_id", "404"), ("text", "x")]);
    assert_eq!(
        hooked.stage.violations(),
        ["webhook_reply_invalid"],
        "a call is told so"
    );
    assert_eq!(hooked.stage.bot().view().refused()[0].code, 400);
    assert_eq!(hooked.stage.bot().view().confirmed().len(), 1);
}

#[test]
fn a_fault_of_the_call_is_not_blamed_on_the_reply() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    let description = "Bad Request: chat not found".to_owned();
    let fault = Fault::Error {
        code: 400,
        description,
    };
    hooked.stage.bot().fault(fault.on("sendMessage"));
    hooked.say("hello");

    hooked.answer(reply("sendMessage", ann));

    assert!(hooked.stage.violations().is_empty());
    assert_eq!(hooked.stage.bot().view().refused().len(), 1);
}

#[test]
fn a_bot_does_not_know_of_the_flood_wait_that_its_reply_met() {
    let mut hooked = Hooked::new();
    let ann = hooked.stage.ann;
    hooked.stage.bot().fault(Fault::FloodWait(60).on("sendMessage"));
    hooked.say("hello");

    hooked.answer(reply("sendMessage", ann));
    let chat = ann.to_string();
    hooked
        .stage
        .call("sendMessage", &[("chat_id", &chat), ("text", "x")]);

    assert!(hooked.stage.violations().is_empty());
}

#[test]
fn a_reply_that_is_held_back_is_executed_later_and_answered_to_nobody() {
    let mut hooked = Hooked::with(Rules {
        local: true,
        flood: FloodProfile::Sensible,
        ..Rules::default()
    });
    hooked.set(&[]);
    let ann = hooked.stage.ann;
    for text in ["a", "b", "c", "d"] {
        hooked.say(text);
        hooked.answer(reply("sendMessage", ann));
    }
    assert_eq!(hooked.stage.bot().view().texts_to(ann).len(), 3);

    hooked.wait(2_000);

    assert_eq!(hooked.stage.bot().view().texts_to(ann).len(), 4);
    assert!(hooked.stage.world.take_replies().is_empty());
}

#[test]
fn an_answer_whose_body_breaks_http_is_void() {
    let mut hooked = Hooked::new();
    let id = hooked.say("hello");

    hooked.answer(WebhookAnswer {
        content_type: Some("multipart/form-data".to_owned()),
        ..reply("sendMessage", 1)
    });

    assert_eq!(hooked.stage.bot().view().pending(), [id]);
    assert!(hooked.info()["last_error_message"].is_string());
    hooked.wait(2_000);
    assert_eq!(hooked.posted(), [id]);
}
