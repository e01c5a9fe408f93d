use super::{Stage, ids};
use crate::{Restart, Rules};

#[test]
fn a_poll_waits_only_when_nothing_is_there_and_answers_after_the_window() {
    let mut stage = Stage::new(Rules::default());
    let ticket = stage.poll(&[("timeout", "50")]);

    let id = stage.say("hello");
    stage.world.advance(stage.now);
    assert!(stage.world.take_replies().is_empty());
    stage.wait(1);

    let replies = stage.world.take_replies();
    assert_eq!(replies[0].0, ticket);
    assert_eq!(ids(&replies[0].1), [id]);
    stage.wait(4_000);
    assert_eq!(ids(&stage.call("getUpdates", &[("timeout", "50")])), [id]);
}

#[test]
fn a_poll_ends_empty_at_its_timeout_but_not_before() {
    let mut stage = Stage::new(Rules::default());
    stage.poll(&[("timeout", "500")]);

    stage.wait(49_999);
    assert!(stage.world.take_replies().is_empty());
    stage.wait(1);

    assert!(ids(&stage.world.take_replies()[0].1).is_empty());
}

#[test]
fn confirmation_happens_before_the_wait() {
    let mut stage = Stage::new(Rules::default());
    let id = stage.say("hello");

    stage.poll(&[("timeout", "50"), ("offset", &(id + 1).to_string())]);

    assert_eq!(stage.bot().view().confirmed(), [id]);
    assert_eq!(stage.bot().view().polls()[0].confirmed, [id]);
}

#[test]
fn the_same_offset_within_half_a_second_shows_one_old_update() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.say("a");
    stage.say("b");

    assert_eq!(ids(&stage.call("getUpdates", &[])).len(), 2);
    stage.wait(499);
    assert_eq!(ids(&stage.call("getUpdates", &[])), [first]);
    stage.wait(500);
    assert_eq!(ids(&stage.call("getUpdates", &[])).len(), 2);
}

#[test]
fn the_same_offset_within_three_seconds_waits_three_seconds() {
    let mut stage = Stage::new(Rules::default());
    assert!(ids(&stage.call("getUpdates", &[])).is_empty());

    stage.wait(2_999);
    stage.poll(&[]);
    stage.wait(2_999);
    assert!(stage.world.take_replies().is_empty());
    stage.wait(1);

    assert!(ids(&stage.world.take_replies()[0].1).is_empty());
}

#[test]
fn a_restart_forgets_the_penalty() {
    let mut stage = Stage::new(Rules::default());
    stage.say("a");
    stage.say("b");
    stage.call("getUpdates", &[]);

    stage.world.restart(stage.now, Restart::KeepConfirmations);

    assert_eq!(ids(&stage.call("getUpdates", &[])).len(), 2);
}

#[test]
fn a_too_high_offset_swallows_the_next_update_and_is_a_violation() {
    let mut stage = Stage::new(Rules::default());
    let id = stage.say("a");
    stage.poll(&[("timeout", "50"), ("offset", &(id + 5).to_string())]);
    assert_eq!(stage.violations(), ["offset_too_high"]);

    let swallowed = stage.say("b");
    stage.wait(2);

    assert!(ids(&stage.world.take_replies()[0].1).is_empty());
    assert_eq!(stage.bot().view().confirmed(), [id, swallowed]);
}

#[test]
fn an_answer_that_a_fault_destroyed_permits_no_higher_offset() {
    let mut stage = Stage::new(Rules::default());
    let ids = [stage.say("a"), stage.say("b")];
    stage.call("getUpdates", &[("limit", "1")]);
    stage
        .bot()
        .fault(crate::Fault::DropAfterProcessing.on("getUpdates"));
    stage.call("getUpdates", &[("offset", &(ids[0] + 1).to_string())]);
    assert!(stage.violations().is_empty());

    stage.call("getUpdates", &[("offset", &(ids[1] + 1).to_string())]);

    assert_eq!(stage.violations(), ["offset_too_high"]);
}
