//! What an operator asks a running journal for: dead letters and numbers.

use actogram_actors::{LaneCounts, LaneLoad};

use super::{
    Journal,
    broadcasts::BroadcastQuestion,
    writer::{Order, Reply},
};
use crate::{
    queue::{
        Pushed, QueueError,
        store::{DamagedRow, DeadFilter, DeadLetter, DeadRetry, Opened, RowId, Timestamp, Totals},
    },
    timings::Timings,
};

/// A question with the place for its answer.
#[derive(Debug)]
pub(super) enum Question {
    Dead {
        filter: DeadFilter,
        after: Option<RowId>,
        limit: u32,
        reply: Reply<Vec<Result<DeadLetter, DamagedRow>>>,
    },
    DeadUpdate {
        row: RowId,
        reply: Reply<Option<Opened>>,
    },
    RetryDead {
        row: RowId,
        reply: Reply<DeadRetry>,
    },
    DropDead {
        row: RowId,
        reply: Reply<bool>,
    },
    Counts(Reply<Counts>),
    Unfinished(Reply<u64>),
    Longest {
        limit: usize,
        reply: Reply<Vec<LaneLoad>>,
    },
    Broadcast(BroadcastQuestion),
}

impl Question {
    /// Answers with an error. Who asked may have stopped waiting.
    pub(super) fn refuse(self, error: &QueueError) {
        match self {
            Self::Dead { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::DeadUpdate { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::RetryDead { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::DropDead { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Counts(reply) => drop(reply.send(Err(error.clone()))),
            Self::Unfinished(reply) => drop(reply.send(Err(error.clone()))),
            Self::Longest { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Broadcast(question) => question.refuse(error),
        }
    }
}

/// Numbers that are known without looking at every row.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) totals: Totals,
    pub(crate) lanes: LaneCounts,
    pub(crate) oldest: Option<Timestamp>,
    /// What was pushed since the journal was opened.
    pub(crate) pushed: Pushed,
    /// Time of the commits that waited for the disk.
    pub(crate) syncs: Timings,
    /// Whether the disk is full or another program writes, so that nothing can be written now.
    pub(crate) blocked: bool,
    /// Whether there is no room for a further update.
    pub(crate) full: bool,
}

/// Every call fails only when the journal has failed, is closed, or cannot do what was asked for now.
impl Journal {
    /// Returns up to `limit` dead letters behind a place, in order of their arrival as updates.
    pub(crate) async fn dead_letters(
        &self,
        filter: DeadFilter,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<Result<DeadLetter, DamagedRow>>, QueueError> {
        self.inquire(|reply| Question::Dead {
            filter,
            after,
            limit,
            reply,
        })
        .await
    }

    /// Returns a dead letter with its update.
    pub(crate) async fn dead_letter(&self, row: RowId) -> Result<Option<Opened>, QueueError> {
        self.inquire(|reply| Question::DeadUpdate { row, reply }).await
    }

    /// Puts a dead letter at the end of its lane.
    pub(crate) async fn retry_dead(&self, row: RowId) -> Result<DeadRetry, QueueError> {
        self.inquire(|reply| Question::RetryDead { row, reply }).await
    }

    /// Forgets a dead letter. Returns false if there is none.
    pub(crate) async fn drop_dead(&self, row: RowId) -> Result<bool, QueueError> {
        self.inquire(|reply| Question::DropDead { row, reply }).await
    }

    /// Returns the numbers.
    pub(crate) async fn counts(&self) -> Result<Counts, QueueError> {
        self.inquire(Question::Counts).await
    }

    /// Returns how many updates of the bot a later start would handle.
    pub(super) async fn count_unfinished(&self) -> Result<u64, QueueError> {
        self.inquire(Question::Unfinished).await
    }

    /// Returns the lanes with the most unfinished updates, longest first. Looks at every lane.
    pub(crate) async fn longest(&self, limit: usize) -> Result<Vec<LaneLoad>, QueueError> {
        self.inquire(|reply| Question::Longest { limit, reply }).await
    }

    async fn inquire<R>(&self, question: impl FnOnce(Reply<R>) -> Question) -> Result<R, QueueError> {
        self.ask(|reply| Order::Ask(question(reply))).await
    }
}
