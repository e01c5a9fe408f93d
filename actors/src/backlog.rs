//! Everything the engine has accepted and not yet settled, and what has to happen to it next. Pure: `now` and
//! randomness are arguments.

use std::time::{Duration, Instant};

use crate::{
    delivery::{Credit, DeadLetter, Delivery, Failure, Lane, Outcome, Seq},
    lanes::{LaneCounts, LaneLoad, Lanes},
    ledger::Ledger,
    retry::{Decision, RetryPlace, RetryPolicy},
    source::{Ending, Progress, Settled},
};

/// How much may be accepted and unsettled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditPolicy {
    /// At most this many deliveries; credit comes back one by one. For sources that settle each delivery on its own.
    Window(usize),
    /// Batches of at most this many, the next one only when all of the last one has ended. For sources that can only
    /// confirm a whole batch.
    Lockstep(usize),
}

/// A delivery from its arrival to its settlement.
#[derive(Debug)]
struct Job<T> {
    delivery: Delivery<T>,
    arrived: Instant,
    history: Vec<String>,
    /// Set while the dead letter hook works on it.
    burial: Option<Vec<String>>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    lanes: Lanes<Job<T>>,
    ledger: Ledger,
    news: Vec<Settled>,
    credit: CreditPolicy,
    concurrency: usize,
    retry: RetryPolicy,
    place: RetryPlace,
    totals: Totals,
}

/// What the engine has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Deliveries accepted from the source.
    pub accepted: u64,
    /// Deliveries that were handled.
    pub done: u64,
    /// Deliveries that ended as too old.
    pub expired: u64,
    /// Deliveries that ended as dead letters.
    pub dead: u64,
    /// Attempts that failed and were followed by another one.
    pub retried: u64,
    /// Attempts that ended by a panic.
    pub panicked: u64,
    /// Attempts that passed the handler deadline.
    pub overdue: u64,
}

/// What follows the end of an attempt.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// The delivery is settled.
    Settled,
    /// There will be another attempt after this one.
    Repeats {
        delay: Duration,
        error: String,
        delivery: Delivery<T>,
    },
    /// The delivery has to be shown to the dead letter hook; [`Backlog::buried`] ends it.
    Bury(DeadLetter<T>),
    /// Nothing: the delivery was abandoned before.
    Unknown,
}

impl<T> Backlog<T> {
    pub(crate) fn new(
        credit: CreditPolicy,
        concurrency: usize,
        retry: RetryPolicy,
        place: RetryPlace,
    ) -> Self {
        Self {
            lanes: Lanes::default(),
            ledger: Ledger::default(),
            news: Vec::new(),
            credit,
            concurrency,
            retry,
            place,
            totals: Totals::default(),
        }
    }

    /// Accepts deliveries; returns how many were refused because their seq does not rise.
    pub(crate) fn accept(&mut self, deliveries: Vec<Delivery<T>>, now: Instant) -> usize {
        let mut refused = 0;
        for delivery in deliveries {
            if !self.ledger.give(delivery.seq) {
                refused += 1;
                continue;
            }
            self.totals.accepted += 1;
            let lane = delivery.lane.clone();
            let job = Job {
                delivery,
                arrived: now,
                history: Vec::new(),
                burial: None,
            };
            self.lanes.push(&lane, job);
        }
        refused
    }

    /// Returns the next delivery to hand to a worker, as long as a slot is free.
    pub(crate) fn next(&mut self) -> Option<Delivery<T>> {
        if self.lanes.running() >= self.concurrency {
            return None;
        }
        self.lanes.take().map(|(_, job)| job.delivery.clone())
    }

    /// Takes note of how an attempt ended and says what follows.
    pub(crate) fn attempt_ended(
        &mut self,
        lane: &Lane,
        seq: Seq,
        outcome: Outcome,
        now: Instant,
        random: f64,
    ) -> Next<T> {
        let Some(job) = self
            .lanes
            .running_head(lane)
            .filter(|job| job.delivery.seq == seq)
        else {
            return Next::Unknown;
        };
        let Failure { cause, retry } = match outcome {
            Outcome::Done => return self.settle(lane, Ending::Done),
            Outcome::Expired => return self.settle(lane, Ending::Expired),
            Outcome::Failed(failure) => failure,
        };
        match cause {
            crate::Cause::Panicked(_) => self.totals.panicked += 1,
            crate::Cause::DeadlinePassed(_) => self.totals.overdue += 1,
            _ => {}
        }
        let error = cause.chain();
        let decision = self
            .retry
            .decide(retry, job.delivery.attempt, job.delivery.waits, random);
        let (delay, counts) = match decision {
            Decision::Repeat { delay } => (delay, true),
            Decision::Wait { delay } => (delay, false),
            Decision::Bury => {
                let history = std::mem::take(&mut job.history);
                let mut errors = history.clone();
                remember(&mut errors, error);
                job.burial = Some(errors);
                return Next::Bury(DeadLetter {
                    delivery: job.delivery.clone(),
                    cause,
                    history,
                });
            }
        };
        self.totals.retried += 1;
        let failed = job.delivery.clone();
        let next = Next::Repeats {
            delay,
            error: error.clone(),
            delivery: failed,
        };
        match self.place {
            RetryPlace::Engine => {
                if counts {
                    remember(&mut job.history, error);
                    job.delivery.attempt = job.delivery.attempt.saturating_add(1);
                } else {
                    job.delivery.waits += 1;
                }
                self.lanes.sleep(lane, now + delay);
            }
            RetryPlace::Source => {
                self.settle(lane, Ending::Retry { delay, counts, error });
            }
        }
        next
    }

    /// Ends a dead letter after the hook has seen it. Returns whether it was still there.
    pub(crate) fn buried(&mut self, lane: &Lane, seq: Seq) -> bool {
        let Some(job) = self
            .lanes
            .running_head(lane)
            .filter(|job| job.delivery.seq == seq)
        else {
            return false;
        };
        let errors = job.burial.take().unwrap_or_default();
        self.settle(lane, Ending::Dead { errors });
        true
    }

    fn settle(&mut self, lane: &Lane, ending: Ending) -> Next<T> {
        let Some(job) = self.lanes.finish(lane) else {
            return Next::Unknown;
        };
        match ending {
            Ending::Done => self.totals.done += 1,
            Ending::Expired => self.totals.expired += 1,
            Ending::Dead { .. } => self.totals.dead += 1,
            // Counted when it was decided.
            Ending::Retry { .. } => {}
        }
        let Delivery { seq, attempt, .. } = job.delivery;
        self.ledger.settle(seq);
        self.news.push(Settled { seq, ending, attempt });
        Next::Settled
    }

    /// Wakes the lanes whose next attempt is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.lanes.wake(now);
    }

    /// Returns when [`wake`](Self::wake) has something to do next.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.lanes.next_wake()
    }

    /// Returns how many more deliveries may be accepted.
    pub(crate) fn credit(&self) -> Credit {
        match self.credit {
            CreditPolicy::Window(size) => Credit(size.saturating_sub(self.lanes.len())),
            CreditPolicy::Lockstep(size) if self.lanes.is_empty() => Credit(size),
            CreditPolicy::Lockstep(_) => Credit::NONE,
        }
    }

    /// Returns whether deliveries have ended that nobody was told of.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Returns what ended since the last call.
    pub(crate) fn take_progress(&mut self) -> Progress {
        Progress {
            settled_through: self.ledger.settled_through(),
            settled: std::mem::take(&mut self.news),
        }
    }

    /// Gives up everything that is not settled; it stays unsettled. Returns each with whether it was running.
    pub(crate) fn abandon(&mut self) -> Vec<(Delivery<T>, bool)> {
        let mut jobs: Vec<_> = self
            .lanes
            .abandon()
            .into_iter()
            .map(|(job, running)| (job.delivery, running))
            .collect();
        jobs.sort_unstable_by_key(|(delivery, _)| delivery.seq);
        jobs
    }

    /// Returns whether everything accepted has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Returns how many deliveries are accepted and not ended.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn counts(&self) -> LaneCounts {
        self.lanes.counts()
    }

    /// Returns the lanes with the most deliveries, longest first.
    pub(crate) fn longest(&self, limit: usize) -> Vec<LaneLoad> {
        self.lanes.longest(limit)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns how long ago the oldest delivery that has not ended arrived.
    pub(crate) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        self.lanes
            .jobs()
            .map(|job| job.arrived)
            .min()
            .map(|arrived| now.saturating_duration_since(arrived))
    }
}

/// Adds an error to a history of bounded length.
fn remember(history: &mut Vec<String>, error: String) {
    if history.len() >= DeadLetter::<()>::MAX_HISTORY {
        history.remove(0);
    }
    history.push(error);
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
