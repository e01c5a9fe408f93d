//! The examples of the router run against the simulator, with no token and no network, and do what they say.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::Stage;

#[test]
fn commands_are_listed_and_their_arguments_are_read() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    ann.say_all([
        "/start",
        "/start friends",
        "/split 90 3 dinner with friends",
        &format!("/SHARE@{} 10 4", stage.bot.username()),
        "/split much",
        "/sing",
        "no command",
    ]);
    let commands = stage.run_example("commands");
    stage.until_blocking("all are confirmed", |view| view.pending_count() == 0);
    stage.until_blocking("the list is set", |view| {
        view.sent().iter().any(|call| call.method == "setMyCommands")
    });

    commands.signal(Signal::TERM);

    assert!(commands.wait().0.success());
    assert_eq!(
        ann.heard(),
        [
            "Hello Ann! Try /split 90 3 dinner with friends",
            "Hello Ann, you come from friends!",
            "30.00 each for dinner with friends",
            "2.50 each for the bill",
            "amount: \"much\" is not a number\nusage: /split <amount> <people> <note>",
            "I do not know /sing",
        ]
    );
    let calls = stage.bot.sent();
    let list = calls.iter().find(|call| call.method == "setMyCommands").unwrap();
    let list: Value = serde_json::from_str(list.params["commands"].as_str().unwrap()).unwrap();
    assert_eq!(
        list,
        json!([
            {"command": "start", "description": "Begins"},
            {"command": "split", "description": "Splits a bill"},
        ])
    );
}

#[test]
fn buttons_are_pressed_answered_and_edited() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    ann.say("/count");
    let keyboard = stage.run_example("keyboard");
    stage.until_blocking("the message is sent", |view| {
        !view.texts_to(ann.chat_id()).is_empty()
    });
    let message = stage.bot.sent()[0].message_id.unwrap();

    for (presses, data) in [(1, "count:1"), (2, "count:0"), (3, "end")] {
        assert_ne!(ann.press(message, data).unwrap(), 0);
        stage.until_blocking("it is answered", |view| {
            view.sent()
                .iter()
                .filter(|call| call.method == "answerCallbackQuery")
                .count()
                == presses
        });
    }
    keyboard.signal(Signal::TERM);

    assert!(keyboard.wait().0.success());
    let calls: Vec<_> = stage
        .bot
        .sent()
        .into_iter()
        .map(|call| (call.method, call.text.unwrap_or_default()))
        .collect();
    let expected = [
        ("sendMessage", "count: 0"),
        ("editMessageText", "count: 1"),
        ("answerCallbackQuery", ""),
        ("editMessageText", "count: 0"),
        ("answerCallbackQuery", "back at zero"),
        ("editMessageText", "Counted."),
        ("answerCallbackQuery", "Thank you!"),
    ];
    assert_eq!(
        calls,
        expected.map(|(method, text)| (method.to_owned(), text.to_owned()))
    );
}

#[test]
fn middleware_logs_measures_and_lets_only_some_people_in() {
    let stage = Stage::new();
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    ann.say_all(["/restart", "hi"]);
    bob.say("/restart");
    let middleware = stage.run_example_with("middleware", |command| {
        command.env("ADMINS", ann.id().to_string());
    });
    stage.until_blocking("all are confirmed", |view| view.pending_count() == 0);

    middleware.signal(Signal::TERM);
    let (exit, printed) = middleware.wait();

    assert!(exit.success());
    assert_eq!(ann.heard(), ["restarting …", "hi"]);
    assert_eq!(bob.heard(), ["this is for administrators only"]);
    assert_eq!(printed.matches("took ").count(), 3, "{printed}");
    assert_eq!(printed.matches(" done").count(), 2, "{printed}");
    assert_eq!(printed.matches(" refused").count(), 1, "{printed}");
}
