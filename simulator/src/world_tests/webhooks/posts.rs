use std::time::Duration;

use serde_json::{Value, json};

use super::Hooked;
use crate::{Fate, PostOutcome, Restart, WebhookAnswer, WebhookEvent, WebhookFault};

#[test]
fn an_acknowledged_update_is_confirmed_and_the_post_is_on_record() {
    let mut hooked = Hooked::new();
    let id = hooked.say("hello");
    let sent_at = hooked.stage.now;
    let sent: Value = serde_json::from_slice(&hooked.in_flight[0].1.body).unwrap();
    assert_eq!(
        (&sent["update_id"], &sent["message"]["text"]),
        (&json!(id), &json!("hello"))
    );

    hooked.wait(250);
    hooked.status(204, "No Content");

    let now = hooked.stage.now;
    let bot = hooked.stage.bot();
    let view = bot.view();
    assert_eq!(view.confirmed(), [id]);
    assert_eq!(view.issued()[0].confirmed_at, Some(now));
    let [post] = view.posts() else {
        panic!("{:?}", view.posts());
    };
    assert_eq!((post.update_id, post.attempt, post.status), (id, 1, Some(204)));
    assert_eq!(post.outcome, PostOutcome::Acknowledged);
    assert_eq!(
        (post.sent_at, post.latency()),
        (sent_at, Some(Duration::from_millis(250)))
    );
}

#[test]
fn failures_are_on_record_with_the_time_of_the_next_post() {
    let mut hooked = Hooked::new();
    let id = hooked.say("hello");
    let start = hooked.stage.now;
    hooked.status(500, "Oh No");
    hooked.status(302, "Found");

    let bot = hooked.stage.bot();
    let posts = bot.view().posts().to_vec();

    assert_eq!(bot.view().pending(), [id]);
    assert_eq!(
        posts[0].error.as_deref(),
        Some("Wrong response from the webhook: 500 Oh No")
    );
    assert_eq!((posts[0].attempt, posts[0].retry_at), (1, Some(start)));
    assert_eq!(
        (posts[1].attempt, posts[1].outcome, posts[1].retry_at),
        (2, PostOutcome::Rejected, Some(start + Duration::from_secs(2)))
    );
}

#[test]
fn an_update_that_can_not_be_posted_in_time_expires() {
    let mut hooked = Hooked::new();
    let query = json!({"inline_query": {"id": "1", "from": {"id": 5}}});
    let id = hooked.stage.bot().push(&query).unwrap().unwrap();
    hooked.pump();
    hooked.status(500, "");
    hooked.wait(29_000);

    hooked.status(500, "");

    let bot = hooked.stage.bot();
    assert_eq!(bot.view().issued()[0].id, id);
    assert_eq!(bot.view().issued()[0].fate, Fate::Expired);
    assert_eq!(bot.view().posts()[1].retry_at, None);
    assert!(hooked.posted().is_empty());
}

#[test]
fn an_answer_later_than_sixty_seconds_is_a_violation_and_comes_too_late() {
    let mut hooked = Hooked::new();
    let id = hooked.say("hello");
    let slow = hooked.in_flight[0].0;
    hooked.event(slow, WebhookEvent::Written);

    hooked.wait(60_000);
    assert_eq!(hooked.stage.violations(), ["webhook_timeout"]);
    assert_eq!(hooked.info()["last_error_message"], "Read timeout expired");
    assert_eq!(hooked.posted(), [id]);
    hooked.event(slow, WebhookEvent::Answered(WebhookAnswer::new(200, "OK")));

    assert_eq!(hooked.stage.bot().view().pending(), [id]);
}

#[test]
fn a_request_that_was_never_written_is_no_fault_of_the_bot() {
    let mut hooked = Hooked::new();
    hooked.say("hello");

    hooked.wait(60_000);

    assert!(hooked.stage.violations().is_empty());
    assert_eq!(hooked.info()["last_error_message"], "Write timeout expired");
}

#[test]
fn a_new_url_gets_what_was_in_flight_to_the_old_one() {
    let mut hooked = Hooked::new();
    let id = hooked.say("hello");
    let old = hooked.in_flight[0].0;

    hooked.set(&[("url", "http://127.0.0.1:9001/other")]);

    assert!(hooked.closed.contains(&old));
    assert_eq!(hooked.posted(), [id]);
    assert!(hooked.in_flight[0].1.head.starts_with(b"POST /other "));
    let bot = hooked.stage.bot();
    assert_eq!(bot.view().posts()[0].outcome, PostOutcome::Abandoned);
    assert_eq!(bot.view().posts()[1].attempt, 1);
}

#[test]
fn a_restart_posts_what_is_queued_again() {
    for (restart, again) in [
        (Restart::KeepConfirmations, 1),
        (Restart::LoseConfirmationsSince(Duration::from_secs(5)), 2),
    ] {
        let mut hooked = Hooked::new();
        let first = hooked.say("acknowledged");
        hooked.status(200, "OK");
        let second = hooked.say("in flight");
        let old = hooked.in_flight[0].0;

        hooked.stage.world.restart(hooked.stage.now, restart);
        hooked.pump();

        assert!(hooked.closed.contains(&old));
        let mut posted = Vec::new();
        while let Some(id) = hooked.posted().first() {
            posted.push(*id);
            hooked.status(200, "OK");
        }
        assert_eq!(posted, [first, second][2 - again..]);
    }
}

#[test]
fn a_webhook_that_is_gone_for_a_day_is_removed() {
    let mut hooked = Hooked::new();
    hooked.say("a");
    hooked.status(410, "Gone");
    hooked.status(410, "Gone");
    hooked.wait(23 * 3_600_000 + 1_000);

    hooked.status(410, "Gone");

    assert_eq!(hooked.info()["url"], "");
    assert!(hooked.posted().is_empty());
}

#[test]
fn a_forged_post_that_is_accepted_is_a_violation_and_confirms_nothing() {
    let mut hooked = Hooked::bare();
    hooked.set(&[("secret_token", "hush")]);
    hooked
        .stage
        .bot()
        .webhook_fault(WebhookFault::WrongSecret.everywhere().times(2));
    let first = hooked.say("hello");

    hooked.status(401, "Unauthorized");
    hooked.status(200, "OK");
    assert_eq!(hooked.stage.bot().view().confirmed(), [first]);
    assert!(hooked.stage.violations().is_empty());

    let id = hooked.say("again");
    hooked.status(200, "OK");
    assert_eq!(hooked.stage.violations(), ["forged_post_accepted"]);

    let bot = hooked.stage.bot();
    assert_eq!(bot.view().pending(), [id]);
    assert_eq!(bot.view().posts()[0].outcome, PostOutcome::Ignored);
    assert_eq!(bot.view().posts()[0].fault, Some("wrong_secret"));
    hooked.status(200, "OK");
    assert_eq!(hooked.stage.bot().view().confirmed(), [first, id]);
    assert_eq!(hooked.stage.violations().len(), 1);
}

#[test]
fn an_update_under_a_new_id_is_issued_again() {
    let mut hooked = Hooked::new();
    hooked
        .stage
        .bot()
        .webhook_fault(WebhookFault::DeliverUnderNewId.everywhere().forever());
    let id = hooked.say("hello");

    hooked.status(200, "OK");

    assert_eq!(hooked.posted(), [id + 1]);
    assert_eq!(
        hooked.stage.bot().view().issued()[1].text.as_deref(),
        Some("hello")
    );
    hooked.status(200, "OK");
    assert!(hooked.posted().is_empty(), "only once");
}

#[test]
fn ids_that_jump_down_are_posted_anew() {
    let mut hooked = Hooked::new();
    hooked.say("hello");

    hooked.jump(7);
    hooked.status(200, "OK");

    assert_eq!(hooked.posted(), [7]);
}

#[test]
fn ids_that_jump_down_while_nothing_is_queued_are_posted() {
    let mut hooked = Hooked::new();
    hooked.say("acknowledged");
    hooked.status(200, "OK");

    hooked.jump(7);
    hooked.say("hello");

    assert_eq!(hooked.posted(), [7]);
}

#[test]
fn ids_that_jump_down_above_all_that_is_queued_are_posted() {
    let mut hooked = Hooked::new();
    hooked.jump(100);
    hooked.say("refused");
    hooked.status(500, "");
    hooked.status(500, "");
    hooked.jump(999);
    let bob = hooked.stage.bot().add_user("Bob");
    hooked.stage.bot().say(bob, Some(bob), "acknowledged");
    hooked.pump();
    hooked.status(200, "OK");
    assert_eq!(hooked.stage.bot().view().pending(), [100]);

    hooked.jump(500);
    hooked.stage.bot().say(bob, Some(bob), "hello");
    hooked.pump();

    assert!(hooked.posted().contains(&500), "{:?}", hooked.posted());
}

#[test]
fn clearing_the_ledger_keeps_the_posts_in_flight() {
    let mut hooked = Hooked::new();
    hooked.say("a");
    hooked.status(500, "");
    hooked.stage.account().clear_ledger();
    assert_eq!(hooked.stage.bot().view().posts().len(), 1);

    hooked.status(200, "OK");

    let bot = hooked.stage.bot();
    assert_eq!(bot.view().posts()[0].outcome, PostOutcome::Acknowledged);
}

#[test]
fn what_has_expired_before_the_webhook_was_set_is_not_posted() {
    let mut hooked = Hooked::bare();
    let query = json!({"inline_query": {"id": "1", "from": {"id": 5}}});
    hooked.stage.bot().push(&query).unwrap();
    hooked.wait(31_000);

    hooked.set(&[]);

    assert!(hooked.posted().is_empty());
    assert_eq!(hooked.stage.bot().view().issued()[0].fate, Fate::Expired);
}
