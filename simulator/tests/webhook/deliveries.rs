//! What arrives, in which order, over which connections.

use std::collections::HashMap;

use actogram_simulator::PostOutcome;
use serde_json::json;

use crate::receiver::Says;
use crate::stage::Stage;

#[test]
fn an_update_arrives_as_the_real_server_sends_it() {
    let stage = Stage::with(&json!({"secret_token": "hush_hush-1"}));
    let id = stage.bot.user("Ann").say("hello");

    let seen = stage.receiver.until_seen(1).remove(0);

    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/hook"));
    assert_eq!((seen.id(), seen.text()), (id, "hello"));
    for (name, value) in [
        ("host", "127.0.0.1"),
        ("content-type", "application/json"),
        ("x-telegram-bot-api-secret-token", "hush_hush-1"),
        ("connection", "keep-alive"),
        ("accept-encoding", "gzip, deflate"),
    ] {
        assert_eq!(seen.header(name), Some(value));
    }
    stage.until_confirmed(id);
    assert!(stage.bot.pending().is_empty());
    assert_eq!(stage.bot.posts()[0].outcome, PostOutcome::Acknowledged);
}

#[test]
fn without_a_secret_there_is_no_header() {
    let stage = Stage::new();
    stage.bot.user("Ann").say("hello");

    let seen = stage.receiver.until_seen(1).remove(0);

    assert_eq!(seen.header("x-telegram-bot-api-secret-token"), None);
}

#[test]
fn a_user_in_the_url_becomes_a_header() {
    let stage = Stage::bare();
    stage.set(&json!({"url": stage.receiver.url.replace("//", "//me:pw@")}));
    stage.bot.user("Ann").say("hello");

    let seen = stage.receiver.until_seen(1).remove(0);

    assert_eq!(seen.header("authorization"), Some("Basic bWU6cHc="));
    assert_eq!(seen.header("host"), Some("127.0.0.1"));
}

#[test]
fn one_connection_serves_one_update_after_the_other() {
    let stage = Stage::new();
    stage.bot.user("Ann").say_all(["a", "b", "c"]);

    let seen = stage.receiver.until_seen(3);

    assert!(seen.iter().all(|one| one.peer == seen[0].peer), "{seen:?}");
    assert_eq!(stage.receiver.texts(), ["a", "b", "c"]);
}

#[test]
fn a_chat_keeps_its_order_while_other_chats_overtake_it() {
    let stage = Stage::warm(&json!({}));
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    stage.receiver.hold("ann 1");

    ann.say_all(["ann 1", "ann 2"]);
    let last = bob.say_all(["bob 1", "bob 2", "bob 3"])[2];
    stage.until_confirmed(last);
    assert!(!stage.receiver.texts().contains(&"ann 2".to_owned()));
    stage.receiver.release();
    stage.until("all are acknowledged", |view| view.pending_count() == 0);

    let texts = stage.receiver.texts();
    let of = |name: &str| -> Vec<String> {
        texts
            .iter()
            .filter(|text| text.starts_with(name))
            .cloned()
            .collect()
    };
    assert_eq!(of("ann"), ["ann 1", "ann 2"]);
    assert_eq!(of("bob"), ["bob 1", "bob 2", "bob 3"]);
}

#[test]
fn no_more_requests_are_in_flight_than_connections_are_allowed() {
    let stage = Stage::warm(&json!({"max_connections": 3}));
    stage.receiver.hold("*");
    for number in 0..8 {
        stage.bot.user(&format!("User {number}")).say("hello");
    }

    stage.receiver.until_seen(4);
    stage.until("the connections are used", |view| view.posts_in_flight() == 3);
    assert_eq!(stage.receiver.in_flight(), 3);
    stage.receiver.release();
    stage.until("all are acknowledged", |view| view.pending_count() == 0);

    assert_eq!(stage.receiver.most_in_flight(), 3);
}

#[test]
fn a_webhook_reply_is_executed_in_every_encoding() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let id = ann.chat_id();
    let part = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = format!(
        "{}{}{}--B--\r\n",
        part("method", "sendMessage"),
        part("chat_id", &id.to_string()),
        part("text", "multipart"),
    );
    let json = json!({"method": "sendMessage", "chat_id": id, "text": "json"}).to_string();
    let form = format!("method=sendMessage&chat_id={id}&text=form");
    stage.receiver.answer_next([
        Says::body("application/json", &json),
        Says::body("application/x-www-form-urlencoded", &form),
        Says::body("multipart/form-data; boundary=B", &multipart),
        Says::body("text/plain", &json),
    ]);

    ann.say_all(["1", "2", "3", "4"]);
    stage.until("all are acknowledged", |view| view.pending_count() == 0);

    assert_eq!(ann.heard(), ["json", "form", "multipart"]);
    let methods: Vec<_> = stage
        .bot
        .posts()
        .iter()
        .map(|post| post.reply_method.clone())
        .collect();
    assert_eq!(
        methods.iter().flatten().collect::<Vec<_>>(),
        ["sendMessage", "sendMessage", "sendMessage"]
    );
    assert!(stage.bot.violations().is_empty());
}

#[test]
fn many_updates_of_many_chats_all_arrive_in_order_and_are_confirmed_once() {
    let stage = Stage::warm(&json!({"max_connections": 8}));
    let users: Vec<_> = (0..25)
        .map(|number| stage.bot.user(&format!("User {number}")))
        .collect();
    for round in 0..40 {
        for user in &users {
            user.say(&round.to_string());
        }
    }

    stage.until("all are acknowledged", |view| view.pending_count() == 0);

    let mut per_chat: HashMap<i64, Vec<String>> = HashMap::new();
    for seen in &stage.receiver.seen()[1..] {
        let chat = seen.update.as_ref().unwrap()["message"]["chat"]["id"].as_i64();
        per_chat
            .entry(chat.unwrap())
            .or_default()
            .push(seen.text().to_owned());
    }
    let expected: Vec<String> = (0..40).map(|round| round.to_string()).collect();
    assert_eq!(per_chat.len(), 25);
    assert!(per_chat.values().all(|texts| *texts == expected));
    assert_eq!(stage.bot.confirmed().len(), 1001);
    assert!(stage.receiver.most_in_flight() <= 8);
}
