//! When an update that failed is sent again.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Delays double up to this many seconds, drawn anew each time.
const LONGEST_DELAY: RangeInclusive<u64> = 60..=120;
/// The longest `Retry-After` that is obeyed, in seconds.
const LONGEST_RETRY_AFTER: u64 = 3600;

/// The retry schedule of one update: at once, then after 2, 4, 8, 16, 32 s, then between 60 and 120 s.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    delay: u64,
    failures: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            delay: 1,
            failures: 0,
        }
    }
}

impl Schedule {
    /// Notes a failure and returns the time until the next attempt. A positive `retry_after` (in seconds, at most an
    /// hour) takes the place of one delay and leaves the progression where it is.
    pub(crate) fn failed(&mut self, retry_after: u64, rng: &mut fastrand::Rng) -> Duration {
        let mut wait = retry_after.min(LONGEST_RETRY_AFTER);
        if retry_after == 0 && self.failures > 0 {
            self.delay = (self.delay * 2).min(rng.u64(LONGEST_DELAY));
            wait = self.delay;
        }
        self.failures += 1;
        Duration::from_secs(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(schedule: &mut Schedule, retry_after: u64, rng: &mut fastrand::Rng) -> u64 {
        schedule.failed(retry_after, rng).as_secs()
    }

    #[test]
    fn the_second_attempt_is_immediate_and_later_ones_wait_twice_as_long_each() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut schedule = Schedule::default();

        let waits: Vec<u64> = (0..6).map(|_| seconds(&mut schedule, 0, &mut rng)).collect();

        assert_eq!(waits, [0, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn long_delays_are_drawn_between_one_and_two_minutes() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut all = Vec::new();
        for _ in 0..200 {
            let mut schedule = Schedule::default();
            let waits: Vec<u64> = (0..10).map(|_| seconds(&mut schedule, 0, &mut rng)).collect();
            assert!((60..=64).contains(&waits[6]), "{waits:?}");
            all.extend_from_slice(&waits[7..]);
        }

        assert!(all.iter().all(|wait| (60..=120).contains(wait)), "{all:?}");
        assert!(all.iter().any(|wait| *wait > 100) && all.iter().any(|wait| *wait < 80));
    }

    #[test]
    fn retry_after_replaces_one_delay_and_keeps_the_progression() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut schedule = Schedule::default();

        let waits: Vec<u64> = [0, 0, 7, 0, 7, 0]
            .map(|retry_after| seconds(&mut schedule, retry_after, &mut rng))
            .to_vec();

        assert_eq!(waits, [0, 2, 7, 4, 7, 8]);
    }

    #[test]
    fn retry_after_on_the_first_failure_takes_the_place_of_the_immediate_attempt() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut schedule = Schedule::default();

        assert_eq!(seconds(&mut schedule, 5, &mut rng), 5);
        assert_eq!(seconds(&mut schedule, 0, &mut rng), 2);
    }

    #[test]
    fn retry_after_is_an_hour_at_most() {
        let mut rng = fastrand::Rng::with_seed(1);

        assert_eq!(seconds(&mut Schedule::default(), 86_400, &mut rng), 3600);
        assert_eq!(seconds(&mut Schedule::default(), 3600, &mut rng), 3600);
    }
}
