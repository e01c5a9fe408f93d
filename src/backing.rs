//! What stands behind a running bot: nothing but the Bot API server, or a journal.

use actogram_actors::Seq;

#[cfg(feature = "journal")]
use crate::queue::{InHand, Journal};
#[cfg(feature = "webhook")]
use crate::webhook::DirectIntake;
use crate::{report::Fate, source::PollingMonitor};

/// Where updates are kept until they are handled; cloning shares it.
#[derive(Debug, Clone)]
pub(crate) enum Backing {
    /// At the Bot API server.
    Server(PollingMonitor),
    /// At the Bot API server, which posts them.
    #[cfg(feature = "webhook")]
    Poster(DirectIntake),
    /// In a journal.
    #[cfg(feature = "journal")]
    Journal { journal: Journal, in_hand: InHand },
}

impl Backing {
    /// Returns the id of an update that the engine was given with this seq and has not ended.
    pub(crate) fn update_id(&self, seq: Seq) -> Option<i64> {
        match self {
            Self::Server(monitor) => monitor.update_id(seq),
            #[cfg(feature = "webhook")]
            Self::Poster(intake) => intake.update_id(seq),
            #[cfg(feature = "journal")]
            Self::Journal { in_hand, .. } => in_hand.update_id(seq),
        }
    }

    /// Returns what becomes of an update that the engine was given with this seq and has abandoned.
    #[cfg_attr(
        not(feature = "journal"),
        expect(unused_variables, reason = "only a journal knows seqs")
    )]
    pub(crate) fn fate(&self, seq: Seq) -> Fate {
        match self {
            Self::Server(_) => Fate::FetchedAgain,
            #[cfg(feature = "webhook")]
            Self::Poster(_) => Fate::PostedAgain,
            #[cfg(feature = "journal")]
            Self::Journal { in_hand, .. } if in_hand.is_acknowledged(seq) => Fate::Acknowledged,
            #[cfg(feature = "journal")]
            Self::Journal { journal, .. } if journal.is_at_most_once() => Fate::DeadLetter,
            #[cfg(feature = "journal")]
            Self::Journal { .. } => Fate::RunsAgain,
        }
    }

    /// Returns how many attempts at an update that the engine was given with this seq the death of the process cut off,
    /// as far as that is known.
    #[cfg_attr(
        not(feature = "journal"),
        expect(unused_variables, reason = "only a journal knows of them")
    )]
    pub(crate) fn crashes(&self, seq: Seq) -> u32 {
        match self {
            Self::Server(_) => 0,
            #[cfg(feature = "webhook")]
            Self::Poster(_) => 0,
            #[cfg(feature = "journal")]
            Self::Journal { in_hand, .. } => in_hand.crashes(seq),
        }
    }

    /// Makes the end of an update durable before its handler has ended.
    #[cfg_attr(
        not(feature = "journal"),
        expect(unused_variables, reason = "only a journal knows seqs")
    )]
    async fn acknowledge(&self, seq: Seq) -> Result<(), AckError> {
        match self {
            Self::Server(_) => Err(AckError::NoJournal),
            #[cfg(feature = "webhook")]
            Self::Poster(_) => Err(AckError::NoJournal),
            #[cfg(feature = "journal")]
            Self::Journal { journal, in_hand } => {
                let ticket = in_hand.ticket(seq).ok_or(AckError::Ended)?;
                journal
                    .acknowledge(ticket)
                    .await
                    .map_err(|error| AckError::Journal { reason: error.reason })?;
                in_hand.acknowledge(seq);
                Ok(())
            }
        }
    }

    /// Returns the journal.
    #[cfg(feature = "journal")]
    pub(crate) fn journal(&self) -> Option<&Journal> {
        match self {
            Self::Server(_) => None,
            #[cfg(feature = "webhook")]
            Self::Poster(_) => None,
            Self::Journal { journal, .. } => Some(journal),
        }
    }

    /// Lets go of everything, after the engine has stopped. Closing twice is fine.
    pub(crate) async fn close(&self) {
        match self {
            Self::Server(_) => {}
            #[cfg(feature = "webhook")]
            Self::Poster(_) => {}
            #[cfg(feature = "journal")]
            Self::Journal { journal, .. } => journal.close().await,
        }
    }
}

/// Lets the handler of one delivery end it early; cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledger {
    backing: Backing,
    seq: Seq,
}

impl Acknowledger {
    pub(crate) fn new(backing: Backing, seq: Seq) -> Self {
        Self { backing, seq }
    }

    pub(crate) async fn acknowledge(&self) -> Result<(), AckError> {
        self.backing.acknowledge(self.seq).await
    }
}

/// Why an update could not be acknowledged before its handler has ended. It is settled in the usual way then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The bot has no journal; the server can only be told that a whole batch is finished.
    #[error("an update can only be acknowledged early with a journal: set one with `.journal(path)`")]
    NoJournal,
    /// The delivery has ended already, or the context was made for a test.
    #[error("there is no delivery to acknowledge")]
    Ended,
    /// The journal failed.
    #[error("the journal failed: {reason}")]
    Journal {
        /// What happened and what to do.
        reason: String,
    },
}
