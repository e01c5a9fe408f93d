//! Ordering domains: within one, updates are sent strictly one after the other; different ones run in parallel.

use serde_json::Value;

/// In which order an update is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Domain {
    /// After everything of the same domain that was queued before.
    Ordered(i64),
    /// In no order: the domain of this one update id.
    Alone(i64),
}

impl Domain {
    /// Returns the domain of the update `id` of `kind`, whose JSON text after the id is `content`.
    ///
    /// An update without the member that names its domain is alone, and so is one of an unknown kind.
    pub(crate) fn of(id: i64, kind: &str, content: &[u8]) -> Self {
        let text = format!("{{{}}}", String::from_utf8_lossy(content));
        let update: Value = serde_json::from_str(&text).unwrap_or_default();
        number_of(kind, &update[kind])
            .filter(|number| *number != 0)
            .map_or(Self::Alone(id), Self::Ordered)
    }
}

/// Returns the number of the domain. A class of kinds lies 2^33 above the one before, so that the ids of two classes
/// do not meet by chance.
fn number_of(kind: &str, body: &Value) -> Option<i64> {
    let chat = || body["chat"]["id"].as_i64();
    let user = || body["user"]["id"].as_i64();
    let from = || body["from"]["id"].as_i64();
    let poll = |id: &Value| id.as_str().and_then(|id| id.parse().ok());
    let (key, class) = match kind {
        "message" | "edited_message" | "channel_post" | "edited_channel_post" => (chat(), 0),
        "poll" => (poll(&body["id"]), 0),
        "poll_answer" => (poll(&body["poll_id"]), 0),
        "inline_query" => (from(), 1),
        "chosen_inline_result" => (from(), 2),
        "callback_query" => (from(), 3),
        "shipping_query" | "pre_checkout_query" => (from(), 4),
        "my_chat_member" => (chat(), 5),
        "chat_member" => (body["new_chat_member"]["user"]["id"].as_i64(), 6),
        "chat_join_request" => (from(), 6),
        "chat_boost" | "removed_chat_boost" => (chat(), 7),
        "message_reaction" => (chat(), 8),
        "message_reaction_count" => (chat(), 9),
        "business_connection" => (user(), 10),
        "business_message" | "edited_business_message" | "deleted_business_messages" => (chat(), 11),
        "guest_message" => (chat(), 12),
        "purchased_paid_media" => (from(), 12),
        "managed_bot" => (user(), 13),
        // Newer than what is known of the server: a domain of their own each.
        "subscription" => (user(), 14),
        "stopped_message_generation" => (chat(), 15),
        _ => (None, 0),
    };
    key.map(|key| key.wrapping_add(class << 33))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn domain(kind: &str, body: &Value) -> Domain {
        Domain::of(1, kind, format!("\"{kind}\":{body}").as_bytes())
    }

    #[test]
    fn messages_and_posts_of_a_chat_share_its_domain() {
        let body = json!({"chat": {"id": -100}, "from": {"id": 5}});

        for kind in ["message", "edited_message", "channel_post", "edited_channel_post"] {
            assert_eq!(domain(kind, &body), Domain::Ordered(-100), "{kind}");
        }
    }

    #[test]
    fn everything_else_in_a_chat_has_domains_of_its_own() {
        let body = json!({
            "chat": {"id": 5}, "from": {"id": 5}, "user": {"id": 5}, "new_chat_member": {"user": {"id": 5}},
        });
        let classes = [
            ("inline_query", 1),
            ("chosen_inline_result", 2),
            ("callback_query", 3),
            ("shipping_query", 4),
            ("pre_checkout_query", 4),
            ("my_chat_member", 5),
            ("chat_member", 6),
            ("chat_join_request", 6),
            ("chat_boost", 7),
            ("removed_chat_boost", 7),
            ("message_reaction", 8),
            ("message_reaction_count", 9),
            ("business_connection", 10),
            ("business_message", 11),
            ("edited_business_message", 11),
            ("deleted_business_messages", 11),
            ("guest_message", 12),
            ("purchased_paid_media", 12),
            ("managed_bot", 13),
        ];

        for (kind, class) in classes {
            assert_eq!(domain(kind, &body), Domain::Ordered(5 + (class << 33)), "{kind}");
        }
    }

    #[test]
    fn a_poll_and_its_answers_are_ordered_by_the_poll() {
        assert_eq!(domain("poll", &json!({"id": "77"})), Domain::Ordered(77));
        assert_eq!(
            domain("poll_answer", &json!({"poll_id": "77", "user": {"id": 5}})),
            Domain::Ordered(77)
        );
    }

    #[test]
    fn what_names_no_domain_is_alone() {
        assert_eq!(domain("message", &json!({})), Domain::Alone(1));
        assert_eq!(domain("new_kind", &json!({"chat": {"id": 5}})), Domain::Alone(1));
        assert_eq!(Domain::of(1, "message", b"not JSON"), Domain::Alone(1));
    }
}
