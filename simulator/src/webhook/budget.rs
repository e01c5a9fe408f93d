//! How fast connections are opened: quickly to an endpoint that works, slowly to one that does not.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Moment;

/// An endpoint works when its last success is not older than this.
const RECENT: Duration = Duration::from_secs(10);
/// Connections to an endpoint that works: so many within so long.
const ACTIVE: (usize, Duration) = (10, Duration::from_millis(500));
/// Connections to any other endpoint.
const DOUBTFUL: (usize, Duration) = (1, Duration::from_secs(2));

/// At most so many within so long.
#[derive(Debug)]
struct Limit {
    most: usize,
    span: Duration,
    opened: VecDeque<Moment>,
}

impl Limit {
    fn new((most, span): (usize, Duration)) -> Self {
        Self {
            most,
            span,
            opened: VecDeque::new(),
        }
    }

    /// Returns when the next one is allowed, which may lie in the past.
    fn next_at(&self) -> Option<Moment> {
        let full = self.opened.len() == self.most;
        full.then(|| self.opened.front().map(|first| *first + self.span))?
    }

    fn note(&mut self, now: Moment) {
        if self.opened.len() == self.most {
            self.opened.pop_front();
        }
        self.opened.push_back(now);
    }
}

/// The budget of one webhook.
#[derive(Debug)]
pub(crate) struct Budget {
    active: Limit,
    doubtful: Limit,
    last_success: Option<Moment>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            active: Limit::new(ACTIVE),
            doubtful: Limit::new(DOUBTFUL),
            last_success: None,
        }
    }
}

impl Budget {
    /// Notes an acknowledged update.
    pub(crate) fn succeeded(&mut self, now: Moment) {
        self.last_success = Some(now);
    }

    fn is_active(&self, now: Moment) -> bool {
        self.last_success.is_some_and(|last| now <= last + RECENT)
    }

    /// Returns how many connections may be open for so many loaded domains.
    pub(crate) fn wanted(&self, now: Moment, domains: usize, max_connections: usize) -> usize {
        let wanted = domains.min(max_connections);
        if self.is_active(now) {
            wanted.max(1)
        } else {
            wanted.min(1)
        }
    }

    /// Takes the right to open one connection, or returns when there will be one.
    pub(crate) fn take(&mut self, now: Moment) -> Result<(), Moment> {
        let limit = if self.is_active(now) {
            &mut self.active
        } else {
            &mut self.doubtful
        };
        match limit.next_at() {
            Some(next) if next > now => Err(next),
            _ => {
                limit.note(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));

    fn at(millis: u64) -> Moment {
        START + Duration::from_millis(millis)
    }

    #[test]
    fn an_endpoint_without_recent_success_gets_one_connection() {
        let mut budget = Budget::default();
        assert_eq!(budget.wanted(at(0), 50, 40), 1);
        assert_eq!(budget.wanted(at(0), 0, 40), 0);

        budget.succeeded(at(0));
        assert_eq!(budget.wanted(at(10_000), 50, 40), 40);
        assert_eq!(budget.wanted(at(10_000), 3, 40), 3);
        assert_eq!(budget.wanted(at(10_000), 0, 40), 1);

        assert_eq!(budget.wanted(at(10_001), 50, 40), 1);
    }

    #[test]
    fn connections_in_doubt_are_two_seconds_apart() {
        let mut budget = Budget::default();

        assert_eq!(budget.take(at(0)), Ok(()));
        assert_eq!(budget.take(at(1_999)), Err(at(2_000)));
        assert_eq!(budget.take(at(2_000)), Ok(()));
    }

    #[test]
    fn an_endpoint_that_works_gets_ten_connections_per_half_second() {
        let mut budget = Budget::default();
        budget.succeeded(at(0));

        for _ in 0..10 {
            assert_eq!(budget.take(at(100)), Ok(()));
        }
        assert_eq!(budget.take(at(599)), Err(at(600)));
        assert_eq!(budget.take(at(600)), Ok(()));
    }
}
