//! Whether polling has been silent for too long. Pure: `now` and randomness are arguments.

use std::time::{Duration, Instant};

/// Share by which the limit is spread, so that many bots that lost the same network do not reconnect together.
const JITTER: f64 = 0.2;

/// Watches the time since the last poll that the server answered, with whatever answer.
///
/// It starts with the first poll, not before, and what it causes is mild: fresh connections and a line in the log,
/// never the end of the process.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Duration,
    expires: Option<Instant>,
}

impl Watchdog {
    /// Returns a watchdog that lets `limit` (±20 %) pass without an answer.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, expires: None }
    }

    /// Notes that a poll starts and returns when the patience ends. `random` is uniform in 0 to 1.
    pub(crate) fn poll_started(&mut self, now: Instant, random: f64) -> Instant {
        let spread = self.limit.mul_f64(1.0 + JITTER * (2.0 * random - 1.0));
        *self.expires.get_or_insert(now + spread)
    }

    /// Notes that the server has answered.
    pub(crate) fn answered(&mut self) {
        self.expires = None;
    }

    /// Returns whether the patience has ended; it starts anew then.
    pub(crate) fn take_expired(&mut self, now: Instant) -> bool {
        let expired = self.expires.is_some_and(|expires| now >= expires);
        if expired {
            self.expires = None;
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(100);

    #[test]
    fn it_sleeps_before_the_first_poll() {
        let mut watchdog = Watchdog::new(LIMIT);

        assert!(!watchdog.take_expired(Instant::now() + 100 * LIMIT));
    }

    #[test]
    fn failing_polls_do_not_extend_the_patience_but_an_answer_does() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(LIMIT);
        let expires = watchdog.poll_started(now, 0.5);

        assert_eq!(watchdog.poll_started(now + LIMIT / 2, 0.5), expires);
        assert!(!watchdog.take_expired(now + LIMIT * 99 / 100));
        watchdog.answered();
        watchdog.poll_started(now + LIMIT / 2, 0.5);

        assert!(!watchdog.take_expired(now + LIMIT));
        assert!(watchdog.take_expired(now + LIMIT * 3 / 2));
    }

    /// Peer failure 25: and each restart started the next one.
    #[test]
    fn it_barks_once_per_limit() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(LIMIT);
        watchdog.poll_started(now, 0.5);

        assert!(watchdog.take_expired(now + LIMIT));
        assert!(!watchdog.take_expired(now + LIMIT));
    }

    /// Peer failure 25: a fixed limit made a whole fleet restart in step, for three hours.
    #[test]
    fn the_limit_is_spread_by_a_fifth() {
        let now = Instant::now();

        assert_eq!(Watchdog::new(LIMIT).poll_started(now, 0.0), now + LIMIT * 8 / 10);
        assert_eq!(Watchdog::new(LIMIT).poll_started(now, 1.0), now + LIMIT * 12 / 10);
    }
}
