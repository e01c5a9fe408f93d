//! Settings that come from environment variables.

use std::env;

use super::keeping::JournalSetting;
use crate::{
    api::{ApiConfig, Server, Token},
    error::ConfigError,
};

/// Environment variable with the token.
const TOKEN_VARIABLE: &str = "TELEGRAM_BOT_TOKEN";

/// Environment variable with the root of the Bot API server.
const SERVER_VARIABLE: &str = "TELEGRAM_API_URL";

/// Environment variable with the path of the journal, or `off`.
const JOURNAL_VARIABLE: &str = "ACTOGRAM_JOURNAL";

pub(super) fn journal() -> Result<JournalSetting, ConfigError> {
    Ok(match variable(JOURNAL_VARIABLE)? {
        None => JournalSetting::default(),
        Some(off) if off == "off" => JournalSetting::Off,
        Some(path) => JournalSetting::At(path.into()),
    })
}

pub(super) fn api() -> Result<ApiConfig, ConfigError> {
    let token = variable(TOKEN_VARIABLE)?.ok_or(ConfigError::MissingToken {
        variable: TOKEN_VARIABLE,
    })?;
    let config = ApiConfig::new(Token::parse(&token).map_err(ConfigError::Token)?);
    Ok(match variable(SERVER_VARIABLE)? {
        None => config,
        Some(root) => config.server(Server::parse(&root).map_err(|source| ConfigError::Server {
            variable: SERVER_VARIABLE,
            source,
        })?),
    })
}

/// Returns the value of an environment variable; an empty one counts as not set.
pub(crate) fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(ConfigError::NotUnicode { variable: name }),
    }
}
