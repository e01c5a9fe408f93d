//! Update kinds: their names, their lifetimes, and the `allowed_updates` filter of a bot.

use std::time::Duration;

/// One day, the lifetime of every kind that does not answer a person who waits.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every kind this server knows, in the order of <https://core.telegram.org/bots/api#update>.
pub(crate) const KNOWN_KINDS: &[&str] = &[
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "guest_message",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
    "subscription",
    "stopped_message_generation",
];

/// Kinds that are delivered only when `allowed_updates` names them.
const OPT_IN_KINDS: &[&str] = &["chat_member", "message_reaction", "message_reaction_count"];

/// Returns how long an update of `kind` stays queued before the server forgets it.
///
/// Queries that a person waits for are short-lived; everything else, unknown kinds included, lives for 24 hours
/// (<https://core.telegram.org/bots/api#getting-updates>).
pub(crate) fn lifetime(kind: &str) -> Duration {
    match kind {
        "inline_query" => Duration::from_secs(30),
        "callback_query" | "shipping_query" | "pre_checkout_query" => Duration::from_secs(150),
        "chosen_inline_result" => Duration::from_secs(600),
        _ => DAY,
    }
}

/// Which kinds enter the queue of a bot; applied when an update is created, never to what is queued already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AllowedUpdates {
    /// Every kind except the opt-in ones.
    #[default]
    Default,
    /// Exactly the named kinds.
    Only(Vec<&'static str>),
}

impl AllowedUpdates {
    /// Reads the `allowed_updates` parameter; `None` means that the stored filter stays as it is.
    pub(crate) fn from_param(text: Option<&str>) -> Option<Self> {
        let names: Vec<String> = serde_json::from_str(text?).ok()?;
        let known: Vec<&'static str> = KNOWN_KINDS
            .iter()
            .copied()
            .filter(|kind| names.iter().any(|name| name.eq_ignore_ascii_case(kind)))
            .collect();
        Some(if known.is_empty() {
            Self::Default
        } else {
            Self::Only(known)
        })
    }

    /// Tells whether an update of `kind` may enter the queue. Kinds this server does not know always may: they can
    /// only come from a test that wants them delivered.
    pub(crate) fn admits(&self, kind: &str) -> bool {
        if !KNOWN_KINDS.contains(&kind) {
            return true;
        }
        match self {
            Self::Default => !OPT_IN_KINDS.contains(&kind),
            Self::Only(kinds) => kinds.contains(&kind),
        }
    }

    /// Returns the kinds to show in `getWebhookInfo`, `None` for the default set.
    pub(crate) fn listed(&self) -> Option<&[&'static str]> {
        match self {
            Self::Default => None,
            Self::Only(kinds) => Some(kinds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_live_seconds_and_everything_else_a_day() {
        let seconds = |kind| lifetime(kind).as_secs();

        assert_eq!(seconds("inline_query"), 30);
        assert_eq!(seconds("callback_query"), 150);
        assert_eq!(seconds("shipping_query"), 150);
        assert_eq!(seconds("pre_checkout_query"), 150);
        assert_eq!(seconds("chosen_inline_result"), 600);
        assert_eq!(seconds("message"), 86_400);
        assert_eq!(seconds("a_kind_of_tomorrow"), 86_400);
    }

    #[test]
    fn unreadable_filters_leave_the_stored_one_alone() {
        for text in [
            None,
            Some(""),
            Some("message"),
            Some("{}"),
            Some("[1]"),
            Some("[\"message\",null]"),
        ] {
            assert_eq!(AllowedUpdates::from_param(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_empty_list_or_only_unknown_names_restore_the_default() {
        assert_eq!(
            AllowedUpdates::from_param(Some("[]")),
            Some(AllowedUpdates::Default)
        );
        assert_eq!(
            AllowedUpdates::from_param(Some("[\"nonsense\"]")),
            Some(AllowedUpdates::Default)
        );
    }

    #[test]
    fn names_are_case_insensitive_and_unknown_ones_are_ignored_beside_known_ones() {
        let filter = AllowedUpdates::from_param(Some("[\"Callback_Query\",\"nonsense\"]")).unwrap();

        assert_eq!(filter, AllowedUpdates::Only(vec!["callback_query"]));
        assert!(filter.admits("callback_query"));
        assert!(!filter.admits("message"));
    }

    #[test]
    fn the_default_leaves_out_members_and_reactions() {
        let filter = AllowedUpdates::Default;

        assert!(filter.admits("message"));
        assert!(filter.admits("my_chat_member"));
        assert!(!filter.admits("chat_member"));
        assert!(!filter.admits("message_reaction"));
        assert!(!filter.admits("message_reaction_count"));
    }
}
