//! `forwardMessage` and `copyMessage`.

use serde_json::{Map, Value, json};

use super::content::{attach_markup, placement, reply_markup};
use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::people::ChatRecord;
use crate::reply::{Failure, Success};

/// What a message says, as opposed to where, when and by whom.
const CONTENT: &[&str] = &[
    "text",
    "entities",
    "caption",
    "caption_entities",
    "photo",
    "document",
    "audio",
    "video",
    "animation",
    "voice",
    "video_note",
    "sticker",
];

/// <https://core.telegram.org/bots/api#forwardmessage>
pub(crate) fn forward_message(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    let (chat, original) = source(account, params, "message to forward not found")?;
    let mut message = placement(account, &chat, params)?;
    chat.check_rights()?;
    let date = original.get("date").cloned().unwrap_or_default();
    let origin = match (original.get("from"), original.get("sender_chat")) {
        (_, Some(sender_chat)) => {
            json!({"type": "channel", "chat": sender_chat, "message_id": original["message_id"], "date": date})
        }
        (from, None) => json!({"type": "user", "sender_user": from, "date": date}),
    };
    message.insert("forward_origin".to_owned(), origin);
    copy_content(&original, &mut message);
    Ok(Success::new(account.send_out(now, &chat, message)))
}

/// <https://core.telegram.org/bots/api#copymessage>
pub(crate) fn copy_message(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    let markup = reply_markup(params)?;
    let (chat, original) = source(account, params, "message to copy not found")?;
    let mut message = placement(account, &chat, params)?;
    chat.check_rights()?;
    copy_content(&original, &mut message);
    attach_markup(&mut message, markup.as_ref());
    if let Some(caption) = params.get("caption")
        && !message.contains_key("text")
    {
        message.remove("caption_entities");
        message.insert("caption".to_owned(), json!(caption));
    }
    let sent = account.send_out(now, &chat, message);
    Ok(Success::new(json!({"message_id": sent["message_id"]})))
}

fn source(
    account: &Account,
    params: &Params,
    not_found: &str,
) -> Result<(ChatRecord, Map<String, Value>), Failure> {
    let chat = account.chat_of(params)?.clone();
    let from = account.chat_named(params.get("from_chat_id").unwrap_or_default())?;
    let message_id = params.long("message_id").unwrap_or(0);
    match account.message(from.id, message_id) {
        Some(Value::Object(original)) => Ok((chat, original)),
        _ => Err(Failure::bad_request(not_found)),
    }
}

fn copy_content(original: &Map<String, Value>, message: &mut Map<String, Value>) {
    for field in CONTENT {
        if let Some(value) = original.get(*field) {
            message.insert((*field).to_owned(), value.clone());
        }
    }
}
