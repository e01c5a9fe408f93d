//! Why polling brings nothing.

use std::time::Duration;

use actogram_actors::SourceError;

use crate::{api::ApiError, update::BatchError};

/// Why a poll brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollingError {
    /// The server does not know the bot: the token was revoked, or is not one of this server.
    #[error(
        "the bot api server refused the token ({code} {description}): check TELEGRAM_BOT_TOKEN, or get a new \
         token from @BotFather; for a server of your own check TELEGRAM_API_URL"
    )]
    TokenRefused {
        /// Status of the answer.
        code: u16,
        /// Text of the server.
        description: String,
    },
    /// Another process polls for this bot. It is ridden out: during a deploy the old process ends soon.
    #[error(
        "another process takes the updates of this bot ({description}); stop it if it is not about to end, trying again"
    )]
    Conflict {
        /// Text of the server.
        description: String,
    },
    /// A webhook is set, so that polling gets nothing. It is ridden out too: whoever set it may delete it.
    #[error(
        "a webhook takes the updates of this bot ({description}): to poll, delete it with \
         `.delete_webhook_at_start()` or deleteWebhook; to keep it, start the bot with `.run_webhook(..)`; trying again"
    )]
    WebhookActive {
        /// Text of the server.
        description: String,
    },
    /// The call failed.
    #[error(transparent)]
    Call(ApiError),
    /// The answer is not a list.
    #[error("the answer to getUpdates is not a batch of updates")]
    Batch(#[source] BatchError),
    /// The answer holds updates, but none has an id.
    #[error("none of the {0} updates of a batch has a usable update_id")]
    NoIds(usize),
    /// No poll was answered for too long; the connections were replaced.
    #[error("no poll was answered for {0:?}, connections replaced")]
    Silent(Duration),
}

impl PollingError {
    /// Sorts the two conflicts that the server reports with the same status.
    pub(super) fn conflict(description: String) -> Self {
        if description.to_ascii_lowercase().contains("webhook") {
            Self::WebhookActive { description }
        } else {
            Self::Conflict { description }
        }
    }
}

impl From<PollingError> for SourceError {
    fn from(error: PollingError) -> Self {
        let retry_after = match &error {
            PollingError::Call(error) => error.retry_after(),
            _ => None,
        };
        let fatal = matches!(error, PollingError::TokenRefused { .. });
        let error = if fatal {
            Self::fatal(error)
        } else {
            Self::transient(error)
        };
        match retry_after {
            Some(delay) => error.with_retry_after(delay),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_conflicts_say_different_things_to_do() {
        for text in [
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            "Conflict: terminated by setWebhook request",
        ] {
            let shown = PollingError::conflict(text.to_owned()).to_string();
            assert!(shown.contains("delete_webhook_at_start"), "{shown}");
        }
        let other = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
        let shown = PollingError::conflict(other.to_owned()).to_string();
        assert!(
            shown.contains("another process") && !shown.contains("webhook"),
            "{shown}"
        );
    }
}
