//! How the writer ends: in order, or because the file has failed.

use std::{sync::mpsc::Receiver, time::Instant};

use super::{COMPACT_PAGES, Order, SHRINK_TIME, Writer, is_passing};
use crate::queue::{
    QueueError,
    store::{DeadReason, Durability, JournalError, RowId, Timestamp},
};

impl Writer {
    /// Writes what is left, takes back the leases that did not end (they did not fail, the process stops), and
    /// releases the file.
    pub(super) fn shut(mut self) {
        let written = self
            .write(Instant::now())
            .and_then(|()| self.write_marks())
            .and_then(|()| {
                let (open, wall) = (self.shelf.on_lease(), Timestamp::now());
                let never_again = self.settings.at_most_once;
                let mut dead = 0;
                self.store.transaction(Durability::Power, |work| {
                    let errors = ["the bot stopped during the attempt, which is never repeated".to_owned()];
                    for row in open.iter().map(|ticket| RowId(ticket.0)) {
                        if never_again {
                            dead += u32::from(work.bury(row, DeadReason::Interrupted, &errors, wall)?);
                        } else {
                            work.release(row)?;
                        }
                    }
                    Ok(())
                })?;
                if dead > 0 {
                    tracing::error!(dead, "attempts were cut off by the stop, dead letters");
                }
                Ok(())
            });
        let shrunk = written.and_then(|()| self.shrink(Instant::now() + SHRINK_TIME));
        match shrunk.and_then(|()| self.store.close()) {
            Ok(done) if done.complete => {}
            Ok(done) => tracing::info!(
                pages = done.wal_pages - done.moved_pages,
                "another program reads the journal, so its write-ahead log stays; it is part of the journal"
            ),
            Err(error) => tracing::error!(
                reason = chain(&error),
                "journal could not be closed in order, what ended last may not be on record"
            ),
        }
    }

    /// Gives what a backlog has left free back to the file system, until the deadline.
    fn shrink(&mut self, deadline: Instant) -> Result<(), JournalError> {
        loop {
            match self.store.compact(COMPACT_PAGES) {
                Ok(0) => return Ok(()),
                Ok(_) if Instant::now() >= deadline => return Ok(()),
                Ok(_) => {}
                // It is not worth a failure; the next owner goes on.
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers everything with the reason from now on.
    pub(super) fn fail(self, error: &JournalError, inbox: &Receiver<Order>) {
        let error = QueueError { reason: chain(error) };
        tracing::error!(reason = error.reason, "journal failed for good");
        let Self {
            store,
            pushes,
            acknowledgements,
            flushes,
            rooms,
            exhausted,
            questions,
            marks,
            lease,
            ..
        } = self;
        // The file is released, so that a new start can take it over.
        drop(store);
        for push in pushes {
            let _ = push.reply.send(Err(error.clone()));
        }
        for reply in flushes {
            let _ = reply.send(Err(error.clone()));
        }
        for (_, reply) in exhausted {
            let _ = reply.send(Err(error.clone()));
        }
        for reply in rooms {
            let _ = reply.send(Err(error.clone()));
        }
        for (_, reply) in acknowledgements {
            let _ = reply.send(Err(error.clone()));
        }
        for mark in marks {
            let _ = mark.reply.send(Err(error.clone()));
        }
        for question in questions {
            question.refuse(&error);
        }
        if let Some((_, reply)) = lease {
            let _ = reply.send(Err(error.clone()));
        }
        for order in inbox {
            match order {
                Order::Push { reply, .. } => drop(reply.send(Err(error.clone()))),
                Order::Settle(_) | Order::Withdraw | Order::Return(_) => {}
                Order::Acknowledge { reply, .. } => drop(reply.send(Err(error.clone()))),
                Order::Lease { reply, .. } => drop(reply.send(Err(error.clone()))),
                Order::Room(reply) => drop(reply.send(Err(error.clone()))),
                Order::AwaitExhausted { reply, .. } => drop(reply.send(Err(error.clone()))),
                Order::Flush(reply) => drop(reply.send(Err(error.clone()))),
                Order::Mark(mark) => drop(mark.reply.send(Err(error.clone()))),
                Order::Ask(question) => question.refuse(&error),
                Order::Close(reply) => {
                    let _ = reply.send(());
                    return;
                }
            }
        }
    }
}

/// Returns an error with all its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let levels = std::iter::successors(Some(error), |error| (*error).source());
    levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use rusqlite::Connection;

    use crate::{
        queue::{JournalSettings, Leased, Queue, Settlement, Verdict, journal::Journal, store::StoreOptions},
        update::Update,
    };

    /// A journal with two updates on lease, and somebody who holds on to what it was then.
    async fn with_a_reader(path: &Path) -> (Journal, Vec<Leased>, Connection) {
        let options = StoreOptions {
            // Whoever waits for the reader would wait for ever.
            busy_timeout: Duration::from_secs(3600),
            ..StoreOptions::default()
        };
        let journal = Journal::open_with(path, 7, JournalSettings::default(), options)
            .await
            .unwrap();
        let updates = [1, 2].map(|id| {
            let raw = format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#);
            let update = Update::from_json(&raw).unwrap();
            (update.lane().clone(), update)
        });
        journal.push(updates.into()).await.unwrap();
        let reader = Connection::open(path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM updates").unwrap();
        let leased = journal.lease(10).await.unwrap();
        (journal, leased, reader)
    }

    /// Settles an update, and waits until that is written, though not yet durable.
    async fn finish(journal: &Journal, leased: &Leased) {
        journal.settle(vec![Settlement {
            ticket: leased.ticket,
            verdict: Verdict::Finished,
        }]);
        assert_eq!(journal.counts().await.unwrap().totals.rows, 1);
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), what)
            .await
            .expect("nothing waits for a reader")
    }

    #[actix_rt::test]
    async fn a_reader_that_stays_holds_up_no_flush() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, leased, reader) = with_a_reader(&folder.path().join("a.db")).await;

        finish(&journal, &leased[0]).await;

        soon(journal.flush()).await.unwrap();
        drop(reader);
        soon(journal.close()).await;
    }

    #[actix_rt::test]
    async fn a_reader_that_stays_makes_a_stop_neither_long_nor_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (journal, leased, _reader) = with_a_reader(&path).await;
        finish(&journal, &leased[0]).await;
        let flush = journal.flush();

        let (flushed, ()) = soon(async { tokio::join!(flush, journal.close()) }).await;

        flushed.unwrap();
        let journal = Journal::open(&path, 7, JournalSettings::default()).await.unwrap();
        let left = soon(journal.lease(10)).await.unwrap();
        let left: Vec<_> = left
            .iter()
            .map(|leased| (leased.update.id(), leased.attempt, leased.crashes))
            .collect();
        assert_eq!(left, [(2, 1, 0)]);
        journal.close().await;
    }
}
