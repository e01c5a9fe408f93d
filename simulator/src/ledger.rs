//! What happened, kept for the test to read: updates issued, polls, posts, calls accepted and refused.
//!
//! The real server never shows any of this. The ledger grows without bound until
//! [`Bot::clear_ledger`](crate::Bot::clear_ledger).

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Moment;
use crate::webhook::action::WebhookConnection;

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

/// One post of an update to a webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PostRecord {
    /// The update.
    pub update_id: i64,
    /// Which post of this update it is, from 1 on. A webhook that is set anew counts anew.
    pub attempt: usize,
    /// The connection it went over.
    pub connection: WebhookConnection,
    /// When it was handed to the connection.
    pub sent_at: Moment,
    /// When its answer was complete, or when it was known that there is none; `None` while it is in flight.
    pub ended_at: Option<Moment>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: PostOutcome,
    /// Why it failed, in the words of `getWebhookInfo` where it has words for that.
    pub error: Option<String>,
    /// When the update is posted again.
    pub retry_at: Option<Moment>,
    /// The method of the webhook reply, executed or not.
    pub reply_method: Option<String>,
    /// The fault that struck it, by its name in the control API.
    pub fault: Option<&'static str>,
}

impl PostRecord {
    /// Returns the time from the post to its end; `None` while it is in flight.
    pub fn latency(&self) -> Option<Duration> {
        self.ended_at.map(|ended| ended.since(self.sent_at))
    }
}

/// How a post ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PostOutcome {
    /// It waits for its answer.
    InFlight,
    /// Status 200 to 299: the update is confirmed.
    Acknowledged,
    /// Any other status.
    Rejected,
    /// The answer was not complete within 60 s.
    TimedOut,
    /// The connection could not be opened, or ended without a complete answer.
    Unanswered,
    /// A fault kept the answer from the server; the bot has given it.
    AnswerLost,
    /// A fault made the post, so that its answer means nothing: a copy, or a forgery.
    Ignored,
    /// The webhook was removed, or the server restarted or stopped, before the answer.
    Abandoned,
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
    pub(crate) posts: Vec<PostRecord>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) refused: Vec<Refused>,
}
