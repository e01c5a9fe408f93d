//! Where it is recorded what became of each chat: in the journal, or only in memory.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    error::BroadcastError,
    memory::MemoryLedger,
    record::{ChatRecord, ChatsFilter, Mark, Marked},
};
#[cfg(feature = "journal")]
use crate::queue::{Journal, QueueError};

/// Handle of the records of one broadcast; cloning shares them.
#[derive(Debug, Clone)]
pub(super) enum Ledger {
    Memory(Arc<Mutex<MemoryLedger>>),
    #[cfg(feature = "journal")]
    Journal {
        journal: Journal,
        id: i64,
        name: Arc<str>,
    },
}

impl Ledger {
    pub(super) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Notes something about a chat. When that a send begins is noted, it may begin.
    pub(super) async fn mark(&self, mark: Mark) -> Result<Marked, BroadcastError> {
        match self {
            Self::Memory(memory) => Ok(lock(memory).mark(mark)),
            #[cfg(feature = "journal")]
            Self::Journal { journal, id, name } => {
                let marked = journal.mark_chat(*id, mark).await.map_err(failed)?;
                marked.ok_or_else(|| BroadcastError::Dropped {
                    name: name.to_string(),
                })
            }
        }
    }

    /// Returns those of the chats that may still need the message, in the same order.
    pub(super) async fn fresh(&self, chats: Vec<i64>) -> Result<Vec<i64>, BroadcastError> {
        match self {
            Self::Memory(memory) => Ok(lock(memory).fresh(chats)),
            #[cfg(feature = "journal")]
            Self::Journal { journal, id, .. } => journal.fresh_chats(*id, chats).await.map_err(failed),
        }
    }

    /// Notes that the broadcast has ended.
    #[cfg_attr(
        not(feature = "journal"),
        expect(
            unused_variables,
            clippy::unused_async,
            reason = "only a journal remembers it"
        )
    )]
    pub(super) async fn end(&self, cancelled: bool) -> Result<(), BroadcastError> {
        match self {
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "journal")]
            Self::Journal { journal, id, name } => {
                let ended = journal.end_broadcast(*id, cancelled).await.map_err(failed)?;
                ended.map(drop).ok_or_else(|| BroadcastError::Dropped {
                    name: name.to_string(),
                })
            }
        }
    }

    /// Returns the chats whose outcome is recorded, in order of their ids.
    pub(super) async fn page(&self, filter: ChatsFilter) -> Result<Vec<ChatRecord>, BroadcastError> {
        match self {
            Self::Memory(memory) => Ok(lock(memory).page(filter)),
            #[cfg(feature = "journal")]
            Self::Journal { journal, id, .. } => journal.broadcast_page(*id, filter).await.map_err(failed),
        }
    }
}

#[cfg(feature = "journal")]
pub(super) fn failed(error: QueueError) -> BroadcastError {
    BroadcastError::Journal { reason: error.reason }
}

/// Nothing that holds the lock can panic half way.
fn lock(memory: &Mutex<MemoryLedger>) -> std::sync::MutexGuard<'_, MemoryLedger> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
