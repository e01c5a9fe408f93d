//! Lists of broadcasts and of their chats.

#[cfg(feature = "journal")]
use std::time::SystemTime;

#[cfg(feature = "journal")]
use super::record::OutcomeCounts;
use super::record::{ChatOutcome, ChatRecord, ChatsFilter};
#[cfg(feature = "journal")]
use crate::{
    error::Error,
    queue::{Journal, QueueError},
};

/// Which chats of a broadcast to list; the default is the first 1000 of all, in order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct BroadcastChats {
    filter: ChatsFilter,
}

impl BroadcastChats {
    /// Chats of one page.
    pub const DEFAULT_LIMIT: u32 = 1000;

    /// Returns the filter that chooses the first 1000 of all.
    pub fn new() -> Self {
        Self {
            filter: ChatsFilter {
                limit: Self::DEFAULT_LIMIT,
                ..ChatsFilter::default()
            },
        }
    }

    /// Chooses only those with this outcome.
    pub fn outcome(mut self, outcome: ChatOutcome) -> Self {
        self.filter.outcome = Some(outcome);
        self
    }

    /// Chooses only those with a larger id: [`ChatsPage::next`] of the page before.
    pub fn after(mut self, chat_id: i64) -> Self {
        self.filter.after = Some(chat_id);
        self
    }

    /// Chooses at most this many; default [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT).
    pub fn limit(mut self, chats: u32) -> Self {
        self.filter.limit = chats;
        self
    }

    /// Returns what to ask for: one more tells whether there are more.
    pub(super) fn wanted(self) -> ChatsFilter {
        ChatsFilter {
            limit: self.filter.limit.saturating_add(1),
            ..self.filter
        }
    }

    /// Makes a page of what was found.
    pub(super) fn page(self, mut chats: Vec<ChatRecord>) -> ChatsPage {
        let limit = self.filter.limit as usize;
        let more = chats.len() > limit;
        chats.truncate(limit);
        let last = chats.last().map(|record| record.chat_id);
        ChatsPage {
            next: last.filter(|_| more),
            chats,
        }
    }
}

impl Default for BroadcastChats {
    fn default() -> Self {
        Self::new()
    }
}

/// A page of chats of a broadcast, in order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatsPage {
    /// The chats whose outcome is recorded.
    pub chats: Vec<ChatRecord>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// A broadcast that the journal knows.
#[cfg(feature = "journal")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastSummary {
    /// Its name.
    pub name: String,
    /// When it was begun.
    pub started_at: SystemTime,
    /// When it ended; `None` while it can be resumed.
    pub ended_at: Option<SystemTime>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// How its chats ended so far.
    pub counts: OutcomeCounts,
}

#[cfg(feature = "journal")]
pub(crate) async fn summaries(journal: &Journal) -> Result<Vec<BroadcastSummary>, Error> {
    let rows = journal.broadcasts().await.map_err(failed)?;
    Ok(rows
        .into_iter()
        .map(|row| BroadcastSummary {
            name: row.name,
            started_at: row.started_at.into(),
            ended_at: row.ended.map(|(at, _)| at.into()),
            cancelled: row.ended.is_some_and(|(_, cancelled)| cancelled),
            counts: row.counts,
        })
        .collect())
}

#[cfg(feature = "journal")]
pub(crate) async fn chats(
    journal: &Journal,
    name: &str,
    filter: BroadcastChats,
) -> Result<Option<ChatsPage>, Error> {
    let found = journal.find_broadcast(name.to_owned()).await;
    let Some(id) = found.map_err(failed)? else {
        return Ok(None);
    };
    let chats = journal
        .broadcast_page(id, filter.wanted())
        .await
        .map_err(failed)?;
    Ok(Some(filter.page(chats)))
}

#[cfg(feature = "journal")]
pub(crate) async fn forget(journal: &Journal, name: &str) -> Result<bool, Error> {
    journal.drop_broadcast(name.to_owned()).await.map_err(failed)
}

#[cfg(feature = "journal")]
fn failed(error: QueueError) -> Error {
    Error::Journal(Box::new(error))
}
