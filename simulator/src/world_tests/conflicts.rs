use super::{Stage, body, description, ids};
use crate::{PollOutcome, Rules};

const OTHER_POLL: &str =
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to \
                              delete the webhook first";

#[test]
fn the_newer_waiting_poll_ends_the_older_one() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.poll(&[("timeout", "50")]);

    stage.poll(&[("timeout", "50")]);

    let replies = stage.world.take_replies();
    assert_eq!((replies[0].0, replies[0].1.status), (first, 409));
    assert_eq!(description(&replies[0].1), OTHER_POLL);
    assert_eq!(stage.bot().view().polls()[0].outcome, PollOutcome::Conflict);
    assert_eq!(stage.violations(), ["concurrent_polls"]);
}

#[test]
fn a_poll_without_timeout_and_another_offset_disturbs_nobody() {
    let mut stage = Stage::new(Rules::default());
    stage.poll(&[("timeout", "50")]);

    assert!(ids(&stage.call("getUpdates", &[("offset", "-1")])).is_empty());

    assert!(stage.world.take_replies().is_empty());
    assert!(stage.bot().view().is_polling());
}

#[test]
fn a_poll_without_timeout_and_the_same_offset_soon_after_is_made_to_wait_and_conflicts() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.poll(&[("timeout", "50")]);
    stage.wait(2_000);

    let second = stage.poll(&[]);

    assert_eq!(stage.world.take_replies()[0].0, first);
    stage.wait(3_000);
    assert_eq!(stage.world.take_replies()[0].0, second);
}

#[test]
fn with_updates_at_hand_every_poller_gets_the_same_ones() {
    let mut stage = Stage::new(Rules::default());
    let id = stage.say("hello");

    assert_eq!(ids(&stage.call("getUpdates", &[("timeout", "50")])), [id]);
    assert_eq!(ids(&stage.call("getUpdates", &[("timeout", "50")])), [id]);

    assert!(stage.world.take_replies().is_empty());
    assert!(stage.violations().is_empty());
}

#[test]
fn the_second_conflict_within_three_seconds_is_sent_three_seconds_later() {
    let mut stage = Stage::new(Rules::default());
    stage.poll(&[("timeout", "50")]);
    let second = stage.poll(&[("timeout", "50"), ("offset", "-1")]);
    stage.world.take_replies();

    stage.poll(&[("timeout", "50"), ("offset", "-2")]);
    stage.wait(2_999);
    assert!(stage.world.take_replies().is_empty());
    stage.wait(1);

    let replies = stage.world.take_replies();
    assert_eq!((replies[0].0, replies[0].1.status), (second, 409));
}

#[test]
fn without_penalties_nothing_is_held_back() {
    let mut stage = Stage::new(Rules {
        penalties: false,
        ..Rules::default()
    });
    assert!(ids(&stage.call("getUpdates", &[])).is_empty());
    assert!(ids(&stage.call("getUpdates", &[])).is_empty());

    for offset in ["-1", "-2", "-3"] {
        stage.poll(&[("timeout", "50"), ("offset", offset)]);
    }

    assert_eq!(stage.world.take_replies().len(), 2);
}

#[test]
fn a_poll_whose_client_is_gone_is_replaced_without_a_violation() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.poll(&[("timeout", "50")]);

    stage.world.client_gone(first);
    stage.poll(&[("timeout", "50")]);

    assert_eq!(stage.world.take_replies()[0].1.status, 409);
    assert!(stage.violations().is_empty());
}

#[test]
fn an_active_webhook_refuses_polls_and_changes_nothing() {
    let mut stage = Stage::new(Rules::default());
    let id = stage.say("a");
    let set = stage.call("setWebhook", &[("url", "https://bot.example.org/hook")]);
    assert_eq!(description(&set), "Webhook was set");

    let offset = (id + 1).to_string();
    let reply = stage.call(
        "getUpdates",
        &[("offset", &offset), ("allowed_updates", "[\"poll\"]")],
    );

    assert_eq!(reply.status, 409);
    assert_eq!(description(&reply), WEBHOOK_ACTIVE);
    assert_eq!(stage.bot().view().pending(), [id]);
    assert_eq!(
        body(&stage.call("getWebhookInfo", &[]))["result"].get("allowed_updates"),
        None
    );
    assert_eq!(stage.violations(), ["poll_while_webhook_set"]);
}

#[test]
fn conflicts_with_a_webhook_are_paced_too() {
    let mut stage = Stage::new(Rules::default());
    stage.call("setWebhook", &[("url", "https://bot.example.org/hook")]);
    assert_eq!(stage.call("getUpdates", &[]).status, 409);

    stage.poll(&[]);
    stage.wait(3_000);

    assert_eq!(description(&stage.world.take_replies()[0].1), WEBHOOK_ACTIVE);
}

#[test]
fn setting_a_webhook_ends_the_waiting_poll() {
    let mut stage = Stage::new(Rules::default());
    let ticket = stage.poll(&[("timeout", "50")]);

    stage.call("setWebhook", &[("url", "bot.example.org")]);

    let replies = stage.world.take_replies();
    assert_eq!(replies[0].0, ticket);
    assert_eq!(
        description(&replies[0].1),
        "Conflict: terminated by setWebhook request"
    );
}
