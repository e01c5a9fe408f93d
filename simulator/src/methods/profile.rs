//! Methods about the bot itself and its chats, and the setters that only say `true`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};

/// `close` is refused this long after the start (<https://core.telegram.org/bots/api#close>).
const CLOSE_AFTER: Duration = Duration::from_secs(600);

/// Methods that are recorded and answered `true`; the simulator keeps nothing of what they set.
pub(crate) const ACKNOWLEDGED: &[&str] = &[
    "setMessageReaction",
    "deleteMessageReaction",
    "deleteAllMessageReactions",
    "sendMessageDraft",
    "setUserEmojiStatus",
    "banChatMember",
    "unbanChatMember",
    "restrictChatMember",
    "promoteChatMember",
    "setChatAdministratorCustomTitle",
    "setChatMemberTag",
    "banChatSenderChat",
    "unbanChatSenderChat",
    "setChatPermissions",
    "approveChatJoinRequest",
    "declineChatJoinRequest",
    "answerChatJoinRequestQuery",
    "setChatPhoto",
    "deleteChatPhoto",
    "setChatTitle",
    "setChatDescription",
    "pinChatMessage",
    "unpinChatMessage",
    "unpinAllChatMessages",
    "leaveChat",
    "setChatStickerSet",
    "deleteChatStickerSet",
    "editForumTopic",
    "closeForumTopic",
    "reopenForumTopic",
    "deleteForumTopic",
    "unpinAllForumTopicMessages",
    "editGeneralForumTopic",
    "closeGeneralForumTopic",
    "reopenGeneralForumTopic",
    "hideGeneralForumTopic",
    "unhideGeneralForumTopic",
    "unpinAllGeneralForumTopicMessages",
    "setMyProfilePhoto",
    "removeMyProfilePhoto",
    "setChatMenuButton",
    "setMyDefaultAdministratorRights",
    "setPassportDataErrors",
    "answerInlineQuery",
    "answerShippingQuery",
    "answerPreCheckoutQuery",
    "readBusinessMessage",
    "deleteBusinessMessages",
    "verifyUser",
    "verifyChat",
    "removeUserVerification",
    "removeChatVerification",
];

/// Checks `chat_id` when there is one.
pub(crate) fn acknowledge(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    if params.text("chat_id").is_some() {
        account.chat_of(params)?.check_access()?;
    }
    Ok(Success::new(json!(true)))
}

/// <https://core.telegram.org/bots/api#getme>
pub(crate) fn get_me(account: &mut Account, _: Moment, _: &Params) -> Result<Success, Failure> {
    Ok(Success::new(account.me_json()))
}

/// <https://core.telegram.org/bots/api#getchat>
pub(crate) fn get_chat(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let chat = account.chat_of(params)?;
    chat.check_access()?;
    let mut full = chat.to_json();
    full["accent_color_id"] = json!(0);
    full["max_reaction_count"] = json!(11);
    full["accepted_gift_types"] = json!({
        "unlimited_gifts": true,
        "limited_gifts": true,
        "unique_gifts": true,
        "premium_subscription": true,
        "gifts_from_channels": true,
    });
    Ok(Success::new(full))
}

/// <https://core.telegram.org/bots/api#setmycommands>
pub(crate) fn set_my_commands(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let text = params.text("commands").unwrap_or("[]");
    let commands: Value =
        serde_json::from_str(text).map_err(|_| Failure::bad_request("can't parse commands JSON object"))?;
    let is_command = |command: &Value| command["command"].is_string() && command["description"].is_string();
    if !commands
        .as_array()
        .is_some_and(|commands| commands.iter().all(is_command))
    {
        return Err(Failure::bad_request("expected an Array of BotCommand"));
    }
    account
        .settings
        .insert(setting("commands", params), text.to_owned());
    Ok(Success::new(json!(true)))
}

/// <https://core.telegram.org/bots/api#deletemycommands>
pub(crate) fn delete_my_commands(
    account: &mut Account,
    _: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    account.settings.remove(&setting("commands", params));
    Ok(Success::new(json!(true)))
}

/// <https://core.telegram.org/bots/api#getmycommands>
pub(crate) fn get_my_commands(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let commands = account.settings.get(&setting("commands", params));
    Ok(Success::new(
        commands
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_else(|| json!([])),
    ))
}

/// Stores `name`, `description` or `short_description`.
pub(crate) fn set_text(
    account: &mut Account,
    params: &Params,
    field: &'static str,
) -> Result<Success, Failure> {
    let text = params.get(field).unwrap_or_default().to_owned();
    account.settings.insert(setting(field, params), text);
    Ok(Success::new(json!(true)))
}

/// Returns `name`, `description` or `short_description`.
pub(crate) fn get_text(
    account: &mut Account,
    params: &Params,
    field: &'static str,
) -> Result<Success, Failure> {
    let text = account
        .settings
        .get(&setting(field, params))
        .map_or("", String::as_str);
    Ok(Success::new(json!({field: text})))
}

fn setting(name: &str, params: &Params) -> String {
    let scope = params.get("scope").unwrap_or_default();
    let language = params.get("language_code").unwrap_or_default();
    format!("{name} {scope} {language}")
}

/// <https://core.telegram.org/bots/api#logout>
pub(crate) fn log_out(account: &mut Account, now: Moment, _: &Params) -> Result<Success, Failure> {
    account.drop_pending(now);
    account.end_wait(now, true);
    account.remove_webhook(now);
    account.logged_out = true;
    Ok(Success::new(json!(true)))
}

/// <https://core.telegram.org/bots/api#close>
pub(crate) fn close(account: &mut Account, now: Moment, _: &Params) -> Result<Success, Failure> {
    let running = now.since(account.started_at.unwrap_or(now));
    if running < CLOSE_AFTER {
        return Err(Failure::too_many_requests(
            (CLOSE_AFTER - running).as_secs().max(1),
        ));
    }
    account.end_wait(now, true);
    Ok(Success::new(json!(true)))
}
