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
mod tests {
    use super::*;

    fn backlog(credit: CreditPolicy) -> Backlog<&'static str> {
        Backlog::new(
            credit,
            2,
            RetryPolicy::new([Duration::from_secs(1)]).jitter(0.0),
            RetryPlace::Engine,
        )
    }

    fn delivery(seq: u64, lane: &str) -> Delivery<&'static str> {
        Delivery::new(Seq(seq), Lane::new(lane), "payload")
    }

    fn end(
        backlog: &mut Backlog<&'static str>,
        seq: u64,
        lane: &str,
        outcome: Outcome,
    ) -> Next<&'static str> {
        backlog.attempt_ended(&Lane::new(lane), Seq(seq), outcome, Instant::now(), 0.5)
    }

    #[test]
    fn no_more_run_than_there_are_slots() {
        let mut backlog = backlog(CreditPolicy::Window(10));
        backlog.accept(
            vec![delivery(1, "a"), delivery(2, "b"), delivery(3, "c")],
            Instant::now(),
        );

        assert!(backlog.next().is_some());
        assert!(backlog.next().is_some());
        assert!(backlog.next().is_none());

        assert!(matches!(end(&mut backlog, 1, "a", Outcome::Done), Next::Settled));
        assert_eq!(backlog.next().map(|delivery| delivery.seq), Some(Seq(3)));
    }

    #[test]
    fn window_credit_comes_back_one_by_one() {
        let mut backlog = backlog(CreditPolicy::Window(3));
        backlog.accept(
            vec![delivery(1, "a"), delivery(2, "b"), delivery(3, "c")],
            Instant::now(),
        );
        assert_eq!(backlog.credit(), Credit::NONE);

        backlog.next();
        end(&mut backlog, 1, "a", Outcome::Done);

        assert_eq!(backlog.credit(), Credit(1));
    }

    #[test]
    fn lockstep_credit_comes_back_when_the_whole_batch_has_ended() {
        let mut backlog = backlog(CreditPolicy::Lockstep(100));
        backlog.accept(vec![delivery(1, "a"), delivery(2, "b")], Instant::now());
        backlog.next();
        backlog.next();

        end(&mut backlog, 1, "a", Outcome::Done);
        assert_eq!(backlog.credit(), Credit::NONE);
        end(&mut backlog, 2, "b", Outcome::Expired);

        assert_eq!(backlog.credit(), Credit(100));
        let progress = backlog.take_progress();
        assert_eq!(progress.settled_through, Some(Seq(2)));
        assert_eq!(progress.settled.len(), 2);
        assert!(!backlog.has_news());
    }

    #[test]
    fn a_failed_attempt_is_repeated_with_the_next_number_and_then_buried_with_its_history() {
        let mut backlog = backlog(CreditPolicy::Window(3));
        backlog.accept(vec![delivery(1, "a")], Instant::now());
        backlog.next();

        let next = end(&mut backlog, 1, "a", Outcome::Failed(Failure::transient("first")));
        assert!(matches!(next, Next::Repeats { delay, .. } if delay == Duration::from_secs(1)));
        assert!(backlog.next().is_none());
        backlog.wake(Instant::now() + Duration::from_secs(2));
        assert_eq!(backlog.next().map(|delivery| delivery.attempt), Some(2));

        let next = end(
            &mut backlog,
            1,
            "a",
            Outcome::Failed(Failure::transient("second")),
        );
        let Next::Bury(letter) = next else {
            panic!("expected a dead letter, got {next:?}")
        };
        assert_eq!(letter.history, ["handler failed: first"]);
        assert_eq!(letter.cause.chain(), "handler failed: second");
        assert!(
            !backlog.has_news(),
            "it is not settled before the hook has seen it"
        );

        assert!(backlog.buried(&Lane::new("a"), Seq(1)));
        let errors = vec![
            "handler failed: first".to_owned(),
            "handler failed: second".to_owned(),
        ];
        assert_eq!(
            backlog.take_progress().settled,
            [Settled {
                seq: Seq(1),
                ending: Ending::Dead { errors },
                attempt: 2
            }]
        );
    }

    #[test]
    fn a_source_that_keeps_failed_deliveries_is_told_at_once_and_the_lane_goes_on() {
        let policy = RetryPolicy::new([Duration::from_secs(1)]).jitter(0.0);
        let mut backlog = Backlog::new(CreditPolicy::Window(3), 2, policy, RetryPlace::Source);
        backlog.accept(vec![delivery(1, "a"), delivery(2, "b")], Instant::now());
        backlog.next();
        backlog.next();

        end(&mut backlog, 1, "a", Outcome::Failed(Failure::transient("first")));
        end(
            &mut backlog,
            2,
            "b",
            Outcome::Failed(Failure::not_yet("busy", Duration::from_secs(9))),
        );

        assert!(backlog.is_empty(), "nothing is kept here");
        let endings: Vec<_> = backlog
            .take_progress()
            .settled
            .into_iter()
            .map(|settled| settled.ending)
            .collect();
        let retry = |secs, counts, error: &str| Ending::Retry {
            delay: Duration::from_secs(secs),
            counts,
            error: error.to_owned(),
        };
        assert_eq!(
            endings,
            [
                retry(1, true, "handler failed: first"),
                retry(9, false, "handler failed: busy")
            ]
        );
        backlog.accept(
            vec![Delivery {
                attempt: 2,
                ..delivery(3, "a")
            }],
            Instant::now(),
        );
        backlog.next();
        let next = end(
            &mut backlog,
            3,
            "a",
            Outcome::Failed(Failure::transient("second")),
        );
        assert!(
            matches!(next, Next::Bury(_)),
            "attempts are the source's: {next:?}"
        );
    }

    #[test]
    fn being_told_to_wait_keeps_the_attempt_number() {
        let mut backlog = backlog(CreditPolicy::Window(3));
        backlog.accept(vec![delivery(1, "a")], Instant::now());
        backlog.next();

        end(
            &mut backlog,
            1,
            "a",
            Outcome::Failed(Failure::not_yet("busy", Duration::from_secs(9))),
        );
        backlog.wake(Instant::now() + Duration::from_secs(10));

        assert_eq!(backlog.next().map(|delivery| delivery.attempt), Some(1));
    }

    #[test]
    fn an_outcome_that_comes_after_the_delivery_was_abandoned_is_ignored() {
        let mut backlog = backlog(CreditPolicy::Window(3));
        backlog.accept(vec![delivery(1, "a")], Instant::now());
        backlog.next();

        let abandoned = backlog.abandon();
        let next = end(&mut backlog, 1, "a", Outcome::Done);

        assert_eq!(abandoned.len(), 1);
        assert!(matches!(next, Next::Unknown));
        assert_eq!(
            backlog.take_progress().settled_through,
            None,
            "abandoned is not settled"
        );
    }

    #[test]
    fn a_delivery_whose_seq_does_not_rise_is_refused() {
        let mut backlog = backlog(CreditPolicy::Window(3));
        backlog.accept(vec![delivery(5, "a")], Instant::now());

        let refused = backlog.accept(vec![delivery(5, "a"), delivery(4, "b")], Instant::now());

        assert_eq!(refused, 2);
        assert_eq!(backlog.len(), 1);
    }

    #[test]
    fn history_is_bounded() {
        let mut history = Vec::new();
        for number in 0..40 {
            remember(&mut history, number.to_string());
        }

        assert_eq!(history.len(), DeadLetter::<()>::MAX_HISTORY);
        assert_eq!(history.last().map(String::as_str), Some("39"));
    }
}
