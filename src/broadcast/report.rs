//! How a broadcast ended.

use std::{fmt, time::Duration};

use super::record::OutcomeCounts;

/// How a broadcast, or this run of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BroadcastEnding {
    /// Every chat of the source has an outcome. The name is used up.
    Completed,
    /// It was [cancelled](super::BroadcastHandle::cancel). The name is used up.
    Cancelled,
    /// It was [stopped](super::BroadcastHandle::stop), or the bot was. Starting it again under the same name resumes it.
    Stopped,
}

/// How a broadcast, or this run of it, ended; from [`BroadcastHandle::wait`](super::BroadcastHandle::wait).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastReport {
    /// Its name.
    pub name: String,
    /// What ended it.
    pub ending: BroadcastEnding,
    /// How the chats ended, over all runs.
    pub counts: OutcomeCounts,
    /// How long this run took.
    pub took: Duration,
}

/// As one line, for people.
impl fmt::Display for BroadcastReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match self.ending {
            BroadcastEnding::Completed => "complete",
            BroadcastEnding::Cancelled => "cancelled",
            BroadcastEnding::Stopped => "stopped, start it again to resume it",
        };
        write!(f, "broadcast {:?}: {} ({ending})", self.name, self.counts)
    }
}
