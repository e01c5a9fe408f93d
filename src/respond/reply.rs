//! A message that answers the update.

use frankenstein::{
    ParseMode,
    types::{ReplyMarkup, ReplyParameters},
};

use super::{InlineKeyboard, Respond};
use crate::{Context, context::ReplyError, handler::HandlerResult};

/// A text for the chat of the update: to the same topic, and through the same business connection.
///
/// ```
/// use actogram::{InlineKeyboard, Reply, Router};
///
/// async fn question() -> Reply {
///     Reply::html("Is <b>this</b> right?")
///         .keyboard(InlineKeyboard::new().button("Yes", "answer:yes").button("No", "answer:no"))
/// }
/// # let _ = Router::new().command("question", question);
/// ```
///
/// An empty text is not sent, since the server refuses it; white space counts as empty. Texts may have
/// [4096 characters](https://core.telegram.org/bots/api#sendmessage).
///
/// # Errors
///
/// As a response it fails as [`Context::reply`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a reply is sent when a handler returns it"]
pub struct Reply {
    text: String,
    parse_mode: Option<ParseMode>,
    markup: Option<ReplyMarkup>,
    quotes: bool,
    silent: bool,
    protected: bool,
}

impl Reply {
    /// Returns a reply with a plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            parse_mode: None,
            markup: None,
            quotes: false,
            silent: false,
            protected: false,
        }
    }

    /// Returns a reply in [HTML](https://core.telegram.org/bots/api#html-style).
    pub fn html(text: impl Into<String>) -> Self {
        Self::text(text).parse_mode(ParseMode::Html)
    }

    /// Returns a reply in [Markdown](https://core.telegram.org/bots/api#markdownv2-style).
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
        self.markup = Some(ReplyMarkup::InlineKeyboardMarkup(keyboard.into()));
        self
    }

    /// Sets any other markup of the Bot API, such as a reply keyboard. Replaces the [keyboard](Self::keyboard).
    pub fn markup(mut self, markup: ReplyMarkup) -> Self {
        self.markup = Some(markup);
        self
    }

    /// Shows the message of the update above the reply, if there still is one. Default: not.
    pub fn quoting(mut self) -> Self {
        self.quotes = true;
        self
    }

    /// Sends it without a sound. Default: with one.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Forbids forwarding and saving. Default: allowed.
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self
    }
}

impl Respond for Reply {
    async fn respond(self, context: &Context) -> HandlerResult {
        if self.text.trim().is_empty() {
            return Ok(());
        }
        let mut params = context.reply_params(self.text)?;
        params.parse_mode = self.parse_mode;
        params.reply_markup = self.markup;
        params.disable_notification = self.silent.then_some(true);
        params.protect_content = self.protected.then_some(true);
        params.reply_parameters = context.nearest_message().filter(|_| self.quotes).map(|message| {
            ReplyParameters::builder()
                .message_id(message.message_id)
                .allow_sending_without_reply(true)
                .build()
        });
        let sent = context.api().send_message(&params).await;
        sent.map_err(ReplyError::Call)?;
        Ok(())
    }
}
