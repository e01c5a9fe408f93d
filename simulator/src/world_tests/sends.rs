use serde_json::json;

use super::{Stage, body, description};
use crate::{Access, ChatKind, Params, Reply, Request, Rules, Verdict};

fn send(stage: &mut Stage, params: &[(&str, &str)]) -> Reply {
    stage.call("sendMessage", params)
}

/// Every check of `sendMessage` with a call that fails it and every later check that can fail at the same time.
#[test]
fn the_checks_of_a_send_are_made_in_the_order_of_the_server() {
    let mut stage = Stage::new(Rules::default());
    let ann = stage.ann;
    let chat = ann.to_string();
    let blank = " ".repeat(5_000);
    let bytes = "x".repeat(32_769);
    stage.bot().set_access(ann, Access::Blocked);
    let wrong_mode = ("parse_mode", "bbcode");
    let thread = ("message_thread_id", "9");
    let reply = ("reply_parameters", "{\"message_id\":99}");

    let mut refused = |params: &[(&str, &str)]| {
        let reply = send(&mut stage, params);
        (reply.status, description(&reply))
    };
    let bad = |text: &str| (400, format!("Bad Request: {text}"));
    assert_eq!(
        refused(&[("text", ""), wrong_mode, ("reply_markup", "{")]),
        bad("message text is empty")
    );
    assert_eq!(
        refused(&[wrong_mode, ("reply_markup", "{")]),
        bad("message text is empty")
    );
    assert_eq!(
        refused(&[("text", &bytes), wrong_mode, ("reply_markup", "{")]),
        bad("text is too long")
    );
    assert_eq!(
        refused(&[("text", &blank), wrong_mode, ("reply_markup", "{")]),
        bad("unsupported parse_mode")
    );
    assert_eq!(
        refused(&[("text", &blank), ("parse_mode", "null")]),
        bad("unsupported parse_mode")
    );
    assert_eq!(
        refused(&[("text", &blank), ("reply_markup", "{")]),
        bad("can't parse reply keyboard markup JSON object")
    );
    assert_eq!(
        refused(&[("text", &blank), ("reply_markup", "[]")]),
        bad("object expected as reply markup")
    );
    assert_eq!(refused(&[("text", &blank)]), bad("chat_id is empty"));
    assert_eq!(
        refused(&[("text", &blank), ("chat_id", "1")]),
        bad("chat not found")
    );
    assert_eq!(
        refused(&[("text", &blank), ("chat_id", &chat), thread, reply]),
        (403, "Forbidden: bot was blocked by the user".to_owned())
    );
    stage.bot().set_access(ann, Access::ReadOnly);
    let mut refused = |params: &[(&str, &str)]| description(&send(&mut stage, params));
    assert_eq!(
        refused(&[("text", &blank), ("chat_id", &chat), thread, reply]),
        "Bad Request: message thread not found"
    );
    assert_eq!(
        refused(&[("text", &blank), ("chat_id", &chat), reply]),
        "Bad Request: message to be replied not found"
    );
    assert_eq!(
        refused(&[("text", &blank), ("chat_id", &chat)]),
        "Bad Request: text must be non-empty"
    );
    assert_eq!(
        refused(&[("text", &"ä".repeat(4_097)), ("chat_id", &chat)]),
        "Bad Request: message is too long"
    );
    assert_eq!(
        refused(&[("text", &"ä".repeat(4_096)), ("chat_id", &chat)]),
        "Bad Request: have no write access to the chat"
    );
    stage.bot().set_access(ann, Access::Full);
    assert_eq!(
        send(&mut stage, &[("text", &"ä".repeat(4_096)), ("chat_id", &chat)]).status,
        200
    );
}

#[test]
fn html_becomes_entities_and_the_length_is_that_of_the_text() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    let mut html = |text: &str| {
        let reply = send(
            &mut stage,
            &[("chat_id", &chat), ("text", text), ("parse_mode", "Html")],
        );
        body(&reply)
    };

    let sent = html("<b>hi</b> there")["result"].clone();
    assert_eq!(sent["text"], "hi there");
    assert_eq!(
        sent["entities"],
        json!([{"type": "bold", "offset": 0, "length": 2}])
    );
    assert_eq!(html(&format!("<b>{}</b>", "x".repeat(4_096)))["ok"], true);
    assert_eq!(
        html("<b></b>")["description"],
        "Bad Request: text must be non-empty"
    );
    assert_eq!(
        html("<b>")["description"],
        "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\""
    );
}

#[test]
fn a_text_that_is_not_utf8_is_refused() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    let mut params = Params::from_pairs(&[("chat_id", chat.as_str()), ("text", "\u{fffd}")]);
    params.not_utf8 = true;

    let Verdict::Reply(reply) = stage
        .world
        .call(stage.now, Request::new(super::TOKEN, "sendMessage", params))
    else {
        panic!("waits")
    };

    assert_eq!(
        description(&reply),
        "Bad Request: strings must be encoded in UTF-8"
    );
}

#[test]
fn channels_are_found_by_name_and_users_are_not() {
    let mut stage = Stage::new(Rules::default());
    let channel = stage.bot().add_chat(ChatKind::Channel, "News");
    let name = format!(
        "@{}",
        stage.account().chats[&channel]
            .username
            .clone()
            .unwrap()
            .to_uppercase()
    );
    let ann = stage.ann;
    let user = format!("@{}", stage.account().people[&ann].username.clone());

    assert_eq!(
        body(&send(&mut stage, &[("chat_id", &name), ("text", "x")]))["result"]["chat"]["id"],
        channel
    );
    assert_eq!(
        description(&send(&mut stage, &[("chat_id", &user), ("text", "x")])),
        "Bad Request: chat not found"
    );
}

#[test]
fn message_ids_are_shared_by_private_chats_and_groups_and_own_in_supergroups() {
    let mut stage = Stage::new(Rules::default());
    let ann = stage.ann.to_string();
    let group = stage.bot().add_chat(ChatKind::Group, "Group").to_string();
    let supergroup = stage
        .bot()
        .add_chat(ChatKind::Supergroup, "Supergroup")
        .to_string();
    let mut id_in = |chat: &str| {
        body(&send(&mut stage, &[("chat_id", chat), ("text", "x")]))["result"]["message_id"].clone()
    };

    assert_eq!(id_in(&ann), 1);
    assert_eq!(id_in(&group), 2);
    assert_eq!(id_in(&supergroup), 1);
    assert_eq!(id_in(&ann), 3);
    assert_eq!(id_in(&supergroup), 2);
}

#[test]
fn a_reply_shows_what_it_replies_to_and_may_be_lenient() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    stage.say("question");

    let answer = send(
        &mut stage,
        &[
            ("chat_id", &chat),
            ("text", "answer"),
            ("reply_parameters", "{\"message_id\":1}"),
        ],
    );
    assert_eq!(body(&answer)["result"]["reply_to_message"]["text"], "question");

    let lenient = "{\"message_id\":99,\"allow_sending_without_reply\":true}";
    let answer = send(
        &mut stage,
        &[("chat_id", &chat), ("text", "x"), ("reply_parameters", lenient)],
    );
    assert_eq!(body(&answer)["result"]["text"], "x");
    assert_eq!(body(&answer)["result"].get("reply_to_message"), None);
}

#[test]
fn an_edit_changes_the_message_once() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    send(&mut stage, &[("chat_id", &chat), ("text", "old")]);
    let edit = [("chat_id", chat.as_str()), ("message_id", "1"), ("text", "new")];

    let edited = body(&stage.call("editMessageText", &edit));
    assert_eq!(edited["result"]["text"], "new");
    assert_eq!(edited["result"]["edit_date"], 1_800_000_000);

    let again = stage.call("editMessageText", &edit);
    assert_eq!(
        description(&again),
        "Bad Request: message is not modified: specified new message content and reply markup are exactly the same \
         as a current content and reply markup of the message"
    );
}

#[test]
fn only_own_messages_can_be_edited_and_any_can_be_deleted_once() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    stage.say("hers");
    let target = [("chat_id", chat.as_str()), ("message_id", "1"), ("text", "x")];

    assert_eq!(
        description(&stage.call("editMessageText", &target)),
        "Bad Request: message can't be edited"
    );
    assert_eq!(
        body(&stage.call("deleteMessage", &target)),
        json!({"ok": true, "result": true})
    );
    assert_eq!(
        description(&stage.call("deleteMessage", &target)),
        "Bad Request: message to delete not found"
    );
    assert_eq!(
        description(&stage.call("editMessageText", &target)),
        "Bad Request: message to edit not found"
    );
}

#[test]
fn people_edit_their_own_messages_only() {
    let mut stage = Stage::new(Rules::default());
    let (ann, now) = (stage.ann, stage.now);
    stage.say("hers");
    send(
        &mut stage,
        &[("chat_id", &ann.to_string()), ("text", "the bot's")],
    );

    assert!(stage.account().edit(now, ann, 2, "x").is_err());
    assert!(stage.account().edit(now, ann, 3, "x").is_err());
    stage.account().edit(now, ann, 1, "changed /now").unwrap();

    let edited = body(&stage.call("getUpdates", &[]))["result"][1]["edited_message"].clone();
    assert_eq!(edited["text"], "changed /now");
    assert_eq!(edited["entities"][0]["offset"], 8);
    assert_eq!(edited["edit_date"], 1_800_000_000);
}

#[test]
fn a_press_needs_its_button_and_its_answer_comes_once_and_in_time() {
    let mut stage = Stage::new(Rules::default());
    let ann = stage.ann;
    let keyboard = r#"{"inline_keyboard":[[{"text":"Yes","callback_data":"yes"}]]}"#;
    send(
        &mut stage,
        &[
            ("chat_id", &ann.to_string()),
            ("text", "?"),
            ("reply_markup", keyboard),
        ],
    );
    assert!(stage.bot().press(ann, ann, 1, "no").is_err());
    assert!(stage.bot().press(ann, ann, 2, "yes").is_err());
    stage.bot().press(ann, ann, 1, "yes").unwrap();
    stage.bot().press(ann, ann, 1, "yes").unwrap();

    let updates = body(&stage.call("getUpdates", &[]))["result"].clone();
    let query = |index: usize| {
        updates[index]["callback_query"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(updates[0]["callback_query"]["message"]["message_id"], 1);

    let late = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(
        stage
            .call("answerCallbackQuery", &[("callback_query_id", &query(0))])
            .status,
        200
    );
    assert_eq!(
        description(&stage.call("answerCallbackQuery", &[("callback_query_id", &query(0))])),
        late
    );
    stage.wait(151_000);
    assert_eq!(
        description(&stage.call("answerCallbackQuery", &[("callback_query_id", &query(1))])),
        late
    );
}

#[test]
fn a_copy_says_the_same_and_a_forward_names_its_origin() {
    let mut stage = Stage::new(Rules::default());
    let chat = stage.ann.to_string();
    stage.say("original");
    let params = [
        ("chat_id", chat.as_str()),
        ("from_chat_id", chat.as_str()),
        ("message_id", "1"),
    ];

    assert_eq!(
        body(&stage.call("copyMessage", &params))["result"],
        json!({"message_id": 2})
    );
    let forward = body(&stage.call("forwardMessage", &params))["result"].clone();
    assert_eq!(forward["text"], "original");
    assert_eq!(forward["forward_origin"]["sender_user"]["first_name"], "Ann");
}
