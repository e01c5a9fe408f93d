//! What a closure that sends may fail with.

use crate::api::ApiError;

/// Why a message could not be sent to a chat of a broadcast. An [`ApiError`] becomes one by itself, so a closure that makes
/// one call returns what the call returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A call failed, and nothing of the message has reached the chat. What can pass, such as flood control, is waited
    /// for, and the closure is called again.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A part of the message has reached the chat, so the closure is not called again: the chat counts as
    /// [failed](super::ChatOutcome::Failed), with this reason.
    #[error("only a part was sent")]
    Partly(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was sent, for a reason of yours, and nothing will be: the chat counts as
    /// [failed](super::ChatOutcome::Failed), with this reason.
    #[error("{0}")]
    GiveUp(String),
}

impl SendError {
    /// Returns the error for a call that failed after an earlier one to the same chat has succeeded.
    ///
    /// ```no_run
    /// use actogram::{SendError, api::Api};
    ///
    /// async fn two_messages(api: Api, chat: i64) -> Result<(), SendError> {
    ///     api.send_text(chat, "First").await?;
    ///     api.send_text(chat, "Second").await.map_err(SendError::partly)?;
    ///     Ok(())
    /// }
    /// ```
    pub fn partly(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Partly(error.into())
    }
}
