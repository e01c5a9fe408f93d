//! Where an update happened and who caused it.

use std::{fmt, ops::Deref};

use frankenstein::types::{Chat as BotApiChat, MaybeInaccessibleMessage, User as BotApiUser};

use super::{ExtractError, FromUpdate};
use crate::{
    Context,
    update::{UpdateContent, UpdateKind},
};

/// The chat an update happened in; dereferences to the [`Chat`](frankenstein::types::Chat) of the Bot API. For a callback
/// query it is the chat of its message, for an answer to a poll the chat that voted.
///
/// The id alone needs no decoding: [`Context::chat_id`].
///
/// # Errors
///
/// Absent when the update belongs to no chat, for instance an inline query. Fails when it cannot be decoded.
#[derive(Clone)]
pub struct Chat(Box<BotApiChat>);

/// Who caused an update; dereferences to the [`User`](frankenstein::types::User) of the Bot API. For what was sent in the
/// name of a chat it may be a [filler account](https://core.telegram.org/bots/api#message).
///
/// The id alone needs no decoding: [`Update::user_id`](crate::update::Update::user_id).
///
/// # Errors
///
/// Absent when the update has no user, for instance a channel post. Fails when it cannot be decoded.
#[derive(Clone)]
pub struct User(Box<BotApiUser>);

impl Deref for Chat {
    type Target = BotApiChat;

    fn deref(&self) -> &BotApiChat {
        &self.0
    }
}

impl Deref for User {
    type Target = BotApiUser;

    fn deref(&self) -> &BotApiUser {
        &self.0
    }
}

/// Shows the id only.
impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Shows the id only.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl FromUpdate for Chat {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let found = if let Some(message) = context.decoded_message()? {
            Some(&*message.chat)
        } else if let Some(query) = context.decoded_callback_query()? {
            query.message.as_ref().map(|message| match message {
                MaybeInaccessibleMessage::Message(message) => &*message.chat,
                MaybeInaccessibleMessage::InaccessibleMessage(message) => &message.chat,
            })
        } else if context.update().kind() == UpdateKind::Unknown {
            None
        } else {
            chat_of(context.content()?)
        };
        match found {
            Some(chat) => Ok(Self(Box::new(chat.clone()))),
            None => Err(ExtractError::absent("from a chat")),
        }
    }
}

impl FromUpdate for User {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let found = if let Some(message) = context.decoded_message()? {
            message.from.as_deref()
        } else if let Some(query) = context.decoded_callback_query()? {
            Some(&query.from)
        } else if context.update().kind() == UpdateKind::Unknown {
            None
        } else {
            user_of(context.content()?)
        };
        match found {
            Some(user) => Ok(Self(Box::new(user.clone()))),
            None => Err(ExtractError::absent("from a user")),
        }
    }
}

/// Returns the chat of everything but messages and callback queries.
fn chat_of(content: &UpdateContent) -> Option<&BotApiChat> {
    Some(match content {
        UpdateContent::DeletedBusinessMessages(deleted) => &deleted.chat,
        UpdateContent::MessageReaction(reaction) => &reaction.chat,
        UpdateContent::MessageReactionCount(reactions) => &reactions.chat,
        UpdateContent::PollAnswer(answer) => answer.voter_chat.as_ref()?,
        UpdateContent::MyChatMember(change) | UpdateContent::ChatMember(change) => &change.chat,
        UpdateContent::ChatJoinRequest(request) => &request.chat,
        UpdateContent::ChatBoost(boost) => &boost.chat,
        UpdateContent::RemovedChatBoost(boost) => &boost.chat,
        UpdateContent::StoppedMessageGeneration(stopped) => &stopped.chat,
        _ => return None,
    })
}

/// Returns the user of everything but messages and callback queries.
fn user_of(content: &UpdateContent) -> Option<&BotApiUser> {
    Some(match content {
        UpdateContent::BusinessConnection(connection) => &connection.user,
        UpdateContent::MessageReaction(reaction) => reaction.user.as_ref()?,
        UpdateContent::InlineQuery(query) => &query.from,
        UpdateContent::ChosenInlineResult(result) => &result.from,
        UpdateContent::ShippingQuery(query) => &query.from,
        UpdateContent::PreCheckoutQuery(query) => &query.from,
        UpdateContent::PollAnswer(answer) => answer.user.as_deref()?,
        UpdateContent::MyChatMember(change) | UpdateContent::ChatMember(change) => &change.from,
        UpdateContent::ChatJoinRequest(request) => &request.from,
        UpdateContent::PurchasedPaidMedia(bought) => &bought.from,
        UpdateContent::ManagedBot(managed) => &managed.user,
        UpdateContent::Subscription(subscription) => &subscription.user,
        _ => return None,
    })
}
