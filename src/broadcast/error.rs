//! Why a broadcast could not begin, or could not go on.

use std::sync::Arc;

use super::record::OutcomeCounts;
use crate::api::ApiError;

/// Why a broadcast could not begin, or could not go on. One that could not go on has not ended: starting it again under the
/// same name resumes it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The name is empty or longer than 200 bytes.
    #[error("the name of a broadcast must have 1 to 200 bytes")]
    Name,
    /// Nobody was named.
    #[error("no chats: call `.to(chats)` before starting the broadcast")]
    NoChats,
    /// There is nothing to send.
    #[error("no message: call `.text(..)` or `.send(..)` before starting the broadcast")]
    NoMessage,
    /// The bot has no journal, so nothing would be known after a restart.
    #[error("a broadcast needs a journal to be resumed: set one with `Bot::journal`, or call `.in_memory()`")]
    NoJournal,
    /// A broadcast with this name is running.
    #[error("the broadcast {name:?} is running already; wait for its end or choose another name")]
    AlreadyRunning {
        /// Its name.
        name: String,
    },
    /// A broadcast with this name has ended; nobody gets it a second time by accident.
    #[error(
        "the broadcast {name:?} {}; choose another name, or call `.anew()` to send it to everybody again",
        if *cancelled { "was cancelled" } else { "is complete" }
    )]
    Ended {
        /// Its name.
        name: String,
        /// Whether it was cancelled.
        cancelled: bool,
        /// How its chats ended.
        counts: OutcomeCounts,
    },
    /// The source of the chats failed.
    #[error("the source of the chats failed; start the broadcast again to resume it")]
    Source(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The server refused a call for a reason that concerns every chat: the token, or the name of the method.
    #[error("the server refuses the bot; check the token and the method, then start the broadcast again")]
    Refused(#[source] Arc<ApiError>),
    /// The journal failed, or the bot has stopped.
    #[error("the journal failed: {reason}")]
    Journal {
        /// What happened and what to do.
        reason: String,
    },
    /// Somebody dropped the broadcast while it was running, or began it anew.
    #[error("the broadcast {name:?} was dropped while it was running")]
    Dropped {
        /// Its name.
        name: String,
    },
    /// The bot stops or has stopped.
    #[error("the bot has stopped; start the broadcast again after its next start")]
    BotStopped,
}
