//! Everything that is known about a bot at one moment.

use std::time::{Duration, SystemTime};

use actogram_actors::{LaneLoad, Snapshot, StopReason};
use futures_util::future::{join, join3};
use tokio::time::timeout;

use super::outside::{Calls, Intake};
use crate::handle::{BotHandle, BotSnapshot};
#[cfg(feature = "journal")]
use crate::{error::Error, journal_stats::JournalStats};

/// Longest time that an answer is waited for. Whoever asks about a bot that hangs must not hang with it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything that is known about a bot at one moment, from whatever part of it answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Vitals {
    /// Id of the bot.
    pub bot_id: u64,
    /// When the parts had answered.
    pub at: SystemTime,
    /// Whether it runs.
    pub stage: Stage,
    /// How things stand; `None` when the bot has stopped, or its thread did not answer within 2 s.
    pub snapshot: Option<BotSnapshot>,
    /// What is in the journal.
    pub journal: JournalVitals,
    /// The lanes with the most unfinished updates, longest first; at most [`Snapshot::LONGEST`].
    pub longest: Vec<LaneLoad>,
}

/// Whether a bot runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It runs.
    Running,
    /// It was told to stop, or stops by itself: what it fetched is being finished.
    Stopping,
    /// It has stopped, for this reason.
    Stopped(StopReason),
    /// Its thread has ended before it could stop in order.
    Lost,
}

/// What is known about the journal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JournalVitals {
    /// The bot has none.
    None,
    /// It works.
    #[cfg(feature = "journal")]
    Open(Box<JournalStats>),
    /// It has failed or is closed; the text says why.
    Failed(String),
    /// It did not answer within 2 s.
    Silent,
}

impl Vitals {
    /// Asks every part of a bot how it is. Takes 2 s at most, and works on any async runtime that has tokio's timers.
    pub async fn of(bot: &BotHandle) -> Self {
        let (snapshot, journal, longest) = join3(
            timeout(PATIENCE, bot.snapshot()),
            JournalVitals::of(bot),
            timeout(PATIENCE, bot.longest_lanes(Snapshot::LONGEST)),
        )
        .await;
        let gone = matches!(snapshot, Ok(Err(_)));
        Self {
            bot_id: bot.api().bot_id(),
            at: SystemTime::now(),
            stage: Stage::of(bot, gone),
            snapshot: snapshot.ok().and_then(Result::ok),
            journal,
            longest: longest.ok().and_then(Result::ok).unwrap_or_default(),
        }
    }

    /// As [`of`](Self::of), with the final numbers of a bot that has stopped, for as long as its journal is open.
    pub(super) async fn last(bot: &BotHandle) -> Self {
        let (vitals, snapshot) = join(Self::of(bot), timeout(PATIENCE, bot.last_snapshot())).await;
        Self {
            snapshot: snapshot.ok().flatten(),
            ..vitals
        }
    }

    /// Returns how updates come in.
    pub fn intake(&self) -> Option<Intake> {
        self.snapshot.as_ref().map(Intake::of)
    }

    /// Returns how calls to the Bot API go.
    pub fn calls(&self) -> Option<Calls> {
        self.snapshot.as_ref().map(Calls::of)
    }

    /// Returns the numbers of the journal, when there is one and it answers.
    #[cfg(feature = "journal")]
    pub fn journal_stats(&self) -> Option<&JournalStats> {
        match &self.journal {
            JournalVitals::Open(stats) => Some(stats),
            _ => None,
        }
    }

    /// Returns how many unfinished updates the bot has.
    pub fn workload(&self) -> Option<Workload> {
        let engine = &self.snapshot.as_ref()?.engine;
        #[cfg(feature = "journal")]
        if let Some(stats) = self.journal_stats() {
            let (running, retrying) = (engine.running as u64, stats.retrying);
            return Some(Workload {
                running,
                // What the journal has given out and no handler has yet waits as well.
                waiting: stats.unfinished.saturating_sub(running + retrying),
                retrying,
                lanes: stats.lanes,
                oldest_age: stats
                    .oldest_received_at
                    .map(|received| self.at.duration_since(received).unwrap_or_default()),
            });
        }
        Some(Workload {
            running: engine.running as u64,
            waiting: engine.waiting as u64,
            retrying: engine.retrying as u64,
            lanes: engine.lanes as u64,
            oldest_age: engine.oldest_age,
        })
    }
}

/// The unfinished updates of a bot, those in its journal included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// Updates being handled.
    pub running: u64,
    /// Updates that wait for their turn.
    pub waiting: u64,
    /// Updates whose failed attempt will be repeated.
    pub retrying: u64,
    /// Lanes with at least one unfinished update.
    pub lanes: u64,
    /// Time since the first of them was received.
    pub oldest_age: Option<Duration>,
}

impl Stage {
    fn of(bot: &BotHandle, gone: bool) -> Self {
        match bot.stop_reason() {
            Some(reason) => Self::Stopped(reason),
            // Also in the middle of a stop, which nobody ends then.
            None if bot.is_lost() => Self::Lost,
            None if bot.is_stopping() => Self::Stopping,
            None if gone => Self::Lost,
            None => Self::Running,
        }
    }

    /// Returns its name: `running`, `stopping`, `stopped` or `lost`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped(_) => "stopped",
            Self::Lost => "lost",
        }
    }
}

impl JournalVitals {
    #[cfg(feature = "journal")]
    async fn of(bot: &BotHandle) -> Self {
        match timeout(PATIENCE, bot.journal_stats()).await {
            Ok(Ok(stats)) => Self::Open(Box::new(stats)),
            Ok(Err(Error::NoJournal)) => Self::None,
            Ok(Err(error)) => Self::Failed(error.to_string()),
            Err(_elapsed) => Self::Silent,
        }
    }

    #[cfg(not(feature = "journal"))]
    async fn of(_: &BotHandle) -> Self {
        Self::None
    }
}
