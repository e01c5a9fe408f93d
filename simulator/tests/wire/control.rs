//! The control API over HTTP.

use std::net::TcpStream;

use actogram_simulator::Simulator;
use serde_json::{Value, json};

use crate::support::{Answer, Exchange, PATIENCE, begin, call, write_request};

fn control(simulator: &Simulator, command: &str, parameters: &Value) -> Answer {
    let url = simulator.control_url().unwrap();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = format!("/control/{command}");
    write_request(
        &mut stream,
        &path,
        "application/json",
        parameters.to_string().as_bytes(),
    );
    Exchange { stream }.answer().unwrap()
}

fn start() -> Simulator {
    Simulator::builder().control(0).start().unwrap()
}

#[test]
fn a_conversation_is_scripted_over_http() {
    let simulator = start();
    let bot = simulator.bot();

    let ann = control(&simulator, "user", &json!({"name": "Ann"})).json()["chat_id"].clone();
    let said = control(&simulator, "say", &json!({"chat_id": ann, "texts": ["a", "b"]})).json();
    assert_eq!(call(&simulator, &bot, "getUpdates", &json!({})).ids().len(), 2);
    let keyboard = json!({"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]});
    let params = json!({"chat_id": ann, "text": "?", "reply_markup": keyboard});
    let message = call(&simulator, &bot, "sendMessage", &params).json()["result"]["message_id"].clone();
    let press = json!({"chat_id": ann, "message_id": message, "data": "yes"});
    let pressed = control(&simulator, "press", &press).json()["update_id"].clone();

    let ledger = control(&simulator, "ledger", &json!({})).json();
    assert_eq!(ledger["issued"][0]["id"], said["update_ids"][0]);
    assert_eq!(ledger["issued"][2]["id"], pressed);
    assert_eq!(ledger["issued"][2]["kind"], "callback_query");
    assert_eq!(ledger["sent"][0]["text"], "?");
    assert_eq!(ledger["polls"][0]["returned"], said["update_ids"]);
    assert_eq!(ledger["violations"], json!([]));
    assert_eq!(
        control(&simulator, "state", &json!({"bot": bot.id()})).json()["pending"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn faults_are_injected_and_taken_back_by_name() {
    let simulator = start();
    let bot = simulator.bot();

    let fault = json!({"fault": "flood_wait", "retry_after": 7, "method": "getme", "times": 2});
    assert_eq!(
        control(&simulator, "fault", &fault).json(),
        json!({"faults_left": 2})
    );
    assert_eq!(
        call(&simulator, &bot, "getMe", &json!({})).header("retry-after"),
        Some("7")
    );
    control(&simulator, "clear-faults", &json!({}));

    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
}

#[test]
fn the_control_api_works_while_the_server_is_down() {
    let simulator = start();
    let bot = simulator.bot();

    control(&simulator, "down", &json!({}));
    assert!(begin(&simulator, &bot, "getMe", &json!({})).answer().is_none());
    control(&simulator, "up", &json!({}));

    assert_eq!(call(&simulator, &bot, "getMe", &json!({})).status, 200);
}

#[test]
fn raw_updates_restarts_and_the_clock_are_scripted_too() {
    let simulator = start();
    let bot = simulator.bot();
    let id = control(&simulator, "update", &json!({"raw": "\"new_kind\":{}"})).json()["update_id"].clone();
    let offset = id.as_i64().unwrap() + 1;
    call(&simulator, &bot, "getUpdates", &json!({"offset": offset}));
    assert_eq!(bot.confirmed().len(), 1);

    control(&simulator, "restart", &json!({"lose_millis": 60_000}));
    assert_eq!(bot.pending(), [offset - 1]);
    control(&simulator, "clock", &json!({"advance_millis": 90_000_000}));

    assert!(call(&simulator, &bot, "getUpdates", &json!({})).ids().is_empty());
}

#[test]
fn a_wait_ends_with_the_condition_or_with_the_timeout() {
    let simulator = start();
    let bot = simulator.bot();

    let missed = control(&simulator, "wait", &json!({"timeout_millis": 1, "sent": 1})).json();
    assert_eq!(missed, json!({"reached": false}));
    let ann = bot.user("Ann");
    call(
        &simulator,
        &bot,
        "sendMessage",
        &json!({"chat_id": ann.id(), "text": "x"}),
    );

    let reached = control(&simulator, "wait", &json!({"timeout_millis": 20_000, "sent": 1})).json();
    assert_eq!(reached, json!({"reached": true}));
}

#[test]
fn a_second_bot_is_addressed_by_its_id() {
    let simulator = start();
    control(&simulator, "bot", &json!({"token": "77:secret"}));

    let chat = control(&simulator, "user", &json!({"bot": 77, "name": "Ann"})).json()["chat_id"].clone();
    control(
        &simulator,
        "say",
        &json!({"bot": 77, "chat_id": chat, "text": "hello"}),
    );

    assert_eq!(simulator.bot_with_token("77:secret").unwrap().pending().len(), 1);
    assert!(simulator.bot().pending().is_empty());
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let simulator = start();
    let refused = |command, parameters: Value| {
        let answer = control(&simulator, command, &parameters);
        assert_eq!(answer.status, 400, "{command}");
        answer.json()["error"].as_str().unwrap().to_owned()
    };

    assert!(refused("nonsense", json!({})).contains("unknown variant"));
    assert_eq!(refused("state", json!({"bot": 5})), "there is no bot 5");
    assert_eq!(
        refused("say", json!({"chat_id": 5, "text": "x"})),
        "there is no user or chat 5"
    );
    assert_eq!(
        refused("jump", json!({"id": 0})),
        "update id 0 is outside 1 to 1999999999"
    );
    assert_eq!(refused("update", json!({})), "give either update or raw");
}
