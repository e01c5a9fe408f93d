//! The writer answers questions about dead letters, and changes them when asked to.

use super::{Reply, Writer, ending::chain};
use crate::queue::{
    QueueError,
    journal::questions::{Counts, Question},
    store::{DeadRetry, Durability, JournalError},
};

impl Writer {
    /// Answers every question that waits. An error goes to who asked; one after which nothing may be written any more,
    /// or whose cause is unknown, is returned as well.
    pub(super) fn answer_questions(&mut self) -> Result<(), JournalError> {
        for question in std::mem::take(&mut self.questions) {
            match question {
                Question::Dead {
                    filter,
                    after,
                    limit,
                    reply,
                } => give_reading(reply, self.store.list_dead(&filter, after, limit)),
                Question::DeadUpdate { row, reply } => give_reading(reply, self.store.show_dead(row)),
                Question::Counts(reply) => {
                    let counts = self.counts();
                    give_reading(reply, counts);
                }
                Question::Unfinished(reply) => {
                    let left = self.shelf.left(self.settings.at_most_once);
                    give_reading(reply, Ok(left as u64));
                }
                Question::Longest { limit, reply } => give_reading(reply, Ok(self.shelf.longest(limit))),
                Question::Broadcast(question) => self.answer_broadcast(question)?,
                Question::RetryDead { row, reply } => {
                    let retried = self
                        .store
                        .transaction(Durability::Power, |work| work.retry_dead(row));
                    if let Ok(DeadRetry::Queued(entry)) = &retried {
                        self.take_up_before(entry.row)?;
                        self.take_up(entry);
                    }
                    give_writing(reply, retried)?;
                }
                Question::DropDead { row, reply } => {
                    let dropped = self
                        .store
                        .transaction(Durability::Power, |work| work.drop_dead(row));
                    give_writing(reply, dropped)?;
                }
            }
        }
        Ok(())
    }

    fn counts(&self) -> Result<Counts, JournalError> {
        Ok(Counts {
            totals: self.store.totals()?,
            lanes: self.shelf.counts(),
            oldest: self.store.oldest()?,
            pushed: self.pushed,
            syncs: self.store.syncs(),
            blocked: self.blocked.is_some(),
            full: self.free_rows() == 0,
        })
    }
}

/// Gives out what was read. That something cannot be read is no reason to stop.
pub(super) fn give_reading<R>(reply: Reply<R>, result: Result<R, JournalError>) {
    let result = result.map_err(|error| QueueError {
        reason: chain(&error),
    });
    // Who asked may have stopped waiting.
    let _ = reply.send(result);
}

/// Gives out what was written; returns an error that concerns everybody.
pub(super) fn give_writing<R>(reply: Reply<R>, result: Result<R, JournalError>) -> Result<(), JournalError> {
    match result {
        Err(error) if !matches!(error, JournalError::Full { .. } | JournalError::Busy { .. }) => {
            let reason = chain(&error);
            let _ = reply.send(Err(QueueError { reason }));
            Err(error)
        }
        result => {
            give_reading(reply, result);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::queue::{
        JournalSettings, Queue,
        journal::Journal,
        store::{DeadFilter, DeadRetry, RowId},
    };

    fn on_actix(test: impl Future<Output = ()>) {
        actix_rt::System::new().block_on(test);
    }

    /// The journal fails while somebody asks it: who asks, then and later, gets the reason.
    #[test]
    fn nobody_waits_for_an_answer_of_a_journal_that_has_failed() {
        on_actix(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let journal = Journal::open(&path, 7, JournalSettings::default()).await.unwrap();
            assert_eq!(journal.retry_dead(RowId(1)).await.unwrap(), DeadRetry::Missing);
            assert!(!journal.drop_dead(RowId(1)).await.unwrap());
            fs::remove_file(&path).unwrap();

            let refused = journal.drop_dead(RowId(1)).await.unwrap_err();

            assert!(refused.reason.contains("another owner"), "{refused}");
            for refused in [
                journal.counts().await.unwrap_err(),
                journal.retry_dead(RowId(1)).await.unwrap_err(),
                journal.dead_letter(RowId(1)).await.unwrap_err(),
                journal
                    .dead_letters(DeadFilter::default(), None, 1)
                    .await
                    .unwrap_err(),
                journal.room().await.unwrap_err(),
                journal
                    .exhausted(std::time::Duration::from_secs(60))
                    .await
                    .unwrap_err(),
                journal.unfinished().await.unwrap_err(),
            ] {
                assert!(refused.reason.contains("another owner"), "{refused}");
            }
        });
    }

    #[test]
    fn a_disk_that_is_locked_refuses_one_question_and_not_the_next() {
        on_actix(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let options = crate::queue::store::StoreOptions {
                busy_timeout: std::time::Duration::ZERO,
                ..Default::default()
            };
            let journal = Journal::open_with(&path, 7, Default::default(), options)
                .await
                .unwrap();
            let other = rusqlite::Connection::open(&path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();

            let refused = journal.drop_dead(RowId(1)).await.unwrap_err();

            assert!(refused.reason.contains("another program is writing"), "{refused}");
            other.execute_batch("ROLLBACK").unwrap();
            assert!(!journal.drop_dead(RowId(1)).await.unwrap());
        });
    }
}
