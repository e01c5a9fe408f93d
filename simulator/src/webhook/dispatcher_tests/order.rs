//! What is posted side by side, and over how many connections.

use std::collections::HashMap;

use serde_json::json;

use super::{Bench, DAY, START};
use crate::webhook::action::WebhookAnswer;
use crate::webhook::dispatcher::Dispatcher;

#[test]
fn a_domain_is_posted_one_by_one_and_domains_side_by_side() {
    let mut bench = Bench::warm(40);
    let ann = [bench.say(1), bench.say(1)];
    let bob = [bench.say(2), bench.say(2)];

    assert_eq!(bench.posted(), [ann[0], bob[0]]);
    bench.acknowledges(bob[0]);
    assert_eq!(bench.posted(), [ann[0], bob[1]]);
    bench.acknowledges(ann[0]);
    bench.acknowledges(bob[1]);
    assert_eq!(bench.posted(), [ann[1]]);
}

#[test]
fn a_press_overtakes_the_messages_of_its_chat() {
    let mut bench = Bench::warm(40);
    let message = bench.say(1);
    bench.say(1);

    let press = bench.push("callback_query", &json!({"from": {"id": 1}}), 150);
    bench.turn();

    assert_eq!(bench.posted(), [message, press]);
}

#[test]
fn never_more_posts_are_in_flight_than_connections_are_allowed() {
    let mut bench = Bench::warm(3);
    let ids: Vec<i64> = (1..=6).map(|chat| bench.say(chat)).collect();

    assert_eq!(bench.posted(), ids[..3]);
    assert_eq!(bench.opened, 3);
    bench.acknowledges(ids[1]);
    assert_eq!(bench.posted(), [ids[0], ids[2], ids[3]]);
    assert_eq!(bench.opened, 3, "connections are used again");
}

#[test]
fn the_window_counts_domains_so_that_one_long_chat_holds_nobody_back() {
    let mut bench = Bench::warm(2);
    for _ in 0..100 {
        bench.say(1);
    }

    let other = bench.say(2);

    assert!(bench.posted().contains(&other), "{:?}", bench.posted());
}

#[test]
fn a_burst_of_one_chat_is_loaded_window_by_window_before_what_is_behind_it() {
    let mut bench = Bench::warm(2);
    for _ in 0..10 {
        bench.push("message", &json!({"chat": {"id": 1}}), DAY);
    }
    let other = bench.push("message", &json!({"chat": {"id": 2}}), DAY);
    bench.turn();

    // A window of 4 domains, of which one is taken from then on: 4, 7, 10 and 11 updates.
    for loaded in [4, 7, 10] {
        let [id] = bench.posted()[..] else {
            panic!("{loaded} are loaded: {:?}", bench.posted());
        };
        bench.acknowledges(id);
    }

    assert!(bench.posted().contains(&other), "{:?}", bench.posted());
}

#[test]
fn a_turn_loads_a_thousand_updates_at_most() {
    let mut bench = Bench::new(1000);
    for chat in 0..1000 {
        bench.push("message", &json!({"chat": {"id": chat}}), DAY);
    }
    let expired = bench.push("message", &json!({"chat": {"id": -1}}), -1);
    let reaches_it = |bench: &mut Bench| {
        bench.turn();
        !bench.queue.ids().any(|id| id == expired)
    };

    assert!(!reaches_it(&mut bench));
    assert!(reaches_it(&mut bench));
}

#[test]
fn as_many_failing_domains_as_the_window_holds_stall_every_other_chat() {
    let mut bench = Bench::warm(2);
    let failing: Vec<i64> = (1..=4).map(|chat| bench.say(chat)).collect();
    let starved = bench.say(5);
    let was_posted = |bench: &Bench| {
        let ended = bench.ended.iter().map(|ended| ended.post.update_id);
        ended.chain(bench.posted()).any(|id| id == starved)
    };
    for _ in 0..20 {
        bench.answer_all(500);
        bench.wait(1_000);
    }
    assert!(!was_posted(&bench), "while lines were idle");

    while !bench.posted().contains(&failing[0]) {
        bench.answer_all(500);
        bench.wait(1_000);
    }
    bench.acknowledges(failing[0]);
    for _ in 0..3 {
        bench.answer_all(500);
    }

    assert!(was_posted(&bench));
}

#[test]
fn an_endpoint_that_refuses_connections_is_tried_once_in_two_seconds() {
    let mut bench = Bench::new(40);
    let refused = || Some("Connection refused".to_owned());
    for chat in 1..=5 {
        bench.say(chat);
    }

    for second in 0..4 {
        assert_eq!(bench.in_flight.len(), 1, "after {second} attempts");
        let (connection, _) = bench.in_flight[0];
        bench.decide(|dispatcher, desk| dispatcher.hung_up(desk, connection, refused()));
        bench.turn();
        assert_eq!(bench.in_flight.len(), 0);
        bench.wait(1_999);
        assert_eq!(bench.in_flight.len(), 0);
        bench.wait(1);
    }
}

#[test]
fn setting_a_webhook_opens_a_connection_and_a_restart_does_not() {
    let mut bench = Bench::new(40);
    bench.turn();
    assert_eq!((bench.opened, bench.in_flight.len()), (1, 0));

    let mut bench = Bench::new(40);
    bench.dispatcher = Dispatcher::new(START, 40, fastrand::Rng::with_seed(1)).after_restart();
    bench.turn();
    assert_eq!(bench.opened, 0);
}

#[test]
fn an_idle_connection_is_closed_after_sixty_seconds() {
    let mut bench = Bench::warm(1);
    bench.wait(59_999);
    assert_eq!(bench.closed, 0);

    bench.wait(1);

    assert_eq!(bench.closed, 1);
}

#[test]
fn a_connection_that_the_answer_closes_is_not_used_again() {
    let mut bench = Bench::warm(1);
    let id = bench.say(1);
    let next = bench.say(1);
    let first = bench.in_flight[0].0;

    bench.answer(
        id,
        &WebhookAnswer {
            keep_alive: false,
            ..WebhookAnswer::new(200, "")
        },
    );

    assert_eq!(bench.posted(), [next]);
    assert_ne!(bench.in_flight[0].0, first);
}

#[test]
fn a_random_history_keeps_every_domain_in_order_and_every_limit() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bench = Bench::new(4);
    let mut expected: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut acknowledged: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut chat_of: HashMap<i64, i64> = HashMap::new();

    let mut said = 0;
    while said < 300 || bench.queue.len() > 0 {
        match rng.u8(..10) {
            0..=4 if said < 300 => {
                let chat = rng.i64(1..12);
                let id = bench.say(chat);
                expected.entry(chat).or_default().push(id);
                chat_of.insert(id, chat);
                said += 1;
            }
            0..=7 if !bench.in_flight.is_empty() => {
                let (_, id) = bench.in_flight[rng.usize(..bench.in_flight.len())];
                if rng.u8(..4) == 0 {
                    bench.fails(id);
                } else {
                    acknowledged.entry(chat_of[&id]).or_default().push(id);
                    bench.acknowledges(id);
                }
            }
            8 if !bench.in_flight.is_empty() => {
                let (connection, _) = bench.in_flight[rng.usize(..bench.in_flight.len())];
                bench.decide(|dispatcher, desk| dispatcher.hung_up(desk, connection, None));
                bench.turn();
            }
            _ => bench.wait(rng.u64(..3_000)),
        }
        assert!(bench.in_flight.len() <= 4);
        let mut chats: Vec<i64> = bench.posted().iter().map(|id| chat_of[id]).collect();
        chats.sort_unstable();
        chats.dedup();
        assert_eq!(chats.len(), bench.in_flight.len(), "one post of a chat at a time");
    }

    assert_eq!(acknowledged, expected);
}
