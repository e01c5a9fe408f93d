//! How far a broadcast is.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::record::OutcomeCounts;

/// What a broadcast is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BroadcastState {
    /// It sends, or waits until it may.
    Running,
    /// It was paused; what was running ends.
    Paused,
    /// It was told to end, or cannot go on; what was running ends.
    Ending,
    /// It has ended.
    Ended,
}

/// How far a broadcast is, at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BroadcastProgress {
    /// What it is doing.
    pub state: BroadcastState,
    /// Number of chats of the source, duplicates included; `None` when it is not known.
    pub total: Option<u64>,
    /// How many of them are done in this run: the message was sent or cannot be sent, or an earlier run did it.
    pub done: u64,
    /// How the chats ended, over all runs.
    pub counts: OutcomeCounts,
    /// Chats per second that ended lately; those that an earlier run did do not count.
    pub per_second: f64,
    /// Time that the rest will take at this rate; `None` while that cannot be said.
    pub eta: Option<Duration>,
}

impl BroadcastProgress {
    pub(super) fn new(total: Option<u64>, counts: OutcomeCounts) -> Self {
        Self {
            state: BroadcastState::Running,
            total,
            done: 0,
            counts,
            per_second: 0.0,
            eta: None,
        }
    }

    /// Sets the rate, and how long the rest will take.
    pub(super) fn estimate(&mut self, per_second: f64) {
        self.per_second = per_second;
        let left = self.total.map(|total| total.saturating_sub(self.done));
        self.eta = left
            .filter(|_| per_second > 0.0)
            .and_then(|left| Duration::try_from_secs_f64(left as f64 / per_second).ok());
    }
}

/// Time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// Events that happened within this time are counted together.
const GRAIN: Duration = Duration::from_millis(250);

/// Counts events, and tells how many per second there were lately.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    grains: VecDeque<(Instant, u32)>,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            grains: VecDeque::new(),
        }
    }

    pub(super) fn count(&mut self, now: Instant) {
        match self.grains.back_mut() {
            Some((at, count)) if now.duration_since(*at) < GRAIN => *count += 1,
            _ => self.grains.push_back((now, 1)),
        }
    }

    pub(super) fn per_second(&mut self, now: Instant) -> f64 {
        while let Some((at, _)) = self.grains.front()
            && now.duration_since(*at) > WINDOW
        {
            self.grains.pop_front();
        }
        let events: u32 = self.grains.iter().map(|(_, count)| count).sum();
        // In the beginning a second at least, or the first few would look like a storm.
        let span = now
            .duration_since(self.since)
            .clamp(Duration::from_secs(1), WINDOW);
        f64::from(events) / span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let at = |millis| start + Duration::from_millis(millis);
        for n in 0..600 {
            rate.count(at(n * 50));
        }

        let fast = rate.per_second(at(30_000));
        let slow = rate.per_second(at(35_000));

        assert!((19.0..=21.0).contains(&fast), "{fast}");
        assert!((9.0..=11.0).contains(&slow), "{slow}");
        assert!(rate.per_second(at(60_000)) < 0.01);
        assert!(rate.grains.is_empty());
    }

    #[test]
    fn the_rest_takes_as_long_as_the_rate_says() {
        let mut progress = BroadcastProgress::new(Some(100), OutcomeCounts::default());
        progress.done = 40;

        progress.estimate(0.0);
        assert_eq!(progress.eta, None);
        progress.estimate(30.0);
        assert_eq!(progress.eta, Some(Duration::from_secs(2)));
        progress.total = None;
        progress.estimate(30.0);
        assert_eq!(progress.eta, None);
    }
}
