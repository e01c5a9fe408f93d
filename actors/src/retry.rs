//! Whether a failed delivery is tried again, and when. Pure: randomness is an argument.

use std::time::Duration;

use crate::{backoff::spread, delivery::Retry};

/// Schedule of repetitions: one delay per further attempt, then the delivery is a dead letter.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    delays: Vec<Duration>,
    jitter: f64,
    max_waits: u32,
}

impl RetryPolicy {
    /// Times a delivery may be told to wait ([`Retry::NotYet`]) before that counts as a failure.
    pub const DEFAULT_MAX_WAITS: u32 = 100;

    /// Returns a policy with these delays before the 2nd, 3rd … attempt, spread by ±20 %.
    pub fn new(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            delays: delays.into_iter().collect(),
            jitter: 0.2,
            max_waits: Self::DEFAULT_MAX_WAITS,
        }
    }

    /// Returns the schedule for deliveries that are safe on disk: 1, 2, 5, 15 and 60 s, six attempts in all.
    pub fn patient() -> Self {
        Self::new([1, 2, 5, 15, 60].map(Duration::from_secs))
    }

    /// Returns the schedule for deliveries that hold up the source while they wait: 1 and 2 s, three attempts in all.
    pub fn quick() -> Self {
        Self::new([1, 2].map(Duration::from_secs))
    }

    /// Returns the policy that never repeats.
    pub fn never() -> Self {
        Self::new([])
    }

    /// Sets the share (0 to 1) by which each delay is spread to both sides; default 0.2.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share.clamp(0.0, 1.0);
        self
    }

    /// Sets how often a delivery may be told to wait; default [`Self::DEFAULT_MAX_WAITS`].
    #[must_use]
    pub fn max_waits(mut self, waits: u32) -> Self {
        self.max_waits = waits;
        self
    }

    /// Returns how many attempts there are in all.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// Decides what follows a failed `attempt` (counted from 1) of a delivery that was told to wait `waits` times
    /// before; `random` is uniform in 0 to 1.
    pub(crate) fn decide(&self, retry: Retry, attempt: u32, waits: u32, random: f64) -> Decision {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let scheduled = self.delays.get(index);
        match (retry, scheduled) {
            (Retry::Never, _) => Decision::Bury,
            (Retry::NotYet(delay), _) if waits < self.max_waits => Decision::Wait { delay },
            (Retry::NotYet(_) | Retry::Backoff, Some(delay)) => Decision::Repeat {
                delay: spread(*delay, self.jitter, random),
            },
            (Retry::After(delay), Some(_)) => Decision::Repeat { delay },
            (Retry::NotYet(_) | Retry::Backoff | Retry::After(_), None) => Decision::Bury,
        }
    }
}

/// Who keeps a failed delivery until its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryPlace {
    /// The engine. The delivery uses up credit meanwhile, and a restart forgets its attempts.
    #[default]
    Engine,
    /// The source: the delivery ends as [`Ending::Retry`](crate::Ending::Retry) and is given out again. For sources
    /// that remember attempts; a source that gives out only the head of each lane keeps its order.
    Source,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The next attempt, after the delay.
    Repeat { delay: Duration },
    /// The same attempt once more, after the delay.
    Wait { delay: Duration },
    /// A dead letter.
    Bury,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    #[test]
    fn transient_failures_follow_the_schedule_and_then_end() {
        let policy = RetryPolicy::patient();

        let delays: Vec<_> = (1..=6)
            .map(|attempt| policy.decide(Retry::Backoff, attempt, 0, MIDDLE))
            .collect();

        let repeat = |secs| Decision::Repeat {
            delay: Duration::from_secs(secs),
        };
        assert_eq!(
            delays,
            [
                repeat(1),
                repeat(2),
                repeat(5),
                repeat(15),
                repeat(60),
                Decision::Bury
            ]
        );
        assert_eq!(policy.attempts(), 6);
    }

    #[test]
    fn permanent_failures_end_at_once() {
        assert_eq!(
            RetryPolicy::patient().decide(Retry::Never, 1, 0, MIDDLE),
            Decision::Bury
        );
    }

    #[test]
    fn a_delay_chosen_by_the_handler_is_taken_exactly_but_costs_an_attempt() {
        let policy = RetryPolicy::quick();
        let delay = Duration::from_secs(77);

        assert_eq!(
            policy.decide(Retry::After(delay), 2, 0, 0.0),
            Decision::Repeat { delay }
        );
        assert_eq!(policy.decide(Retry::After(delay), 3, 0, 0.0), Decision::Bury);
    }

    #[test]
    fn being_told_to_wait_costs_no_attempt_until_it_happens_too_often() {
        let policy = RetryPolicy::quick().max_waits(3);
        let delay = Duration::from_secs(9);

        assert_eq!(
            policy.decide(Retry::NotYet(delay), 3, 2, MIDDLE),
            Decision::Wait { delay }
        );
        assert_eq!(policy.decide(Retry::NotYet(delay), 3, 3, MIDDLE), Decision::Bury);
    }

    #[test]
    fn jitter_moves_a_delay_by_a_fifth_at_most() {
        let policy = RetryPolicy::new([Duration::from_secs(10)]);

        assert_eq!(
            policy.decide(Retry::Backoff, 1, 0, 0.0),
            Decision::Repeat {
                delay: Duration::from_secs(8)
            }
        );
        assert_eq!(
            policy.decide(Retry::Backoff, 1, 0, 1.0),
            Decision::Repeat {
                delay: Duration::from_secs(12)
            }
        );
    }
}
