//! Shorthands for the calls that handlers make most often, besides replies.

use frankenstein::{
    methods::{AnswerCallbackQueryParams, EditMessageTextParams},
    response::MessageOrBool,
    types::{CallbackQuery, MaybeInaccessibleMessage, Message},
};

use crate::{api::ApiError, context::Context};

impl Context {
    /// Ends the waiting that the press of a button shows, without telling anything. Every press should be answered, within
    /// some 15 seconds.
    ///
    /// See <https://core.telegram.org/bots/api#answercallbackquery>.
    ///
    /// # Errors
    ///
    /// [`CallbackError::NoCallback`] when the update is no callback query, and as every call.
    pub async fn answer_callback(&self) -> Result<(), CallbackError> {
        let id = self.pressed()?.id.clone();
        let params = AnswerCallbackQueryParams::builder().callback_query_id(id).build();
        self.send_callback_answer(&params).await
    }

    /// Ends the waiting that the press of a button shows, with a note of up to 200 characters above the chat.
    ///
    /// # Errors
    ///
    /// As [`answer_callback`](Self::answer_callback).
    pub async fn answer_callback_with(&self, text: impl Into<String>) -> Result<(), CallbackError> {
        let id = self.pressed()?.id.clone();
        let params = AnswerCallbackQueryParams::builder()
            .callback_query_id(id)
            .text(text.into())
            .build();
        self.send_callback_answer(&params).await
    }

    /// Replaces the text of the message whose button was pressed, and takes its buttons away. The message may have been
    /// sent in inline mode. Use [`Api::edit_message_text`](crate::api::Api::edit_message_text) to give it other buttons.
    ///
    /// See <https://core.telegram.org/bots/api#editmessagetext>.
    ///
    /// # Errors
    ///
    /// [`CallbackError::NoCallback`] when the update is no callback query, [`CallbackError::NoMessage`] when the query names
    /// no message, and as every call.
    pub async fn edit(&self, text: impl Into<String>) -> Result<(), CallbackError> {
        let query = self.pressed()?;
        let text = text.into();
        let mut params = match (&query.message, &query.inline_message_id) {
            (Some(message), _) => {
                let (chat_id, message_id) = place(message);
                edit_of(chat_id, message_id, text)
            }
            (None, Some(id)) => EditMessageTextParams::builder()
                .inline_message_id(id)
                .text(text)
                .build(),
            (None, None) => {
                return Err(CallbackError::NoMessage {
                    update_id: self.update().id(),
                });
            }
        };
        if let Some(MaybeInaccessibleMessage::Message(message)) = &query.message {
            params
                .business_connection_id
                .clone_from(&message.business_connection_id);
        }
        self.api()
            .edit_message_text(&params)
            .await
            .map_err(CallbackError::Call)?;
        Ok(())
    }

    /// Replaces the text of a message that the bot sent, and takes its buttons away.
    ///
    /// Returns the edited message, or `None` when a [repetition](crate::api::Api#repetition) found the text in place.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn edit_message(
        &self,
        sent: &Message,
        text: impl Into<String>,
    ) -> Result<Option<Box<Message>>, ApiError> {
        let mut params = edit_of(sent.chat.id, sent.message_id, text.into());
        params
            .business_connection_id
            .clone_from(&sent.business_connection_id);
        Ok(match self.api().edit_message_text(&params).await? {
            MessageOrBool::Message(edited) => Some(edited),
            MessageOrBool::Bool(_) => None,
        })
    }

    fn pressed(&self) -> Result<&CallbackQuery, CallbackError> {
        self.callback_query().ok_or(CallbackError::NoCallback {
            update_id: self.update().id(),
        })
    }

    async fn send_callback_answer(&self, params: &AnswerCallbackQueryParams) -> Result<(), CallbackError> {
        let answered = self.api().answer_callback_query(params).await;
        answered.map(drop).map_err(CallbackError::Call)
    }
}

fn place(message: &MaybeInaccessibleMessage) -> (i64, i32) {
    match message {
        MaybeInaccessibleMessage::Message(message) => (message.chat.id, message.message_id),
        MaybeInaccessibleMessage::InaccessibleMessage(message) => (message.chat.id, message.message_id),
    }
}

fn edit_of(chat_id: i64, message_id: i32, text: String) -> EditMessageTextParams {
    EditMessageTextParams::builder()
        .chat_id(chat_id)
        .message_id(message_id)
        .text(text)
        .build()
}

/// Why the press of a button was not answered, or its message not edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The update is no callback query.
    #[error("update {update_id} is no callback query, so there is nothing to answer or to edit")]
    NoCallback {
        /// The update.
        update_id: i64,
    },
    /// The callback query names no message.
    #[error("the callback query of update {update_id} names no message to edit")]
    NoMessage {
        /// The update.
        update_id: i64,
    },
    /// The call failed.
    #[error("the call for a callback query did not go through")]
    Call(#[source] ApiError),
}
