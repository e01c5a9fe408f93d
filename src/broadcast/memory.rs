//! What is known about the chats of a broadcast that nothing remembers after the end of the process.

use std::{collections::BTreeMap, ops::Bound, time::SystemTime};

use super::record::{ChatRecord, ChatsFilter, Ended, Mark, Marked};

/// The records; `None` stands for a send that has begun.
#[derive(Debug, Default)]
pub(super) struct MemoryLedger {
    chats: BTreeMap<i64, Option<ChatRecord>>,
}

impl MemoryLedger {
    pub(super) fn mark(&mut self, mark: Mark) -> Marked {
        match mark {
            Mark::Begin(chat) => {
                if let Some(record) = self.chats.get(&chat) {
                    return Marked::Known {
                        moved_to: record.as_ref().and_then(|record| record.moved_to),
                    };
                }
                self.chats.insert(chat, None);
                Marked::Go { again: false }
            }
            Mark::End(Ended {
                chat,
                outcome,
                moved_to,
                reason,
            }) => {
                let record = ChatRecord {
                    chat_id: chat,
                    outcome,
                    at: SystemTime::now(),
                    moved_to,
                    reason,
                };
                self.chats.insert(chat, Some(record));
                Marked::Noted
            }
            Mark::Release(chat) => {
                if self.chats.get(&chat) == Some(&None) {
                    self.chats.remove(&chat);
                }
                Marked::Noted
            }
        }
    }

    pub(super) fn fresh(&self, mut chats: Vec<i64>) -> Vec<i64> {
        chats.retain(|chat| match self.chats.get(chat) {
            None => true,
            Some(record) => record.as_ref().is_some_and(|record| record.moved_to.is_some()),
        });
        chats
    }

    pub(super) fn page(&self, filter: ChatsFilter) -> Vec<ChatRecord> {
        let from = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = self.chats.range((from, Bound::Unbounded));
        records
            .filter_map(|(_, record)| record.as_ref())
            .filter(|record| filter.outcome.is_none_or(|outcome| record.outcome == outcome))
            .take(filter.limit as usize)
            .cloned()
            .collect()
    }
}
