//! The private readers and writers of what goes over the wire, for the fuzz targets and the tests of their seeds.
//!
//! Not part of the public interface: it may change or vanish in any release.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use actix_http::body::MessageBody;
use bytes::Bytes;

use crate::api::{ApiError, MultipartForm, RawResponse, Server, Token, read_response as read};
pub use crate::extract::{
    command_text::{CommandText, parse as parse_command},
    words::Words,
};
#[cfg(feature = "webhook")]
pub use crate::webhook::fuzzing::{PostedIdentity, is_from_telegram, posted_update, secret_matches};

/// Reads a response of the Bot API server and returns the JSON text of its result. `retry_after` is the header, in
/// seconds.
///
/// # Errors
///
/// Whatever the response says instead of a result.
pub fn read_response(
    token: &Token,
    status: u16,
    retry_after: Option<u64>,
    body: &[u8],
) -> Result<String, ApiError> {
    let response = RawResponse {
        status,
        retry_after,
        body: Bytes::copy_from_slice(body),
    };
    read("getUpdates", token, response).map(|answer| answer.result_text().to_owned())
}

/// Returns the address of a file as it would be requested with the token `1:x`.
pub fn file_url(server: &Server, file_path: &str) -> Option<String> {
    Some(server.file_url(&Token::parse("1:x").ok()?, file_path))
}

/// Returns the address of a method as it would be requested with the token `1:x`.
pub fn method_url(server: &Server, method: &str) -> Option<String> {
    Some(server.method_url(&Token::parse("1:x").ok()?, method))
}

/// A form as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenForm {
    /// The `Content-Type`, which names the boundary.
    pub content_type: String,
    /// The `Content-Length`.
    pub announced_len: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// Writes a form without files, on this thread: handing it to another one, as uploads do, would take longer than everything
/// else. `None` when there is a file to wait for.
///
/// # Errors
///
/// [`ApiError::File`] when a file cannot be opened.
pub fn write_form(form: &MultipartForm) -> Result<Option<WrittenForm>, ApiError> {
    let mut opened = pin!(form.open_here()?);
    let (content_type, announced_len) = (opened.content_type(), opened.len());
    let mut body = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match opened.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(piece)) => body.extend(piece.map_err(ApiError::from)?),
            Poll::Ready(None) => break,
            Poll::Pending => return Ok(None),
        }
    }
    Ok(Some(WrittenForm {
        content_type,
        announced_len,
        body,
    }))
}
