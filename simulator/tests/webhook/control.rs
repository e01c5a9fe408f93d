//! Webhooks through the control API.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Exchange, PATIENCE, write_request};

fn control(stage: &Stage, command: &str, parameters: &Value) -> Value {
    let url = stage.simulator.control_url().unwrap();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = format!("/control/{command}");
    let body = parameters.to_string();
    write_request(&mut stream, &path, "application/json", body.as_bytes());
    let answer = Exchange { stream }.answer().unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

#[test]
fn faults_and_pauses_are_scripted_and_the_posts_are_in_the_ledger() {
    let stage = Stage::warm(&json!({}));
    control(&stage, "webhook-pause", &json!({}));
    let left = control(
        &stage,
        "webhook-fault",
        &json!({"fault": "lose_answer", "kind": "message"}),
    );
    assert_eq!(left, json!({"faults_left": 1}));
    stage.bot.user("Ann").say("a");
    assert_eq!(
        control(&stage, "state", &json!({}))["pending"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    control(&stage, "webhook-resume", &json!({}));
    let waited = control(
        &stage,
        "wait",
        &json!({"timeout_millis": 20_000, "posts": 3, "pending": 0, "posts_in_flight": 0}),
    );
    assert_eq!(waited, json!({"reached": true}));

    let posts = control(&stage, "ledger", &json!({}))["posts"].clone();

    assert_eq!(posts[1]["outcome"], "answer_lost");
    assert_eq!(posts[1]["fault"], "lose_answer");
    assert_eq!(posts[1]["status"], 200);
    assert_eq!(posts[2]["outcome"], "acknowledged");
    assert_eq!(posts[2]["attempt"], 2);
}

#[test]
fn faults_that_have_not_struck_are_taken_back() {
    let stage = Stage::warm(&json!({}));
    control(
        &stage,
        "webhook-fault",
        &json!({"fault": "delay", "millis": 60_000, "forever": true}),
    );

    control(&stage, "clear-faults", &json!({}));
    let id = stage.bot.user("Ann").say("a");

    stage.until_confirmed(id);
}

#[test]
fn down_and_up_hold_back_and_let_go() {
    let stage = Stage::warm(&json!({}));

    control(&stage, "down", &json!({}));
    let id = stage.bot.user("Ann").say("a");
    stage.advance(5_000);
    assert_eq!(stage.bot.posts().len(), 1);
    control(&stage, "up", &json!({}));

    stage.until_confirmed(id);
}
