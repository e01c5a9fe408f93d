//! The source of the second half: leases updates from the queue and settles them.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actogram_actors::{Credit, Delivery, Ending, Offset, Progress, Seq, Settled, Source, SourceError};

use super::{Queue, Settlement, Ticket, Verdict};
use crate::update::Update;

/// Which updates are in the hands of the engine; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<HashMap<Seq, Given>>>);

#[derive(Debug)]
struct Given {
    ticket: Ticket,
    update_id: i64,
    crashes: u32,
    acknowledged: bool,
}

impl InHand {
    fn lock(&self) -> MutexGuard<'_, HashMap<Seq, Given>> {
        // Each entry is put in or taken out as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ticket of the update that was given out with this seq.
    pub(crate) fn ticket(&self, seq: Seq) -> Option<Ticket> {
        self.lock().get(&seq).map(|given| given.ticket)
    }

    /// Returns the id of the update that was given out with this seq.
    pub(crate) fn update_id(&self, seq: Seq) -> Option<i64> {
        self.lock().get(&seq).map(|given| given.update_id)
    }

    /// Takes note that the end of the update that was given out with this seq is on disk, though its handler goes on.
    pub(crate) fn acknowledge(&self, seq: Seq) {
        if let Some(given) = self.lock().get_mut(&seq) {
            given.acknowledged = true;
        }
    }

    /// Returns whether the end of the update that was given out with this seq is on disk.
    pub(crate) fn is_acknowledged(&self, seq: Seq) -> bool {
        self.lock().get(&seq).is_some_and(|given| given.acknowledged)
    }

    /// Returns how many attempts at the update that was given out with this seq the death of the process cut off.
    pub(crate) fn crashes(&self, seq: Seq) -> u32 {
        self.lock().get(&seq).map_or(0, |given| given.crashes)
    }
}

/// Gives out what a [`Queue`] leases. A delivery gets a new seq each time it is given out; the queue knows it by its
/// ticket.
pub(crate) struct QueuedSource<Q> {
    queue: Q,
    in_hand: InHand,
    last_seq: Cell<u64>,
}

impl<Q> QueuedSource<Q> {
    pub(crate) fn new(queue: Q, in_hand: InHand) -> Self {
        Self {
            queue,
            in_hand,
            last_seq: Cell::new(0),
        }
    }
}

impl<Q: Queue> Source for QueuedSource<Q> {
    type Payload = Update;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<Update>>, SourceError> {
        let leased = self.queue.lease(credit.0).await.map_err(SourceError::fatal)?;
        let mut in_hand = self.in_hand.lock();
        Ok(leased
            .into_iter()
            .map(|leased| {
                let seq = Seq(self.last_seq.get() + 1);
                self.last_seq.set(seq.0);
                let given = Given {
                    ticket: leased.ticket,
                    update_id: leased.update.id(),
                    crashes: leased.crashes,
                    acknowledged: false,
                };
                in_hand.insert(seq, given);
                let mut delivery = Delivery::new(seq, leased.lane, leased.update);
                delivery.attempt = leased.attempt;
                delivery.waits = leased.waits;
                delivery
            })
            .collect())
    }

    fn record(&self, progress: Progress) {
        let mut in_hand = self.in_hand.lock();
        let settlements = progress
            .settled
            .into_iter()
            .filter_map(|Settled { seq, ending, .. }| {
                let Given { ticket, .. } = in_hand.remove(&seq)?;
                let verdict = match ending {
                    Ending::Done => Verdict::Finished,
                    Ending::Expired => Verdict::Expired,
                    Ending::Retry { delay, counts, error } => Verdict::Retry { delay, counts, error },
                    Ending::Dead { errors } => Verdict::Dead { errors },
                };
                Some(Settlement { ticket, verdict })
            })
            .collect();
        drop(in_hand);
        self.queue.settle(settlements);
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        self.queue.flush().await.map_err(SourceError::fatal)?;
        Ok(None)
    }

    async fn exhausted(&self, within: Duration) -> Result<(), SourceError> {
        self.queue.exhausted(within).await.map_err(SourceError::fatal)
    }

    async fn kept(&self) -> Option<u64> {
        self.queue.unfinished().await.ok()
    }
}
