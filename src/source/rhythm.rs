//! How long a poll waits at the server, and how long polling rests after an empty answer. Pure.
//!
//! The first poll does not wait: its answer says at once that the token, the network and the absence of a webhook are in
//! order, where a quiet bot would hear nothing for the length of a long poll. So does the one after a failure: a quiet bot
//! that has lost one long poll must not be taken for cut off until the next one has passed. What keeps polls that do not
//! wait apart is the backoff after failures.

use std::time::Duration;

/// An empty answer that comes faster than this was no long poll (the server is shutting down, or a proxy answers);
/// the rest of the time is slept, so that polling never spins.
const SHORTEST_EMPTY_POLL: Duration = Duration::from_secs(1);

/// Time beyond the wait of a long poll until a call is given up: the batch itself, of up to 4 MiB, has to arrive too.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Rhythm {
    long_wait: Duration,
    /// Whether the next poll waits.
    settled: bool,
}

impl Rhythm {
    /// Returns the rhythm of polls that wait for `long_wait` after the first one.
    pub(crate) fn new(long_wait: Duration) -> Self {
        Self {
            long_wait,
            settled: false,
        }
    }

    /// Returns how long the server is asked to hold the next poll.
    ///
    /// One that follows a poll without a wait repeats its offset when that brought nothing, so within 0.5 s the server cuts
    /// it to one update. What else has arrived by then comes with the next.
    pub(crate) fn wait(&self) -> Duration {
        if self.settled {
            self.long_wait
        } else {
            Duration::ZERO
        }
    }

    /// Returns when a call of a poll is given up. It is the same for the first one: the server holds that for 3 s when the
    /// process before has polled with the same offset just now, and what waits there has to arrive on a slow line.
    pub(crate) fn patience(&self) -> Duration {
        self.long_wait + MARGIN
    }

    /// Notes that a poll that took `took` has succeeded with so many updates; returns the rest before the next one.
    pub(crate) fn succeeded(&mut self, updates: usize, took: Duration) -> Duration {
        let shortest = SHORTEST_EMPTY_POLL.min(self.wait());
        self.settled = true;
        if updates > 0 {
            Duration::ZERO
        } else {
            shortest.saturating_sub(took)
        }
    }

    /// Notes that a poll has failed; `taken_over` when another poller has ended it. The server lets a poll that does not
    /// wait pass by another poller, so it would tell nothing, and begin the backoff anew each time.
    pub(crate) fn failed(&mut self, taken_over: bool) {
        self.settled &= taken_over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(50);
    const AT_ONCE: Duration = Duration::from_millis(30);

    fn after_the_first() -> Rhythm {
        let mut rhythm = Rhythm::new(LONG);
        rhythm.succeeded(0, AT_ONCE);
        rhythm
    }

    #[test]
    fn polls_wait_once_one_has_succeeded() {
        for updates in [0, 7] {
            let mut rhythm = Rhythm::new(LONG);
            assert_eq!([rhythm.wait(), rhythm.wait()], [Duration::ZERO; 2]);
            rhythm.failed(false);
            rhythm.failed(true);
            assert_eq!(rhythm.wait(), Duration::ZERO);

            rhythm.succeeded(updates, AT_ONCE);

            assert_eq!([rhythm.wait(), rhythm.wait()], [LONG; 2], "{updates}");
        }
    }

    #[test]
    fn the_poll_after_a_failure_does_not_wait_unless_another_poller_was_the_reason() {
        let mut rhythm = after_the_first();

        rhythm.failed(true);
        assert_eq!(rhythm.wait(), LONG);
        rhythm.failed(false);
        assert_eq!(rhythm.wait(), Duration::ZERO);
        assert_eq!(rhythm.succeeded(0, AT_ONCE), Duration::ZERO);
        assert_eq!(rhythm.wait(), LONG);
    }

    #[test]
    fn the_first_answer_is_followed_at_once_and_no_other_empty_one_is() {
        let mut rhythm = Rhythm::new(LONG);

        assert_eq!(rhythm.succeeded(0, AT_ONCE), Duration::ZERO);

        for _ in 0..3 {
            assert_eq!(rhythm.succeeded(0, AT_ONCE), SHORTEST_EMPTY_POLL - AT_ONCE);
        }
    }

    #[test]
    fn only_an_empty_answer_that_came_too_soon_is_followed_by_a_rest() {
        let mut rhythm = after_the_first();

        assert_eq!(rhythm.succeeded(1, AT_ONCE), Duration::ZERO);
        assert_eq!(rhythm.succeeded(0, LONG), Duration::ZERO);
    }

    #[test]
    fn the_first_poll_has_as_much_time_to_bring_its_batch_as_any_other() {
        assert_eq!(Rhythm::new(LONG).patience(), LONG + MARGIN);
        assert_eq!(after_the_first().patience(), LONG + MARGIN);
    }
}
