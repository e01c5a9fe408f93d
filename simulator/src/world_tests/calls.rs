use serde_json::json;

use super::{START, Stage, TOKEN, body, description};
use crate::{Access, ChatKind, Params, Request, Rules, Verdict};

#[test]
fn a_logged_out_bot_answers_its_poll_and_then_nothing_but_400() {
    let mut stage = Stage::new(Rules::default());
    stage.poll(&[("timeout", "50")]);

    assert_eq!(
        body(&stage.call("logOut", &[])),
        json!({"ok": true, "result": true})
    );

    stage.world.advance(stage.now);
    assert_eq!(stage.world.take_replies()[0].1.status, 200);
    let reply = stage.call("getMe", &[]);
    assert_eq!((reply.status, description(&reply).as_str()), (400, "Logged out"));
}

#[test]
fn close_is_refused_in_the_first_ten_minutes() {
    let mut stage = Stage::new(Rules::default());
    stage.wait(0);

    stage.wait(100_000);
    assert_eq!(stage.call("close", &[]).retry_after, Some(500));
    stage.wait(500_000);

    assert_eq!(stage.call("close", &[]).status, 200);
}

#[test]
fn unknown_bots_and_malformed_tokens_are_unauthorized() {
    let mut stage = Stage::new(Rules::default());
    let mut refused = |token: &str| match stage
        .world
        .call(START, Request::new(token, "getMe", Params::default()))
    {
        Verdict::Reply(reply) => (reply.status, description(&reply)),
        Verdict::Later(_) => panic!("waits"),
    };

    assert_eq!(refused("43:unknown"), (401, "Unauthorized".to_owned()));
    assert_eq!(
        refused("nonsense"),
        (401, "Unauthorized: invalid token specified".to_owned())
    );
}

#[test]
fn methods_are_case_insensitive_and_may_come_as_a_parameter() {
    let mut stage = Stage::new(Rules::default());

    assert_eq!(stage.call("GETME", &[]).status, 200);
    assert_eq!(stage.call("", &[("method", "getMe")]).status, 200);
    let unknown = stage.call("getYou", &[]);
    assert_eq!(
        (unknown.status, description(&unknown).as_str()),
        (404, "Not Found: method not found")
    );
}

#[test]
fn the_test_environment_has_its_own_bots() {
    let mut stage = Stage::new(Rules::default());
    let request = Request::new(TOKEN, "getMe", Params::default()).in_test_environment();

    let Verdict::Reply(reply) = stage.world.call(START, request) else {
        panic!("waits")
    };

    assert_eq!(reply.status, 401);
}

#[test]
fn a_call_in_a_group_that_was_upgraded_names_the_supergroup() {
    let mut stage = Stage::new(Rules::default());
    let group = stage.bot().add_chat(ChatKind::Group, "Friends");
    let new_id = stage.account().upgrade(START, group).unwrap();

    let reply = stage.call("sendMessage", &[("chat_id", &group.to_string()), ("text", "hi")]);

    assert_eq!(body(&reply)["parameters"], json!({"migrate_to_chat_id": new_id}));
    let updates = body(&stage.call("getUpdates", &[]))["result"].clone();
    assert_eq!(updates[0]["message"]["migrate_to_chat_id"], new_id);
    assert_eq!(updates[1]["message"]["migrate_from_chat_id"], group);
    assert_eq!(updates[1]["message"]["chat"]["id"], new_id);
}

#[test]
fn a_refused_call_is_in_the_ledger_of_refusals_only() {
    let mut stage = Stage::new(Rules::default());
    let ann = stage.ann;
    stage.bot().set_access(ann, Access::Blocked);

    stage.call("sendMessage", &[("chat_id", &ann.to_string()), ("text", "hi")]);

    let bot = stage.bot();
    assert!(bot.view().sent().is_empty());
    assert_eq!(bot.view().refused()[0].code, 403);
}

#[test]
fn an_accepted_call_is_in_the_ledger_with_its_raw_parameters() {
    let mut stage = Stage::new(Rules::default());
    let ann = stage.ann;

    stage.call(
        "SENDMESSAGE",
        &[("chat_id", &ann.to_string()), ("text", "hi"), ("text", "second")],
    );

    let bot = stage.bot();
    let sent = &bot.view().sent()[0];
    assert_eq!(
        (sent.method.as_str(), sent.chat_id, sent.message_id),
        ("sendMessage", Some(ann), Some(1))
    );
    assert_eq!(
        serde_json::Value::from(sent.params.clone()),
        json!({"chat_id": ann.to_string(), "text": "hi"})
    );
    assert_eq!(bot.view().texts_to(ann), ["hi"]);
}

#[test]
fn commands_are_kept_per_scope_and_language() {
    let mut stage = Stage::new(Rules::default());
    let commands = r#"[{"command":"start","description":"Start"}]"#;

    stage.call(
        "setMyCommands",
        &[("commands", commands), ("language_code", "de")],
    );

    assert_eq!(body(&stage.call("getMyCommands", &[]))["result"], json!([]));
    let german = body(&stage.call("getMyCommands", &[("language_code", "de")]));
    assert_eq!(german["result"][0]["command"], "start");
    assert_eq!(stage.call("setMyCommands", &[("commands", "[{}]")]).status, 400);
}

#[test]
fn setters_are_acknowledged_unless_their_chat_is_out_of_reach() {
    let mut stage = Stage::new(Rules::default());
    let group = stage.bot().add_chat(ChatKind::Supergroup, "Friends");
    let chat = group.to_string();

    let pin = |stage: &mut Stage| {
        stage
            .call("pinChatMessage", &[("chat_id", &chat), ("message_id", "1")])
            .status
    };
    assert_eq!(pin(&mut stage), 200);
    stage.bot().set_access(group, Access::Kicked);
    assert_eq!(pin(&mut stage), 403);
}
