//! The token of a bot: parsed once, shown never.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// Longest token that the Bot API server accepts.
const MAX_LEN: usize = 80;

/// Largest bot id that the Bot API server accepts: 2^54 - 1.
const MAX_BOT_ID: u64 = (1 << 54) - 1;

/// Secret halves shorter than this are redacted only together with the bot id, because a short text may occur
/// in an innocent message.
const MIN_SECRET_HALF: usize = 16;

/// The token of a bot, as [@BotFather](https://t.me/BotFather) hands it out.
///
/// A token is the password of the bot, so this type has no public way to read it: `Debug` and `Display` show the
/// bot id only. Cloning is cheap.
///
/// ```
/// use actogram::api::Token;
///
/// let token = Token::parse("123456:AbCdEf_GhIjKl-MnOpQr")?;
///
/// assert_eq!(token.bot_id(), 123456);
/// assert_eq!(token.to_string(), "Token(123456:redacted)");
/// # Ok::<(), actogram::api::TokenError>(())
/// ```
///
/// See <https://core.telegram.org/bots/api#authorizing-your-bot>.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    secret: Arc<str>,
    bot_id: u64,
}

impl Token {
    /// Parses a token of the form `<bot id>:<secret>`. White space around it is ignored.
    ///
    /// Only the form is checked; whether the Bot API server knows the token shows with the first call.
    ///
    /// # Errors
    ///
    /// Returns the first rule that the text breaks. The error never quotes the text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(TokenError::TooLong);
        }
        let (id, secret) = text.split_once(':').ok_or(TokenError::NoColon)?;
        if id.is_empty() || id.starts_with('0') || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TokenError::BotId);
        }
        let bot_id = id
            .parse()
            .ok()
            .filter(|id| *id <= MAX_BOT_ID)
            .ok_or(TokenError::BotId)?;
        if secret.is_empty()
            || !secret
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return Err(TokenError::Secret);
        }
        Ok(Self {
            secret: text.into(),
            bot_id,
        })
    }

    /// Returns the id of the bot, which is the part before the colon and is not secret.
    pub fn bot_id(&self) -> u64 {
        self.bot_id
    }

    /// The whole token. It may go into a request path and nowhere else.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Removes the token from a text that came from outside, such as the description of an error.
    pub(crate) fn redact(&self, text: String) -> String {
        let half = self.secret.split_once(':').map_or("", |(_, half)| half);
        if half.len() >= MIN_SECRET_HALF && text.contains(half) {
            text.replace(half, "redacted")
        } else if text.contains(&*self.secret) {
            text.replace(&*self.secret, "redacted")
        } else {
            text
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}:redacted)", self.bot_id)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

/// Why a text is not a token. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nothing but white space.
    #[error("the bot token is empty; get one from @BotFather and set TELEGRAM_BOT_TOKEN")]
    Empty,
    /// More than 80 characters.
    #[error(
        "the bot token is longer than 80 characters; copy it again from @BotFather into TELEGRAM_BOT_TOKEN"
    )]
    TooLong,
    /// No colon between the bot id and the secret.
    #[error(
        "the bot token has no colon; it looks like 123456:ABC-DEF, copy it again from @BotFather into TELEGRAM_BOT_TOKEN"
    )]
    NoColon,
    /// The part before the colon is not a number from 1 to 2^54 - 1 without leading zeros.
    #[error(
        "the bot token does not begin with a bot id; copy it again from @BotFather into TELEGRAM_BOT_TOKEN"
    )]
    BotId,
    /// The part after the colon is empty or has characters other than `A-Z`, `a-z`, `0-9`, `_` and `-`.
    #[error(
        "the bot token has unexpected characters after the colon; copy it again from @BotFather into TELEGRAM_BOT_TOKEN"
    )]
    Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

    #[test]
    fn a_token_is_trimmed_and_knows_its_bot_id() {
        let token = Token::parse(&format!("  123456:{SECRET}\n")).unwrap();

        assert_eq!(token.bot_id(), 123_456);
        assert_eq!(token.secret(), format!("123456:{SECRET}"));
    }

    #[test]
    fn debug_and_display_show_the_bot_id_only() {
        let token = Token::parse(&format!("123456:{SECRET}")).unwrap();

        assert_eq!(format!("{token:?}"), "Token(123456:redacted)");
        assert_eq!(token.to_string(), "Token(123456:redacted)");
    }

    #[test]
    fn malformed_tokens_are_refused_for_the_rule_they_break() {
        let long = format!("1:{}", "a".repeat(79));

        for (text, error) in [
            ("", TokenError::Empty),
            (" \t\n", TokenError::Empty),
            (long.as_str(), TokenError::TooLong),
            ("123456", TokenError::NoColon),
            (":abc", TokenError::BotId),
            ("0123:abc", TokenError::BotId),
            ("12x:abc", TokenError::BotId),
            ("+12:abc", TokenError::BotId),
            ("18014398509481984:abc", TokenError::BotId),
            ("99999999999999999999999:abc", TokenError::BotId),
            ("123:", TokenError::Secret),
            ("123:ab/c", TokenError::Secret),
            ("123:ab:c", TokenError::Secret),
            ("123:ab c", TokenError::Secret),
            ("123:äbc", TokenError::Secret),
        ] {
            assert_eq!(Token::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_limits_themselves_are_accepted() {
        assert!(Token::parse(&format!("1:{}", "a".repeat(78))).is_ok());
        assert!(Token::parse("18014398509481983:a").is_ok());
    }

    #[test]
    fn no_error_quotes_the_text() {
        for text in [
            format!("0:{SECRET}"),
            format!("1:{SECRET}/"),
            format!("x{SECRET}"),
            SECRET.repeat(3),
        ] {
            let error = Token::parse(&text).unwrap_err();

            assert!(!format!("{error} {error:?}").contains(SECRET));
        }
    }

    #[test]
    fn redacting_removes_the_token_and_its_secret_half() {
        let token = Token::parse(&format!("123456:{SECRET}")).unwrap();

        assert_eq!(
            token.redact(format!("/bot123456:{SECRET}/getMe")),
            "/bot123456:redacted/getMe"
        );
        assert_eq!(
            token.redact(format!("/bot123456%3A{SECRET}/getMe")),
            "/bot123456%3Aredacted/getMe"
        );
        assert_eq!(token.redact("not found".to_owned()), "not found");
    }

    #[test]
    fn a_short_secret_is_redacted_only_as_a_whole_token() {
        let token = Token::parse("1:a").unwrap();

        assert_eq!(
            token.redact("a path /bot1:a/getMe".to_owned()),
            "a path /botredacted/getMe"
        );
    }
}
