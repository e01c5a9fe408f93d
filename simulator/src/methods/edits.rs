//! `editMessageText`, `editMessageCaption`, `editMessageReplyMarkup`.

use serde_json::{Map, Value, json};

use super::content::{Formatted, MAX_CAPTION, MAX_TEXT, attach_markup, reply_markup};
use super::media::{has_media, put_caption};
use super::messages::put_text;
use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the \
                            same as a current content and reply markup of the message";

/// <https://core.telegram.org/bots/api#editmessagetext>
pub(crate) fn edit_message_text(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    if params.text("text").is_none() {
        return Err(Failure::bad_request("message text is empty"));
    }
    let formatted = Formatted::from_params(params, "text")?;
    let markup = reply_markup(params)?;
    edit(account, now, params, |message| {
        if !message.contains_key("text") {
            return Err(Failure::bad_request("there is no text in the message to edit"));
        }
        formatted.check_length(MAX_TEXT, "MESSAGE_TOO_LONG")?;
        put_text(message, formatted);
        attach_markup(message, markup.as_ref());
        Ok(())
    })
}

/// <https://core.telegram.org/bots/api#editmessagecaption>
pub(crate) fn edit_message_caption(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    let caption = Formatted::from_params(params, "caption")?;
    let markup = reply_markup(params)?;
    edit(account, now, params, |message| {
        if !has_media(message) {
            return Err(Failure::bad_request("there is no caption in the message to edit"));
        }
        caption.check_length(MAX_CAPTION, "message caption is too long")?;
        put_caption(message, caption);
        attach_markup(message, markup.as_ref());
        Ok(())
    })
}

/// <https://core.telegram.org/bots/api#editmessagereplymarkup>
pub(crate) fn edit_message_reply_markup(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    let markup = reply_markup(params)?;
    edit(account, now, params, |message| {
        attach_markup(message, markup.as_ref());
        Ok(())
    })
}

/// Finds the message, changes it, and keeps the change when it is one.
fn edit(
    account: &mut Account,
    now: Moment,
    params: &Params,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), Failure>,
) -> Result<Success, Failure> {
    if params.text("inline_message_id").is_some() {
        return Err(Failure::bad_request("MESSAGE_ID_INVALID"));
    }
    let chat = account.chat_of(params)?;
    chat.check_access()?;
    let chat_id = chat.id;
    let message_id = params.long("message_id").unwrap_or(0);
    let not_found = || Failure::bad_request("message to edit not found");
    if !account
        .messages
        .get(&(chat_id, message_id))
        .ok_or_else(not_found)?
        .outgoing
    {
        return Err(Failure::bad_request("message can't be edited"));
    }
    let Some(Value::Object(before)) = account.message(chat_id, message_id) else {
        return Err(not_found());
    };
    let mut after = before.clone();
    change(&mut after)?;
    if after == before {
        return Err(Failure::bad_request(NOT_MODIFIED));
    }
    after.insert("edit_date".to_owned(), json!(now.unix_seconds()));
    let after = Value::Object(after);
    account.keep(chat_id, message_id, &after, true);
    Ok(Success::new(after))
}
