use std::time::Duration;

use super::{Stage, description};
use crate::{FloodProfile, Restart, Rules};

fn stage(profile: FloodProfile) -> (Stage, String) {
    let stage = Stage::new(Rules {
        flood: profile,
        ..Rules::default()
    });
    let chat = stage.ann.to_string();
    (stage, chat)
}

#[test]
fn the_strict_profile_refuses_and_repeats_what_is_left_of_the_wait() {
    let (mut stage, chat) = stage(FloodProfile::Strict);
    let params = [("chat_id", chat.as_str()), ("text", "hello")];
    for _ in 0..3 {
        assert_eq!(stage.call("sendMessage", &params).status, 200);
    }

    let reply = stage.call("sendMessage", &params);

    assert_eq!((reply.status, reply.retry_after), (429, Some(1)));
    assert!(stage.violations().is_empty());
    assert_eq!(stage.call("sendMessage", &params).retry_after, Some(1));
    assert_eq!(stage.violations(), ["call_during_flood_wait"]);
    stage.wait(1_000);
    assert_eq!(stage.call("sendMessage", &params).status, 200);
}

#[test]
fn the_sensible_profile_answers_late_and_in_order() {
    let (mut stage, chat) = stage(FloodProfile::Sensible);
    let texts = ["1", "2", "3", "4", "5"];
    for text in texts {
        stage.begin("sendMessage", &[("chat_id", &chat), ("text", text)]);
    }
    assert_eq!(stage.bot().view().sent().len(), 3);

    stage.wait(1_000);
    assert_eq!(stage.world.take_replies().len(), 1);
    stage.wait(1_000);

    let ann = stage.ann;
    assert_eq!(stage.bot().view().texts_to(ann), texts);
}

#[test]
fn more_than_310_held_sends_to_one_chat_are_refused_after_a_pause() {
    let (mut stage, chat) = stage(FloodProfile::Sensible);
    let params = [("chat_id", chat.as_str()), ("text", "hello")];
    for _ in 0..3 {
        stage.call("sendMessage", &params);
    }
    stage.account().held_by_chat.insert(chat.clone(), 310);

    stage.begin("sendMessage", &params);
    stage.wait(2_999);
    assert!(stage.world.take_replies().is_empty());
    stage.wait(1);

    assert_eq!(stage.world.take_replies()[0].1.retry_after, Some(60));
    assert_eq!(stage.bot().view().sent().len(), 3);
}

#[test]
fn an_orderly_restart_answers_held_calls_with_500_and_does_not_send_them() {
    let (mut stage, chat) = stage(FloodProfile::Sensible);
    for _ in 0..4 {
        stage.begin("sendMessage", &[("chat_id", &chat), ("text", "hello")]);
    }

    stage.world.restart(stage.now, Restart::KeepConfirmations);

    let replies = stage.world.take_replies();
    assert_eq!(description(&replies[0].1), "Internal Server Error: restart");
    assert_eq!(stage.bot().view().sent().len(), 3);
}

#[test]
fn a_kill_loses_only_the_confirmations_of_the_last_instant() {
    let (mut stage, _) = stage(FloodProfile::Off);
    let old = stage.say("old");
    stage.poll(&[("offset", &(old + 1).to_string()), ("timeout", "50")]);
    stage.wait(10_000);
    let new = stage.say("new");
    stage.wait(2);
    stage.call("getUpdates", &[("offset", &(new + 1).to_string())]);

    stage
        .world
        .restart(stage.now, Restart::LoseConfirmationsSince(Duration::from_secs(1)));

    assert_eq!(stage.bot().view().pending(), [new]);
    assert_eq!(stage.bot().view().confirmed(), [old]);
}
