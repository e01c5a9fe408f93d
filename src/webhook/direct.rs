//! Posted updates are handled while their requests wait, because there is no journal.
//!
//! The server keeps an update until it is acknowledged and gives up a request after 60 s, so two things can go apart: the
//! handler and the request. What is *in hand* is known by its identity: when it comes again it is not handled twice at a
//! time, its new request waits for the handler that runs already. What has *ended* is remembered for a while: when it comes
//! again, because nobody got to read the acknowledgement, it is acknowledged once more.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actogram_actors::{Credit, Delivery, Lane, Offset, Progress, Seq, Source, SourceError};
use tokio::{
    sync::{Notify, watch},
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
    /// It is in hand now.
    InHand(Ended),
    /// It is in hand since an earlier request.
    Joined(Ended),
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
    last_seq: u64,
    lanes: JoinedLanes<(Identity, Update)>,
    ended: HashSet<Identity>,
    /// The same, oldest first.
    oldest: VecDeque<Identity>,
    /// What the engine is to get, in the order of arrival.
    waiting: VecDeque<(Lane, (Identity, Update))>,
}

impl Book {
    fn admit(&mut self, lane: &Lane, update: Update) -> Admission {
        let identity = Identity::of(&update);
        if self.ended.contains(&identity) {
            return Admission::Known;
        }
        if let Some(ended) = self.in_hand.get(&identity) {
            return Admission::Joined(ended.subscribe());
        }
        if !self.open {
            return Admission::Refused(Refusal::Closed);
        }
        if self.in_hand.len() >= self.limit {
            return Admission::Refused(Refusal::Busy);
        }
        if let Some((from, to)) = update.moves_lane() {
            self.lanes.join(&from, &to);
        }
        let (ended, waits) = watch::channel(false);
        self.in_hand.insert(identity, ended);
        self.waiting.extend(self.lanes.enter(lane, (identity, update)));
        Admission::InHand(waits)
    }

    /// Opens or closes for what arrives. The engine takes nothing as long as it is closed, which may be for good, so
    /// whatever it has not taken is given up at once: the server sends it again, to another process if there is one.
    fn set_open(&mut self, open: bool) {
        self.open = open;
        if !open {
            self.give_up_waiting();
        }
    }

    fn give_up_waiting(&mut self) {
        while let Some((lane, (identity, _))) = self.waiting.pop_front() {
            self.in_hand.remove(&identity);
            self.waiting.extend(self.lanes.leave(&lane));
        }
    }

    /// Returns what the engine gets next, at most `most`.
    fn take_waiting(&mut self, most: usize) -> Vec<Delivery<Update>> {
        let most = most.min(self.waiting.len());
        let mut batch = Vec::with_capacity(most);
        for (lane, (identity, update)) in self.waiting.drain(..most) {
            self.last_seq += 1;
            let seq = Seq(self.last_seq);
            self.given.insert(seq, (identity, lane.clone()));
            batch.push(Delivery::new(seq, lane, update));
        }
        batch
    }

    fn end(&mut self, seq: Seq) {
        let Some((identity, lane)) = self.given.remove(&seq) else {
            return;
        };
        self.waiting.extend(self.lanes.leave(&lane));
        if !self.open {
            self.give_up_waiting();
        }
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
        self.waiting.clear();
        self.lanes = JoinedLanes::default();
    }
}

/// What the route does with an update; cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct DirectIntake {
    book: Arc<Mutex<Book>>,
    /// Something waits for the engine.
    arrived: Arc<Notify>,
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
        let book = Book {
            open: true,
            limit,
            in_hand: HashMap::new(),
            given: HashMap::new(),
            last_seq: 0,
            lanes: JoinedLanes::default(),
            ended: HashSet::new(),
            oldest: VecDeque::new(),
            waiting: VecDeque::new(),
        };
        let intake = Self {
            book: Arc::new(Mutex::new(book)),
            arrived: Arc::default(),
            monitor,
            answer_within,
        };
        let source = PostedSource {
            intake: intake.clone(),
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
        let (mut ended, again) = match admission {
            Admission::InHand(ended) => {
                self.arrived.notify_one();
                (ended, false)
            }
            Admission::Joined(ended) => (ended, true),
            Admission::Known => {
                self.monitor.duplicate();
                return Ok(());
            }
            Admission::Refused(refusal) => return Err(refusal),
        };
        match timeout(self.answer_within, ended.wait_for(|ended| *ended)).await {
            Ok(Ok(_ended)) => {
                if again {
                    self.monitor.duplicate();
                }
                Ok(())
            }
            Ok(Err(_abandoned)) => Err(Refusal::Closed),
            Err(_elapsed) => Err(Refusal::StillRunning),
        }
    }
}

/// Gives the engine what is posted.
pub(crate) struct PostedSource {
    intake: DirectIntake,
}

impl Source for PostedSource {
    type Payload = Update;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<Update>>, SourceError> {
        loop {
            // No await between here and the return: what is handed over is handed over.
            let batch = self.intake.lock().take_waiting(credit.0);
            if !batch.is_empty() {
                return Ok(batch);
            }
            self.intake.arrived.notified().await;
        }
    }

    fn record(&self, progress: Progress) {
        let mut book = self.intake.lock();
        for settled in progress.settled {
            book.end(settled.seq);
            self.intake.monitor.accepted();
        }
        // What was held may go now.
        self.intake.arrived.notify_one();
    }

    fn set_open(&self, open: bool) {
        self.intake.lock().set_open(open);
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
