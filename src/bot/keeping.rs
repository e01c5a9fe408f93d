//! Where a bot keeps its updates until they are handled.

use std::path::PathBuf;

use super::Delivery;
use crate::{
    backing::Backing,
    error::{ConfigError, Error},
    source::PollingMonitor,
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
    pub(super) fn backing(&self, monitor: &PollingMonitor) -> Backing {
        match self {
            Self::AtServer => Backing::Server(monitor.clone()),
            #[cfg(feature = "journal")]
            Self::InJournal { journal, in_hand } => Backing::Journal {
                journal: journal.clone(),
                in_hand: in_hand.clone(),
            },
        }
    }
}

/// Opens the journal, when there is to be one.
pub(super) async fn open(
    setting: JournalSetting,
    #[cfg(feature = "journal")] config: &JournalConfig,
    delivery: Delivery,
    bot_id: u64,
) -> Result<Kept, Error> {
    let JournalSetting::At(path) = setting else {
        return match delivery {
            Delivery::AtLeastOnce => Ok(Kept::AtServer),
            Delivery::AtMostOnce => Err(ConfigError::NoJournal.into()),
        };
    };
    #[cfg(feature = "journal")]
    {
        let (settings, options) = config.resolve(delivery == Delivery::AtMostOnce)?;
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
