//! How a bot stopped.

use std::{
    fmt,
    process::{ExitCode, Termination},
    time::Duration,
};

use actogram_actors::{Lane, ShutdownReport, SourceError, StopReason};

use crate::backing::Backing;

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
    /// Updates that had not ended at the drain deadline, oldest first. What becomes of each is its [`Fate`].
    pub abandoned: Vec<AbandonedUpdate>,
    /// Unfinished updates in the journal, which the next start on it finds: the abandoned ones that [run
    /// again](Fate::RunsAgain), and those that have not begun. `None` without a journal, or when it could not tell.
    pub left: Option<u64>,
    /// The offset in force at the Bot API server: it forgets everything below. `None` when nothing was ever finished, by
    /// webhook, and with a [`commit_error`](Self::commit_error).
    pub committed_offset: Option<i64>,
    /// Why the last commit did not work: the server could not be told the offset, or the journal not be brought to the
    /// disk. Without a journal up to one batch is then repeated after the next start. With one, what the server offers
    /// again is left out, and what ended last may run again ([at most once](crate::Delivery::AtMostOnce): be a dead letter).
    pub commit_error: Option<String>,
    /// Why updates can no longer be had, also when something else made it stop.
    pub source_error: Option<String>,
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
    /// Whether its handler was running, so that some of its effects may have happened; otherwise it was waiting.
    pub running: bool,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an update that had not ended when its bot stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is in the journal, and runs again after the next start.
    RunsAgain,
    /// It has become a dead letter in the journal, because what has begun is never repeated
    /// ([`Delivery::AtMostOnce`](crate::Delivery::AtMostOnce)). The `on_error` hook has not seen it.
    DeadLetter,
    /// Its end is on disk already, because its handler had called [`ack_now`](crate::Context::ack_now).
    Acknowledged,
    /// Without a journal: the server still has it, and everything that came after it, also what was handled. All of that
    /// is fetched again after the next start.
    FetchedAgain,
    /// By webhook, without a journal: its request was not answered 200, so the server posts it again.
    PostedAgain,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunsAgain => "it runs again after the next start",
            Self::DeadLetter => "it is a dead letter and does not run again",
            Self::Acknowledged => "it was acknowledged and does not run again",
            Self::FetchedAgain => "it runs again after the next start, and so does all that came after it",
            Self::PostedAgain => "it runs again when the server posts it again",
        })
    }
}

impl BotReport {
    /// Exit code of a clean stop.
    pub const EXIT_CLEAN: u8 = 0;
    /// Exit code of a stop that was not asked for: a part of the runtime was lost.
    pub const EXIT_LOST: u8 = 70;
    /// Exit code of a stop that was not clean: the drain deadline passed, the last commit did not work, or updates are
    /// left in a journal that was to be emptied.
    pub const EXIT_UNFINISHED: u8 = 75;

    pub(crate) fn new(report: &ShutdownReport, backing: &Backing) -> Self {
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
                    update_id: backing.update_id(abandoned.seq),
                    lane: abandoned.lane.clone(),
                    running: abandoned.running,
                    fate: backing.fate(abandoned.seq),
                })
                .collect(),
            left: report.left,
            committed_offset,
            commit_error,
            source_error: report.source_error.as_ref().map(SourceError::chain),
            lost_actor: report.lost_actor,
            took: report.took,
            clean: report.is_clean(),
        }
    }

    /// Returns whether everything that had begun is finished and the last commit worked, and, with `Bot::drain_journal`,
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
            "stopped, but not cleanly"
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
            (Some(error), _) => write!(f, "\n  not committed: {error}")?,
            (None, Some(offset)) => write!(f, "\n  offset {offset} is committed")?,
            (None, None) => write!(f, "\n  no offset to commit")?,
        }
        if let Some(left) = self.left {
            write!(f, "\n  {left} left in the journal for the next start")?;
        }
        if let Some(error) = &self.source_error {
            write!(f, "\n  no more updates: {error}")?;
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
                "\n  abandoned update {id} of lane {} ({state}), {}",
                abandoned.lane, abandoned.fate
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the report of a stop at whose deadline one update was running.
    fn cut_off(fate: Fate, left: Option<u64>, committed_offset: Option<i64>) -> BotReport {
        BotReport {
            reason: StopReason::Requested,
            completed: 2,
            retried: 0,
            dead: 0,
            abandoned: vec![AbandonedUpdate {
                update_id: Some(7),
                lane: Lane::new("chat:1"),
                running: true,
                fate,
            }],
            left,
            committed_offset,
            commit_error: None,
            source_error: None,
            lost_actor: false,
            took: Duration::from_secs(25),
            clean: false,
        }
    }

    #[track_caller]
    fn assert_ends(report: &BotReport, end: &[&str]) {
        let printed = report.to_string();
        let lines: Vec<_> = printed.lines().collect();
        let begin = [
            "stopped, but not cleanly (Requested) after 25.0s",
            "  while stopping: 2 completed, 0 retried, 0 dead, 1 abandoned",
        ];
        assert_eq!(lines[..2], begin);
        assert_eq!(lines[2..], *end);
    }

    #[test]
    fn what_was_cut_off_with_a_journal_runs_again_and_is_among_what_is_left() {
        assert_ends(
            &cut_off(Fate::RunsAgain, Some(3), Some(12)),
            &[
                "  offset 12 is committed",
                "  3 left in the journal for the next start",
                "  abandoned update 7 of lane chat:1 (was running), it runs again after the next start",
            ],
        );
    }

    #[test]
    fn what_was_cut_off_at_most_once_is_a_dead_letter() {
        assert_ends(
            &cut_off(Fate::DeadLetter, Some(0), Some(12)),
            &[
                "  offset 12 is committed",
                "  0 left in the journal for the next start",
                "  abandoned update 7 of lane chat:1 (was running), it is a dead letter and does not run again",
            ],
        );
    }

    #[test]
    fn what_was_acknowledged_and_cut_off_is_done() {
        assert_ends(
            &cut_off(Fate::Acknowledged, Some(0), Some(12)),
            &[
                "  offset 12 is committed",
                "  0 left in the journal for the next start",
                "  abandoned update 7 of lane chat:1 (was running), it was acknowledged and does not run again",
            ],
        );
    }

    #[test]
    fn what_was_cut_off_without_a_journal_takes_along_what_came_after_it() {
        assert_ends(
            &cut_off(Fate::FetchedAgain, None, None),
            &[
                "  no offset to commit",
                "  abandoned update 7 of lane chat:1 (was running), it runs again after the next start, and so does all \
                 that came after it",
            ],
        );
    }

    #[test]
    fn what_was_cut_off_by_webhook_without_a_journal_is_posted_again() {
        assert_ends(
            &cut_off(Fate::PostedAgain, None, None),
            &[
                "  no offset to commit",
                "  abandoned update 7 of lane chat:1 (was running), it runs again when the server posts it again",
            ],
        );
    }

    #[test]
    fn what_failed_is_told_and_what_was_lost() {
        let mut report = cut_off(Fate::RunsAgain, None, None);
        report.abandoned.clear();
        report.commit_error = Some("the journal failed: no disk".to_owned());
        report.source_error = Some("revoked".to_owned());
        report.lost_actor = true;

        let printed = report.to_string();

        let end = "\n  not committed: the journal failed: no disk\n  no more updates: revoked\n  a part of the runtime was \
                   lost to a panic, see the log";
        assert!(printed.ends_with(end), "{printed}");
    }
}
