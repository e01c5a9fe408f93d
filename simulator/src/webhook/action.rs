//! What a webhook wants done on its connections, and what happened on them.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::Moment;

/// One connection to a webhook. Numbers are never used twice in a [`World`](crate::World).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WebhookConnection(i64);

impl WebhookConnection {
    pub(crate) const fn new(number: i64) -> Self {
        Self(number)
    }
}

/// Something to do for a webhook, from [`World::take_webhook_actions`](crate::World::take_webhook_actions).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookAction {
    /// Open a connection. Posts may follow before it is open; they are sent when it is.
    Connect {
        /// The name of the new connection.
        connection: WebhookConnection,
        /// Where to.
        endpoint: WebhookEndpoint,
    },
    /// Send a request. The one before has been answered.
    Post {
        /// On which connection.
        connection: WebhookConnection,
        /// The request.
        post: WebhookPost,
    },
    /// Close a connection, whatever happens on it.
    Close {
        /// Which one.
        connection: WebhookConnection,
    },
}

/// Where a webhook lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookEndpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is asked for (`https`).
    pub tls: bool,
    /// The address to use in place of what the host name resolves to.
    pub ip: Option<IpAddr>,
}

/// One HTTP request that carries an update.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookPost {
    /// The `update_id`.
    pub update_id: i64,
    /// The head of the request, with the empty line behind it.
    pub head: Bytes,
    /// The body: the JSON of the update.
    pub body: Bytes,
    /// Close the connection after this many bytes of the body.
    pub cut_after: Option<usize>,
    /// When the request was handed over.
    pub sent_at: Moment,
    /// Spread the body over this time, counted from `sent_at`.
    pub spread_over: Option<Duration>,
}

/// Leaves out head and body: they carry the secret token and what people wrote.
impl fmt::Debug for WebhookPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookPost")
            .field("update_id", &self.update_id)
            .field("cut_after", &self.cut_after)
            .field("spread_over", &self.spread_over)
            .finish_non_exhaustive()
    }
}

/// Something that happened on a connection, for [`World::webhook_event`](crate::World::webhook_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookEvent {
    /// The connection is open.
    Connected {
        /// The address of the other side.
        ip: IpAddr,
    },
    /// The whole request has been written.
    Written,
    /// A complete answer has come, perhaps before the whole request was written.
    Answered(WebhookAnswer),
    /// The connection could not be opened, or has ended.
    Closed {
        /// What the system says when it was not closed in order, for example `Connection refused`.
        error: Option<String>,
    },
}

/// The answer of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The text behind the status.
    pub reason: String,
    /// The `Retry-After` header as it came.
    pub retry_after: Option<String>,
    /// The `Content-Type` header as it came.
    pub content_type: Option<String>,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// The body, decoded.
    pub body: Bytes,
}

impl WebhookAnswer {
    /// Returns an answer with this status, an empty body and a connection that stays open.
    pub fn new(status: u16, reason: &str) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            retry_after: None,
            content_type: None,
            keep_alive: true,
            body: Bytes::new(),
        }
    }

    /// Returns `200 OK` with a JSON body.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self {
            content_type: Some("application/json".to_owned()),
            body: body.into(),
            ..Self::new(200, "OK")
        }
    }

    /// Tells whether the answer acknowledges the update.
    pub(crate) fn acknowledges(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the seconds of `Retry-After`, 0 when there are none. A date counts as none, and so does what is no 32-bit
    /// number in its shortest form.
    pub(crate) fn retry_after_seconds(&self) -> u64 {
        let text = self.retry_after.as_deref().unwrap_or_default().trim();
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds: &i32| seconds.to_string() == text);
        seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_nothing() {
        let seconds = |text: &str| {
            WebhookAnswer {
                retry_after: Some(text.to_owned()),
                ..WebhookAnswer::new(503, "Service Unavailable")
            }
            .retry_after_seconds()
        };

        assert_eq!(seconds("7"), 7);
        for none in ["-7", "+7", "07", "7.0", "2147483648", "99999999999999999999"] {
            assert_eq!(seconds(none), 0, "{none}");
        }
        assert_eq!(seconds("2147483647"), 2_147_483_647);
        assert_eq!(seconds("Fri, 31 Dec 2027 23:59:59 GMT"), 0);
        assert_eq!(WebhookAnswer::new(503, "").retry_after_seconds(), 0);
    }

    #[test]
    fn every_status_from_200_to_299_acknowledges() {
        for (status, acknowledges) in [
            (199, false),
            (200, true),
            (204, true),
            (299, true),
            (301, false),
            (404, false),
        ] {
            assert_eq!(WebhookAnswer::new(status, "").acknowledges(), acknowledges);
        }
    }

    #[test]
    fn a_post_shows_neither_its_secret_nor_its_text() {
        let post = WebhookPost {
            update_id: 7,
            head: Bytes::from_static(b"X-Telegram-Bot-Api-Secret-Token: hush"),
            body: Bytes::from_static(b"hello"),
            cut_after: None,
            sent_at: Moment::default(),
            spread_over: None,
        };

        let shown = format!("{post:?}");

        assert!(
            shown.contains('7') && !shown.contains("hush") && !shown.contains("hello"),
            "{shown}"
        );
    }
}
