//! Bot tokens: well-formed or not.

/// A token that no bot can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has no `:` between a bot id and a secret, or no secret.
    #[error("token has no secret, use the form <bot id>:<secret>")]
    NoSecret,
    /// It is longer than 80 characters.
    #[error("token is longer than 80 characters")]
    TooLong,
    /// Its bot id is not a number from 1 to 2^54 - 1 without leading zeros.
    #[error("bot id in front of the colon is not a number from 1 to 2^54 - 1")]
    BadId,
}

/// Returns the bot id in front of the colon.
pub(crate) fn bot_id(token: &str) -> Result<i64, TokenError> {
    if token.len() > 80 {
        return Err(TokenError::TooLong);
    }
    let (id, secret) = token.split_once(':').ok_or(TokenError::NoSecret)?;
    if secret.is_empty() {
        return Err(TokenError::NoSecret);
    }
    if id.starts_with('0') || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TokenError::BadId);
    }
    id.parse()
        .ok()
        .filter(|id| (1..1_i64 << 54).contains(id))
        .ok_or(TokenError::BadId)
}

/// Returns a well-formed token for the bot `id`.
pub(crate) fn well_formed(id: i64) -> String {
    format!("{id}:AAHs1mulat0rT0kenWith35Characters_x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_tokens_are_told_apart() {
        assert_eq!(bot_id("123"), Err(TokenError::NoSecret));
        assert_eq!(bot_id("123:"), Err(TokenError::NoSecret));
        assert_eq!(bot_id("0123:abc"), Err(TokenError::BadId));
        assert_eq!(bot_id("-1:abc"), Err(TokenError::BadId));
        assert_eq!(bot_id("18014398509481984:abc"), Err(TokenError::BadId));
        assert_eq!(bot_id(&format!("1:{}", "x".repeat(79))), Err(TokenError::TooLong));
        assert_eq!(bot_id(&well_formed(7)), Ok(7));
        assert_eq!(well_formed(7).len(), 2 + 35);
        assert_eq!(bot_id("18014398509481983:abc"), Ok(18_014_398_509_481_983));
    }
}
