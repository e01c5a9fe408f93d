//! Posted updates are handled while their requests wait, because there is no journal.
//!
//! The server keeps an update until it is acknowledged and gives up a request after 60 s, so two things can go apart: the
//! handler and the request. What is *in hand* is known by its identity: when it comes again it is not handled twice at a
//! time, its new request waits for the handler that runs already. What has *ended* is remembered for a while: when it comes
//! again, because nobody got to read the acknowledgement, it is acknowledged once more.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actogram_actors::{Credit, Delivery, Lane, Offset, Progress, Seq, Source, SourceError};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use self::joined::JoinedLanes;
use super::{monitor::WebhookMonitor, refusal::Refusal};
use crate::update::Update;

mod joined;

/// How many updates that have ended are remembered: hours of a busy bot, in a few megabytes.
const REMEMBERED: usize = 50_000;

/// Which update it is. Ids may begin anew, so the content counts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    id: i64,
    content: u64,
}

impl Identity {
    pub(super) fn of(update: &Update) -> Self {
        let mut hasher = DefaultHasher::new();
        update.raw().hash(&mut hasher);
        Self {
            id: update.id(),
            content: hasher.finish(),
        }
    }
}

/// Tells requests when their update has ended; its sender is dropped when that is not going to happen any more.
type Ended = watch::Receiver<bool>;

/// What becomes of an update that arrives.
#[derive(Debug)]
enum Admission {
    /// It is in hand, perhaps since an earlier request.
    InHand(Ended),
    /// It has ended before.
    Known,
    Refused(Refusal),
}

#[derive(Debug)]
struct Book {
    open: bool,
    limit: usize,
    in_hand: HashMap<Identity, watch::Sender<bool>>,
    /// What the engine was given and has not ended.
    given: HashMap<Seq, (Identity, Lane)>,
    lanes: JoinedLanes<(Identity, Update)>,
    ended: HashSet<Identity>,
    /// The same, oldest first.
    oldest: VecDeque<Identity>,
    to_engine: mpsc::UnboundedSender<(Identity, Lane, Update)>,
}

impl Book {
    fn admit(&mut self, lane: &Lane, update: Update) -> Admission {
        let identity = Identity::of(&update);
        if self.ended.contains(&identity) {
            return Admission::Known;
        }
        if let Some(ended) = self.in_hand.get(&identity) {
            return Admission::InHand(ended.subscribe());
        }
        if !self.open {
            return Admission::Refused(Refusal::Closed);
        }
        if self.in_hand.len() >= self.limit {
            return Admission::Refused(Refusal::Busy);
        }
        if self.to_engine.is_closed() {
            return Admission::Refused(Refusal::Closed);
        }
        if let Some((from, to)) = update.moves_lane() {
            self.lanes.join(&from, &to);
        }
        let given = self.lanes.enter(lane, (identity, update));
        self.give(given);
        let (ended, waits) = watch::channel(false);
        self.in_hand.insert(identity, ended);
        Admission::InHand(waits)
    }

    fn give(&self, updates: impl IntoIterator<Item = (Lane, (Identity, Update))>) {
        for (lane, (identity, update)) in updates {
            // When the other end is gone everything in hand was abandoned.
            let _ = self.to_engine.send((identity, lane, update));
        }
    }

    fn end(&mut self, seq: Seq) {
        let Some((identity, lane)) = self.given.remove(&seq) else {
            return;
        };
        let given = self.lanes.leave(&lane);
        self.give(given);
        if let Some(ended) = self.in_hand.remove(&identity) {
            ended.send_replace(true);
        }
        if self.ended.insert(identity) {
            self.oldest.push_back(identity);
        }
        if self.oldest.len() > REMEMBERED
            && let Some(forgotten) = self.oldest.pop_front()
        {
            self.ended.remove(&forgotten);
        }
    }

    /// Gives up everything that has not ended: the server sends it again.
    fn abandon(&mut self) {
        self.open = false;
        self.in_hand.clear();
        self.lanes = JoinedLanes::default();
    }
}

/// What the route does with an update; cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct DirectIntake {
    book: Arc<Mutex<Book>>,
    monitor: WebhookMonitor,
    answer_within: Duration,
}

impl DirectIntake {
    /// Returns the intake, and what the engine runs to be given the updates. At most `limit` are in hand at a time.
    pub(crate) fn new(
        limit: usize,
        answer_within: Duration,
        monitor: WebhookMonitor,
    ) -> (Self, PostedSource) {
        let (to_engine, posted) = mpsc::unbounded_channel();
        let book = Book {
            open: true,
            limit,
            in_hand: HashMap::new(),
            given: HashMap::new(),
            lanes: JoinedLanes::default(),
            ended: HashSet::new(),
            oldest: VecDeque::new(),
            to_engine,
        };
        let intake = Self {
            book: Arc::new(Mutex::new(book)),
            monitor,
            answer_within,
        };
        let source = PostedSource {
            intake: intake.clone(),
            posted: tokio::sync::Mutex::new(posted),
            last_seq: Cell::new(0),
        };
        (intake, source)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Nothing in there can panic half way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of the update that the engine was given with this seq and has not ended.
    pub(crate) fn update_id(&self, seq: Seq) -> Option<i64> {
        self.lock().given.get(&seq).map(|(identity, _)| identity.id)
    }

    /// Returns when the update has ended. Dropping the future stops only the waiting.
    pub(super) async fn take(&self, lane: Lane, update: Update) -> Result<(), Refusal> {
        let admission = self.lock().admit(&lane, update);
        let mut ended = match admission {
            Admission::InHand(ended) => ended,
            Admission::Known => {
                self.monitor.duplicate();
                return Ok(());
            }
            Admission::Refused(refusal) => return Err(refusal),
        };
        match timeout(self.answer_within, ended.wait_for(|ended| *ended)).await {
            Ok(Ok(_ended)) => Ok(()),
            Ok(Err(_abandoned)) => Err(Refusal::Closed),
            Err(_elapsed) => Err(Refusal::StillRunning),
        }
    }
}

/// Gives the engine what is posted.
pub(crate) struct PostedSource {
    intake: DirectIntake,
    posted: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Identity, Lane, Update)>>,
    last_seq: Cell<u64>,
}

impl Source for PostedSource {
    type Payload = Update;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<Update>>, SourceError> {
        let mut batch = Vec::new();
        let mut posted = self.posted.lock().await;
        // The intake holds on to the other end, so at least one comes.
        posted.recv_many(&mut batch, credit.0).await;
        // No await between here and the return: what is handed over is handed over.
        let mut book = self.intake.lock();
        let deliveries = batch.into_iter().map(|(identity, lane, update)| {
            let seq = Seq(self.last_seq.get() + 1);
            self.last_seq.set(seq.0);
            book.given.insert(seq, (identity, lane.clone()));
            Delivery::new(seq, lane, update)
        });
        Ok(deliveries.collect())
    }

    fn record(&self, progress: Progress) {
        let mut book = self.intake.lock();
        for settled in progress.settled {
            book.end(settled.seq);
            self.intake.monitor.accepted();
        }
    }

    fn set_open(&self, open: bool) {
        self.intake.lock().open = open;
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        // The server is told by the answers to its requests.
        Ok(None)
    }
}

/// The engine has ended and recorded everything: whoever still waits does so in vain.
impl Drop for PostedSource {
    fn drop(&mut self) {
        self.intake.lock().abandon();
    }
}

#[cfg(test)]
mod tests;
