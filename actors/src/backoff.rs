//! How long to wait before a failing fetch is repeated. Pure: randomness is an argument.

use std::time::Duration;

/// Exponential backoff with jitter.
///
/// The n-th delay in a row is `first * 2^(n-1)`, at most `cap`, spread by `jitter` to both sides so that many
/// processes that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    jitter: f64,
    failures: u32,
}

impl Default for Backoff {
    /// Returns 0.5 s, doubling to at most 30 s, ±20 %.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30), 0.2)
    }
}

impl Backoff {
    /// Returns a backoff that starts with `first`, doubles up to `cap`, and spreads each delay by the share
    /// `jitter` (0 to 1; values outside are clamped).
    pub fn new(first: Duration, cap: Duration, jitter: f64) -> Self {
        Self {
            first,
            cap: cap.max(first),
            jitter: jitter.clamp(0.0, 1.0),
            failures: 0,
        }
    }

    /// Returns the delay after one more failure; `random` is uniform in 0 to 1.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let doublings = self.failures.min(32);
        self.failures = self.failures.saturating_add(1);
        let plain = self
            .first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.cap);
        spread(plain, self.jitter, random)
    }

    /// Forgets the failures so far.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the number of failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Returns `delay` moved by at most the share `jitter` to either side; `random` is uniform in 0 to 1.
pub(crate) fn spread(delay: Duration, jitter: f64, random: f64) -> Duration {
    delay.mul_f64(1.0 + jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10), 0.2);

        let delays: Vec<_> = (0..6).map(|_| backoff.next_delay(0.5).as_secs()).collect();

        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let mut low = Backoff::new(Duration::from_secs(10), Duration::from_secs(10), 0.2);
        let mut high = low.clone();

        assert_eq!(low.next_delay(0.0), Duration::from_secs(8));
        assert_eq!(high.next_delay(1.0), Duration::from_secs(12));
    }

    #[test]
    fn a_success_starts_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0.0);
        backoff.next_delay(0.5);
        backoff.next_delay(0.5);

        backoff.reset();

        assert_eq!(backoff.next_delay(0.5), Duration::from_secs(1));
    }

    #[test]
    fn a_million_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0.2);
        backoff.failures = u32::MAX;

        assert_eq!(backoff.next_delay(0.5), Duration::from_secs(60));
    }
}
