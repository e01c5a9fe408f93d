//! The answer to a press of a button.

use frankenstein::methods::AnswerCallbackQueryParams;

use super::Respond;
use crate::{
    Context,
    api::ApiError,
    extract::ExtractError,
    handler::{HandlerError, HandlerResult},
};

/// The answer to a callback query: it ends the progress bar of the button and may show a text.
///
/// ```
/// use actogram::{Answer, Edit, Router};
///
/// async fn vote() -> (Answer, Edit) {
///     (Answer::text("Thank you!"), Edit::text("This vote has ended."))
/// }
/// # let _ = Router::new().callback("vote:", vote);
/// ```
///
/// Texts may have [200 characters](https://core.telegram.org/bots/api#answercallbackquery).
///
/// # Errors
///
/// As a response it fails when the update is no callback query, and when the call fails. That the query is answered
/// already is no error in a later attempt at the same update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "an answer is given when a handler returns it"]
pub struct Answer {
    text: Option<String>,
    alert: bool,
    url: Option<String>,
    cache_seconds: Option<u32>,
}

impl Answer {
    /// Returns an answer that shows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an answer that shows a text for a moment.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// Shows the text until the user has confirmed it. Default: for a moment.
    pub fn alert(mut self) -> Self {
        self.alert = true;
        self
    }

    /// Sets an address to open: of a game, or `t.me/your_bot?start=…`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets how long clients may give this answer by themselves, in seconds. Default 0.
    pub fn cache_seconds(mut self, seconds: u32) -> Self {
        self.cache_seconds = Some(seconds);
        self
    }
}

impl Respond for Answer {
    async fn respond(self, context: &Context) -> HandlerResult {
        let query = context
            .decoded_callback_query()
            .map_err(HandlerError::from)?
            .ok_or(ExtractError::absent("a callback query"))?;
        let params = AnswerCallbackQueryParams {
            callback_query_id: query.id.clone(),
            text: self.text,
            show_alert: self.alert.then_some(true),
            url: self.url,
            cache_time: self.cache_seconds,
        };
        match context.api().answer_callback_query(&params).await {
            // An earlier attempt may have answered: a query takes one answer.
            Err(ApiError::Refused { code: 400, .. }) if context.attempt() > 1 => Ok(()),
            answered => Ok(answered.map(drop)?),
        }
    }
}
