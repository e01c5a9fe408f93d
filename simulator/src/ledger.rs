//! What happened, kept for the test to read: updates issued, polls, calls accepted and refused.
//!
//! The real server never shows any of this. The ledger grows without bound until
//! [`Bot::clear_ledger`](crate::Bot::clear_ledger).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Moment;

/// An update that entered the queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Issued {
    /// The `update_id`.
    pub id: i64,
    /// The kind, for example `message`.
    pub kind: Cow<'static, str>,
    /// The chat it belongs to, when it names one.
    pub chat_id: Option<i64>,
    /// The text of the message, or the data of the button.
    pub text: Option<String>,
    /// When it entered the queue.
    pub issued_at: Moment,
    /// When the bot confirmed it.
    pub confirmed_at: Option<Moment>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// It is queued.
    Pending,
    /// The bot confirmed it.
    Confirmed,
    /// Its time passed before the bot confirmed it.
    Expired,
    /// It was dropped with the queue: `drop_pending_updates`, log-out, a jump of ids.
    Dropped,
}

/// One `getUpdates` call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PollRecord {
    /// When it was processed.
    pub at: Moment,
    /// The `offset` parameter as sent.
    pub raw_offset: Option<String>,
    /// The `limit` parameter as sent.
    pub raw_limit: Option<String>,
    /// The `timeout` parameter as sent.
    pub raw_timeout: Option<String>,
    /// The `allowed_updates` parameter as sent.
    pub raw_allowed_updates: Option<String>,
    /// The offset as the server read it.
    pub offset: i32,
    /// The limit after clamping and penalties.
    pub limit: i32,
    /// The timeout in seconds after clamping and penalties.
    pub timeout: i32,
    /// The ids that were returned, ascending.
    pub returned: Vec<i64>,
    /// The ids that this call confirmed, ascending.
    pub confirmed: Vec<i64>,
    /// When it was answered; `None` while it waits.
    pub answered_at: Option<Moment>,
    /// How it ended.
    pub outcome: PollOutcome,
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PollOutcome {
    /// It waits for an update.
    Waiting,
    /// It was answered with updates, or with none at its timeout.
    Answered,
    /// It was processed, and a fault kept its answer from the client.
    Lost,
    /// It got 409.
    Conflict,
    /// A fault answered in its place; nothing was confirmed.
    NotProcessed,
}

/// A call that took effect. Methods that only read (`get*`) are not recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sent {
    /// When it was processed.
    pub at: Moment,
    /// The method, in the spelling of the documentation.
    pub method: String,
    /// The chat it went to.
    pub chat_id: Option<i64>,
    /// The `text` or `caption` parameter.
    pub text: Option<String>,
    /// The message it created or changed.
    pub message_id: Option<i64>,
    /// Every parameter as the server saw it: texts, and JSON text for what was not a string.
    pub params: Map<String, Value>,
}

/// A call that was answered with an error, by the rules or by a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// When it was answered.
    pub at: Moment,
    /// The method as sent.
    pub method: String,
    /// The `chat_id` parameter as sent.
    pub chat_id: Option<String>,
    /// The HTTP status.
    pub code: u16,
    /// The body.
    pub body: String,
}

/// All records of one bot.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) issued: Vec<Issued>,
    pub(crate) confirmed: Vec<i64>,
    pub(crate) polls: Vec<PollRecord>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) refused: Vec<Refused>,
}
