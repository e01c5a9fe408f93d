//! Setting and deleting, and the bots that poll beside it.

use serde_json::json;

use actogram_simulator::PostOutcome;

use crate::stage::Stage;
use crate::support::{PATIENCE, begin};

#[test]
fn a_waiting_poll_ends_when_a_webhook_is_set_and_new_ones_are_refused() {
    let stage = Stage::bare();
    let poll = begin(
        &stage.simulator,
        &stage.bot,
        "getUpdates",
        &json!({"timeout": 50}),
    );
    assert!(stage.bot.wait_for(PATIENCE, |view| view.is_polling()));

    stage.set(&json!({}));

    let ended = poll.answer().unwrap();
    assert_eq!(ended.status, 409);
    assert_eq!(
        ended.json()["description"],
        "Conflict: terminated by setWebhook request"
    );
    stage.advance(3_000);
    let refused = stage.call("getUpdates", &json!({}));
    assert_eq!(refused["error_code"], 409);
    assert_eq!(stage.bot.violations()[0].name(), "poll_while_webhook_set");
}

#[test]
fn deleting_the_webhook_cuts_its_requests_and_leaves_their_updates_to_polls() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.hold("hello");
    let id = stage.bot.user("Ann").say("hello");
    stage.receiver.until_seen(2);

    let deleted = stage.call("deleteWebhook", &json!({}));

    assert_eq!(deleted["description"], "Webhook was deleted");
    assert_eq!(stage.outcomes()[1], PostOutcome::Abandoned);
    let polled = stage.call("getUpdates", &json!({}));
    assert_eq!(polled["result"][0]["update_id"], id);
}

#[test]
fn another_webhook_gets_what_the_first_did_not_acknowledge() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.hold("hello");
    let id = stage.bot.user("Ann").say("hello");
    stage.receiver.until_seen(2);
    stage.advance(1_000);

    let other = crate::receiver::Receiver::start();
    stage.set(&json!({"url": other.url}));

    assert_eq!(other.until_seen(1)[0].id(), id);
    stage.until_confirmed(id);
}

#[test]
fn dropping_what_is_pending_posts_nothing_of_it() {
    let stage = Stage::bare();
    let ann = stage.bot.user("Ann");
    ann.say("dropped");

    stage.set(&json!({"drop_pending_updates": true}));
    let id = ann.say("kept");

    stage.until_confirmed(id);
    assert_eq!(stage.receiver.texts(), ["kept"]);
}

#[test]
fn a_host_name_is_resolved_and_its_address_shown() {
    let stage = Stage::bare();
    let url = stage.receiver.url.replace("127.0.0.1", "localhost");
    stage.set(&json!({"url": url}));
    let id = stage.bot.user("Ann").say("hello");

    stage.until_confirmed(id);

    assert_eq!(stage.info()["ip_address"], "127.0.0.1");
    assert_eq!(stage.info()["url"], url);
    assert_eq!(stage.receiver.seen()[0].header("host"), Some("localhost"));
}

#[test]
fn a_fixed_address_is_where_the_connection_goes() {
    let stage = Stage::bare();
    let url = stage.receiver.url.replace("127.0.0.1", "bot.example.invalid");
    stage.set(&json!({"url": url, "ip_address": "127.0.0.1"}));

    let id = stage.bot.user("Ann").say("hello");

    stage.until_confirmed(id);
    assert_eq!(
        stage.receiver.seen()[0].header("host"),
        Some("bot.example.invalid")
    );
}
