//! The two doors of a bot: updates come in, calls go out.
//!
//! Whatever brings updates (long polling or a webhook) and whatever makes calls fills these, so that health, metrics and the
//! page need not know which of them it was.

use std::time::Duration;

#[cfg(feature = "webhook")]
use crate::webhook::{WebhookCounts, WebhookRegistration};
use crate::{
    api::{ApiStats, CallCounts},
    handle::BotSnapshot,
};

/// How updates come in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Intake {
    /// Updates received since the start, those included that were received before.
    pub received: u64,
    /// Whether the server posts them instead of being asked.
    pub by_webhook: bool,
    /// Time since the Bot API server was last heard of: since the last completed `getUpdates`, or since the last update that
    /// was posted and acknowledged. `None` before the first.
    pub heard_age: Option<Duration>,
    /// Time for which a `getUpdates` has been tried without success. `None` when none is wanted, because the bot has enough to
    /// do or is paused.
    pub overdue: Option<Duration>,
    /// Whether the server has not got the webhook yet that the bot was told to register.
    pub unregistered: bool,
    /// Whether the bot was told to pause.
    pub paused: bool,
    /// Why the last `getUpdates` or the registration of the webhook failed; `None` after a success. Holds no token.
    pub last_error: Option<String>,
}

impl Intake {
    pub(super) fn of(snapshot: &BotSnapshot) -> Self {
        let polling = &snapshot.engine.polling;
        #[cfg(feature = "webhook")]
        if let Some(webhook) = &snapshot.webhook {
            return Self::posted(webhook, polling.paused);
        }
        Self {
            by_webhook: false,
            unregistered: false,
            received: snapshot.polling.received,
            heard_age: polling.last_success_age,
            overdue: polling.trying_for,
            paused: polling.paused,
            last_error: polling.last_error.clone(),
        }
    }

    /// A webhook that is quiet is well, as far as anybody can tell.
    #[cfg(feature = "webhook")]
    fn posted(webhook: &WebhookCounts, paused: bool) -> Self {
        let last_error = match &webhook.registration {
            WebhookRegistration::Pending { last_error } => last_error.clone(),
            WebhookRegistration::Refused { reason } => Some(reason.clone()),
            _ => None,
        };
        Self {
            received: webhook.accepted + webhook.duplicates,
            by_webhook: true,
            heard_age: webhook.last_update_age,
            overdue: None,
            unregistered: matches!(
                webhook.registration,
                WebhookRegistration::Pending { .. } | WebhookRegistration::Refused { .. }
            ),
            paused,
            last_error,
        }
    }
}

/// How calls to the Bot API go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Calls {
    /// How they have ended since the start.
    pub outcomes: CallCounts,
    /// Which wait or are being made; `None` when the thread that makes them has ended.
    pub lines: Option<ApiStats>,
}

impl Calls {
    pub(super) fn of(snapshot: &BotSnapshot) -> Self {
        Self {
            outcomes: snapshot.calls,
            lines: snapshot.lines,
        }
    }
}
