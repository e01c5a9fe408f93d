use serde_json::json;

use super::{Stage, body, ids};
use crate::{Fate, Queued, Rules};

#[test]
fn allowed_updates_filter_at_creation_only() {
    let mut stage = Stage::new(Rules::default());
    let kept = stage.say("queued before");

    stage.call("getUpdates", &[("allowed_updates", "[\"callback_query\"]")]);

    let ann = stage.ann;
    assert_eq!(stage.bot().say(ann, Some(ann), "filtered"), None);
    assert_eq!(stage.bot().view().pending(), [kept]);
    stage.call("getUpdates", &[("offset", "1"), ("allowed_updates", "[]")]);
    assert_eq!(stage.bot().say(ann, Some(ann), "next"), Some(kept + 1));
}

#[test]
fn a_press_expires_after_150_seconds_and_a_message_after_a_day() {
    let mut stage = Stage::new(Rules::default());
    let message = stage.say("hello");
    let press = stage
        .bot()
        .push(&json!({"callback_query": {"id": "1"}}))
        .unwrap()
        .unwrap();

    stage.wait(150_000);
    assert_eq!(ids(&stage.call("getUpdates", &[])), [message, press]);
    stage.wait(1_000);
    assert_eq!(ids(&stage.call("getUpdates", &[("offset", "1")])), [message]);
    stage.wait(86_400_000);

    assert!(ids(&stage.call("getUpdates", &[])).is_empty());
    let bot = stage.bot();
    assert!(
        bot.view()
            .issued()
            .iter()
            .all(|issued| issued.fate == Fate::Expired)
    );
}

#[test]
fn expired_updates_count_as_pending_until_they_are_swept() {
    let mut stage = Stage::new(Rules::default());
    stage.world.advance(stage.now);
    stage.bot().push(&json!({"inline_query": {"id": "1"}})).unwrap();
    let pending = |stage: &mut Stage| {
        body(&stage.call("getWebhookInfo", &[]))["result"]["pending_update_count"].clone()
    };

    stage.wait(599_000);
    assert_eq!(pending(&mut stage), 1);
    stage.wait(1_000);

    assert_eq!(pending(&mut stage), 0);
}

#[test]
fn dropping_pending_updates_clears_the_queue_and_keeps_counting() {
    let mut stage = Stage::new(Rules::default());
    let id = stage.say("a");

    stage.call("deleteWebhook", &[("drop_pending_updates", "Yes")]);

    assert!(stage.bot().view().pending().is_empty());
    assert!(stage.bot().view().confirmed().is_empty());
    assert_eq!(stage.bot().view().issued()[0].fate, Fate::Dropped);
    assert_eq!(stage.say("b"), id + 1);
}

#[test]
fn a_duplicate_is_the_same_update_under_a_new_id() {
    let mut stage = Stage::new(Rules::default());
    let now = stage.now;
    let id = stage.say("a");

    assert_eq!(stage.account().duplicate_last(now), Ok(Some(id + 1)));

    let updates = body(&stage.call("getUpdates", &[]))["result"].clone();
    assert_eq!(updates[0]["message"], updates[1]["message"]);
    assert_eq!(updates[1]["update_id"], id + 1);
}

#[test]
fn a_jump_down_issues_what_is_kept_under_the_new_ids() {
    let mut stage = Stage::new(Rules::default());
    let now = stage.now;
    let old = stage.say("a");
    assert_eq!(ids(&stage.call("getUpdates", &[])), [old]);

    stage.account().jump_ids(now, 100, Queued::Kept).unwrap();
    let next = stage.say("b");

    assert_eq!(stage.bot().view().pending(), [100, 101]);
    assert_eq!(next, 101);
    let offset = (old + 1).to_string();
    assert_eq!(ids(&stage.call("getUpdates", &[("offset", &offset)])), [100, 101]);
    assert!(stage.violations().is_empty());
    stage.call("getUpdates", &[("offset", &offset)]);
    assert_eq!(stage.violations(), ["offset_too_high"]);
}

#[test]
fn a_jump_up_leaves_what_is_kept_and_drops_what_is_not() {
    let mut stage = Stage::new(Rules::default());
    let now = stage.now;
    let old = stage.say("a");

    stage
        .account()
        .jump_ids(now, 1_999_999_000, Queued::Kept)
        .unwrap();
    assert_eq!(stage.bot().view().pending(), [old]);
    stage
        .account()
        .jump_ids(now, 1_999_999_500, Queued::Dropped)
        .unwrap();

    assert!(stage.bot().view().pending().is_empty());
    assert_eq!(stage.say("b"), 1_999_999_500);
    assert!(
        stage
            .account()
            .jump_ids(now, 2_000_000_000, Queued::Kept)
            .is_err()
    );
}

#[test]
fn text_that_is_not_json_is_delivered_as_it_is() {
    let mut stage = Stage::new(Rules::default());
    let now = stage.now;
    let id = stage
        .account()
        .push_text(now, "\"message\":{\"text\":\"\u{1}")
        .unwrap();

    let reply = stage.call("getUpdates", &[]);

    let expected =
        format!("{{\"ok\":true,\"result\":[{{\"update_id\":{id},\n\"message\":{{\"text\":\"\u{1}}}]}}");
    assert_eq!(reply.body, expected);
    assert_eq!(stage.bot().view().issued()[0].kind, "message");
}

#[test]
fn a_cleared_ledger_still_knows_what_is_queued() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.say("a");
    let second = stage.say("b");
    stage.call("getUpdates", &[("offset", &second.to_string())]);

    stage.account().clear_ledger();

    assert_eq!(
        stage
            .bot()
            .view()
            .issued()
            .iter()
            .map(|issued| issued.id)
            .collect::<Vec<_>>(),
        [second]
    );
    stage.poll(&[("offset", &(second + 1).to_string()), ("timeout", "9")]);
    assert_eq!(stage.bot().view().confirmed(), [second]);
    assert_eq!(stage.bot().view().issued()[0].fate, Fate::Confirmed);
    assert_ne!(first, second);
}

/// Random traffic against a plain list: what is pending is what was issued and never confirmed, in order, and every
/// answer is its beginning from the offset on.
#[test]
fn random_traffic_loses_and_invents_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::new(Rules {
        penalties: false,
        ..Rules::default()
    });
    let mut expected: Vec<i64> = Vec::new();

    for _ in 0..5_000 {
        stage.wait(1_000);
        if rng.bool() {
            expected.push(stage.say("x"));
            continue;
        }
        let limit = rng.usize(1..=100);
        let offset = match expected.first() {
            Some(head) => head + rng.i64(-5..=expected.len() as i64),
            None => 0,
        };
        let params = [("offset", &*offset.to_string()), ("limit", &*limit.to_string())];
        let reply = stage.call("getUpdates", &params);
        if offset > 0 {
            expected.retain(|id| *id >= offset);
        }
        assert_eq!(ids(&reply), expected[..limit.min(expected.len())], "seed {seed}");
        assert_eq!(stage.bot().view().pending(), expected, "seed {seed}");
    }
}
