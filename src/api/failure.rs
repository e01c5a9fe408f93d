//! What a failure of the HTTP client means, above all whether the request may have been written.
//!
//! The client's errors name at most the host. Its requests, which hold the token, are never formatted.

use std::{error::Error, io};

use actix_http::error::{ParseError, PayloadError};
use awc::error::{ConnectError, SendRequestError};

use super::{
    error::{ApiError, NotSentCause, UnknownCause},
    form_body::FileFault,
};

/// Largest response body that is kept in memory. An answer to `getUpdates` stays below 5 MiB, but nothing documents a
/// limit.
pub(crate) const BODY_LIMIT: usize = 32 << 20;

pub(crate) fn payload_cause(error: PayloadError) -> UnknownCause {
    match error {
        PayloadError::Overflow => UnknownCause::TooLarge { limit: BODY_LIMIT },
        PayloadError::Incomplete(None) => UnknownCause::Closed,
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => UnknownCause::Broken(error),
        other => UnknownCause::Http(other.to_string()),
    }
}

/// Sorts a failure to get a response by whether the request may have been written.
///
/// `Connect(Disconnected)` looks like a failure to connect, but it is what the client reports when the server has read
/// the request and closed the connection.
pub(crate) fn send_error(method: &str, error: SendRequestError) -> ApiError {
    let cause = match error {
        SendRequestError::Connect(error) => match error {
            ConnectError::Resolver(error) => {
                return not_sent(method, NotSentCause::Resolve(into_io_error(error)));
            }
            ConnectError::NoRecords => {
                let error = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
                return not_sent(method, NotSentCause::Resolve(error));
            }
            ConnectError::Io(error) => return not_sent(method, NotSentCause::Connect(error)),
            ConnectError::Timeout => return not_sent(method, NotSentCause::TimedOut),
            ConnectError::SslIsNotSupported | ConnectError::Unresolved => {
                return not_sent(method, NotSentCause::Client(error.to_string()));
            }
            ConnectError::Disconnected => UnknownCause::Closed,
            other => UnknownCause::Http(other.to_string()),
        },
        SendRequestError::Url(_) | SendRequestError::Http(_) | SendRequestError::TunnelNotSupported => {
            return not_sent(method, NotSentCause::Client(error.to_string()));
        }
        SendRequestError::Body(error) => match error.downcast::<FileFault>() {
            Ok(fault) => return ApiError::from(*fault),
            Err(other) => UnknownCause::Broken(into_io_error(other)),
        },
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
            UnknownCause::Broken(error)
        }
        other => UnknownCause::Http(other.to_string()),
    };
    unknown(method, None, cause)
}

/// The HTTP client's boxed errors cannot cross threads; I/O errors are kept, of others only the text.
fn into_io_error(error: Box<dyn Error>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(other) => io::Error::other(other.to_string()),
    }
}

pub(crate) fn not_sent(method: &str, source: NotSentCause) -> ApiError {
    ApiError::NotSent {
        method: method.to_owned(),
        source,
    }
}

pub(crate) fn unknown(method: &str, status: Option<u16>, source: UnknownCause) -> ApiError {
    ApiError::Unknown {
        method: method.to_owned(),
        status,
        source,
    }
}

/// A connection that failed before anything was written on it.
pub(crate) fn unwritten(cause: UnknownCause) -> NotSentCause {
    NotSentCause::Connect(match cause {
        UnknownCause::Broken(error) => error,
        other => io::Error::new(io::ErrorKind::ConnectionAborted, other.to_string()),
    })
}
