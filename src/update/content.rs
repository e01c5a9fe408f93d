//! The typed value of an update, decoded when a handler asks for it.
//!
//! The kind is known already, so the payload is decoded straight into the type of that kind: the `Update` of the typed
//! model would buffer the whole update first to find that out. Nothing here is generic, so the code for these large
//! types is generated once, in this crate, and not in every rebuild of a bot.

use frankenstein::types::{CallbackQuery, Message};
use serde_json::from_str;

/// The typed value of an update, one variant per kind.
pub use frankenstein::updates::UpdateContent;

use super::{DecodeError, Update, UpdateKind};
use crate::{model_gaps::closed, nesting::with_enough_stack};

impl Update {
    /// Decodes the typed value of the update. Each call decodes anew.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownKind`] for a kind the typed model does not have, [`DecodeError::Mismatch`] for a payload
    /// that does not fit it: a required member is missing, a member has another type or an unknown tag, a string is not
    /// valid Unicode, or known members nest deeper than 127 levels. [`DecodeError::NoThread`] when a payload that
    /// nests deeply needs a thread for its stack and there is none to have. The raw text can be read in each case.
    pub fn content(&self) -> Result<UpdateContent, DecodeError> {
        let content = self.decode(|payload| decode_content(self.kind(), payload))?;
        content.ok_or_else(|| DecodeError::UnknownKind {
            update_id: self.id(),
            kind_name: self.kind_name().chars().take(KIND_NAME_SHOWN).collect(),
        })
    }

    /// Decodes the message when the update is one: new or edited, of a chat, a channel, a business account or a guest
    /// query. Returns `None` for every other kind.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), when the message does not fit the typed model.
    pub fn message(&self) -> Result<Option<Box<Message>>, DecodeError> {
        match self.kind() {
            UpdateKind::Message
            | UpdateKind::EditedMessage
            | UpdateKind::ChannelPost
            | UpdateKind::EditedChannelPost
            | UpdateKind::BusinessMessage
            | UpdateKind::EditedBusinessMessage
            | UpdateKind::GuestMessage => self.decode(|payload| decode_message(payload).map(Some)),
            _ => Ok(None),
        }
    }

    /// Decodes the callback query when the update is one. Returns `None` for every other kind.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), when the query does not fit the typed model.
    pub fn callback_query(&self) -> Result<Option<Box<CallbackQuery>>, DecodeError> {
        match self.kind() {
            UpdateKind::CallbackQuery => self.decode(|payload| decode_callback_query(payload).map(Some)),
            _ => Ok(None),
        }
    }

    fn decode<T: Send>(
        &self,
        decoder: impl Fn(&str) -> serde_json::Result<T> + Send + Sync,
    ) -> Result<T, DecodeError> {
        let payload = self.payload();
        let decode = || {
            decoder(payload).or_else(|error| match closed(payload.as_bytes()) {
                Some(payload) => decoder(&payload),
                None => Err(error),
            })
        };
        match with_enough_stack(payload.as_bytes(), decode) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(DecodeError::mismatch(self.id(), self.kind(), &error)),
            Err(error) => Err(DecodeError::NoThread {
                update_id: self.id(),
                kind: error.kind(),
            }),
        }
    }
}

/// How many characters of an unknown kind an error shows.
const KIND_NAME_SHOWN: usize = 64;

fn decode_message(payload: &str) -> serde_json::Result<Box<Message>> {
    from_str(payload)
}

fn decode_callback_query(payload: &str) -> serde_json::Result<Box<CallbackQuery>> {
    from_str(payload)
}

fn decode_content(kind: UpdateKind, payload: &str) -> serde_json::Result<Option<UpdateContent>> {
    Ok(Some(match kind {
        UpdateKind::Message => UpdateContent::Message(decode_message(payload)?),
        UpdateKind::EditedMessage => UpdateContent::EditedMessage(decode_message(payload)?),
        UpdateKind::ChannelPost => UpdateContent::ChannelPost(decode_message(payload)?),
        UpdateKind::EditedChannelPost => UpdateContent::EditedChannelPost(decode_message(payload)?),
        UpdateKind::BusinessConnection => UpdateContent::BusinessConnection(from_str(payload)?),
        UpdateKind::BusinessMessage => UpdateContent::BusinessMessage(decode_message(payload)?),
        UpdateKind::EditedBusinessMessage => UpdateContent::EditedBusinessMessage(decode_message(payload)?),
        UpdateKind::DeletedBusinessMessages => UpdateContent::DeletedBusinessMessages(from_str(payload)?),
        UpdateKind::GuestMessage => UpdateContent::GuestMessage(decode_message(payload)?),
        UpdateKind::MessageReaction => UpdateContent::MessageReaction(from_str(payload)?),
        UpdateKind::MessageReactionCount => UpdateContent::MessageReactionCount(from_str(payload)?),
        UpdateKind::InlineQuery => UpdateContent::InlineQuery(from_str(payload)?),
        UpdateKind::ChosenInlineResult => UpdateContent::ChosenInlineResult(from_str(payload)?),
        UpdateKind::CallbackQuery => UpdateContent::CallbackQuery(decode_callback_query(payload)?),
        UpdateKind::ShippingQuery => UpdateContent::ShippingQuery(from_str(payload)?),
        UpdateKind::PreCheckoutQuery => UpdateContent::PreCheckoutQuery(from_str(payload)?),
        UpdateKind::PurchasedPaidMedia => UpdateContent::PurchasedPaidMedia(from_str(payload)?),
        UpdateKind::Poll => UpdateContent::Poll(from_str(payload)?),
        UpdateKind::PollAnswer => UpdateContent::PollAnswer(from_str(payload)?),
        UpdateKind::MyChatMember => UpdateContent::MyChatMember(from_str(payload)?),
        UpdateKind::ChatMember => UpdateContent::ChatMember(from_str(payload)?),
        UpdateKind::ChatJoinRequest => UpdateContent::ChatJoinRequest(from_str(payload)?),
        UpdateKind::ChatBoost => UpdateContent::ChatBoost(from_str(payload)?),
        UpdateKind::RemovedChatBoost => UpdateContent::RemovedChatBoost(from_str(payload)?),
        UpdateKind::ManagedBot => UpdateContent::ManagedBot(from_str(payload)?),
        UpdateKind::Subscription => UpdateContent::Subscription(from_str(payload)?),
        UpdateKind::StoppedMessageGeneration => UpdateContent::StoppedMessageGeneration(from_str(payload)?),
        UpdateKind::Unknown => return Ok(None),
    }))
}
