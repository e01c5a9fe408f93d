//! Presses of inline buttons.

use std::{fmt, ops::Deref};

use frankenstein::types::MaybeInaccessibleMessage;
use serde::de::DeserializeOwned;

use super::{
    ExtractError, FromUpdate,
    arguments::{self, ArgumentsError},
};
use crate::{Context, handler::HandlerError};

/// The press of an inline button. It is shared with the [`Context`] and dereferences to the
/// [`CallbackQuery`](frankenstein::types::CallbackQuery) of the Bot API.
///
/// The button shows a progress bar until the query is answered, so every handler should return an
/// [`Answer`](crate::Answer), or an [`Edit`](crate::Edit) and an answer.
///
/// # Errors
///
/// Absent when the update is no callback query. Fails when it cannot be decoded.
#[derive(Clone)]
pub struct CallbackQuery(Context);

impl CallbackQuery {
    /// Returns the id of the message with the button; none when it was sent through inline mode.
    pub fn message_id(&self) -> Option<i32> {
        self.message.as_ref().map(|message| match message {
            MaybeInaccessibleMessage::Message(message) => message.message_id,
            MaybeInaccessibleMessage::InaccessibleMessage(message) => message.message_id,
        })
    }
}

impl Deref for CallbackQuery {
    type Target = frankenstein::types::CallbackQuery;

    fn deref(&self) -> &Self::Target {
        let query = self.0.decoded_callback_query().ok().flatten();
        query.expect("the query was decoded when this was made, and is kept")
    }
}

/// Shows ids and sizes, never what a button holds.
impl fmt::Debug for CallbackQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallbackQuery").field(self.0.update()).finish()
    }
}

impl FromUpdate for CallbackQuery {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        match context.decoded_callback_query()? {
            Some(_) => Ok(Self(context.clone())),
            None => Err(ExtractError::absent("a callback query")),
        }
    }
}

/// The prefix by which a route has taken a callback query, left for [`CallbackData`].
pub(crate) struct MatchedPrefix(pub(crate) usize);

/// The data of the pressed button behind the prefix of its [route](crate::Router::callback), read like the arguments of a
/// [`Command`](super::Command). Outside of such a route: all of the data.
///
/// ```
/// use actogram::{Answer, Router, extract::CallbackData};
///
/// async fn vote(CallbackData(option): CallbackData<u8>) -> Answer {
///     Answer::text(format!("you voted for {option}"))
/// }
/// # let _ = Router::new().callback("vote:", vote);
/// ```
///
/// # Errors
///
/// Absent when the update is no callback query or its button has no data. Data that does not fit fails with
/// [`HandlerError::give_up`]: it comes from the bot itself, perhaps from an earlier version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackData<T = String>(pub T);

/// The data of a button does not fit the handler. It is not shown: whoever looks for it finds it in the dead letter.
#[derive(Debug, thiserror::Error)]
#[error("the data of the pressed button does not fit its handler")]
struct UnfitData {
    /// What is wrong with the type of the handler's argument, should that be the reason.
    source: Option<ArgumentsError>,
}

impl<T: DeserializeOwned> FromUpdate for CallbackData<T> {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let data = data_behind_prefix(context)?;
        arguments::read(data).map(Self).map_err(|(error, _)| unfit(error))
    }
}

fn unfit(error: ArgumentsError) -> ExtractError {
    let source = Some(error).filter(|error| matches!(error, ArgumentsError::Unsupported(_)));
    HandlerError::give_up(UnfitData { source }).into()
}

fn data_behind_prefix(context: &Context) -> Result<&str, ExtractError> {
    let data = context
        .decoded_callback_query()?
        .and_then(|query| query.data.as_deref())
        .ok_or(ExtractError::absent("a callback query with data"))?;
    let prefix = context.data::<MatchedPrefix>().map_or(0, |prefix| prefix.0);
    Ok(data.get(prefix..).unwrap_or_default())
}
