//! A source that keeps its deliveries until they have ended, as a durable queue does.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Recipient, ResponseFuture};
use actogram_actors::{
    Credit, Delivery, DispatchBatch, Ending, Lane, Lanes, Offset, Progress, Receipt, Refused, Seq, Settled,
    Source, SourceError,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Gate;

#[derive(Default)]
struct Kept {
    lanes: Lanes<(u64, u32)>,
    given_out: HashMap<Seq, Lane>,
    last_seq: u64,
    failure: Option<SourceError>,
    panics: bool,
}

/// The test's end of the store.
#[derive(Clone)]
pub(crate) struct Store {
    kept: Arc<Mutex<Kept>>,
    changed: watch::Sender<()>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            kept: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Kept) -> R) -> R {
        let result = change(&mut self.kept.lock().unwrap());
        self.changed.send_replace(());
        result
    }

    pub(crate) fn keep(&self, lane: &str, payload: u64) {
        self.change(|kept| kept.lanes.push(&Lane::new(lane), (payload, 1)));
    }

    /// Makes the next fetch fail.
    pub(crate) fn fail(&self, error: SourceError) {
        self.change(|kept| kept.failure = Some(error));
    }

    /// Makes the next fetch panic.
    pub(crate) fn panic(&self) {
        self.change(|kept| kept.panics = true);
    }

    /// How many were given out so far.
    pub(crate) fn given_out(&self) -> u64 {
        self.kept.lock().unwrap().last_seq
    }

    pub(crate) fn source(&self) -> StoreSource {
        StoreSource(self.clone())
    }
}

/// The engine's end of the store.
pub(crate) struct StoreSource(Store);

impl Source for StoreSource {
    type Payload = u64;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<u64>>, SourceError> {
        loop {
            let mut changed = self.0.changed.subscribe();
            let wake = {
                let kept = &mut *self.0.kept.lock().unwrap();
                if let Some(error) = kept.failure.take() {
                    return Err(error);
                }
                kept.lanes.wake(Instant::now().into_std());
                let mut batch = Vec::new();
                while !kept.panics && batch.len() < credit.0 {
                    let Some((lane, (payload, attempt))) = kept.lanes.take() else {
                        break;
                    };
                    kept.last_seq += 1;
                    kept.given_out.insert(Seq(kept.last_seq), lane.clone());
                    let mut delivery = Delivery::new(Seq(kept.last_seq), lane, *payload);
                    delivery.attempt = *attempt;
                    batch.push(delivery);
                }
                if !batch.is_empty() {
                    return Ok(batch);
                }
                kept.lanes.next_wake()
            };
            assert!(
                !self.0.kept.lock().unwrap().panics,
                "scripted panic of the source"
            );
            let asleep: Pin<Box<dyn Future<Output = ()>>> = match wake {
                Some(at) => Box::pin(sleep_until(Instant::from_std(at))),
                None => Box::pin(std::future::pending()),
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = asleep => {}
            }
        }
    }

    fn record(&self, progress: Progress) {
        self.0.change(|kept| {
            for Settled { seq, ending, .. } in progress.settled {
                let lane = kept.given_out.remove(&seq).expect("each ends once");
                match ending {
                    Ending::Retry { delay, .. } => {
                        kept.lanes.running_head(&lane).unwrap().1 += 1;
                        kept.lanes.sleep(&lane, Instant::now().into_std() + delay);
                    }
                    _ => drop(kept.lanes.finish(&lane)),
                }
            }
        });
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        Ok(None)
    }

    async fn exhausted(&self, within: Duration) -> Result<(), SourceError> {
        let by = (Instant::now() + within).into_std();
        let mut changed = self.0.changed.subscribe();
        loop {
            {
                let kept = self.0.kept.lock().unwrap();
                let later = kept.lanes.next_wake().is_none_or(|at| at > by);
                if kept.given_out.is_empty() && kept.lanes.peek().is_none() && later {
                    return Ok(());
                }
            }
            changed.changed().await.expect("the store keeps the sender");
        }
    }

    async fn kept(&self) -> Option<u64> {
        Some(self.0.kept.lock().unwrap().lanes.len() as u64)
    }
}

/// What the first half fills the store through; batches wait at a gate before they are kept.
pub(crate) struct Keeper(Store, Gate);

impl Keeper {
    pub(crate) fn start(store: &Store, gate: &Gate) -> Recipient<DispatchBatch<u64>> {
        let keeper = Self(store.clone(), gate.clone());
        Actor::start(keeper).recipient()
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl actix::Handler<DispatchBatch<u64>> for Keeper {
    type Result = ResponseFuture<Result<Receipt, Refused>>;

    fn handle(&mut self, batch: DispatchBatch<u64>, _: &mut Self::Context) -> Self::Result {
        let Self(store, gate) = self;
        let (store, gate) = (store.clone(), gate.clone());
        Box::pin(async move {
            let mut progress = Progress::default();
            if !batch.deliveries.is_empty() {
                gate.pass().await;
            }
            for delivery in batch.deliveries {
                store.keep(delivery.lane.as_str(), *delivery.payload);
                progress.settled_through = Some(delivery.seq);
                progress.settled.push(Settled {
                    seq: delivery.seq,
                    ending: Ending::Done,
                    attempt: 1,
                });
            }
            Ok(Receipt {
                credit: Credit(100),
                progress,
                unfinished: 0,
            })
        })
    }
}
