//! What a well-behaved client never does, recorded by name.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::Moment;

/// A rule that the bot under test broke.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Violation {
    /// An offset above the highest id returned plus one: it may confirm updates the bot has never seen.
    OffsetTooHigh {
        /// When.
        at: Moment,
        /// The offset.
        offset: i64,
        /// The highest id returned since ids jumped last.
        highest_returned: Option<i64>,
    },
    /// A poll began while another one, whose connection was open, waited.
    ConcurrentPolls {
        /// When the second poll began.
        at: Moment,
        /// When the first one began.
        first_began: Moment,
    },
    /// A poll while a webhook was set.
    PollWhileWebhookSet {
        /// When.
        at: Moment,
    },
    /// A call to a chat (or of a method without a chat) before an announced `retry_after` had passed.
    CallDuringFloodWait {
        /// When.
        at: Moment,
        /// The method.
        method: String,
        /// The `chat_id` parameter.
        chat_id: Option<String>,
        /// How much of the wait was left.
        remaining: Duration,
    },
    /// A webhook did not answer within 60 s, so that the update was posted again while the bot may still work on it.
    WebhookTimeout {
        /// When the time had passed.
        at: Moment,
        /// The update.
        update_id: i64,
    },
    /// A webhook acknowledged a request that did not carry its secret token.
    ForgedPostAccepted {
        /// When.
        at: Moment,
        /// The update of the request.
        update_id: i64,
    },
    /// A webhook reply that the server does not execute: `setWebhook`, `deleteWebhook`, `close`, `logOut` or `get…`.
    WebhookReplyIgnored {
        /// When.
        at: Moment,
        /// The method.
        method: String,
    },
    /// A webhook reply that was answered 400 or 404, which the bot never learns.
    WebhookReplyInvalid {
        /// When.
        at: Moment,
        /// The method.
        method: String,
        /// What the answer would have said.
        description: String,
    },
}

impl Violation {
    /// Returns the name of the rule, as in its JSON form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OffsetTooHigh { .. } => "offset_too_high",
            Self::ConcurrentPolls { .. } => "concurrent_polls",
            Self::PollWhileWebhookSet { .. } => "poll_while_webhook_set",
            Self::CallDuringFloodWait { .. } => "call_during_flood_wait",
            Self::WebhookTimeout { .. } => "webhook_timeout",
            Self::ForgedPostAccepted { .. } => "forged_post_accepted",
            Self::WebhookReplyIgnored { .. } => "webhook_reply_ignored",
            Self::WebhookReplyInvalid { .. } => "webhook_reply_invalid",
        }
    }
}

/// Watches the calls of one bot for violations.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) violations: Vec<Violation>,
    highest_returned: Option<i64>,
    /// Whether ids have jumped since; until the next answer the client cannot know.
    jumped: bool,
    /// Announced waits by chat, or by method when a call has no chat.
    waits: HashMap<String, Moment>,
}

impl Watch {
    /// Notes the ids of an answer that reached the client.
    pub(crate) fn returned(&mut self, ids: &[i64]) {
        let Some(last) = ids.last() else {
            return;
        };
        self.highest_returned = self.highest_returned.filter(|_| !self.jumped).max(Some(*last));
        self.jumped = false;
    }

    /// Notes that the next id is not the one after the last.
    pub(crate) fn ids_jumped(&mut self) {
        self.jumped = true;
    }

    /// Checks an offset; `next_id` is the id the next update will get.
    pub(crate) fn offset(&mut self, now: Moment, offset: i64, next_id: i64) {
        let highest_allowed = self.highest_returned.map_or(next_id, |id| id + 1);
        if offset > highest_allowed {
            self.violations.push(Violation::OffsetTooHigh {
                at: now,
                offset,
                highest_returned: self.highest_returned,
            });
        }
    }

    /// Checks a call against the announced waits.
    pub(crate) fn call(&mut self, now: Moment, method: &str, chat_id: Option<&str>) {
        let Some(until) = self.waits.get(&scope(method, chat_id)) else {
            return;
        };
        if *until <= now {
            self.waits.remove(&scope(method, chat_id));
            return;
        }
        self.violations.push(Violation::CallDuringFloodWait {
            at: now,
            method: method.to_owned(),
            chat_id: chat_id.map(str::to_owned),
            remaining: until.since(now),
        });
    }

    /// Notes a 429 that the client got.
    pub(crate) fn announced(&mut self, now: Moment, method: &str, chat_id: Option<&str>, seconds: u64) {
        self.waits
            .insert(scope(method, chat_id), now + Duration::from_secs(seconds));
    }
}

fn scope(method: &str, chat_id: Option<&str>) -> String {
    chat_id.map_or_else(|| method.to_ascii_lowercase(), |chat| format!("chat {chat}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));

    #[test]
    fn an_offset_may_be_one_above_the_last_id_returned() {
        let mut watch = Watch::default();
        watch.returned(&[5, 7]);

        watch.offset(START, 8, 20);
        assert!(watch.violations.is_empty());

        watch.offset(START, 9, 20);
        assert_eq!(watch.violations[0].name(), "offset_too_high");
    }

    #[test]
    fn a_smaller_answer_to_another_poll_does_not_take_back_what_was_returned() {
        let mut watch = Watch::default();
        watch.returned(&[5, 6, 7]);
        watch.returned(&[5]);

        watch.offset(START, 8, 20);

        assert!(watch.violations.is_empty());
    }

    #[test]
    fn after_a_jump_down_the_old_offset_is_too_high_once_the_client_can_know() {
        let mut watch = Watch::default();
        watch.returned(&[500]);
        watch.ids_jumped();

        watch.offset(START, 501, 8);
        assert!(watch.violations.is_empty());
        watch.returned(&[7]);
        watch.offset(START, 501, 8);

        assert_eq!(watch.violations.len(), 1);
    }

    #[test]
    fn a_flood_wait_binds_its_chat_until_it_has_passed() {
        let mut watch = Watch::default();
        watch.announced(START, "sendMessage", Some("7"), 5);

        watch.call(START, "sendMessage", Some("8"));
        watch.call(START + Duration::from_secs(5), "sendMessage", Some("7"));
        assert!(watch.violations.is_empty());

        watch.announced(START, "sendMessage", Some("7"), 5);
        watch.call(START + Duration::from_millis(4_999), "sendPhoto", Some("7"));
        assert_eq!(watch.violations[0].name(), "call_during_flood_wait");
    }
}
