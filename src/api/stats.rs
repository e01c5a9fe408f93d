//! What the gateway has to do.

use std::time::{Duration, Instant};

use actix::MailboxError;

use super::{error::ApiError, gateway::Look, handle::Api, schedule::Census};

/// What a gateway has to do at one moment; see [`Api::stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiStats {
    /// Calls that wait: for a connection, their turn in their chat, flood control or their pace.
    pub waiting: usize,
    /// Calls that are being made.
    pub running: usize,
    /// Most calls that wait for one chat, or for one method without a chat.
    pub longest_line: usize,
    /// Chats that flood control makes wait.
    pub held_chats: usize,
    /// How long flood control makes the whole bot wait from now on, if it does.
    pub bot_held_for: Option<Duration>,
}

impl ApiStats {
    pub(crate) fn new(census: Census, now: Instant) -> Self {
        let Census {
            waiting,
            running,
            longest_line,
            held_chats,
            bot_held_until,
        } = census;
        Self {
            waiting,
            running,
            longest_line,
            held_chats,
            bot_held_for: bot_held_until.map(|until| until - now),
        }
    }
}

impl Api {
    /// Returns what the gateway has to do at this moment.
    ///
    /// # Errors
    ///
    /// Returns [`ApiError::Stopped`] when the gateway is gone.
    pub async fn stats(&self) -> Result<ApiStats, ApiError> {
        let stats = self.gateway.send(Look).await;
        stats.map_err(|_: MailboxError| ApiError::Stopped {
            method: "stats".to_owned(),
        })
    }
}
