//! The time a [`World`](crate::World) is told: wall-clock time as a plain value.

use std::ops::Add;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A point in time, counted from the Unix epoch.
///
/// The state machine never reads a clock: every call takes the moment at which it happens, so that a test can run
/// hours in microseconds. Moments handed to one [`World`](crate::World) must not go backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// Returns the moment that lies `since_epoch` after the Unix epoch.
    pub const fn from_unix(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Returns the time since the Unix epoch.
    pub const fn since_unix(self) -> Duration {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, the unit of every `date` in the Bot API.
    pub const fn unix_seconds(self) -> i64 {
        self.0.as_secs() as i64
    }

    /// Returns the time from `earlier` to this moment, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// Serialises as seconds since the Unix epoch, with fractions.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}
