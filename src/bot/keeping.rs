//! Where a bot keeps its updates until they are handled.

use std::path::PathBuf;

use super::Delivery;
use crate::{
    backing::Backing,
    error::{ConfigError, Error},
};
#[cfg(feature = "journal")]
use crate::{
    journal_config::JournalConfig,
    queue::{InHand, Journal},
};

/// Path of the journal when none is set.
const DEFAULT_JOURNAL: &str = "actogram.db";

/// Where updates are kept until they are handled, as it was set.
#[derive(Debug, Clone)]
pub(super) enum JournalSetting {
    Off,
    At(PathBuf),
}

impl Default for JournalSetting {
    fn default() -> Self {
        if cfg!(feature = "journal") {
            Self::At(DEFAULT_JOURNAL.into())
        } else {
            Self::Off
        }
    }
}

/// Where updates are kept until they are handled, ready for use.
pub(super) enum Kept {
    AtServer,
    #[cfg(feature = "journal")]
    InJournal {
        journal: Journal,
        in_hand: InHand,
    },
}

impl Kept {
    /// Returns what stands behind the bot; `at_server` is asked when it has no journal.
    pub(super) fn backing(&self, at_server: impl FnOnce() -> Backing) -> Backing {
        match self {
            Self::AtServer => at_server(),
            #[cfg(feature = "journal")]
            Self::InJournal { journal, in_hand } => Backing::Journal {
                journal: journal.clone(),
                in_hand: in_hand.clone(),
            },
        }
    }
}

/// Whether there is to be a journal, and what it has to know.
pub(super) struct KeepingSettings {
    pub(super) journal: JournalSetting,
    #[cfg(feature = "journal")]
    pub(super) config: JournalConfig,
    pub(super) delivery: Delivery,
}

impl KeepingSettings {
    /// Opens the journal, when there is to be one.
    pub(super) async fn open(self, bot_id: u64) -> Result<Kept, Error> {
        let JournalSetting::At(path) = self.journal else {
            return match self.delivery {
                Delivery::AtLeastOnce => Ok(Kept::AtServer),
                Delivery::AtMostOnce => Err(ConfigError::NoJournal.into()),
            };
        };
        #[cfg(feature = "journal")]
        {
            let (settings, options) = self.config.resolve(self.delivery == Delivery::AtMostOnce)?;
            let journal = Journal::open_with(&path, bot_id, settings, options).await?;
            Ok(Kept::InJournal {
                journal,
                in_hand: InHand::default(),
            })
        }
        #[cfg(not(feature = "journal"))]
        {
            let _ = bot_id;
            Err(ConfigError::NoJournalFeature { path }.into())
        }
    }
}
