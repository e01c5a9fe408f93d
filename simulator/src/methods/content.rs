//! What several methods check in the same way: texts, keyboards, threads, replies.

use serde_json::{Map, Value, json};

use super::html;
use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::people::{ChatKind, ChatRecord};
use crate::reply::Failure;

/// The largest text before entities are parsed, in bytes.
const MAX_TEXT_BYTES: usize = 32_768;
/// The longest message text in code points (<https://core.telegram.org/bots/api#sendmessage>).
pub(crate) const MAX_TEXT: usize = 4096;
/// The longest caption in code points (<https://core.telegram.org/bots/api#sendphoto>).
pub(crate) const MAX_CAPTION: usize = 1024;

/// A text with its entities.
#[derive(Debug, Default)]
pub(crate) struct Formatted {
    pub(crate) text: String,
    pub(crate) entities: Option<Value>,
}

impl Formatted {
    /// Reads the parameter `name`. HTML becomes entities; Markdown is accepted and stays in the text.
    pub(crate) fn from_params(params: &Params, name: &str) -> Result<Self, Failure> {
        let text = params.get(name).unwrap_or_default();
        if text.len() > MAX_TEXT_BYTES {
            return Err(Failure::bad_request("text is too long"));
        }
        let mode = params.text("parse_mode").unwrap_or("none").to_ascii_lowercase();
        if !["markdown", "markdownv2", "html", "none"].contains(&mode.as_str()) {
            return Err(Failure::bad_request("unsupported parse_mode"));
        }
        if mode == "html" {
            let (text, entities) = html::parse(text)
                .map_err(|problem| Failure::bad_request(&format!("can't parse entities: {problem}")))?;
            let entities = Some(entities).filter(|list| !list.is_empty()).map(Value::Array);
            return Ok(Self { text, entities });
        }
        let field = if name == "text" {
            "entities"
        } else {
            "caption_entities"
        };
        let entities = params
            .text(field)
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|value: &Value| value.as_array().is_some_and(|list| !list.is_empty()));
        Ok(Self {
            text: text.to_owned(),
            entities,
        })
    }

    /// Checks the length after parsing.
    pub(crate) fn check_length(&self, longest: usize, complaint: &str) -> Result<(), Failure> {
        if self.text.chars().count() > longest {
            Err(Failure::bad_request(complaint))
        } else {
            Ok(())
        }
    }
}

/// Reads `reply_markup`.
pub(crate) fn reply_markup(params: &Params) -> Result<Option<Value>, Failure> {
    let Some(text) = params.text("reply_markup") else {
        return Ok(None);
    };
    let markup: Value = serde_json::from_str(text)
        .map_err(|_| Failure::bad_request("can't parse reply keyboard markup JSON object"))?;
    if !markup.is_object() {
        return Err(Failure::bad_request("object expected as reply markup"));
    }
    if let Some(rows) = markup.get("inline_keyboard") {
        let is_button = |button: &Value| button.get("text").is_some_and(Value::is_string);
        let is_row = |row: &Value| {
            row.as_array()
                .is_some_and(|buttons| buttons.iter().all(is_button))
        };
        if !rows.as_array().is_some_and(|rows| rows.iter().all(is_row)) {
            return Err(Failure::bad_request(
                "can't parse inline keyboard: an array of arrays of buttons expected",
            ));
        }
    }
    Ok(Some(markup))
}

/// Puts a keyboard into a message; only inline keyboards show up there.
pub(crate) fn attach_markup(message: &mut Map<String, Value>, markup: Option<&Value>) {
    match markup.filter(|markup| markup.get("inline_keyboard").is_some()) {
        Some(markup) => message.insert("reply_markup".to_owned(), markup.clone()),
        None => message.remove("reply_markup"),
    };
}

/// Where in the chat a message goes, checked in the order of the server: access, thread, reply.
pub(crate) fn placement(
    account: &Account,
    chat: &ChatRecord,
    params: &Params,
) -> Result<Map<String, Value>, Failure> {
    chat.check_access()?;
    let mut fields = Map::new();
    if let Some(thread) = params.long("message_thread_id").filter(|thread| *thread != 0) {
        if !chat.topics.contains(&thread) {
            return Err(Failure::bad_request("message thread not found"));
        }
        fields.insert("message_thread_id".to_owned(), json!(thread));
        fields.insert("is_topic_message".to_owned(), json!(true));
    }
    let parameters: Value = params
        .text("reply_parameters")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let wanted = parameters["message_id"]
        .as_i64()
        .or_else(|| params.long("reply_to_message_id"));
    if let Some(message_id) = wanted.filter(|id| *id != 0) {
        let lenient = parameters["allow_sending_without_reply"]
            .as_bool()
            .unwrap_or(false)
            || params.flag("allow_sending_without_reply");
        match account.message(chat.id, message_id) {
            Some(mut replied) => {
                // A replied-to message does not contain the one it replies to in turn.
                if let Some(fields) = replied.as_object_mut() {
                    fields.remove("reply_to_message");
                }
                fields.insert("reply_to_message".to_owned(), replied);
            }
            None if lenient => {}
            None => return Err(Failure::bad_request("message to be replied not found")),
        }
    }
    Ok(fields)
}

impl Account {
    /// Stores a message of the bot and returns it as the API shows it.
    pub(crate) fn send_out(&mut self, now: Moment, chat: &ChatRecord, content: Map<String, Value>) -> Value {
        let message_id = self.next_message_id(chat.id);
        let mut message = content;
        message.insert("message_id".to_owned(), json!(message_id));
        message.insert("date".to_owned(), json!(now.unix_seconds()));
        message.insert("chat".to_owned(), chat.to_json());
        if chat.kind == ChatKind::Channel {
            message.insert("sender_chat".to_owned(), chat.to_json());
        } else {
            message.insert("from".to_owned(), self.me.to_json());
        }
        let message = Value::Object(message);
        self.keep(chat.id, message_id, &message, true);
        message
    }
}
