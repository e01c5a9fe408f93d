//! The writer gives out what may be handled now.

use std::time::{Duration, Instant, SystemTime};

use super::{BLOCKED_PAUSE, CHANGE_BYTES, TRANSACTION_BYTES, Writer, is_passing};
use crate::queue::{
    Leased, Ticket,
    journal::shelf::Lease,
    store::{Durability, JournalError, Loaded, RowId, Timestamp},
};

impl Writer {
    /// Answers the lease that waits, if something may be leased. That the attempts begin is on record first.
    pub(super) fn give_out(&mut self, now: Instant) -> Result<(), JournalError> {
        let Some((limit, reply)) = self.lease.take() else {
            return Ok(());
        };
        let leases = self.shelf.lease(limit, now);
        if leases.is_empty() {
            self.lease = Some((limit, reply));
            return Ok(());
        }
        let leased = self.read_back(leases)?;
        let durability = if self.settings.at_most_once {
            Durability::Power
        } else {
            Durability::Kill
        };
        let begun = self.store.transaction(durability, |work| {
            leased
                .iter()
                .try_for_each(|leased| work.start(RowId(leased.ticket.0), leased.attempt).map(drop))
        });
        match begun {
            Ok(()) => self.written += TRANSACTION_BYTES + CHANGE_BYTES * leased.len() as u64,
            // On a full disk what is journaled goes on; that these attempts began is then not on record.
            Err(JournalError::Full { .. }) if !self.settings.at_most_once => {}
            // Another program is done soon, and an attempt that must not be repeated begins only on record.
            Err(error) if is_passing(&error) => {
                for leased in leased {
                    self.shelf.give_back(leased.ticket, now + BLOCKED_PAUSE);
                }
                self.lease = Some((limit, reply));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if leased.is_empty() {
            self.lease = Some((limit, reply));
        } else if let Err(unsent) = reply.send(Ok(leased)) {
            // Nobody waits any more: their attempts have not begun after all, and the file has to know.
            let leased = unsent.unwrap_or_default();
            self.returned
                .extend(leased.into_iter().map(|leased| leased.ticket));
        }
        Ok(())
    }

    /// Answers those who wait until nothing more can be leased in time. What waits for the disk is not
    /// there yet.
    pub(super) fn answer_exhausted(&mut self) {
        if !self.pushes.is_empty() {
            return;
        }
        let shelf = &self.shelf;
        for (_, reply) in self.exhausted.extract_if(.., |(by, _)| shelf.is_exhausted(*by)) {
            // Who asked may have stopped waiting.
            let _ = reply.send(Ok(()));
        }
    }

    /// Reads the updates that are not in memory. A damaged row is set aside and reported; it holds up nobody.
    fn read_back(&mut self, leases: Vec<Lease>) -> Result<Vec<Leased>, JournalError> {
        let missing: Vec<RowId> = leases
            .iter()
            .filter(|lease| lease.update.is_none())
            .map(|lease| RowId(lease.ticket.0))
            .collect();
        let mut found = std::collections::HashMap::new();
        if !missing.is_empty() {
            for loaded in self.store.load(&missing)? {
                match loaded {
                    Loaded::Intact(stored) => {
                        let millis = u64::try_from(stored.received_at.0).unwrap_or(0);
                        let received = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                        found.insert(
                            Ticket(stored.entry.row.0),
                            stored.update.with_received_at(received),
                        );
                    }
                    Loaded::Damaged(damaged) => {
                        let wall = Timestamp::now();
                        tracing::error!(row = damaged.row.0, damage = %damaged.damage,
                            "journaled update is damaged, set aside");
                        let moved = self
                            .store
                            .transaction(Durability::Power, |work| work.set_aside(damaged, wall));
                        match moved {
                            // Where it cannot be moved now, the next start finds it again.
                            Err(error) if !is_passing(&error) => return Err(error),
                            _ => {}
                        }
                    }
                    Loaded::Missing(row) => {
                        tracing::error!(row = row.0, "journaled update is gone from the file");
                    }
                }
            }
        }
        let mut leased = Vec::with_capacity(leases.len());
        for lease in leases {
            let Some(update) = lease.update.or_else(|| found.remove(&lease.ticket)) else {
                self.shelf.finish(lease.ticket);
                continue;
            };
            let Lease {
                ticket,
                lane,
                attempt,
                crashes,
                waits,
                ..
            } = lease;
            leased.push(Leased {
                ticket,
                lane,
                update,
                attempt,
                crashes,
                waits,
            });
        }
        Ok(leased)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;
    use tokio::time::timeout;

    use crate::{
        queue::{JournalSettings, Queue, Settlement, Verdict, journal::Journal, store::StoreOptions},
        update::Update,
    };

    /// Another program writes, so a push has to wait; whoever empties the journal must not miss it.
    #[actix_rt::test]
    async fn it_is_not_exhausted_while_a_push_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = StoreOptions {
            busy_timeout: Duration::ZERO,
            ..StoreOptions::default()
        };
        let journal = Journal::open_with(&path, 7, JournalSettings::default(), options)
            .await
            .unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let update = Update::from_json(r#"{"update_id":1,"message":{"chat":{"id":1}}}"#).unwrap();
        let pushing = journal.clone();
        let pushed =
            actix_rt::spawn(async move { pushing.push(vec![(update.lane().clone(), update)]).await });
        actix_rt::task::yield_now().await;
        let mut exhausted = Box::pin(journal.exhausted(Duration::from_secs(60)));

        assert!(timeout(Duration::from_millis(20), &mut exhausted).await.is_err());
        other.execute_batch("ROLLBACK").unwrap();
        pushed.await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(20), &mut exhausted).await.is_err());
        let leased = journal.lease(1).await.unwrap();
        journal.settle(vec![Settlement {
            ticket: leased[0].ticket,
            verdict: Verdict::Finished,
        }]);

        exhausted.await.unwrap();
        journal.close().await;
    }
}
