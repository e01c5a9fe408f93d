//! Contexts for unit tests, of a bot whose server cannot be reached.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    Context,
    api::{Api, ApiConfig, Server, Token},
    bot_facts::BotFacts,
    update::Update,
};

/// The name of the bot of all these contexts.
pub(crate) const USERNAME: &str = "our_bot";

/// Runs a test on an actix system.
pub(crate) fn on_actix<F: Future>(test: F) -> F::Output {
    actix_rt::System::new().block_on(test)
}

/// Returns the context of an update of this kind. Needs an actix system.
pub(crate) fn context(kind: &str, payload: &Value) -> Context {
    context_of(kind, payload, BotFacts::named(USERNAME))
}

/// Returns the context of an update for a bot that does not know its name yet, and cannot learn it.
pub(crate) fn nameless(kind: &str, payload: &Value) -> Context {
    context_of(kind, payload, BotFacts::default())
}

fn context_of(kind: &str, payload: &Value, facts: BotFacts) -> Context {
    let token = Token::parse("123456:AbCdEf_GhIjKl-MnOpQr").unwrap();
    // Nothing listens on this port, so calls fail at once.
    let server = Server::parse("http://127.0.0.1:1").unwrap();
    let api = Api::start(ApiConfig::new(token).server(server));
    let update = Update::from_json(&json!({"update_id": 1, kind: payload}).to_string()).unwrap();
    Context::of_bot(update, api, Arc::new(facts))
}

/// Returns a message with this text, in which a leading command is marked as the server would.
pub(crate) fn text_message(text: &str) -> Value {
    let command = text
        .split(|c: char| !c.is_ascii_alphanumeric() && !"/@_".contains(c))
        .next();
    let length = command
        .filter(|word| word.len() > 1 && word.starts_with('/'))
        .map(str::len);
    let entities: Vec<_> = length
        .map(|length| json!({"type": "bot_command", "offset": 0, "length": length}))
        .into_iter()
        .collect();
    let mut message = message_with(json!({"text": text}));
    message["entities"] = entities.into();
    message
}

/// Returns a message of Ann in her private chat with these members besides.
pub(crate) fn message_with(members: Value) -> Value {
    let mut message = json!({
        "message_id": 5,
        "date": 1_800_000_000,
        "chat": {"id": 42, "type": "private", "first_name": "Ann"},
        "from": ann(),
    });
    let Value::Object(members) = members else {
        panic!("members come in an object")
    };
    message.as_object_mut().unwrap().extend(members);
    message
}

pub(crate) fn ann() -> Value {
    json!({"id": 42, "is_bot": false, "first_name": "Ann"})
}

/// Returns the press of a button with this data below a message.
pub(crate) fn press(data: &str) -> Value {
    json!({
        "id": "77",
        "from": ann(),
        "message": message_with(json!({"text": "choose"})),
        "chat_instance": "1",
        "data": data,
    })
}
