//! The two doors of a bot: updates come in, calls go out.
//!
//! Whatever brings updates (long polling today) and whatever makes calls fills these, so that health, metrics and the page
//! need not know which of them it was.

use std::time::Duration;

use crate::{api::CallCounts, handle::BotSnapshot};

/// How updates come in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Intake {
    /// Updates received since the start, those included that were received before.
    pub received: u64,
    /// Time since the Bot API server was last heard of: since the last completed `getUpdates`. `None` before the first.
    pub heard_age: Option<Duration>,
    /// Time for which a `getUpdates` has been tried without success. `None` when none is wanted, because the bot has enough to
    /// do or is paused.
    pub overdue: Option<Duration>,
    /// Whether the bot was told to pause.
    pub paused: bool,
    /// Why the last try failed; `None` after a success. Holds no token.
    pub last_error: Option<String>,
}

impl Intake {
    pub(super) fn of(snapshot: &BotSnapshot) -> Self {
        let polling = &snapshot.engine.polling;
        Self {
            received: snapshot.polling.received,
            heard_age: polling.last_success_age,
            overdue: polling.trying_for,
            paused: polling.paused,
            last_error: polling.last_error.clone(),
        }
    }
}

/// How calls to the Bot API go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Calls {
    /// How they have ended since the start.
    pub outcomes: CallCounts,
}

impl Calls {
    pub(super) fn of(snapshot: &BotSnapshot) -> Self {
        Self {
            outcomes: snapshot.calls,
        }
    }
}
