//! A world for the engine's tests: virtual time, a source that is fed by the test, a consumer that is a closure.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod store;

use std::{
    collections::VecDeque,
    future::Future,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actogram_actors::{
    Consumer, Credit, DeadLetter, Delivery, Engine, Lane, Offset, Outcome, Placement, Progress, Seq, Source,
    SourceError,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::sync::Notify;

/// The work of a [`Script`], with its type erased so that test signatures stay short.
type Work = Box<dyn Fn(Delivery<u64>) -> LocalBoxFuture<'static, Outcome>>;

/// Runs a test on one arbiter whose clock jumps to the next timer when nothing else is left to do.
pub(crate) fn virtual_time<F: Future>(test: F) -> F::Output {
    let runner = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    runner.block_on(async {
        tokio::time::timeout(Duration::from_secs(7 * 24 * 3600), test)
            .await
            .expect("the test ends within a virtual week")
    })
}

/// Runs a test in real time on an ordinary actix system.
pub(crate) fn real_time<F: Future>(test: F) -> F::Output {
    actix_rt::System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(30), test)
            .await
            .expect("the test ends within 30 s")
    })
}

/// Waits until `condition` holds, a virtual hour or 20 real seconds at most.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let (step, steps) = (Duration::from_millis(10), 360_000);
    let started = std::time::Instant::now();
    for _ in 0..steps {
        if condition() {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "waited too long until {what}"
        );
        tokio::time::sleep(step).await;
    }
    panic!("waited a virtual hour until {what}");
}

/// What a feed does when it is asked for a batch.
enum Step {
    Batch(Vec<Delivery<u64>>),
    Fail(SourceError),
    Panic,
}

#[derive(Default)]
struct FeedState {
    steps: VecDeque<Step>,
    next_seq: u64,
    unfinished: usize,
    most_unfinished: usize,
    credits: Vec<usize>,
    progress: Vec<Progress>,
    commits: Vec<Option<Seq>>,
    commit_errors: VecDeque<SourceError>,
    commit_hangs: bool,
    cancelled: u32,
    fetched_at: Vec<tokio::time::Instant>,
    openings: Vec<bool>,
}

/// The test's end of a source of numbers.
#[derive(Clone, Default)]
pub(crate) struct Feed {
    state: Arc<Mutex<FeedState>>,
    changed: Arc<Notify>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn change<R>(&self, change: impl FnOnce(&mut FeedState) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_one();
        result
    }

    /// Offers payloads as one batch, each with its lane; returns the seqs.
    pub(crate) fn offer<'l>(&self, batch: impl IntoIterator<Item = (&'l str, u64)>) -> Vec<Seq> {
        self.change(|state| {
            let deliveries: Vec<_> = batch
                .into_iter()
                .map(|(lane, payload)| {
                    // Seqs have gaps, as in life.
                    state.next_seq += 1 + payload % 3;
                    Delivery::new(Seq(state.next_seq), Lane::new(lane), payload)
                })
                .collect();
            let seqs = deliveries.iter().map(|delivery| delivery.seq).collect();
            state.steps.push_back(Step::Batch(deliveries));
            seqs
        })
    }

    pub(crate) fn fail(&self, error: SourceError) {
        self.change(|state| state.steps.push_back(Step::Fail(error)));
    }

    pub(crate) fn panic(&self) {
        self.change(|state| state.steps.push_back(Step::Panic));
    }

    pub(crate) fn fail_commits(&self, times: u32) {
        for _ in 0..times {
            self.fail_commit(SourceError::transient("scripted commit failure"));
        }
    }

    pub(crate) fn fail_commit(&self, error: SourceError) {
        self.change(|state| state.commit_errors.push_back(error));
    }

    pub(crate) fn hang_commits(&self) {
        self.change(|state| state.commit_hangs = true);
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.state.lock().unwrap().progress.clone()
    }

    /// Everything that was reported as ended, in that order.
    pub(crate) fn settled(&self) -> Vec<actogram_actors::Settled> {
        self.progress()
            .into_iter()
            .flat_map(|progress| progress.settled)
            .collect()
    }

    /// How many were reported as ended.
    pub(crate) fn settled_count(&self) -> usize {
        self.state
            .lock()
            .unwrap()
            .progress
            .iter()
            .map(|progress| progress.settled.len())
            .sum()
    }

    pub(crate) fn settled_through(&self) -> Option<Seq> {
        self.state
            .lock()
            .unwrap()
            .progress
            .last()
            .and_then(|progress| progress.settled_through)
    }

    /// What `settled_through` was at each commit.
    pub(crate) fn commits(&self) -> Vec<Option<Seq>> {
        self.state.lock().unwrap().commits.clone()
    }

    pub(crate) fn credits(&self) -> Vec<usize> {
        self.state.lock().unwrap().credits.clone()
    }

    pub(crate) fn most_unfinished(&self) -> usize {
        self.state.lock().unwrap().most_unfinished
    }

    /// How many fetches were dropped while they waited.
    pub(crate) fn cancelled(&self) -> u32 {
        self.state.lock().unwrap().cancelled
    }

    pub(crate) fn fetched_at(&self) -> Vec<tokio::time::Instant> {
        self.state.lock().unwrap().fetched_at.clone()
    }

    /// What the source was told about whether fetching goes on, without repetitions.
    pub(crate) fn openings(&self) -> Vec<bool> {
        let mut openings = self.state.lock().unwrap().openings.clone();
        openings.dedup();
        openings
    }

    pub(crate) fn source(&self) -> FeedSource {
        FeedSource(self.clone())
    }
}

/// The engine's end of a [`Feed`].
pub(crate) struct FeedSource(Feed);

/// Counts a fetch that is dropped while it waits.
struct Waiting<'f>(&'f Feed, bool);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.state.lock().unwrap().cancelled += 1;
        }
    }
}

impl Source for FeedSource {
    type Payload = u64;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<u64>>, SourceError> {
        self.0.change(|state| {
            state.credits.push(credit.0);
            state.fetched_at.push(tokio::time::Instant::now());
        });
        let mut waiting = Waiting(&self.0, false);
        let step = loop {
            if let Some(step) = self.0.state.lock().unwrap().steps.pop_front() {
                break step;
            }
            self.0.changed.notified().await;
        };
        waiting.1 = true;
        match step {
            Step::Fail(error) => Err(error),
            Step::Panic => panic!("scripted panic of the source"),
            Step::Batch(mut batch) => Ok(self.0.change(|state| {
                let rest = batch.split_off(credit.0.min(batch.len()));
                if !rest.is_empty() {
                    state.steps.push_front(Step::Batch(rest));
                }
                state.unfinished += batch.len();
                state.most_unfinished = state.most_unfinished.max(state.unfinished);
                batch
            })),
        }
    }

    fn record(&self, progress: Progress) {
        let mut state = self.0.state.lock().unwrap();
        state.unfinished -= progress.settled.len();
        state.progress.push(progress);
    }

    fn set_open(&self, open: bool) {
        self.0.state.lock().unwrap().openings.push(open);
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        let (error, hang) = {
            let mut state = self.0.state.lock().unwrap();
            (state.commit_errors.pop_front(), state.commit_hangs)
        };
        if hang {
            std::future::pending::<()>().await;
        }
        if let Some(error) = error {
            return Err(error);
        }
        let mut state = self.0.state.lock().unwrap();
        let through = state
            .progress
            .last()
            .and_then(|progress| progress.settled_through);
        state.commits.push(through);
        Ok(through.map(|seq| Offset(i64::try_from(seq.0).unwrap())))
    }
}

/// A consumer made of a closure.
pub(crate) struct Script {
    consume: Work,
    buried: Arc<Mutex<Vec<DeadLetter<u64>>>>,
}

impl Consumer<u64> for Script {
    async fn consume(&self, delivery: Delivery<u64>) -> Outcome {
        (self.consume)(delivery).await
    }

    async fn bury(&self, letter: DeadLetter<u64>) {
        self.buried.lock().unwrap().push(letter);
    }
}

/// The dead letters that a [`Script`] was shown.
#[derive(Clone, Default)]
pub(crate) struct Graveyard(Arc<Mutex<Vec<DeadLetter<u64>>>>);

impl Graveyard {
    pub(crate) fn take(&self) -> Vec<DeadLetter<u64>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Returns an engine on the current arbiter whose consumers run `consume`.
pub(crate) fn engine<F, R>(
    feed: &Feed,
    consume: F,
) -> Engine<FeedSource, Script, impl Fn() -> Script + Clone + Send + 'static + use<F, R>>
where
    F: Fn(Delivery<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Outcome> + 'static,
{
    engine_with_graveyard(feed, &Graveyard::default(), consume)
}

/// As [`engine`], with a place where dead letters end up.
pub(crate) fn engine_with_graveyard<F, R>(
    feed: &Feed,
    graveyard: &Graveyard,
    consume: F,
) -> Engine<FeedSource, Script, impl Fn() -> Script + Clone + Send + 'static + use<F, R>>
where
    F: Fn(Delivery<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Outcome> + 'static,
{
    engine_of(feed.source(), graveyard, consume)
}

/// As [`engine_with_graveyard`], with a source of the test's own.
pub(crate) fn engine_of<S, F, R>(
    source: S,
    graveyard: &Graveyard,
    consume: F,
) -> Engine<S, Script, impl Fn() -> Script + Clone + Send + 'static + use<S, F, R>>
where
    S: Source<Payload = u64>,
    F: Fn(Delivery<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Outcome> + 'static,
{
    let buried = Arc::clone(&graveyard.0);
    let factory = move || {
        let consume = Rc::new(consume.clone());
        Script {
            consume: Box::new(move |delivery: Delivery<u64>| {
                let consume = Rc::clone(&consume);
                async move { consume(delivery).await }.boxed_local()
            }),
            buried: Arc::clone(&buried),
        }
    };
    Engine::new(source, factory).placement(Placement::Current)
}

/// What happened, in order, from wherever.
#[derive(Clone)]
pub(crate) struct Log<E>(Arc<Mutex<Vec<E>>>);

impl<E: Clone> Log<E> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub(crate) fn add(&self, entry: E) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn all(&self) -> Vec<E> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A gate that work waits at until it is open; then it stays open.
#[derive(Clone)]
pub(crate) struct Gate(tokio::sync::watch::Sender<bool>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(tokio::sync::watch::Sender::new(false))
    }

    pub(crate) fn opened() -> Self {
        Self(tokio::sync::watch::Sender::new(true))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        self.0
            .subscribe()
            .wait_for(|open| *open)
            .await
            .expect("the gate is kept by whoever waits at it");
    }
}
