//! What is known about the chats of a broadcast.

use std::{fmt, time::SystemTime};

/// What became of one chat of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChatOutcome {
    /// The server has confirmed the message.
    Sent,
    /// The server said 403: the bot was blocked or removed, or the account is gone. Leave this chat out from now on.
    Blocked,
    /// The message may have been sent: the answer was lost, or the process ended during the send.
    Unknown,
    /// The message was not sent, and trying again does not help. The reason says why.
    Failed,
    /// The group became a supergroup; what was sent, was sent there, and is recorded there.
    Moved,
}

impl ChatOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [
        Self::Sent,
        Self::Blocked,
        Self::Unknown,
        Self::Failed,
        Self::Moved,
    ];

    /// Returns the name that lists and the command line tool use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Moved => "moved",
        }
    }
}

impl fmt::Display for ChatOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many chats of a broadcast ended how, over all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutcomeCounts {
    /// Chats that have the message.
    pub sent: u64,
    /// Chats that the bot may not write to.
    pub blocked: u64,
    /// Chats that may have the message.
    pub unknown: u64,
    /// Chats that could not get it.
    pub failed: u64,
    /// Groups that are supergroups now, which are counted by themselves.
    pub moved: u64,
}

impl OutcomeCounts {
    /// Returns the number of chats that ended in this way.
    pub fn of(&self, outcome: ChatOutcome) -> u64 {
        let mut counts = *self;
        *counts.place(outcome)
    }

    /// Returns the number of all chats, a group and the supergroup it became counted once.
    pub fn chats(&self) -> u64 {
        self.sent + self.blocked + self.unknown + self.failed
    }

    pub(crate) fn place(&mut self, outcome: ChatOutcome) -> &mut u64 {
        match outcome {
            ChatOutcome::Sent => &mut self.sent,
            ChatOutcome::Blocked => &mut self.blocked,
            ChatOutcome::Unknown => &mut self.unknown,
            ChatOutcome::Failed => &mut self.failed,
            ChatOutcome::Moved => &mut self.moved,
        }
    }
}

/// As one line: `12 sent, 1 blocked, 0 unknown, 0 failed`.
impl fmt::Display for OutcomeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} blocked, {} unknown, {} failed",
            self.sent, self.blocked, self.unknown, self.failed
        )?;
        match self.moved {
            0 => Ok(()),
            moved => write!(f, ", {moved} moved"),
        }
    }
}

/// One chat of a broadcast whose outcome is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatRecord {
    /// The chat.
    pub chat_id: i64,
    /// What became of it.
    pub outcome: ChatOutcome,
    /// When that was recorded.
    pub at: SystemTime,
    /// The supergroup that the group became, when it was [moved](ChatOutcome::Moved).
    pub moved_to: Option<i64>,
    /// What the server said, or what happened, when the message was not sent or may not have been.
    pub reason: Option<String>,
}

/// Something to note about a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A send is about to begin.
    Begin(i64),
    /// It has ended.
    End(Ended),
    /// Nothing was sent, and it will be tried again: as if it had not begun.
    Release(i64),
}

/// How the send to a chat ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) chat: i64,
    pub(crate) outcome: ChatOutcome,
    pub(crate) moved_to: Option<i64>,
    pub(crate) reason: Option<String>,
}

/// The answer to a [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It may begin.
    Go {
        /// Whether its outcome was unknown, and it is repeated because somebody asked for that.
        again: bool,
    },
    /// It has ended, now or earlier; or another send to it is under way.
    Known { moved_to: Option<i64> },
    /// It is noted.
    Noted,
}

/// How a broadcast is opened.
#[cfg(feature = "journal")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) name: String,
    /// Whether chats with an unknown outcome get the message again.
    pub(crate) repeat_unknown: bool,
    /// Whether what is recorded under this name is forgotten first.
    pub(crate) anew: bool,
}

/// What is known about a broadcast when it is opened.
#[cfg(feature = "journal")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenedBroadcast {
    Open {
        id: i64,
        counts: OutcomeCounts,
        /// Whether an earlier run has begun it.
        resumed: bool,
    },
    /// It has ended.
    Ended { cancelled: bool, counts: OutcomeCounts },
}

/// Which chats to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChatsFilter {
    pub(crate) outcome: Option<ChatOutcome>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: u32,
}

/// Longest reason that is kept, in bytes.
pub(crate) const LONGEST_REASON: usize = 512;

/// Returns a reason that is short enough to be kept, cut between two letters.
pub(crate) fn clip(mut reason: String) -> String {
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON).rev().find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_count_and_a_name_of_its_own() {
        for outcome in ChatOutcome::ALL {
            let mut counts = OutcomeCounts::default();
            *counts.place(outcome) += 1;

            let ones = ChatOutcome::ALL.map(|other| counts.of(other));

            assert_eq!(ones.iter().sum::<u64>(), 1, "{outcome}");
            assert_eq!(counts.of(outcome), 1, "{outcome}");
        }
        let mut names = ChatOutcome::ALL.map(ChatOutcome::as_str).to_vec();
        names.dedup();
        assert_eq!(names.len(), ChatOutcome::ALL.len());
    }

    #[test]
    fn a_long_reason_is_cut_between_two_letters() {
        assert_eq!(clip("é".repeat(400)), "é".repeat(256) + "…");
        assert_eq!(clip("short".to_owned()), "short");
    }
}
