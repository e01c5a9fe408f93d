//! Faults as they look on the wire.

use std::io::{Read, Write};
use std::time::Duration;

use actogram_simulator::{Fault, PollOutcome, Restart, Simulator};
use serde_json::json;

use crate::support::{Exchange, PATIENCE, begin, call, connect, write_request};

fn hello(chat_id: i64) -> serde_json::Value {
    json!({"chat_id": chat_id, "text": "hello"})
}

#[test]
fn a_connection_dropped_before_processing_has_no_effect() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::DropBeforeProcessing.on("sendmessage"));

    assert!(
        begin(&simulator, &bot, "sendMessage", &hello(ann.id()))
            .answer()
            .is_none()
    );

    assert_eq!(bot.faults_left(), 0);
    assert!(bot.sent().is_empty());
    assert_eq!(
        call(&simulator, &bot, "sendMessage", &hello(ann.id())).status,
        200
    );
}

#[test]
fn a_connection_dropped_after_processing_has_sent_the_message() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::DropAfterProcessing.on("sendMessage").times(2));

    for _ in 0..2 {
        assert!(
            begin(&simulator, &bot, "sendMessage", &hello(ann.id()))
                .answer()
                .is_none()
        );
    }

    assert_eq!(ann.heard(), ["hello", "hello"]);
}

#[test]
fn a_poll_dropped_after_processing_has_confirmed_and_its_updates_stay() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ids = bot.user("Ann").say_all(["a", "b"]);
    bot.fault(Fault::DropAfterProcessing.on("getUpdates"));

    let lost = begin(&simulator, &bot, "getUpdates", &json!({"offset": ids[0] + 1})).answer();

    assert!(lost.is_none());
    assert_eq!(bot.confirmed(), ids[..1]);
    assert_eq!(bot.pending(), ids[1..]);
    assert_eq!(bot.polls()[0].outcome, PollOutcome::Lost);
}

#[test]
fn a_waiting_poll_can_lose_its_answer_too() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    bot.fault(Fault::DropAfterProcessing.on("getUpdates"));
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    let id = bot.user("Ann").say("hello");

    assert!(poll.answer().is_none());
    assert_eq!(bot.pending(), [id]);
}

#[test]
fn a_cut_body_is_shorter_than_announced() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::CutBody.on("sendMessage"));

    let answer = begin(&simulator, &bot, "sendMessage", &hello(ann.id()))
        .answer()
        .unwrap();

    let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.len(), announced / 2);
    assert_eq!(ann.heard(), ["hello"]);
}

#[test]
fn a_truncated_body_is_complete_http() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    bot.fault(Fault::TruncatedJson.on("getMe"));

    let answer = call(&simulator, &bot, "getMe", &json!({}));

    assert!(answer.complete);
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
}

#[test]
fn a_stalled_call_is_neither_processed_nor_answered() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::Stall.on("sendMessage"));

    let mut stalled = begin(&simulator, &bot, "sendMessage", &hello(ann.id()));
    assert!(bot.wait_for(PATIENCE, |view| view.faults_left() == 0));

    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
    stalled.stream.set_nonblocking(true).unwrap();
    assert_eq!(
        stalled.stream.read(&mut [0; 1]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    assert!(bot.sent().is_empty());
}

#[test]
fn a_delayed_answer_comes_after_the_message_was_sent() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::DelayResponse(Duration::from_secs(3600)).on("sendMessage"));
    let late = begin(&simulator, &bot, "sendMessage", &hello(ann.id()));
    assert!(bot.wait_for(PATIENCE, |view| view.sent().len() == 1));

    simulator.advance_clock(Duration::from_secs(3600));

    assert_eq!(late.answer().unwrap().status, 200);
}

#[test]
fn a_delayed_call_takes_effect_although_its_client_gave_up() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::DelayProcessing(Duration::from_secs(3600)).on("sendMessage"));
    let late = begin(&simulator, &bot, "sendMessage", &hello(ann.id()));
    assert!(bot.wait_for(PATIENCE, |view| view.faults_left() == 0));
    assert!(bot.sent().is_empty());

    drop(late);
    simulator.advance_clock(Duration::from_secs(3600));

    assert_eq!(ann.heard(), ["hello"]);
}

#[test]
fn a_flood_wait_of_any_size_carries_its_header() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    bot.fault(Fault::FloodWait(100_000).on("sendMessage"));

    let answer = call(&simulator, &bot, "sendMessage", &hello(ann.id()));

    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("Retry-After"), Some("100000"));
    assert_eq!(answer.json()["parameters"]["retry_after"], 100_000);

    call(&simulator, &bot, "sendMessage", &hello(ann.id()));
    assert_eq!(bot.violations()[0].name(), "call_during_flood_wait");
}

#[test]
fn front_ends_answer_pages_envelopes_and_nothing() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    bot.fault(Fault::GatewayHtml(502).everywhere());
    bot.fault(Fault::GatewayJson(504).everywhere());
    bot.fault(Fault::EmptyBody(503).everywhere());
    bot.fault(Fault::NotJson.everywhere());
    bot.fault(Fault::Unauthorized.everywhere());
    bot.fault(Fault::Restart.everywhere());
    let next = || call(&simulator, &bot, "getMe", &json!({}));

    let page = next();
    assert_eq!(
        (page.status, page.header("content-type")),
        (502, Some("text/html"))
    );
    assert_eq!(next().json()["description"], "Gateway Timeout");
    let empty = next();
    assert_eq!((empty.status, empty.body.len()), (503, 0));
    let nonsense = next();
    assert_eq!(nonsense.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&nonsense.body).is_err());
    assert_eq!(next().json()["description"], "Unauthorized");
    assert_eq!(next().json()["description"], "Internal Server Error: restart");
    assert_eq!(next().json()["ok"], true);
}

#[test]
fn a_server_that_is_down_closes_old_and_new_connections() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    simulator.go_down();
    assert!(poll.answer().is_none());
    let mut refused = connect(&simulator);
    assert!(matches!(refused.read(&mut [0; 1]), Ok(0) | Err(_)));

    simulator.go_up();
    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
}

#[test]
fn one_bot_can_be_cut_off_while_the_others_go_on() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let other = simulator.bot_with_token("77:other").unwrap();
    let poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    bot.go_down();
    assert!(poll.answer().is_none());
    assert!(begin(&simulator, &bot, "getMe", &json!({})).answer().is_none());
    assert_eq!(call(&simulator, &other, "getMe", &json!({})).status, 200);

    bot.go_up();
    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
}

#[test]
fn a_request_that_hurries_to_a_server_that_is_down_does_not_arrive() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let body = hello(ann.chat_id()).to_string();
    let request = format!(
        "POST /bot{}/sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        bot.token(),
        body.len()
    );
    simulator.go_down();

    for _ in 0..50 {
        let mut stream = connect(&simulator);
        // The server may be faster than we are.
        let _ = stream.write_all(request.as_bytes());
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }

    simulator.go_up();
    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
    assert!(ann.heard().is_empty());
}

#[test]
fn an_orderly_restart_answers_the_waiting_poll_and_closes_its_connection() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let mut poll = begin(&simulator, &bot, "getUpdates", &json!({"timeout": 50}));
    assert!(bot.wait_for(PATIENCE, |view| view.is_polling()));

    simulator.restart(Restart::KeepConfirmations);

    let answer = poll.read_answer().unwrap();
    assert_eq!((answer.status, answer.ids().len()), (200, 0));
    assert!(poll.read_answer().is_none());
}

#[test]
fn an_idle_connection_does_not_survive_a_restart() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let mut stream = connect(&simulator);
    write_request(
        &mut stream,
        &format!("/bot{}/getMe", bot.token()),
        "application/json",
        b"{}",
    );
    let mut exchange = Exchange { stream };
    assert_eq!(exchange.read_answer().unwrap().status, 200);

    simulator.restart(Restart::KeepConfirmations);

    assert!(exchange.read_answer().is_none());
}

#[test]
fn a_killed_server_answers_nobody_and_brings_its_last_confirmations_back() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ids = bot.user("Ann").say_all(["a", "b"]);
    call(&simulator, &bot, "getUpdates", &json!({}));
    let poll = begin(
        &simulator,
        &bot,
        "getUpdates",
        &json!({"offset": ids[1] + 1, "timeout": 50}),
    );
    assert!(bot.wait_for(PATIENCE, |view| view.confirmed().len() == 2));

    simulator.restart(Restart::LoseConfirmationsSince(Duration::from_secs(60)));

    assert!(poll.answer().is_none());
    assert_eq!(bot.pending(), ids);
    assert!(bot.confirmed().is_empty());
    assert_eq!(call(&simulator, &bot, "getUpdates", &json!({})).ids(), ids);
}
