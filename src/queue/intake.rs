//! The actor that keeps what was fetched.
//!
//! It owns nothing but a handle of the queue, receives batches from the poller of the polling source, and promises: the
//! receipt of a batch is sent only when the batch is durable, and reports all of it as ended, so that the source may
//! confirm it. There is credit as long as the queue has room.

use std::fmt;

use actix::{Actor, Context, ResponseFuture};
use actogram_actors::{Credit, Delivery, DispatchBatch, Ending, Progress, Receipt, Refused, Settled};

use super::{Queue, QueueError, Seam};
use crate::{
    source::{PollingMonitor, is_jump},
    update::Update,
};

/// See the module's documentation.
pub(crate) struct Intake<Q> {
    queue: Q,
    monitor: PollingMonitor,
}

impl<Q> Intake<Q> {
    pub(crate) fn new(queue: Q, monitor: PollingMonitor) -> Self {
        Self { queue, monitor }
    }
}

impl<Q> fmt::Debug for Intake<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl<Q: Queue> Actor for Intake<Q> {
    type Context = Context<Self>;
}

impl<Q: Queue> actix::Handler<DispatchBatch<Update>> for Intake<Q> {
    type Result = ResponseFuture<Result<Receipt, Refused>>;

    fn handle(&mut self, batch: DispatchBatch<Update>, _: &mut Self::Context) -> Self::Result {
        let (queue, monitor) = (self.queue.clone(), self.monitor.clone());
        Box::pin(async move {
            let progress = keep(&queue, &monitor, batch.deliveries).await.map_err(refused)?;
            let room = queue.room().await.map_err(refused)?;
            Ok(Receipt {
                credit: Credit(room),
                progress,
                unfinished: 0,
            })
        })
    }
}

/// The other half of the engine learns of it as well; whichever is the first to tell, the bot stops with this reason.
fn refused(error: QueueError) -> Refused {
    Refused::Failed(error.into())
}

/// Makes a batch durable; from then on it has ended as far as its source is concerned.
async fn keep<Q: Queue>(
    queue: &Q,
    monitor: &PollingMonitor,
    deliveries: Vec<Delivery<Update>>,
) -> Result<Progress, QueueError> {
    let Some(last) = deliveries.last().map(|delivery| delivery.seq) else {
        return Ok(Progress::default());
    };
    let settled = deliveries
        .iter()
        .map(|delivery| Settled {
            seq: delivery.seq,
            ending: Ending::Done,
            attempt: delivery.attempt,
        })
        .collect();
    let updates = deliveries
        .into_iter()
        .map(|delivery| (delivery.lane, Update::clone(&delivery.payload)))
        .collect();
    let pushed = queue.push(updates).await?;
    // Within a run the source compares the ids; it does not know the last one of an earlier run, nor what is new.
    if let Some(Seam { last, first }) = pushed.seam
        && is_jump(last, first)
    {
        monitor.lock().counts.id_jumps += 1;
        tracing::warn!(
            last,
            update_id = first,
            "update ids jumped while the bot was down, for an unknown time; updates in between expired, were lost, or \
             went to somebody else"
        );
    }
    tracing::debug!(kept = pushed.kept, duplicates = pushed.duplicates, "journaled");
    Ok(Progress {
        settled_through: Some(last),
        settled,
    })
}
