//! From a method name to its function, and from its outcome to the ledger.

use tracing::warn;

use super::profile::{ACKNOWLEDGED, acknowledge};
use super::{callbacks, copies, edits, media, messages, profile, webhook};
use crate::Moment;
use crate::account::Account;
use crate::flood::Load;
use crate::ledger::{Refused, Sent};
use crate::params::Params;
use crate::reply::{Failure, Reply, Success};
use crate::request::Ticket;

type Method = fn(&mut Account, Moment, &Params) -> Result<Success, Failure>;

/// Every method with a behaviour of its own, except `getUpdates`.
const METHODS: &[(&str, Method)] = &[
    ("getMe", profile::get_me),
    ("sendMessage", messages::send_message),
    ("editMessageText", edits::edit_message_text),
    ("editMessageCaption", edits::edit_message_caption),
    ("editMessageReplyMarkup", edits::edit_message_reply_markup),
    ("deleteMessage", messages::delete_message),
    ("deleteMessages", messages::delete_messages),
    ("answerCallbackQuery", callbacks::answer_callback_query),
    ("sendChatAction", messages::send_chat_action),
    ("sendPhoto", media::send_photo),
    ("sendDocument", media::send_document),
    ("sendAudio", media::send_audio),
    ("sendVideo", media::send_video),
    ("sendAnimation", media::send_animation),
    ("sendVoice", media::send_voice),
    ("sendVideoNote", media::send_video_note),
    ("sendSticker", media::send_sticker),
    ("getFile", media::get_file),
    ("forwardMessage", copies::forward_message),
    ("copyMessage", copies::copy_message),
    ("setWebhook", webhook::set_webhook),
    ("deleteWebhook", webhook::delete_webhook),
    ("getWebhookInfo", webhook::get_webhook_info),
    ("getChat", profile::get_chat),
    ("setMyCommands", profile::set_my_commands),
    ("deleteMyCommands", profile::delete_my_commands),
    ("getMyCommands", profile::get_my_commands),
    ("setMyName", |account, _, params| {
        profile::set_text(account, params, "name")
    }),
    ("getMyName", |account, _, params| {
        profile::get_text(account, params, "name")
    }),
    ("setMyDescription", |account, _, params| {
        profile::set_text(account, params, "description")
    }),
    ("getMyDescription", |account, _, params| {
        profile::get_text(account, params, "description")
    }),
    ("setMyShortDescription", |account, _, params| {
        profile::set_text(account, params, "short_description")
    }),
    ("getMyShortDescription", |account, _, params| {
        profile::get_text(account, params, "short_description")
    }),
    ("logOut", profile::log_out),
    ("close", profile::close),
];

/// Tells whether `method` is `getUpdates`.
pub(crate) fn is_poll(method: &str) -> bool {
    method.eq_ignore_ascii_case("getUpdates")
}

/// Returns what a call costs against the rate limits, `None` for calls that are not limited.
pub(crate) fn load(method: &str) -> Option<Load> {
    let method = method.to_ascii_lowercase();
    if method == "sendchataction" {
        None
    } else if ["send", "forward", "copy"]
        .iter()
        .any(|start| method.starts_with(start))
    {
        Some(Load::Message)
    } else if method.starts_with("edit") {
        Some(Load::Edit)
    } else {
        None
    }
}

impl Account {
    /// Processes one call; `None` when the answer comes later under `ticket`.
    pub(crate) fn execute(
        &mut self,
        now: Moment,
        method: &str,
        params: &Params,
        ticket: Ticket,
        arrives: bool,
    ) -> Option<Reply> {
        if self.logged_out {
            return Some(Failure::exact(400, "Logged out").into());
        }
        if is_poll(method) {
            return self.get_updates(now, params, ticket, arrives);
        }
        let own = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(method));
        let acknowledged = || ACKNOWLEDGED.iter().find(|name| name.eq_ignore_ascii_case(method));
        let (name, run) = match (own, acknowledged()) {
            (Some((name, run)), _) => (*name, *run),
            (None, Some(name)) => (*name, acknowledge as Method),
            (None, None) => {
                warn!(method, "method is not simulated");
                return Some(Failure::exact(404, "Not Found: method not found").into());
            }
        };
        let outcome = run(self, now, params);
        if let Ok(success) = &outcome
            && !name.starts_with("get")
        {
            self.record_sent(now, name, params, success);
        }
        Some(outcome.into())
    }

    fn record_sent(&mut self, now: Moment, method: &str, params: &Params, success: &Success) {
        let result = &success.result;
        self.ledger.sent.push(Sent {
            at: now,
            method: method.to_owned(),
            chat_id: result["chat"]["id"]
                .as_i64()
                .or_else(|| self.chat_of(params).ok().map(|chat| chat.id)),
            text: params
                .text("text")
                .or_else(|| params.text("caption"))
                .map(str::to_owned),
            message_id: result["message_id"]
                .as_i64()
                .or_else(|| params.long("message_id")),
            params: params.to_json(),
        });
    }

    /// Enters an error answer into the ledger.
    pub(crate) fn record_refused(&mut self, now: Moment, method: &str, params: &Params, reply: &Reply) {
        self.ledger.refused.push(Refused {
            at: now,
            method: method.to_owned(),
            chat_id: params.get("chat_id").map(str::to_owned),
            code: reply.status,
            body: String::from_utf8_lossy(&reply.body).into_owned(),
        });
    }
}
