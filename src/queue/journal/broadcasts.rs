//! What a broadcast asks a running journal for.

use super::{
    Journal,
    questions::Question,
    writer::{Order, Reply},
};
use crate::{
    broadcast::{ChatRecord, ChatsFilter, Mark, Marked, OpenedBroadcast, Opening, OutcomeCounts},
    queue::{QueueError, store::BroadcastRow},
};

/// A mark with the place for its answer.
#[derive(Debug)]
pub(super) struct ToMark {
    pub(super) broadcast: i64,
    pub(super) mark: Mark,
    pub(super) reply: Reply<Option<Marked>>,
}

/// A question with the place for its answer.
#[derive(Debug)]
pub(super) enum BroadcastQuestion {
    Open {
        opening: Opening,
        reply: Reply<OpenedBroadcast>,
    },
    End {
        id: i64,
        cancelled: bool,
        reply: Reply<Option<OutcomeCounts>>,
    },
    Drop {
        name: String,
        reply: Reply<bool>,
    },
    List(Reply<Vec<BroadcastRow>>),
    Find {
        name: String,
        reply: Reply<Option<i64>>,
    },
    Fresh {
        id: i64,
        chats: Vec<i64>,
        reply: Reply<Vec<i64>>,
    },
    Page {
        id: i64,
        filter: ChatsFilter,
        reply: Reply<Vec<ChatRecord>>,
    },
}

impl BroadcastQuestion {
    /// Answers with an error. Who asked may have stopped waiting.
    pub(super) fn refuse(self, error: &QueueError) {
        match self {
            Self::Open { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::End { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Drop { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::List(reply) => drop(reply.send(Err(error.clone()))),
            Self::Find { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Fresh { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Page { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// Every call fails only when the journal has failed, is closed, or cannot do what was asked for now.
impl Journal {
    /// Begins or resumes a broadcast. Survives a power cut.
    pub(crate) async fn open_broadcast(&self, opening: Opening) -> Result<OpenedBroadcast, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::Open { opening, reply })
            .await
    }

    /// Notes something about a chat; returns `None` when the broadcast is not open any more. That a send begins survives a
    /// power cut, that it has ended survives `kill -9`. Waits while the disk is full.
    pub(crate) async fn mark_chat(&self, broadcast: i64, mark: Mark) -> Result<Option<Marked>, QueueError> {
        self.ask(|reply| {
            Order::Mark(ToMark {
                broadcast,
                mark,
                reply,
            })
        })
        .await
    }

    /// Notes that a broadcast has ended. Survives a power cut.
    pub(crate) async fn end_broadcast(
        &self,
        id: i64,
        cancelled: bool,
    ) -> Result<Option<OutcomeCounts>, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::End { id, cancelled, reply })
            .await
    }

    /// Forgets a broadcast of this bot. Returns false if there is none.
    pub(crate) async fn drop_broadcast(&self, name: String) -> Result<bool, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::Drop { name, reply })
            .await
    }

    /// Returns the broadcasts of this bot, in the order in which they were begun.
    pub(crate) async fn broadcasts(&self) -> Result<Vec<BroadcastRow>, QueueError> {
        self.ask_broadcast(BroadcastQuestion::List).await
    }

    /// Returns the id of the broadcast of this bot with this name.
    pub(crate) async fn find_broadcast(&self, name: String) -> Result<Option<i64>, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::Find { name, reply })
            .await
    }

    /// Returns those of the chats that may still need the message, in the same order.
    pub(crate) async fn fresh_chats(&self, id: i64, chats: Vec<i64>) -> Result<Vec<i64>, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::Fresh { id, chats, reply })
            .await
    }

    /// Returns the chats whose outcome is recorded, in order of their ids.
    pub(crate) async fn broadcast_page(
        &self,
        id: i64,
        filter: ChatsFilter,
    ) -> Result<Vec<ChatRecord>, QueueError> {
        self.ask_broadcast(|reply| BroadcastQuestion::Page { id, filter, reply })
            .await
    }

    async fn ask_broadcast<R>(
        &self,
        question: impl FnOnce(Reply<R>) -> BroadcastQuestion,
    ) -> Result<R, QueueError> {
        self.ask(|reply| Order::Ask(Question::Broadcast(question(reply))))
            .await
    }
}
