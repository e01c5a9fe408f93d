//! A new text for the message whose button was pressed.

use frankenstein::{ParseMode, methods::EditMessageTextParams, types::MaybeInaccessibleMessage};

use super::{InlineKeyboard, Respond};
use crate::{
    Context,
    api::ApiError,
    extract::ExtractError,
    handler::{HandlerError, HandlerResult},
};

/// A new text for the message whose button was pressed, also for one that was sent through inline mode. The buttons
/// disappear unless they are set again.
///
/// ```
/// use actogram::{Answer, Edit, InlineKeyboard, Router, extract::CallbackData};
///
/// async fn turn(CallbackData(page): CallbackData<u32>) -> (Edit, Answer) {
///     let keyboard = InlineKeyboard::new().button("Next", format!("page:{}", page + 1));
///     (Edit::text(format!("This is page {page}.")).keyboard(keyboard), Answer::new())
/// }
/// # let _ = Router::new().callback("page:", turn);
/// ```
///
/// # Errors
///
/// As a response it fails when the update is no callback query with a message, and when the call fails. That the message
/// has this text already is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a message is edited when a handler returns this"]
pub struct Edit {
    text: String,
    parse_mode: Option<ParseMode>,
    keyboard: Option<InlineKeyboard>,
}

impl Edit {
    /// Returns an edit to a plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            parse_mode: None,
            keyboard: None,
        }
    }

    /// Returns an edit to a text in [HTML](https://core.telegram.org/bots/api#html-style).
    pub fn html(text: impl Into<String>) -> Self {
        Self::text(text).parse_mode(ParseMode::Html)
    }

    /// Returns an edit to a text in [Markdown](https://core.telegram.org/bots/api#markdownv2-style).
    pub fn markdown(text: impl Into<String>) -> Self {
        Self::text(text).parse_mode(ParseMode::MarkdownV2)
    }

    /// Sets how the text is marked up. Default: not at all.
    pub fn parse_mode(mut self, mode: ParseMode) -> Self {
        self.parse_mode = Some(mode);
        self
    }

    /// Sets the buttons below the message. Default: none.
    pub fn keyboard(mut self, keyboard: InlineKeyboard) -> Self {
        self.keyboard = Some(keyboard);
        self
    }
}

impl Respond for Edit {
    async fn respond(self, context: &Context) -> HandlerResult {
        let query = context
            .decoded_callback_query()
            .map_err(HandlerError::from)?
            .ok_or(ExtractError::absent("a callback query"))?;
        let mut params = EditMessageTextParams::builder().text(self.text).build();
        params.parse_mode = self.parse_mode;
        params.reply_markup = self.keyboard.map(Into::into);
        match (&query.message, &query.inline_message_id) {
            (Some(message), _) => {
                let (chat_id, message_id) = match message {
                    MaybeInaccessibleMessage::Message(message) => (message.chat.id, message.message_id),
                    MaybeInaccessibleMessage::InaccessibleMessage(message) => {
                        (message.chat.id, message.message_id)
                    }
                };
                params.chat_id = Some(chat_id.into());
                params.message_id = Some(message_id);
                params.business_connection_id = context.update().business_connection_id().map(str::to_owned);
            }
            (None, Some(inline)) => params.inline_message_id = Some(inline.clone()),
            (None, None) => return Err(ExtractError::absent("about a message").into()),
        }
        match context.api().edit_message_text(&params).await {
            Err(ApiError::Refused {
                code: 400,
                description,
                ..
            }) if description.contains("message is not modified") => Ok(()),
            edited => Ok(edited.map(drop)?),
        }
    }
}
