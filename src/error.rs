//! Why a bot could not be started, or ended by itself.

use std::{error::Error as StdError, fmt, io};

use actogram_actors::EngineError;

#[cfg(feature = "webhook")]
use crate::webhook::{SecretError, WebhookError};
use crate::{
    api::{ServerError, TokenError},
    report::BotReport,
};

/// Why a bot could not be started, or ended by itself.
///
/// `Debug` prints the message and its causes as one readable line, because that is what `main` shows when it returns an
/// error.
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or wrong; nothing was started.
    Config(ConfigError),
    /// The engine could not be started, or is gone.
    Engine(EngineError),
    /// The thread of [`Bot::spawn`](crate::Bot::spawn) could not be started, or ended at once.
    Thread(io::Error),
    /// The journal could not be opened, or cannot do what it was asked for.
    Journal(Box<dyn StdError + Send + Sync>),
    /// The bot keeps its updates at the Bot API server, so it has no dead letters and no journal to ask.
    NoJournal,
    /// The webhook could not be started, or ended by itself; the bot was stopped.
    #[cfg(feature = "webhook")]
    Webhook(WebhookError),
    /// Updates can no longer be had, so the bot has drained and stopped. The report tells what came of the rest.
    PollingFailed {
        /// What the server said, and what to do.
        reason: String,
        /// How the bot stopped.
        report: Box<BotReport>,
    },
}

/// Which setting is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no token.
    #[error("no bot token: get one from @BotFather and set {variable} to it")]
    MissingToken {
        /// Environment variable that is not set.
        variable: &'static str,
    },
    /// The token cannot be one.
    #[error("bad bot token")]
    Token(#[source] TokenError),
    /// The address of the Bot API server is unusable.
    #[error("bad address of the bot api server ({variable})")]
    Server {
        /// Environment variable it came from.
        variable: &'static str,
        /// What is wrong with it.
        #[source]
        source: ServerError,
    },
    /// An environment variable is not valid Unicode.
    #[error("{variable} is not valid unicode")]
    NotUnicode {
        /// Name of the variable.
        variable: &'static str,
    },
    /// Nothing handles the updates.
    #[error("no handler: call `.handlers(|| my_handler)` or `.recipients(..)` before starting the bot")]
    NoHandlers,
    /// The delivery needs a journal, but none is set.
    #[error("`Delivery::AtMostOnce` needs a journal: set one with `.journal(path)` or ACTOGRAM_JOURNAL")]
    NoJournal,
    /// A journal is wanted, but this build has none.
    #[error("the journal {} needs the cargo feature `journal` of actogram", path.display())]
    NoJournalFeature {
        /// Path of the journal.
        path: std::path::PathBuf,
    },
    /// There is no secret for the webhook.
    #[cfg(feature = "webhook")]
    #[error("no webhook secret: make one up (`openssl rand -hex 16`) and set {variable} to it")]
    MissingWebhookSecret {
        /// Environment variable that is not set.
        variable: &'static str,
    },
    /// The secret of the webhook is of no use.
    #[cfg(feature = "webhook")]
    #[error("bad webhook secret{}", variable.map(|name| format!(" in {name}")).unwrap_or_default())]
    WebhookSecret {
        /// Environment variable it came from.
        variable: Option<&'static str>,
        /// What is wrong with it.
        #[source]
        source: SecretError,
    },
    /// A setting is out of its bounds.
    #[error("{setting} must be {bound}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it must be.
        bound: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::NoJournal => f.write_str(
                "this bot has no journal: call `.journal(path)`, or set ACTOGRAM_JOURNAL to a path",
            ),
            #[cfg(feature = "webhook")]
            Self::Webhook(error) => error.fmt(f),
            Self::Thread(_) => f.write_str("the thread of the bot could not be started"),
            Self::PollingFailed { reason, .. } => f.write_str(reason),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Engine(error) => error.source(),
            Self::Journal(error) => error.source(),
            #[cfg(feature = "webhook")]
            Self::Webhook(error) => error.source(),
            Self::Thread(error) => Some(error),
            Self::NoJournal | Self::PollingFailed { .. } => None,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

#[cfg(feature = "webhook")]
impl From<WebhookError> for Error {
    fn from(error: WebhookError) -> Self {
        Self::Webhook(error)
    }
}
