//! What is posted again, and when.

use std::time::Duration;

use serde_json::json;

use super::Bench;
use crate::webhook::action::WebhookAnswer;
use crate::webhook::faults::WebhookFault;
use crate::webhook::step::Ending;

#[test]
fn a_failed_update_is_retried_on_schedule_and_holds_only_its_domain() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);
    let behind = bench.say(1);

    let mut waits = Vec::new();
    for _ in 0..6 {
        assert_eq!(bench.posted(), [id]);
        bench.fails(id);
        let wait = bench.retry_in().unwrap();
        waits.push(wait);
        if wait > 0 {
            bench.wait(wait * 1000 - 1);
            assert!(bench.posted().is_empty(), "posted before {wait} s");
            let other = bench.say(2);
            assert_eq!(bench.posted(), [other]);
            bench.acknowledges(other);
            bench.wait(1);
        }
    }

    assert_eq!(waits, [0, 2, 4, 8, 16, 32]);
    bench.acknowledges(id);
    assert_eq!(bench.posted(), [behind]);
}

#[test]
fn retry_after_replaces_one_delay() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);

    bench.answer(
        id,
        &WebhookAnswer {
            retry_after: Some("7".to_owned()),
            ..WebhookAnswer::new(503, "")
        },
    );

    assert_eq!(bench.retry_in(), Some(7));
    bench.wait(7_000);
    bench.fails(id);
    assert_eq!(bench.retry_in(), Some(2));
}

#[test]
fn an_update_is_dropped_when_its_next_attempt_would_come_too_late() {
    let mut bench = Bench::warm(40);
    let query = bench.push("inline_query", &json!({"from": {"id": 1}}), 30);
    let behind = bench.push("inline_query", &json!({"from": {"id": 1}}), 3_000);
    bench.turn();

    let mut attempts = 0;
    while bench.posted() == [query] {
        attempts += 1;
        bench.fails(query);
        bench.wait(bench.retry_in().map_or(0, |wait| wait * 1000));
    }

    assert_eq!(attempts, 6, "at 0, 0, 2, 6, 14 and 30 s");
    assert_eq!(bench.posted(), [behind]);
    assert_eq!(bench.queue.ids().collect::<Vec<_>>(), [behind]);
}

#[test]
fn no_answer_within_sixty_seconds_is_a_failure_and_a_new_connection_repeats_it_at_once() {
    let mut bench = Bench::warm(1);
    let id = bench.say(1);
    let opened = bench.opened;

    bench.wait(59_999);
    assert!(bench.ended.is_empty());
    bench.wait(1);

    assert_eq!(bench.ended[0].ending, Ending::TimedOut);
    assert_eq!(bench.retry_in(), Some(0));
    assert_eq!(bench.posted(), [id]);
    assert_eq!(bench.opened, opened + 1);
}

#[test]
fn a_webhook_that_is_gone_for_more_than_23_hours_is_removed() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);
    let hours = |count: u64| count * 3_600_000;
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));

    bench.now = bench.now + Duration::from_millis(hours(23));
    bench.turn();
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));
    assert!(!bench.gone, "not after exactly 23 hours");
    bench.wait(4_000);
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));

    assert!(bench.gone);
}

#[test]
fn any_other_answer_starts_the_23_hours_again() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));
    bench.answer(id, &WebhookAnswer::new(404, "Not Found"));
    bench.wait(2_000);
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));

    bench.now = bench.now + Duration::from_secs(23 * 3600);
    bench.turn();
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));

    assert!(!bench.gone);
}

#[test]
fn an_answer_that_means_nothing_does_not_start_the_23_hours_again() {
    let mut bench = Bench::warm(40);
    let id = bench.say(1);
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));
    bench.faults.inject(WebhookFault::WrongSecret.everywhere());
    bench.answer(id, &WebhookAnswer::new(410, "Gone"));
    bench.wait(2_000);
    bench.acknowledges(id);
    bench.fails_to(id, 410);

    bench.now = bench.now + Duration::from_secs(23 * 3600);
    bench.turn();
    bench.fails_to(id, 410);

    assert!(bench.gone);
}
