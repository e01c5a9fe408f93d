//! The loop of the [`Poller`](crate::Poller): orders, receipts, fetches and waits, one event at a time.

use std::{fmt, rc::Rc, time::Duration};

use actix::{MailboxError, Recipient};
use futures_util::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    backoff::Backoff,
    delivery::{Credit, Delivery, Offset, Seq},
    error::SourceError,
    source::Source,
    supervisor::{DispatchBatch, Receipt, Refused},
};

/// Shortest pause between two tries of the last commit; short, because a deadline runs.
const COMMIT_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Time for counting what a source keeps, when the commit has used up its own.
const COUNT_PATIENCE: Duration = Duration::from_millis(250);

type Fetch<S> = LocalBoxFuture<'static, Result<Vec<Delivery<<S as Source>::Payload>>, SourceError>>;
type Committing = LocalBoxFuture<'static, Result<Option<Offset>, SourceError>>;
type NumberedReceipt = (u64, Result<Result<Receipt, Refused>, MailboxError>);

/// An order from the actor to its task, with the place for the answer.
pub(crate) enum Command {
    Stop(oneshot::Sender<Option<Seq>>),
    Commit {
        deadline: Duration,
        reply: oneshot::Sender<Committed>,
    },
    SetPaused {
        paused: bool,
        reply: oneshot::Sender<()>,
    },
    AwaitEnd(oneshot::Sender<PollingEnded>),
    Tell(oneshot::Sender<PollingState>),
    AwaitExhausted {
        within: Duration,
        reply: oneshot::Sender<Result<(), SourceError>>,
    },
    TellKept(oneshot::Sender<Option<u64>>),
}

/// What the last commit came to.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) offset: Result<Option<Offset>, SourceError>,
    /// How many deliveries the source keeps that have not ended, when it knows.
    pub(crate) left: Option<u64>,
}

/// Why polling ended by itself.
#[derive(Debug)]
pub(crate) enum PollingEnded {
    /// The source, or the receiver of the batches, reported an error that only a person can mend.
    Failed(SourceError),
    /// The receiver of the batches is gone.
    DownstreamGone,
    /// The source panicked.
    Panicked,
    /// It was told to stop.
    Stopped,
}

/// How polling goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PollingState {
    /// Whether fetching is paused.
    pub paused: bool,
    /// Whether a fetch is under way.
    pub fetching: bool,
    /// Batches fetched so far, empty ones included.
    pub fetches: u64,
    /// Fetches that failed so far.
    pub failures: u64,
    /// Fetches that failed in a row, up to now.
    pub failures_in_a_row: u32,
    /// The last failure, cleared by the next success.
    pub last_error: Option<String>,
    /// Time since the last fetch that succeeded; `None` before the first one.
    pub last_success_age: Option<Duration>,
    /// Time since the first fetch that began after the last success: how long success has been waited for. `None` while
    /// nothing is to be fetched, because there is no credit or fetching is paused.
    pub trying_for: Option<Duration>,
}

/// Everything the loop owns.
pub(crate) struct PollingTask<S: Source> {
    source: Rc<S>,
    downstream: Recipient<DispatchBatch<S::Payload>>,
    orders: mpsc::UnboundedReceiver<Command>,
    receipts: FuturesUnordered<LocalBoxFuture<'static, NumberedReceipt>>,
    /// Number of the last batch sent, empty ones included. Credit in the receipt of an older one is out of date.
    asked: u64,
    credit: Credit,
    fetch: Option<Fetch<S>>,
    committing: Option<Committing>,
    /// What the source was asked for beside its work; each sends its own answer.
    questions: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    /// Whether the source has records that no fetch has carried yet.
    untold: bool,
    backoff: Backoff,
    resume_at: Option<Instant>,
    stopped: bool,
    handed_over: Option<Seq>,
    end: Option<PollingEnded>,
    end_watcher: Option<oneshot::Sender<PollingEnded>>,
    state: PollingState,
    last_success: Option<Instant>,
    trying_since: Option<Instant>,
}

impl<S: Source> fmt::Debug for PollingTask<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollingTask")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<S: Source> PollingTask<S> {
    pub(crate) fn new(
        source: S,
        downstream: Recipient<DispatchBatch<S::Payload>>,
        orders: mpsc::UnboundedReceiver<Command>,
        backoff: Backoff,
    ) -> Self {
        Self {
            source: Rc::new(source),
            downstream,
            orders,
            receipts: FuturesUnordered::new(),
            asked: 0,
            credit: Credit::NONE,
            fetch: None,
            committing: None,
            questions: FuturesUnordered::new(),
            untold: false,
            backoff,
            resume_at: None,
            stopped: false,
            handed_over: None,
            end: None,
            end_watcher: None,
            state: PollingState::default(),
            last_success: None,
            trying_since: None,
        }
    }

    pub(crate) async fn run(mut self) {
        self.send(Vec::new());
        loop {
            self.start_what_may_start();
            let fetched = OptionFuture::from(self.fetch.as_mut());
            let committed = OptionFuture::from(self.committing.as_mut());
            let resume = OptionFuture::from(self.resume_at.map(sleep_until));
            tokio::select! {
                // Orders first: stopping works under full load.
                biased;
                order = self.orders.recv() => match order {
                    None => return,
                    Some(Command::Commit { deadline, reply }) => {
                        let deadline = Instant::now() + deadline;
                        let offset = self.last_commit(deadline).await;
                        let counted = timeout_at(deadline.max(Instant::now() + COUNT_PATIENCE), self.source.kept());
                        let left = counted.await.ok().flatten();
                        // A coordinator that is gone needs no answer.
                        let _ = reply.send(Committed { offset, left });
                        return self.remember().await;
                    }
                    Some(order) => self.obey(order),
                },
                Some(receipt) = self.receipts.next() => self.take_receipt(receipt),
                Some(result) = fetched => {
                    self.fetch = None;
                    self.take_fetched(result);
                }
                Some(result) = committed => {
                    self.committing = None;
                    if let Err(error) = result {
                        tracing::warn!(error = error.chain(), "commit while paused did not work, the next fetch repeats it");
                    }
                }
                Some(()) = resume => self.resume_at = None,
                Some(()) = self.questions.next() => {}
            }
        }
    }

    /// Tells how polling went, after its end. Every other order finds nobody.
    async fn remember(self) {
        let Self {
            mut orders,
            mut state,
            source,
            backoff,
            last_success,
            ..
        } = self;
        drop(source);
        state.failures_in_a_row = backoff.failures();
        while let Some(order) = orders.recv().await {
            if let Command::Tell(reply) = order {
                let _ = reply.send(PollingState {
                    last_success_age: last_success.map(|at| at.elapsed()),
                    ..state.clone()
                });
            }
        }
    }

    fn start_what_may_start(&mut self) {
        if self.stopped || self.fetch.is_some() || self.committing.is_some() {
            return;
        }
        if self.state.paused {
            if std::mem::take(&mut self.untold) {
                let source = Rc::clone(&self.source);
                self.committing = Some(async move { source.commit().await }.boxed_local());
            }
        } else if self.credit.any() && self.resume_at.is_none() {
            let (source, credit) = (Rc::clone(&self.source), self.credit);
            self.untold = false;
            self.trying_since.get_or_insert_with(Instant::now);
            self.fetch = Some(async move { source.next_batch(credit).await }.boxed_local());
        }
    }

    /// Sends a batch, or only asks for a receipt when it is empty.
    fn send(&mut self, deliveries: Vec<Delivery<S::Payload>>) {
        self.asked += 1;
        let number = self.asked;
        let receipt = self.downstream.send(DispatchBatch { deliveries });
        self.receipts
            .push(receipt.map(move |receipt| (number, receipt)).boxed_local());
    }

    fn take_receipt(&mut self, (number, receipt): NumberedReceipt) {
        match receipt {
            Ok(Ok(receipt)) => {
                if !receipt.progress.is_empty() {
                    self.untold = true;
                    self.source.record(receipt.progress);
                }
                if number == self.asked {
                    self.credit = receipt.credit;
                    if receipt.unfinished > 0 {
                        self.send(Vec::new());
                    }
                }
            }
            Ok(Err(Refused::Failed(error))) => {
                self.credit = Credit::NONE;
                let error = SourceError::fatal(error);
                tracing::error!(
                    error = error.chain(),
                    "what was fetched cannot be handed over any more, it stays with its source"
                );
                self.end_by_itself(PollingEnded::Failed(error));
            }
            Ok(Err(Refused::Closing)) => {
                self.credit = Credit::NONE;
                // A receiver that closes by itself will not take anything again.
                self.end_by_itself(PollingEnded::DownstreamGone);
            }
            Err(MailboxError::Closed | MailboxError::Timeout) => {
                self.credit = Credit::NONE;
                self.end_by_itself(PollingEnded::DownstreamGone);
            }
        }
    }

    fn take_fetched(&mut self, result: Result<Vec<Delivery<S::Payload>>, SourceError>) {
        match result {
            Ok(batch) => {
                self.backoff.reset();
                self.state.fetches += 1;
                self.state.last_error = None;
                self.last_success = Some(Instant::now());
                self.trying_since = None;
                if let Some(last) = batch.last() {
                    if batch.len() > self.credit.0 {
                        tracing::error!(
                            fetched = batch.len(),
                            credit = self.credit.0,
                            "source exceeded its credit"
                        );
                    }
                    self.handed_over = Some(last.seq);
                    self.credit = Credit::NONE;
                    self.send(batch);
                }
            }
            Err(error) => {
                self.state.failures += 1;
                self.state.last_error = Some(error.chain());
                // What the failed fetch was to tell may not have arrived.
                self.untold = true;
                if error.is_fatal() {
                    tracing::error!(error = error.chain(), "source failed for good");
                    self.end_by_itself(PollingEnded::Failed(error));
                } else {
                    let backoff = self.backoff.next_delay(fastrand::f64());
                    let delay = error.retry_after().map_or(backoff, |asked| asked.max(backoff));
                    let failures = self.backoff.failures();
                    tracing::warn!(
                        error = error.chain(),
                        failures,
                        ?delay,
                        "fetch failed, will be repeated"
                    );
                    self.resume_at = Some(Instant::now() + delay);
                }
            }
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.fetch = None;
        self.source.set_open(false);
    }

    fn end_by_itself(&mut self, end: PollingEnded) {
        if self.stopped {
            return;
        }
        self.stop();
        match self.end_watcher.take() {
            // A watcher that is gone leaves nobody to tell.
            Some(watcher) => drop(watcher.send(end)),
            None => self.end = Some(end),
        }
    }

    fn obey(&mut self, order: Command) {
        // Whoever stopped waiting for an answer does not need it: replies are sent without looking back.
        match order {
            Command::Stop(reply) => {
                self.stop();
                if let Some(watcher) = self.end_watcher.take() {
                    let _ = watcher.send(PollingEnded::Stopped);
                }
                let _ = reply.send(self.handed_over);
            }
            Command::SetPaused { paused, reply } => {
                self.state.paused = paused;
                self.source.set_open(!paused && !self.stopped);
                self.trying_since = None;
                if paused && self.fetch.take().is_some() {
                    // The cancelled fetch may not have told what it was to tell.
                    self.untold = true;
                }
                let _ = reply.send(());
            }
            Command::AwaitEnd(reply) => match self.end.take() {
                Some(end) => drop(reply.send(end)),
                None => self.end_watcher = Some(reply),
            },
            Command::Tell(reply) => {
                let _ = reply.send(PollingState {
                    fetching: self.fetch.is_some(),
                    failures_in_a_row: self.backoff.failures(),
                    last_success_age: self.last_success.map(|at| at.elapsed()),
                    trying_for: self.trying_since.map(|since| since.elapsed()),
                    ..self.state.clone()
                });
            }
            Command::AwaitExhausted { within, reply } => {
                let source = Rc::clone(&self.source);
                let answer = async move {
                    let _ = reply.send(source.exhausted(within).await);
                };
                self.questions.push(answer.boxed_local());
            }
            Command::TellKept(reply) => {
                let source = Rc::clone(&self.source);
                let answer = async move {
                    let _ = reply.send(source.kept().await);
                };
                self.questions.push(answer.boxed_local());
            }
            Command::Commit { .. } => unreachable!("the loop takes commits itself"),
        }
    }

    /// Waits for the receipts still owed and commits, both until the deadline.
    async fn last_commit(&mut self, deadline: Instant) -> Result<Option<Offset>, SourceError> {
        self.stop();
        while let Ok(Some(receipt)) = timeout_at(deadline, self.receipts.next()).await {
            self.take_receipt(receipt);
        }
        self.committing = None;
        let mut last_error = None;
        loop {
            let error = match timeout_at(deadline, self.source.commit()).await {
                Ok(Ok(offset)) => return Ok(offset),
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    return Err(last_error.unwrap_or_else(|| {
                        SourceError::transient("the commit did not finish before its deadline")
                    }));
                }
            };
            let pause = error.retry_after().unwrap_or_default().max(COMMIT_RETRY_PAUSE);
            if error.is_fatal() || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::warn!(
                error = error.chain(),
                ?pause,
                "commit did not work, will be repeated until its deadline"
            );
            last_error = Some(error);
            sleep(pause).await;
        }
    }
}
