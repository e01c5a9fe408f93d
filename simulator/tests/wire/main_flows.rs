//! The ways through the server that every bot takes, over a raw socket.

use crate::support::{PATIENCE, begin, call};
use actogram_simulator::{PollOutcome, Simulator};
use serde_json::json;

#[test]
fn an_update_is_polled_answered_and_confirmed() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let id = ann.say("/start now");

    let updates = call(&simulator, &bot, "getUpdates", &json!({"timeout": 10}));
    assert_eq!(updates.status, 200);
    assert_eq!(updates.header("content-type"), Some("application/json"));
    let update = &updates.json()["result"][0];
    assert_eq!(update["update_id"], id);
    assert_eq!(update["message"]["text"], "/start now");
    assert_eq!(
        update["message"]["entities"],
        json!([{"type": "bot_command", "offset": 0, "length": 6}])
    );
    assert_eq!(update["message"]["chat"]["id"], ann.chat_id());
    assert_eq!(update["message"]["chat"]["type"], "private");
    assert_eq!(update["message"]["from"]["first_name"], "Ann");

    let sent = call(
        &simulator,
        &bot,
        "sendMessage",
        &json!({"chat_id": ann.chat_id(), "text": "hi"}),
    )
    .json();
    assert_eq!(sent["ok"], true);
    assert_eq!(sent["result"]["text"], "hi");
    assert_eq!(sent["result"]["from"]["id"], bot.id());
    assert_eq!(ann.heard(), ["hi"]);

    let confirm = call(&simulator, &bot, "getUpdates", &json!({"offset": id + 1}));
    assert_eq!(confirm.json(), json!({"ok": true, "result": []}));
    assert_eq!(bot.confirmed(), [id]);
    assert!(bot.pending().is_empty());
    assert_eq!(bot.violations(), []);
}

#[test]
fn a_waiting_poll_is_answered_by_the_first_update() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    let id = ann.say("hello");

    assert_eq!(poll.answer().unwrap().ids(), [id]);
    assert_eq!(bot.polls()[0].outcome, PollOutcome::Answered);
}

#[test]
fn updates_of_one_moment_arrive_in_one_answer() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    let ids = ann.say_all(["a", "b", "c"]);

    assert_eq!(poll.answer().unwrap().ids(), ids);
}

#[test]
fn the_timeout_of_a_poll_is_measured_by_the_servers_clock() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    simulator.advance_clock(std::time::Duration::from_secs(50));

    assert!(poll.answer().unwrap().ids().is_empty());
}

#[test]
fn a_second_waiting_poll_ends_the_first_with_a_conflict() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let first = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    let second = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));

    let conflict = first.answer().unwrap();
    assert_eq!(conflict.status, 409);
    assert_eq!(
        conflict.json()["description"],
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
    let id = bot.user("Ann").say("hello");
    assert_eq!(second.answer().unwrap().ids(), [id]);
    assert_eq!(
        bot.violations()
            .iter()
            .map(|violation| violation.name())
            .collect::<Vec<_>>(),
        ["concurrent_polls"]
    );
}

#[test]
fn a_poll_whose_client_is_gone_stays_until_it_is_replaced_without_a_conflict_for_anybody() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let gone = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    drop(gone);
    let next = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.polls().len() == 2));
    let id = bot.user("Ann").say("hello");

    assert_eq!(next.answer().unwrap().ids(), [id]);
    assert_eq!(bot.polls()[0].outcome, PollOutcome::Conflict);
    assert_eq!(bot.violations(), []);
}

#[test]
fn a_client_that_vanishes_at_once_has_confirmed_all_the_same() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ids = bot.user("Ann").say_all(["a", "b"]);
    call(&simulator, &bot, "getUpdates", &json!({}));

    drop(begin(
        &simulator,
        &bot,
        "getUpdates",
        &json!({"offset": ids[1] + 1, "timeout": 50}),
    ));

    assert!(bot.wait_for(PATIENCE, |view| view.confirmed() == ids));
}
