//! What is decided about the bytes of a request, for the fuzz targets and the tests of their seeds.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{direct::Identity, door::update_in, origin::SenderAddress, secret::Secret};
use crate::{SecretError, update::Update};

/// By what an update that is posted again is recognised without a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedIdentity(Identity);

impl PostedIdentity {
    /// Returns the identity of an update.
    pub fn of(update: &Update) -> Self {
        Self(Identity::of(update))
    }
}

/// Reads the body of a request; `None` when it is answered 400.
pub fn posted_update(body: &[u8]) -> Option<Update> {
    update_in(body).ok()
}

/// Returns whether a request that offers these bytes knows the secret.
///
/// # Errors
///
/// When the secret is not one that a webhook may have.
pub fn secret_matches(secret: &str, offered: &[u8]) -> Result<bool, SecretError> {
    Ok(Secret::parse(secret)?.matches(offered))
}

/// Returns whether a request with these values of the header counts as sent by Telegram; `None` when HTTP has no such
/// value.
pub fn is_from_telegram(values: &[&[u8]]) -> Option<bool> {
    let name = HeaderName::from_static("x-forwarded-for");
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name.clone(), HeaderValue::from_bytes(value).ok()?);
    }
    Some(SenderAddress::Header(name).is_telegram(&headers, None))
}
