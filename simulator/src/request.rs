//! What goes into a [`World`](crate::World) and what comes back.

use std::fmt;
use std::time::Duration;

use crate::params::Params;
use crate::reply::Reply;

/// The promise of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What a call led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer.
    Reply(Reply),
    /// The answer comes from [`World::take_replies`](crate::World::take_replies) under this ticket.
    Later(Ticket),
}

/// Which bot: its token, and whether it lives in the test environment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct BotKey {
    pub(crate) token: String,
    pub(crate) test: bool,
}

/// One call as it came in.
#[derive(Clone)]
pub struct Request {
    pub(crate) key: BotKey,
    pub(crate) method: String,
    pub(crate) params: Params,
    /// Whether nobody sees the answer, as with a call that came as a webhook reply.
    pub(crate) unseen: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Returns a call of `method` for the bot with `token`.
    pub fn new(token: impl Into<String>, method: impl Into<String>, params: Params) -> Self {
        Self {
            key: BotKey {
                token: token.into(),
                test: false,
            },
            method: method.into(),
            params,
            unseen: false,
        }
    }

    /// Returns the same call for the test environment, as `/bot<token>/test/<method>` addresses it.
    #[must_use]
    pub fn in_test_environment(mut self) -> Self {
        self.key.test = true;
        self
    }
}

/// What happens with the last confirmations when the server restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// The server stops in order: waiting polls are answered with what is queued, held calls with 500, every
    /// confirmation is kept.
    KeepConfirmations,
    /// The server is killed: nothing is answered, and updates confirmed within this time are queued again.
    LoseConfirmationsSince(Duration),
}
