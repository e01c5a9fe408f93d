//! The secret that the server sends along with each update.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

/// Longest secret; see <https://core.telegram.org/bots/api#setwebhook>.
const LONGEST: usize = 256;

/// Shortest secret. The server would take a single character, which is no secret.
const SHORTEST: usize = 16;

/// A secret that was checked. It is shown nowhere.
#[derive(Clone)]
pub(super) struct Secret(Box<str>);

/// Why a text cannot be the secret of a webhook. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Fewer than 16 characters.
    #[error("it is shorter than 16 characters; take 32 random ones, as `openssl rand -hex 16` prints them")]
    TooShort,
    /// More than 256 characters, the [limit of the server](https://core.telegram.org/bots/api#setwebhook).
    #[error("it is longer than 256 characters")]
    TooLong,
    /// Other characters than `A-Z`, `a-z`, `0-9`, `_` and `-`, which the
    /// [server refuses](https://core.telegram.org/bots/api#setwebhook).
    #[error("it has other characters than A-Z, a-z, 0-9, _ and -")]
    Characters,
}

impl Secret {
    pub(super) fn parse(text: &str) -> Result<Self, SecretError> {
        if text.len() < SHORTEST {
            return Err(SecretError::TooShort);
        }
        if text.len() > LONGEST {
            return Err(SecretError::TooLong);
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        {
            return Err(SecretError::Characters);
        }
        Ok(Self(text.into()))
    }

    /// The secret itself. It may go into a call of `setWebhook` and nowhere else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on neither text.
    pub(super) fn matches(&self, offered: &[u8]) -> bool {
        let (expected, given) = (padded(self.0.as_bytes()), padded(offered));
        let same_length = self.0.len().ct_eq(&offered.len());
        Choice::into(expected.ct_eq(&given) & same_length)
    }
}

/// Returns the first bytes, filled up to the length of the longest secret.
fn padded(text: &[u8]) -> [u8; LONGEST] {
    let mut bytes = [0; LONGEST];
    for (to, from) in bytes.iter_mut().zip(text) {
        *to = *from;
    }
    bytes
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "AbC_0123-4567890";

    #[test]
    fn only_what_the_server_takes_and_nobody_guesses_is_a_secret() {
        assert!(Secret::parse(GOOD).is_ok());
        assert!(Secret::parse(&"x".repeat(256)).is_ok());
        assert_eq!(Secret::parse(&GOOD[1..]).unwrap_err(), SecretError::TooShort);
        assert_eq!(Secret::parse(&"x".repeat(257)).unwrap_err(), SecretError::TooLong);
        for text in ["AbC 0123 45678901", "AbC.0123.45678901", "ÄbC_0123-4567890"] {
            assert_eq!(
                Secret::parse(text).unwrap_err(),
                SecretError::Characters,
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::parse(GOOD).unwrap();

        assert!(secret.matches(GOOD.as_bytes()));
        let longer = format!("{GOOD}\0");
        let long = "x".repeat(300);
        for other in [
            "",
            "AbC_0123-456789",
            "AbC_0123-4567891",
            "abC_0123-4567890",
            &longer,
            &long,
        ] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
        let longest = Secret::parse(&"x".repeat(256)).unwrap();
        assert!(!longest.matches("x".repeat(257).as_bytes()));
    }

    #[test]
    fn the_secret_does_not_show() {
        assert_eq!(format!("{:?}", Secret::parse(GOOD).unwrap()), "Secret(redacted)");
    }
}
