//! The typed values of the kinds that are neither messages nor callback queries: the types of the Bot API themselves.

use frankenstein::{
    inline_mode::{ChosenInlineResult, InlineQuery},
    payments::{PaidMediaPurchased, PreCheckoutQuery, ShippingQuery},
    types::{
        BotSubscriptionUpdated, BusinessConnection, BusinessMessagesDeleted, ChatBoostRemoved,
        ChatBoostUpdated, ChatJoinRequest, ChatMemberUpdated, ManagedBotUpdated, MessageGenerationStopped,
        MessageReactionCountUpdated, MessageReactionUpdated, Poll, PollAnswer,
    },
};

use super::{ExtractError, FromUpdate};
use crate::{
    Context,
    update::{UpdateContent, UpdateKind},
};

/// Writes one extractor per line: its type, the kinds it is for, and how to say that it is absent.
macro_rules! payloads {
    ($($payload:ty: $($kind:ident)|+, $expected:literal;)+) => {
        $(
            #[doc = concat!("Absent when the update is not ", $expected, "; fails when it cannot be decoded.")]
            impl FromUpdate for $payload {
                async fn from_update(context: &Context) -> Result<Self, ExtractError> {
                    if !matches!(context.update().kind(), $(UpdateKind::$kind)|+) {
                        return Err(ExtractError::absent($expected));
                    }
                    match context.content()? {
                        $(UpdateContent::$kind(payload))|+ => Ok(payload.clone()),
                        _ => Err(ExtractError::absent($expected)),
                    }
                }
            }
        )+
    };
}

payloads! {
    BusinessConnection: BusinessConnection, "about a business connection";
    BusinessMessagesDeleted: DeletedBusinessMessages, "about deleted business messages";
    MessageReactionUpdated: MessageReaction, "a reaction";
    MessageReactionCountUpdated: MessageReactionCount, "a count of reactions";
    InlineQuery: InlineQuery, "an inline query";
    ChosenInlineResult: ChosenInlineResult, "a chosen inline result";
    ShippingQuery: ShippingQuery, "a shipping query";
    PreCheckoutQuery: PreCheckoutQuery, "a pre-checkout query";
    Box<Poll>: Poll, "a poll";
    PollAnswer: PollAnswer, "an answer to a poll";
    ChatMemberUpdated: MyChatMember | ChatMember, "a change of membership";
    ChatJoinRequest: ChatJoinRequest, "a request to join";
    ChatBoostUpdated: ChatBoost, "a boost";
    ChatBoostRemoved: RemovedChatBoost, "a removed boost";
    PaidMediaPurchased: PurchasedPaidMedia, "a purchase of paid media";
    ManagedBotUpdated: ManagedBot, "about a managed bot";
    BotSubscriptionUpdated: Subscription, "about a subscription";
    MessageGenerationStopped: StoppedMessageGeneration, "about a stopped generation";
}

/// Absent when the update is not a poll; fails when it cannot be decoded.
impl FromUpdate for Poll {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        <Box<Self>>::from_update(context).await.map(|poll| *poll)
    }
}
