//! The kinds of update that the Bot API documents, under their wire names.

use std::{fmt, time::Duration};

macro_rules! update_kinds {
    ($($(#[$doc:meta])* $variant:ident = $wire:literal,)+) => {
        /// What an update is about: the name of the one member that an
        /// [update](https://core.telegram.org/bots/api#update) carries beside its id.
        ///
        /// Kinds that this version of the crate does not know are [`Unknown`](Self::Unknown); such updates are kept,
        /// ordered and handed on like any other, only without a typed value.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum UpdateKind {
            $($(#[$doc])* $variant,)+
            /// A kind that is not documented in the Bot API version this crate was written for, or an update that
            /// carries nothing but its id.
            Unknown,
        }

        impl UpdateKind {
            /// Every documented kind (Bot API 10.3), in the order of the documentation. [`Unknown`](Self::Unknown)
            /// is not among them, so the list can be sent as
            /// [`allowed_updates`](https://core.telegram.org/bots/api#getupdates).
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name the kind has on the wire, such as `edited_message`; `unknown` for
            /// [`Unknown`](Self::Unknown).
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Unknown => "unknown",
                }
            }

            /// Returns the kind with this wire name, or [`Unknown`](Self::Unknown) when no documented kind has it.
            pub fn from_wire(name: &str) -> Self {
                match name {
                    $($wire => Self::$variant,)+
                    _ => Self::Unknown,
                }
            }
        }
    };
}

update_kinds! {
    /// A new message in a chat of the bot.
    Message = "message",
    /// A message known to the bot was edited.
    EditedMessage = "edited_message",
    /// A new post in a channel of the bot.
    ChannelPost = "channel_post",
    /// A channel post known to the bot was edited.
    EditedChannelPost = "edited_channel_post",
    /// A business account connected, changed or disconnected the bot.
    BusinessConnection = "business_connection",
    /// A new message in a chat of a connected business account.
    BusinessMessage = "business_message",
    /// A message of a connected business account was edited.
    EditedBusinessMessage = "edited_business_message",
    /// Messages of a connected business account were deleted.
    DeletedBusinessMessages = "deleted_business_messages",
    /// A message that summons the bot as a guest in a chat it is not part of.
    GuestMessage = "guest_message",
    /// Somebody changed their reaction to a message.
    MessageReaction = "message_reaction",
    /// The counts of anonymous reactions to a message changed.
    MessageReactionCount = "message_reaction_count",
    /// Somebody types an inline query. Kept for 30 s.
    InlineQuery = "inline_query",
    /// Somebody sent a result of an inline query. Kept for 600 s.
    ChosenInlineResult = "chosen_inline_result",
    /// Somebody pressed a callback button. Kept for 150 s.
    CallbackQuery = "callback_query",
    /// Somebody entered a shipping address for an invoice. Kept for 150 s.
    ShippingQuery = "shipping_query",
    /// Somebody is about to pay an invoice. Kept for 150 s.
    PreCheckoutQuery = "pre_checkout_query",
    /// Somebody bought paid media of the bot.
    PurchasedPaidMedia = "purchased_paid_media",
    /// The state of a poll changed.
    Poll = "poll",
    /// Somebody changed their answer in a poll that is not anonymous.
    PollAnswer = "poll_answer",
    /// The membership of the bot itself changed in a chat.
    MyChatMember = "my_chat_member",
    /// The membership of somebody changed in a chat.
    ChatMember = "chat_member",
    /// Somebody asks to join a chat.
    ChatJoinRequest = "chat_join_request",
    /// A boost was added to a chat or changed.
    ChatBoost = "chat_boost",
    /// A boost was taken from a chat.
    RemovedChatBoost = "removed_chat_boost",
    /// A bot managed by this bot was created, or its token or owner changed.
    ManagedBot = "managed_bot",
    /// The state of a subscription to the bot changed.
    Subscription = "subscription",
    /// Somebody stopped the generation of a message that the bot was streaming.
    StoppedMessageGeneration = "stopped_message_generation",
}

impl UpdateKind {
    /// Returns how long the Bot API server keeps an update of this kind at most before it drops it undelivered.
    ///
    /// Nothing is kept longer than
    /// [24 hours](https://core.telegram.org/bots/api#getting-updates); that bound is returned wherever no shorter one
    /// is known. The shorter lifetimes are those of the
    /// [server itself](https://github.com/tdlib/telegram-bot-api) and double as the time in which an answer is still
    /// accepted:
    ///
    /// | kind | lifetime | counted from |
    /// |---|---|---|
    /// | `inline_query` | 30 s | arrival at the server |
    /// | `callback_query`, `shipping_query`, `pre_checkout_query` | 150 s | arrival at the server |
    /// | `chosen_inline_result` | 600 s | arrival at the server |
    /// | messages and posts | 24 h | the date of the message or of its edit |
    /// | members, reactions, boosts | 24 h | the date of the event |
    /// | everything else | 24 h | arrival at the server |
    pub const fn server_lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::InlineQuery => 30,
            Self::CallbackQuery | Self::ShippingQuery | Self::PreCheckoutQuery => 150,
            Self::ChosenInlineResult => 600,
            _ => 24 * 60 * 60,
        })
    }
}

impl fmt::Display for UpdateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use frankenstein::types::AllowedUpdate;

    use super::*;

    #[test]
    fn every_wire_name_leads_back_to_its_kind() {
        for kind in UpdateKind::ALL {
            assert_eq!(UpdateKind::from_wire(kind.as_str()), *kind);
            assert_eq!(kind.to_string(), kind.as_str());
        }
    }

    #[test]
    fn names_nobody_documented_are_unknown() {
        for name in ["unknown", "", "Message", "message ", "update_id", "custom_event"] {
            assert_eq!(UpdateKind::from_wire(name), UpdateKind::Unknown, "{name:?}");
        }
    }

    #[test]
    fn the_typed_model_knows_exactly_the_same_wire_names() {
        for kind in UpdateKind::ALL {
            let allowed: AllowedUpdate = serde_json::from_value(kind.as_str().into()).unwrap();
            assert_eq!(serde_json::to_value(allowed).unwrap(), kind.as_str());
        }

        let refusal = serde_json::from_value::<AllowedUpdate>("no_such_kind".into())
            .unwrap_err()
            .to_string();
        let in_model = refusal
            .split("expected one of")
            .nth(1)
            .unwrap()
            .matches('`')
            .count()
            / 2;
        assert_eq!(in_model, UpdateKind::ALL.len());
    }

    #[test]
    fn only_queries_and_chosen_results_live_shorter_than_a_day() {
        let short: Vec<_> = UpdateKind::ALL
            .iter()
            .filter(|kind| kind.server_lifetime() < Duration::from_secs(86_400))
            .map(|kind| (kind.as_str(), kind.server_lifetime().as_secs()))
            .collect();

        assert_eq!(
            short,
            [
                ("inline_query", 30),
                ("chosen_inline_result", 600),
                ("callback_query", 150),
                ("shipping_query", 150),
                ("pre_checkout_query", 150),
            ]
        );
        assert_eq!(UpdateKind::Unknown.server_lifetime(), Duration::from_secs(86_400));
    }
}
