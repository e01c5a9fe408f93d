//! `sendMessage`, `deleteMessage`, `deleteMessages`, `sendChatAction`.

use serde_json::{Map, Value, json};

use super::content::{Formatted, MAX_TEXT, attach_markup, placement, reply_markup};
use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};

/// What `sendChatAction` accepts (<https://core.telegram.org/bots/api#sendchataction>).
const ACTIONS: &[&str] = &[
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// <https://core.telegram.org/bots/api#sendmessage>; the checks stand in the order in which the server makes them.
pub(crate) fn send_message(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    if params.text("text").is_none() {
        return Err(Failure::bad_request("message text is empty"));
    }
    let formatted = Formatted::from_params(params, "text")?;
    let markup = reply_markup(params)?;
    let chat = account.chat_of(params)?.clone();
    let mut message = placement(account, &chat, params)?;
    if formatted.text.trim().is_empty() {
        return Err(Failure::bad_request("text must be non-empty"));
    }
    if params.not_utf8 {
        return Err(Failure::bad_request("strings must be encoded in UTF-8"));
    }
    formatted.check_length(MAX_TEXT, "message is too long")?;
    chat.check_rights()?;

    put_text(&mut message, formatted);
    attach_markup(&mut message, markup.as_ref());
    Ok(Success::new(account.send_out(now, &chat, message)))
}

/// Puts a text and its entities into a message.
pub(crate) fn put_text(message: &mut Map<String, Value>, formatted: Formatted) {
    message.insert("text".to_owned(), Value::String(formatted.text));
    match formatted.entities {
        Some(entities) => message.insert("entities".to_owned(), entities),
        None => message.remove("entities"),
    };
}

/// <https://core.telegram.org/bots/api#deletemessage>
pub(crate) fn delete_message(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let chat = account.chat_of(params)?;
    chat.check_access()?;
    let key = (chat.id, params.long("message_id").unwrap_or(0));
    match account.messages.remove(&key) {
        Some(_) => Ok(Success::new(json!(true))),
        None => Err(Failure::bad_request("message to delete not found")),
    }
}

/// <https://core.telegram.org/bots/api#deletemessages>; messages that are not there are skipped.
pub(crate) fn delete_messages(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let chat = account.chat_of(params)?;
    chat.check_access()?;
    let chat_id = chat.id;
    let ids: Vec<i64> = params
        .text("message_ids")
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| Failure::bad_request("message identifiers are not specified"))?;
    if ids.len() > 100 {
        return Err(Failure::bad_request("too many message identifiers specified"));
    }
    for id in ids {
        account.messages.remove(&(chat_id, id));
    }
    Ok(Success::new(json!(true)))
}

/// <https://core.telegram.org/bots/api#sendchataction>
pub(crate) fn send_chat_action(
    account: &mut Account,
    _: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    let action = params.get("action").unwrap_or_default().to_ascii_lowercase();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Failure::bad_request("wrong parameter action in request"));
    }
    let chat = account.chat_of(params)?;
    chat.check_access()?;
    chat.check_rights()?;
    Ok(Success::new(json!(true)))
}
