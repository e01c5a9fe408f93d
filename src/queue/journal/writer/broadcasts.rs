//! The writer notes what becomes of the chats of broadcasts, and answers questions about them.

use super::{
    CHANGE_BYTES, TRANSACTION_BYTES, Writer,
    answers::{give_reading, give_writing},
};
use crate::{
    broadcast::Mark,
    queue::{
        journal::broadcasts::BroadcastQuestion,
        store::{Durability, JournalError, Timestamp},
    },
};

impl Writer {
    /// Writes every mark that waits, in one transaction. What begins is on the disk before its send: an outcome that is
    /// lost in a power cut can be called unknown then.
    pub(super) fn write_marks(&mut self) -> Result<(), JournalError> {
        if self.marks.is_empty() {
            return Ok(());
        }
        let (marks, wall) = (&self.marks, Timestamp::now());
        let begins = marks.iter().any(|mark| matches!(mark.mark, Mark::Begin(_)));
        let durability = if begins {
            Durability::Power
        } else {
            Durability::Kill
        };
        let answers = self.store.transaction(durability, |work| {
            let answers = marks
                .iter()
                .map(|mark| work.mark(mark.broadcast, &mark.mark, wall));
            answers.collect::<Result<Vec<_>, _>>()
        })?;
        // A transaction that turns out to change nothing syncs nothing.
        self.unsynced |= !begins;
        self.written += TRANSACTION_BYTES + CHANGE_BYTES * marks.len() as u64;
        for (mark, answer) in self.marks.drain(..).zip(answers) {
            // Whoever stopped waiting does not need the answer.
            let _ = mark.reply.send(Ok(answer));
        }
        Ok(())
    }

    /// Answers a question; returns an error that concerns everybody.
    pub(super) fn answer_broadcast(&mut self, question: BroadcastQuestion) -> Result<(), JournalError> {
        let (bot, wall) = (self.bot, Timestamp::now());
        match question {
            BroadcastQuestion::Open { opening, reply } => give_writing(
                reply,
                self.store
                    .transaction(Durability::Power, |work| work.open_broadcast(bot, &opening, wall)),
            ),
            BroadcastQuestion::End { id, cancelled, reply } => give_writing(
                reply,
                self.store
                    .transaction(Durability::Power, |work| work.end_broadcast(id, cancelled, wall)),
            ),
            BroadcastQuestion::Drop { name, reply } => give_writing(
                reply,
                self.store
                    .transaction(Durability::Power, |work| work.drop_broadcast(bot, &name)),
            ),
            BroadcastQuestion::List(reply) => {
                give_reading(reply, self.store.list_broadcasts(bot));
                Ok(())
            }
            BroadcastQuestion::Find { name, reply } => {
                give_reading(reply, self.store.find_broadcast(bot, &name));
                Ok(())
            }
            BroadcastQuestion::Fresh { id, chats, reply } => {
                give_reading(reply, self.store.fresh_chats(id, &chats));
                Ok(())
            }
            BroadcastQuestion::Page { id, filter, reply } => {
                give_reading(reply, self.store.broadcast_page(id, filter));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        broadcast::{ChatOutcome, Ended, Marked, OpenedBroadcast, Opening},
        queue::{
            JournalSettings,
            journal::{Journal, broadcasts::ToMark},
            store::StoreOptions,
        },
    };

    fn opening() -> Opening {
        Opening {
            name: "news".to_owned(),
            repeat_unknown: false,
            anew: false,
        }
    }

    /// An intent that a power cut can take away is none: the message would go out a second time.
    #[test]
    fn what_begins_survives_a_power_cut_before_anybody_is_told_that_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = Writer::open(&path, 7, JournalSettings::default(), StoreOptions::default()).unwrap();
        let opened = writer.store.transaction(Durability::Power, |work| {
            work.open_broadcast(7, &opening(), Timestamp::now())
        });
        let OpenedBroadcast::Open { id, .. } = opened.unwrap() else {
            panic!("it is new")
        };
        let mut write = |marks: Vec<Mark>| {
            writer.marks = marks
                .into_iter()
                .map(|mark| ToMark {
                    broadcast: id,
                    mark,
                    reply: oneshot::channel().0,
                })
                .collect();
            writer.write_marks().unwrap();
            (writer.store.last_durability(), writer.unsynced)
        };

        assert_eq!(
            write(vec![Mark::Begin(1), Mark::Begin(2)]),
            (Durability::Power, false)
        );
        assert_eq!(write(vec![Mark::Release(1)]), (Durability::Kill, true));
        assert_eq!(write(vec![Mark::Release(2), Mark::Begin(1)]).0, Durability::Power);
    }

    #[actix_rt::test]
    async fn what_was_marked_is_there_after_a_close() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let journal = Journal::open(&path, 7, JournalSettings::default()).await.unwrap();
        let OpenedBroadcast::Open { id, .. } = journal.open_broadcast(opening()).await.unwrap() else {
            panic!("it is new")
        };
        let begun =
            futures_util::future::join_all((1..=20).map(|chat| journal.mark_chat(id, Mark::Begin(chat))))
                .await;
        assert!(
            begun
                .iter()
                .all(|marked| matches!(marked, Ok(Some(Marked::Go { again: false }))))
        );
        let ended = Ended {
            chat: 1,
            outcome: ChatOutcome::Sent,
            moved_to: None,
            reason: None,
        };
        journal.mark_chat(id, Mark::End(ended)).await.unwrap();

        journal.close().await;

        let journal = Journal::open(&path, 7, JournalSettings::default()).await.unwrap();
        let opened = journal.open_broadcast(opening()).await.unwrap();
        let OpenedBroadcast::Open { counts, resumed, .. } = opened else {
            panic!("it has not ended: {opened:?}")
        };
        assert!(resumed);
        assert_eq!((counts.sent, counts.unknown), (1, 19));
        assert!(journal.drop_broadcast("news".to_owned()).await.unwrap());
        assert_eq!(
            journal.mark_chat(id, Mark::Begin(99)).await.unwrap(),
            None,
            "it was dropped"
        );
        journal.close().await;
        assert!(journal.mark_chat(id, Mark::Begin(99)).await.is_err());
    }
}
