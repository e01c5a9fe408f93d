//! How a bot stopped.

use std::{
    fmt,
    process::{ExitCode, Termination},
    time::Duration,
};

use actogram_actors::{Lane, Seq, ShutdownReport, StopReason};

/// How a bot stopped.
///
/// It can be returned from `main`: it then sets the exit code, and prints itself to standard error unless the stop
/// was clean.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BotReport {
    /// What made it stop.
    pub reason: StopReason,
    /// Updates that were handled while it stopped, what `Bot::drain_journal` took from the journal included.
    pub completed: u64,
    /// Failed attempts while it stopped that were followed by another one.
    pub retried: u64,
    /// Updates that became dead letters while it stopped.
    pub dead: u64,
    /// Updates that had not ended at the drain deadline, oldest first. They run again after the next start.
    pub abandoned: Vec<AbandonedUpdate>,
    /// Unfinished updates in the journal, for the next start on it: the abandoned ones, and those that have not begun.
    /// `None` without a journal, or when it could not tell. Dead letters do not count, nor what becomes one because it is
    /// never repeated ([`Delivery::AtMostOnce`](crate::Delivery::AtMostOnce)).
    pub left: Option<u64>,
    /// The offset in force at the Bot API server: it forgets everything below. `None` when nothing was ever finished.
    pub committed_offset: Option<i64>,
    /// Why the offset could not be told to the server; up to one batch is then repeated after the next start.
    pub commit_error: Option<String>,
    /// Whether a part of the runtime was lost to a panic; see the log.
    pub lost_actor: bool,
    /// Time from the request to stop to the end.
    pub took: Duration,
    /// As the engine judges it.
    clean: bool,
}

/// An update that had not ended at the drain deadline.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AbandonedUpdate {
    /// Its id.
    pub update_id: Option<i64>,
    /// Its lane.
    pub lane: Lane,
    /// Whether its handler was running, so that its effects may happen again; otherwise it was waiting.
    pub running: bool,
}

impl BotReport {
    /// Exit code of a clean stop.
    pub const EXIT_CLEAN: u8 = 0;
    /// Exit code of a stop that was not asked for: a part of the runtime was lost.
    pub const EXIT_LOST: u8 = 70;
    /// Exit code of a stop that left work for the next start: the drain deadline passed, the offset could not be told to
    /// the server, or updates are left in a journal that was to be emptied.
    pub const EXIT_UNFINISHED: u8 = 75;

    pub(crate) fn new(report: &ShutdownReport, update_id: impl Fn(Seq) -> Option<i64>) -> Self {
        let (committed_offset, commit_error) = match &report.committed {
            Ok(offset) => (offset.map(|offset| offset.0), None),
            Err(error) => (None, Some(error.chain())),
        };
        Self {
            reason: report.reason,
            completed: report.drain.completed,
            retried: report.drain.retried,
            dead: report.drain.dead,
            abandoned: report
                .drain
                .abandoned
                .iter()
                .map(|abandoned| AbandonedUpdate {
                    update_id: update_id(abandoned.seq),
                    lane: abandoned.lane.clone(),
                    running: abandoned.running,
                })
                .collect(),
            left: report.left,
            committed_offset,
            commit_error,
            lost_actor: report.lost_actor,
            took: report.took,
            clean: report.is_clean(),
        }
    }

    /// Returns whether everything that was fetched is finished and the server knows it, and, with `Bot::drain_journal`,
    /// nothing is left in the journal.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Returns the exit code: [`EXIT_CLEAN`](Self::EXIT_CLEAN), [`EXIT_UNFINISHED`](Self::EXIT_UNFINISHED) or
    /// [`EXIT_LOST`](Self::EXIT_LOST).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.lost_actor {
            Self::EXIT_LOST
        } else if self.is_clean() {
            Self::EXIT_CLEAN
        } else {
            Self::EXIT_UNFINISHED
        })
    }
}

/// One line per fact, for people.
impl fmt::Display for BotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_clean() {
            "stopped cleanly"
        } else {
            "stopped with work left over"
        };
        writeln!(f, "{verdict} ({:?}) after {:.1?}", self.reason, self.took)?;
        write!(
            f,
            "  while stopping: {} completed, {} retried, {} dead, {} abandoned",
            self.completed,
            self.retried,
            self.dead,
            self.abandoned.len()
        )?;
        match (&self.commit_error, self.committed_offset) {
            (Some(error), _) => write!(f, "\n  offset not committed: {error}")?,
            (None, Some(offset)) => write!(f, "\n  offset {offset} is committed")?,
            (None, None) => write!(f, "\n  no offset to commit")?,
        }
        if let Some(left) = self.left {
            write!(f, "\n  {left} left in the journal for the next start")?;
        }
        for abandoned in &self.abandoned {
            let id = abandoned
                .update_id
                .map_or_else(|| "?".to_owned(), |id| id.to_string());
            let state = if abandoned.running {
                "was running"
            } else {
                "was waiting"
            };
            write!(
                f,
                "\n  abandoned update {id} of lane {} ({state}), it runs again after the next start",
                abandoned.lane
            )?;
        }
        if self.lost_actor {
            write!(f, "\n  a part of the runtime was lost to a panic, see the log")?;
        }
        Ok(())
    }
}

impl Termination for BotReport {
    fn report(self) -> ExitCode {
        if !self.is_clean() {
            eprintln!("{self}");
        }
        self.exit_code()
    }
}
