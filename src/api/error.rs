//! What can go wrong with a call, sorted by what the caller may do next.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

/// Outcome of a call to the Bot API that did not end with a result.
///
/// The variants answer one question first: *may the call have been executed?* Telegram has no way to make a call
/// idempotent, so repeating a call whose outcome is [unknown](ApiError::Unknown) can send a message twice, and not
/// repeating it can lose it.
///
/// | variant | executed? | meaning |
/// |---|---|---|
/// | [`Refused`](ApiError::Refused) | no | the server said no; repeating does not help |
/// | [`FloodWait`](ApiError::FloodWait) | no | repeat after the wait |
/// | [`NotSent`](ApiError::NotSent) | no | nothing was written; safe to repeat |
/// | [`Unknown`](ApiError::Unknown) | perhaps | repeat only what may happen twice |
/// | [`Decode`](ApiError::Decode) | yes | the result has an unexpected shape |
/// | [`QueueFull`](ApiError::QueueFull), [`WaitedTooLong`](ApiError::WaitedTooLong) | no | too much to do; repeat later |
/// | [`TooLarge`](ApiError::TooLarge) | - | a download beyond its limit |
/// | [`Encode`](ApiError::Encode), [`Method`](ApiError::Method), [`File`](ApiError::File) | no | the request could not be built |
/// | [`Stopped`](ApiError::Stopped) | no | the gateway is gone |
///
/// A method that sends several messages at once (`sendMediaGroup`, `forwardMessages`, `copyMessages`) may have sent
/// some of them although it was refused.
///
/// No variant holds the token or the address of the request, and where the server's own text quotes the token it is
/// replaced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The server refused the call: the definite 4xx answers other than 429.
    #[error("{method} was refused: {code} {description}")]
    Refused {
        /// Method that was called.
        method: String,
        /// Code of the error, which is also the HTTP status.
        code: u16,
        /// Text of the server, or the name of the HTTP status when there is none.
        description: String,
        /// The supergroup that a group was upgraded to: repeat the call with this id.
        /// See <https://core.telegram.org/bots/api#responseparameters>.
        migrate_to_chat_id: Option<i64>,
    },
    /// Flood control: the server wants a longer wait than the call may take (see
    /// [`ApiConfig::max_flood_wait`](super::ApiConfig::max_flood_wait)).
    #[error("{method} is under flood control; repeat it after {} s", retry_after.as_secs_f64().ceil())]
    FloodWait {
        /// Method that was called.
        method: String,
        /// Remaining time until the call may be repeated.
        /// See <https://core.telegram.org/bots/api#responseparameters>.
        retry_after: Duration,
    },
    /// The server was not reached; nothing was written.
    #[error("{method} was not sent; check the network and the bot api server, then repeat it")]
    NotSent {
        /// Method that was called.
        method: String,
        /// Step that failed.
        source: NotSentCause,
    },
    /// The request was written, at least in part, and no definite answer came back: it may have been executed.
    #[error("{method} has an unknown outcome; repeat it only if it may be executed twice")]
    Unknown {
        /// Method that was called.
        method: String,
        /// HTTP status, when a response began.
        status: Option<u16>,
        /// What happened instead of an answer.
        source: UnknownCause,
    },
    /// The call succeeded, but its result is not what this version of the types expects.
    #[error("the result of {method} has an unexpected shape; update actogram or decode it from call_raw")]
    Decode {
        /// Method that was called.
        method: String,
        /// Position and reason.
        source: serde_json::Error,
    },
    /// The parameters cannot be written as a JSON object; nothing was sent.
    #[error("the parameters of {method} are not a json object")]
    Encode {
        /// Method that was called.
        method: String,
        /// Reason.
        source: serde_json::Error,
    },
    /// The name is not that of a method: letters and digits only. Nothing was sent.
    #[error(
        "{method:?} is not a method name; use one of https://core.telegram.org/bots/api#available-methods"
    )]
    Method {
        /// Name that was given.
        method: String,
    },
    /// A file to upload cannot be read: the request was not sent, or was cut off before its end, so it was not executed.
    /// Or the file of a download cannot be read from a local server's disk or written to its target.
    #[error("cannot read or write {}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// As many calls wait as may, for this chat or in all
    /// (see [`ApiConfig::max_waiting`](super::ApiConfig::max_waiting)). The call was not sent.
    #[error(
        "{method} was not sent because {limit} calls wait already{}; wait for earlier ones to end",
        if *of_chat { " for its chat" } else { "" }
    )]
    QueueFull {
        /// Method that was called.
        method: String,
        /// Most calls that may wait.
        limit: usize,
        /// Whether they wait for the same chat; else for anything.
        of_chat: bool,
    },
    /// The turn of the call did not come in time, because of earlier calls to its chat, too few connections, flood
    /// control or its pace (see [`ApiConfig::max_wait`](super::ApiConfig::max_wait)). The call was not sent.
    #[error("{method} was not sent because its turn did not come within {} s", limit.as_secs_f64())]
    WaitedTooLong {
        /// Method that was called.
        method: String,
        /// Longest wait.
        limit: Duration,
    },
    /// A file is larger than what may be downloaded
    /// (see [`ApiConfig::max_download`](super::ApiConfig::max_download)).
    #[error(
        "{method} would be larger than {limit} bytes; allow more with max_download, or write it to a file"
    )]
    TooLarge {
        /// What was called: `download`.
        method: String,
        /// Limit in bytes.
        limit: u64,
    },
    /// The gateway is gone, because the arbiter it ran on was stopped. The call was not sent.
    #[error("{method} was not sent because the api gateway has stopped")]
    Stopped {
        /// Method that was called.
        method: String,
    },
}

/// Step at which a call failed before anything was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotSentCause {
    /// The host name has no address, or the name server did not answer.
    #[error("cannot resolve the host name")]
    Resolve(#[source] io::Error),
    /// The connection was refused, or failed before or during the TLS handshake.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Name look-up, connection or handshake took too long.
    #[error("no connection in time")]
    TimedOut,
    /// The HTTP client refused the request.
    #[error("the http client refused the request: {0}")]
    Client(String),
}

/// What happened instead of a definite answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnknownCause {
    /// No complete response within the call's deadline.
    #[error("no complete response within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The server closed the connection instead of answering.
    #[error("the server closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The response is not HTTP.
    #[error("the response is not valid http: {0}")]
    Http(String),
    /// The response is larger than 32 MiB.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: usize,
    },
    /// The server reported an error of its own: the 5xx answers.
    #[error("the server has a problem: {description}")]
    Server {
        /// Text of the server, or the name of the HTTP status when there is none.
        description: String,
    },
    /// The response is not an answer of the Bot API: empty, HTML, or cut off.
    #[error("the response is not an answer of the bot api")]
    NotAnAnswer,
    /// The gateway stopped while it had the call.
    #[error("the api gateway stopped during the call")]
    Stopped,
}

impl ApiError {
    /// Returns the method that was called; `download` for a download, and nothing for a [file](ApiError::File) that was at
    /// fault.
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Refused { method, .. }
            | Self::FloodWait { method, .. }
            | Self::NotSent { method, .. }
            | Self::Unknown { method, .. }
            | Self::Decode { method, .. }
            | Self::Encode { method, .. }
            | Self::Method { method }
            | Self::QueueFull { method, .. }
            | Self::WaitedTooLong { method, .. }
            | Self::TooLarge { method, .. }
            | Self::Stopped { method } => Some(method),
            Self::File { .. } => None,
        }
    }

    /// Returns true if the same call may succeed later: the server was not reached, wants a wait, gave no definite
    /// answer, or too many calls wait. Repeat an [unknown outcome](ApiError::may_have_been_sent) only if the call may be executed twice.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::FloodWait { .. } | Self::QueueFull { .. } | Self::WaitedTooLong { .. } => true,
            Self::NotSent { source, .. } => !matches!(source, NotSentCause::Client(_)),
            Self::Unknown { source, .. } => !matches!(source, UnknownCause::Stopped),
            _ => false,
        }
    }

    /// Returns the wait that flood control asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::FloodWait { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Returns true if the server does not accept the token. A malformed token gets 404 from Telegram's own server,
    /// as an unknown method does; only 401 counts here.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { code: 401, .. })
    }

    /// Returns true if the server answered 409: another process polls for the same bot, or a webhook is set.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// Returns true if the call has been executed or may have been.
    pub fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Decode { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn refused(code: u16) -> ApiError {
        ApiError::Refused {
            method: "getMe".to_owned(),
            code,
            description: "Unauthorized".to_owned(),
            migrate_to_chat_id: None,
        }
    }

    fn not_sent(source: NotSentCause) -> ApiError {
        ApiError::NotSent {
            method: "getMe".to_owned(),
            source,
        }
    }

    fn unknown(source: UnknownCause) -> ApiError {
        ApiError::Unknown {
            method: "getMe".to_owned(),
            status: None,
            source,
        }
    }

    #[test]
    fn only_outcomes_that_time_can_change_are_transient() {
        assert!(not_sent(NotSentCause::TimedOut).is_transient());
        assert!(unknown(UnknownCause::Closed).is_transient());
        assert!(
            ApiError::FloodWait {
                method: "getMe".to_owned(),
                retry_after: Duration::from_secs(1)
            }
            .is_transient()
        );

        assert!(!refused(400).is_transient());
        assert!(!not_sent(NotSentCause::Client(String::new())).is_transient());
        assert!(!unknown(UnknownCause::Stopped).is_transient());
        assert!(
            !ApiError::Stopped {
                method: "getMe".to_owned()
            }
            .is_transient()
        );
    }

    #[test]
    fn only_unknown_and_decoded_calls_may_have_been_sent() {
        let source = serde_json::from_str::<u8>("x").unwrap_err();

        assert!(unknown(UnknownCause::Stopped).may_have_been_sent());
        assert!(
            ApiError::Decode {
                method: "getMe".to_owned(),
                source
            }
            .may_have_been_sent()
        );
        assert!(!refused(400).may_have_been_sent());
        assert!(!not_sent(NotSentCause::TimedOut).may_have_been_sent());
    }

    #[test]
    fn the_code_tells_a_bad_token_from_a_second_poller() {
        assert!(refused(401).is_unauthorized() && !refused(401).is_conflict());
        assert!(refused(409).is_conflict() && !refused(409).is_unauthorized());
    }

    #[test]
    fn the_cause_is_the_source_and_not_part_of_the_message() {
        let error = not_sent(NotSentCause::Connect(io::Error::other("cable cut")));
        let cause = error.source().unwrap();

        assert!(!error.to_string().contains("cable cut"));
        assert_eq!(cause.to_string(), "cannot connect");
        assert_eq!(cause.source().unwrap().to_string(), "cable cut");
    }

    #[test]
    fn errors_cross_threads() {
        fn assert_error<T: Error + Send + Sync + 'static>() {}

        assert_error::<ApiError>();
    }
}
