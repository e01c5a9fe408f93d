//! What goes wrong on purpose.

use std::time::Duration;

use serde_json::json;

use super::{Bench, DAY};
use crate::webhook::action::WebhookAnswer;
use crate::webhook::faults::WebhookFault;
use crate::webhook::lines::Role;
use crate::webhook::step::Ending;

#[test]
fn while_halted_nothing_is_posted() {
    let mut bench = Bench::warm(40);
    bench.halted = true;
    let id = bench.say(1);
    bench.wait(10_000);
    assert!(bench.posted().is_empty());

    bench.halted = false;
    bench.dispatcher.wake(bench.now);
    bench.turn();

    assert_eq!(bench.posted(), [id]);
}

#[test]
fn an_update_delivered_twice_comes_again_before_what_is_behind_it() {
    let mut bench = Bench::warm(40);
    bench.faults.inject(WebhookFault::DeliverTwice.everywhere());
    let id = bench.say(1);
    let behind = bench.say(1);

    bench.acknowledges(id);
    assert_eq!(bench.posted(), [id]);
    assert_eq!(bench.queue.ids().collect::<Vec<_>>(), [behind]);
    bench.fails(id);

    assert_eq!(bench.posted(), [behind], "a repeated update is not retried");
}

#[test]
fn an_update_delivered_twice_at_once_has_a_line_of_its_own_for_the_copy() {
    let mut bench = Bench::warm(1);
    bench.faults.inject(WebhookFault::DeliverTwiceAtOnce.everywhere());
    let id = bench.say(1);
    let behind = bench.say(1);

    assert_eq!(bench.posted(), [id, id]);
    bench.fails(id);
    assert_eq!(bench.posted(), [id, id], "the first is repeated");
    let (copy, _) = bench.in_flight[0];
    bench.decide(|dispatcher, desk| dispatcher.answered(desk, copy, &WebhookAnswer::new(200, "")));
    assert_eq!(bench.posted(), [id], "the answer to the copy means nothing");
    assert_eq!(bench.closed, 1, "its line is not used again");
    bench.acknowledges(id);

    assert_eq!(bench.posted(), [behind]);
}

#[test]
fn a_lost_answer_repeats_the_update_on_another_connection() {
    let mut bench = Bench::warm(1);
    bench.faults.inject(WebhookFault::LoseAnswer.everywhere());
    let id = bench.say(1);
    let first = bench.in_flight[0].0;

    bench.acknowledges(id);

    assert_eq!(bench.ended[0].ending, Ending::AnswerLost { status: 200 });
    assert_eq!(bench.posted(), [id]);
    assert_ne!(bench.in_flight[0].0, first);
    assert_eq!(bench.queue.len(), 1);
}

#[test]
fn an_update_that_lets_others_overtake_waits_for_their_posts() {
    let mut bench = Bench::warm(40);
    bench
        .faults
        .inject(WebhookFault::LetOvertake(2).everywhere().to_chat(1));
    let id = bench.say(1);
    let behind = bench.say(1);
    let others = [bench.say(2), bench.say(3)];

    assert_eq!(bench.posted(), others);
    bench.fails(others[0]);
    assert!(!bench.posted().contains(&id));
    bench.acknowledges(others[1]);
    assert!(bench.posted().contains(&id));
    bench.acknowledges(id);

    assert!(bench.posted().contains(&behind), "its own domain stays in order");
}

#[test]
fn an_update_that_lets_others_overtake_does_not_hide_what_is_queued_far_behind_it() {
    let mut bench = Bench::warm(2);
    bench
        .faults
        .inject(WebhookFault::LetOvertake(1).everywhere().to_chat(1));
    let burst: Vec<i64> = (0..20)
        .map(|_| bench.push("message", &json!({"chat": {"id": 1}}), DAY))
        .collect();
    let other = bench.push("message", &json!({"chat": {"id": 2}}), DAY);
    bench.turn();

    bench.wait(0);
    assert_eq!(bench.posted(), [other]);
    bench.acknowledges(other);

    assert_eq!(bench.posted(), burst[..1]);
}

#[test]
fn a_forged_post_comes_first_and_means_nothing() {
    for fault in [
        WebhookFault::WrongSecret,
        WebhookFault::NoSecret,
        WebhookFault::OtherMethod("GET".to_owned()),
    ] {
        for status in [200, 401] {
            let mut bench = Bench::warm(40);
            bench.faults.inject(fault.clone().everywhere());
            let id = bench.say(1);

            bench.answer(id, &WebhookAnswer::new(status, ""));

            assert_eq!(bench.ended[0].post.role, Role::Forged);
            assert_eq!(bench.posted(), [id]);
            bench.fails(id);
            assert_eq!(bench.retry_in(), Some(0), "the schedule has not begun before");
        }
    }
}

#[test]
fn a_delayed_update_comes_later_and_holds_its_domain() {
    let mut bench = Bench::warm(40);
    bench
        .faults
        .inject(WebhookFault::Delay(Duration::from_secs(5)).everywhere());
    let id = bench.say(1);
    bench.say(1);

    bench.wait(4_999);
    assert!(bench.posted().is_empty());
    bench.wait(1);

    assert_eq!(bench.posted(), [id]);
}

#[test]
fn an_update_delivered_under_a_new_id_is_queued_again_when_it_is_acknowledged() {
    let mut bench = Bench::warm(40);
    bench.faults.inject(WebhookFault::DeliverUnderNewId.everywhere());
    let id = bench.say(1);

    bench.acknowledges(id);

    assert_eq!(bench.posted(), [id + 1]);
}

#[test]
fn after_a_jump_of_ids_the_queue_is_read_again_and_old_answers_mean_nothing() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);
    let behind = bench.say(1);

    bench.dispatcher.reload(bench.now);
    bench.turn();
    bench.acknowledges(id);
    assert_eq!(bench.queue.len(), 2, "the answer came for what was before");
    assert_eq!(bench.posted(), [id]);
    bench.acknowledges(id);

    assert_eq!(bench.posted(), [behind]);
}

#[test]
fn a_copy_in_flight_takes_no_connection_from_the_others() {
    let mut bench = Bench::warm(1);
    bench.faults.inject(WebhookFault::DeliverTwiceAtOnce.everywhere());
    let id = bench.say(1);
    let (first, _) = bench.in_flight[0];

    bench.decide(|dispatcher, desk| dispatcher.hung_up(desk, first, None));
    bench.turn();

    assert_eq!(bench.posted(), [id, id]);
}

#[test]
fn the_retry_after_of_a_lost_answer_is_lost_too() {
    let mut bench = Bench::warm(1);
    bench.faults.inject(WebhookFault::LoseAnswer.everywhere());
    let id = bench.say(1);

    bench.answer(
        id,
        &WebhookAnswer {
            retry_after: Some("30".to_owned()),
            ..WebhookAnswer::new(503, "")
        },
    );

    assert_eq!(bench.retry_in(), Some(0));
}

#[test]
fn a_rule_for_every_post_does_not_strike_what_it_has_brought_about() {
    for (fault, posts) in [
        (WebhookFault::DeliverTwice, 2),
        (WebhookFault::DeliverUnderNewId, 2),
        (WebhookFault::Delay(Duration::from_secs(1)), 1),
        (WebhookFault::WrongSecret, 2),
        (WebhookFault::LetOvertake(1), 1),
    ] {
        let mut bench = Bench::warm(40);
        bench
            .faults
            .inject(fault.clone().everywhere().to_chat(1).forever());
        bench.say(1);
        bench.say(2);

        for _ in 0..20 {
            bench.answer_all(200);
            bench.wait(1_000);
        }

        let of_chat_1 = bench.ended.len() - 1;
        assert_eq!((of_chat_1, bench.queue.len()), (posts, 0), "{fault:?}");
    }
}
