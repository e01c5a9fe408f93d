//! Points in time as the journal stores them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the Unix epoch, by the wall clock.
///
/// It is only ever stored and compared, never used to measure a delay: the wall clock jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Timestamp {
    /// Returns the wall clock's time now.
    pub(crate) fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Returns the time `duration` later, or the last one there is.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the time `duration` earlier, or the first one there is.
    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the time from `earlier` to this one; zero if the clock was set back between them.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_millis(time.0.unsigned_abs());
        let found = if time.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        // Only a damaged row holds a time that the system cannot express.
        found.unwrap_or(UNIX_EPOCH)
    }
}

/// Shows the time in UTC with seconds, as RFC 3339 writes it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Returns the Gregorian date of a day counted from 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    // Years that begin in March end with the leap day, so that months have fixed places in them.
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097); // of 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        for (millis, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_999, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_767_261_600_000, "2026-01-01T10:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), shown, "{millis}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_day_before() {
        let mut last = date(-1);
        for day in 0..146_097 {
            let next = date(day);
            let same_month = (next.0, next.1, next.2) == (last.0, last.1, last.2 + 1);
            let new_month =
                next.2 == 1 && (next.0 * 12 + next.1) == (last.0 * 12 + last.1 + 1) && last.2 >= 28;
            assert!(same_month || new_month, "{last:?} {next:?}");
            last = next;
        }
        assert_eq!(last, (2369, 12, 31));
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_negative_age() {
        assert_eq!(Timestamp(5).since(Timestamp(2)), Duration::from_millis(3));
        assert_eq!(Timestamp(2).since(Timestamp(5)), Duration::ZERO);
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Timestamp(7).plus(Duration::from_secs(1)), Timestamp(1007));
        assert_eq!(Timestamp(7).minus(Duration::MAX), Timestamp(7 - i64::MAX));
        assert_eq!(Timestamp(7).plus(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(
            Timestamp::from(UNIX_EPOCH - Duration::from_millis(3)),
            Timestamp(-3)
        );
        for millis in [-3, 0, 5] {
            assert_eq!(
                Timestamp::from(SystemTime::from(Timestamp(millis))),
                Timestamp(millis)
            );
        }
    }
}
