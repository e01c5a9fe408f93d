//! The message of an update, and its text.

use std::{fmt, ops::Deref};

use super::{ExtractError, FromUpdate};
use crate::Context;

/// The message of an update: new or edited, of a chat, a channel, a business account or a guest query. It is shared with the
/// [`Context`] and dereferences to the [`Message`](frankenstein::types::Message) of the Bot API.
///
/// ```
/// use actogram::{Router, extract::Message, update::UpdateKind};
///
/// async fn remember(message: Message) -> Option<String> {
///     let photo = message.photo.as_ref()?.last()?;
///     Some(format!("a photo, {} pixels wide", photo.width))
/// }
/// # let _ = Router::new().on(UpdateKind::Message, remember);
/// ```
///
/// # Errors
///
/// Absent when the update is no message. Fails when it cannot be decoded, as [`Context::content`] does.
#[derive(Clone)]
pub struct Message(Context);

impl Deref for Message {
    type Target = frankenstein::types::Message;

    fn deref(&self) -> &Self::Target {
        let message = self.0.decoded_message().ok().flatten();
        message.expect("the message was decoded when this was made, and is kept")
    }
}

/// Shows ids and sizes, never what somebody wrote.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(self.0.update()).finish()
    }
}

impl FromUpdate for Message {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        match context.decoded_message()? {
            Some(_) => Ok(Self(context.clone())),
            None => Err(ExtractError::absent("a message")),
        }
    }
}

/// The text of the message. Captions of media are not text.
///
/// # Errors
///
/// Absent when the update is no message or has no text. Fails when it cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl FromUpdate for Text {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let text = context
            .decoded_message()?
            .and_then(|message| message.text.as_ref());
        match text {
            Some(text) => Ok(Self(text.clone())),
            None => Err(ExtractError::absent("a message with text")),
        }
    }
}
