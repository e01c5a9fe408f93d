//! How long things take: a histogram with fixed bounds that any thread may add to without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

const BOUNDS: usize = 17;

/// How often something was done since the start of the bot, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Times by bound; those above the last bound come last.
    counts: [u64; BOUNDS + 1],
    micros: u64,
}

impl Timings {
    /// The bounds by which times are sorted: 0.5 ms, the time of a good disk, to 5 min, the default
    /// [handler timeout](crate::Bot::handler_timeout).
    pub const BOUNDS: [Duration; BOUNDS] = [
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_secs(60),
        Duration::from_secs(300),
    ];

    /// Returns how often it was done.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns how long it took in all, in whole microseconds.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// Returns how long it took on average; `None` when it was never done.
    pub fn mean(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.micros.checked_div(self.count())?))
    }

    /// Returns each of the [`BOUNDS`](Self::BOUNDS) with how often it took at most that long.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let cumulative = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(cumulative)
    }
}

/// Collects [`Timings`].
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    counts: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

impl Stopwatch {
    pub(crate) fn record(&self, took: Duration) {
        let place = Timings::BOUNDS.partition_point(|bound| *bound < took);
        self.counts[place].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
    }

    /// Starts to measure; what is returned records when it is dropped.
    pub(crate) fn start(&self) -> Running<'_> {
        Running {
            stopwatch: self,
            since: Instant::now(),
        }
    }

    pub(crate) fn read(&self) -> Timings {
        Timings {
            counts: self.counts.each_ref().map(|count| count.load(Relaxed)),
            micros: self.micros.load(Relaxed),
        }
    }
}

/// A measurement under way.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    stopwatch: &'a Stopwatch,
    since: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stopwatch.record(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_at_its_bound_and_at_every_larger_one() {
        let stopwatch = Stopwatch::default();
        stopwatch.record(Duration::from_millis(1));
        stopwatch.record(Duration::from_micros(1_001));
        stopwatch.record(Duration::from_secs(301));

        let timings = stopwatch.read();

        let counts: Vec<u64> = timings.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts[..4], [0, 1, 2, 2]);
        assert_eq!(counts.last(), Some(&2), "what is above every bound is in none");
        assert_eq!(timings.count(), 3);
        assert_eq!(timings.total(), Duration::from_micros(301_002_001));
        assert_eq!(timings.mean(), Some(Duration::from_micros(100_334_000)));
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(Timings::default().mean(), None);
    }

    #[test]
    fn the_bounds_rise() {
        assert!(Timings::BOUNDS.is_sorted());
    }

    #[test]
    fn a_measurement_that_is_dropped_half_way_counts() {
        let stopwatch = Stopwatch::default();

        drop(stopwatch.start());

        assert_eq!(stopwatch.read().count(), 1);
    }
}
