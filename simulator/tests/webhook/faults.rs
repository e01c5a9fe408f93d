//! Every fault as it looks to a bot.

use std::time::Duration;

use actogram_simulator::{PostOutcome, WebhookFault};
use serde_json::json;

use crate::stage::Stage;

const SECRET: &str = "x-telegram-bot-api-secret-token";

fn stage_with_secret() -> Stage {
    Stage::warm(&json!({"secret_token": "hush"}))
}

#[test]
fn an_update_can_come_twice_before_the_next_one_of_its_chat() {
    let stage = Stage::warm(&json!({}));
    stage.bot.webhook_fault(WebhookFault::DeliverTwice.on("message"));
    let last = stage.bot.user("Ann").say_all(["a", "b"])[1];

    stage.until_confirmed(last);

    assert_eq!(stage.receiver.texts(), ["warm", "a", "a", "b"]);
    assert_eq!(stage.bot.confirmed().len(), 3);
    assert_eq!(stage.bot.faults_left(), 0);
}

#[test]
fn an_update_can_come_twice_at_once() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.hold("a");
    stage.bot.webhook_fault(WebhookFault::DeliverTwiceAtOnce);
    let id = stage.bot.user("Ann").say("a");

    let seen = stage.receiver.until_seen(3);
    assert_eq!((seen[1].id(), seen[2].id()), (id, id));
    assert_ne!(seen[1].peer, seen[2].peer);
    assert_eq!(stage.receiver.in_flight(), 2);
    stage.receiver.release();

    stage.until_ended(3);
    let mut outcomes = stage.outcomes()[1..].to_vec();
    outcomes.sort_by_key(|outcome| *outcome == PostOutcome::Ignored);
    assert_eq!(outcomes, [PostOutcome::Acknowledged, PostOutcome::Ignored]);
    assert_eq!(stage.bot.confirmed().len(), 2);
}

#[test]
fn an_update_can_come_again_under_a_new_id() {
    let stage = Stage::warm(&json!({}));
    stage.bot.webhook_fault(WebhookFault::DeliverUnderNewId);
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id + 1);

    assert_eq!(stage.receiver.texts(), ["warm", "a", "a"]);
}

#[test]
fn an_answer_can_get_lost() {
    let stage = Stage::warm(&json!({}));
    stage.bot.webhook_fault(WebhookFault::LoseAnswer);
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id);

    assert_eq!(stage.receiver.texts(), ["warm", "a", "a"]);
    assert_eq!(
        stage.outcomes()[1..],
        [PostOutcome::AnswerLost, PostOutcome::Acknowledged]
    );
    assert_eq!(stage.bot.posts()[1].status, Some(200));
}

#[test]
fn a_request_can_be_cut_in_its_body() {
    let stage = Stage::warm(&json!({}));
    stage.bot.webhook_fault(WebhookFault::CutRequest);
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id);

    assert_eq!(
        stage.outcomes()[1..],
        [PostOutcome::Unanswered, PostOutcome::Acknowledged]
    );
    let whole = stage.receiver.seen();
    let whole: Vec<_> = whole.iter().filter(|seen| seen.update.is_some()).collect();
    assert_eq!(whole.len(), 2, "the cut one is no update: {whole:?}");
}

#[test]
fn a_request_can_be_slow() {
    let stage = Stage::warm(&json!({}));
    stage
        .bot
        .webhook_fault(WebhookFault::SlowRequest(Duration::from_secs(50)));
    let id = stage.bot.user("Ann").say("a");
    stage.until("the request has begun", |view| view.posts_in_flight() == 1);
    assert_eq!(stage.receiver.seen().len(), 1);

    stage.advance(50_000);

    stage.until_confirmed(id);
    assert_eq!(stage.receiver.texts(), ["warm", "a"]);
}

#[test]
fn a_request_that_is_slower_than_a_minute_comes_again() {
    let stage = Stage::warm(&json!({}));
    stage
        .bot
        .webhook_fault(WebhookFault::SlowRequest(Duration::from_secs(3600)));
    let id = stage.bot.user("Ann").say("a");
    stage.until("the request has begun", |view| view.posts_in_flight() == 1);

    stage.advance(60_000);

    stage.until_confirmed(id);
    assert_eq!(stage.outcomes()[1], PostOutcome::TimedOut);
    assert!(stage.bot.violations().is_empty());
}

#[test]
fn an_update_can_be_late() {
    let stage = Stage::warm(&json!({}));
    stage
        .bot
        .webhook_fault(WebhookFault::Delay(Duration::from_secs(3600)));
    let ann = stage.bot.user("Ann");
    let id = ann.say("late");
    let other = stage.bot.user("Bob").say("in time");
    stage.until_confirmed(other);
    assert!(stage.bot.pending().contains(&id));

    stage.advance(3_600_000);

    stage.until_confirmed(id);
}

#[test]
fn an_update_can_be_overtaken_by_other_chats() {
    let stage = Stage::warm(&json!({}));
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    stage
        .bot
        .webhook_fault(WebhookFault::LetOvertake(2).everywhere().to_chat(ann.chat_id()));
    let id = ann.say("first");
    bob.say_all(["second", "third"]);

    stage.until_confirmed(id);

    assert_eq!(
        stage.receiver.texts()[..3],
        ["warm", "second", "third"],
        "{:?}",
        stage.receiver.texts()
    );
}

#[test]
fn an_update_that_waits_to_be_overtaken_is_let_go_when_faults_are_taken_back() {
    let stage = Stage::warm(&json!({}));
    stage.bot.webhook_fault(WebhookFault::LetOvertake(2));
    let id = stage.bot.user("Ann").say("held");
    stage.until("the fault has struck", |view| view.faults_left() == 0);
    assert_eq!(stage.bot.posts().len(), 1);

    stage.bot.clear_faults();

    stage.until_confirmed(id);
}

#[test]
fn a_stranger_can_post_with_another_secret_or_none() {
    for (fault, secret) in [(WebhookFault::WrongSecret, true), (WebhookFault::NoSecret, false)] {
        let stage = stage_with_secret();
        stage.receiver.answer_next([crate::receiver::Says::status(401)]);
        stage.bot.webhook_fault(fault);
        let id = stage.bot.user("Ann").say("a");

        stage.until_confirmed(id);

        let seen = stage.receiver.seen();
        assert_eq!(seen[1].header(SECRET).is_some(), secret);
        assert_ne!(seen[1].header(SECRET), Some("hush"));
        assert_eq!(seen[2].header(SECRET), Some("hush"));
        assert_eq!(stage.outcomes()[1], PostOutcome::Ignored);
        assert_eq!(stage.bot.posts()[1].status, Some(401));
        assert!(stage.bot.violations().is_empty());
    }
}

#[test]
fn a_bot_that_believes_a_stranger_breaks_a_rule() {
    let stage = stage_with_secret();
    stage.bot.webhook_fault(WebhookFault::WrongSecret);
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id);

    assert_eq!(stage.bot.violations()[0].name(), "forged_post_accepted");
}

#[test]
fn a_request_can_come_with_another_method() {
    let stage = stage_with_secret();
    stage
        .bot
        .webhook_fault(WebhookFault::OtherMethod("PUT".to_owned()));
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id);

    let methods: Vec<String> = stage
        .receiver
        .seen()
        .into_iter()
        .map(|seen| seen.method)
        .collect();
    assert_eq!(methods, ["POST", "PUT", "POST"]);
    assert!(stage.bot.violations().is_empty());
}

#[test]
fn delivery_can_be_paused() {
    let stage = Stage::warm(&json!({}));
    stage.bot.pause_webhook();
    let id = stage.bot.user("Ann").say("a");
    stage.advance(10_000);
    assert_eq!(stage.bot.posts().len(), 1);
    assert_eq!(stage.info()["pending_update_count"], 1);

    stage.bot.resume_webhook();

    stage.until_confirmed(id);
}
