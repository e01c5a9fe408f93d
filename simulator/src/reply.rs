//! What goes back to the client: the JSON envelope, the HTTP status, and how it is delivered.

use bytes::Bytes;
use serde_json::{Value, json};

/// The content type of everything the Bot API server itself answers.
const JSON: &str = "application/json";

/// One HTTP answer, and the way it reaches the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status; equal to `error_code` whenever the body is an envelope.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// The `Retry-After` header in seconds, set on every 429.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Bytes,
    /// How much of it arrives.
    pub delivery: Delivery,
}

/// How an answer reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Complete.
    Whole,
    /// Headers announce the whole body, the connection ends after this many bytes of it.
    CutAfter(usize),
    /// The connection ends without a single byte.
    Close,
    /// Nothing is sent and the connection stays open.
    Never,
}

impl Reply {
    /// Returns a complete answer with an arbitrary body.
    pub fn raw(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            retry_after: None,
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// Returns the successful envelope around JSON text.
    pub(crate) fn result_text(result: &str) -> Self {
        Self::raw(200, JSON, format!("{{\"ok\":true,\"result\":{result}}}"))
    }

    /// Returns an answer without a body, as the server's own HTTP layer gives for what it rejects.
    pub(crate) fn empty(status: u16) -> Self {
        Self::raw(status, "text/html", Bytes::new())
    }

    /// Returns the `description` of an envelope, empty when there is none.
    pub(crate) fn description(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["description"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns an answer that never arrives, in one of the ways of [`Delivery`].
    pub(crate) fn undelivered(delivery: Delivery) -> Self {
        Self {
            delivery,
            ..Self::empty(200)
        }
    }
}

/// The result of a method that succeeded.
#[derive(Clone, Debug)]
pub(crate) struct Success {
    pub(crate) result: Value,
    pub(crate) description: Option<&'static str>,
}

impl Success {
    pub(crate) fn new(result: Value) -> Self {
        Self {
            result,
            description: None,
        }
    }

    /// `true` with a description, as the webhook methods answer.
    pub(crate) fn described(description: &'static str) -> Self {
        Self {
            result: Value::Bool(true),
            description: Some(description),
        }
    }
}

impl From<Success> for Reply {
    fn from(success: Success) -> Self {
        match success.description {
            None => Self::result_text(&success.result.to_string()),
            Some(description) => {
                let (result, description) = (success.result, json!(description));
                let body = format!("{{\"ok\":true,\"result\":{result},\"description\":{description}}}");
                Self::raw(200, JSON, body)
            }
        }
    }
}

/// An error answer of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) description: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) migrate_to: Option<i64>,
}

impl Failure {
    /// Returns a failure whose description is given word for word.
    pub(crate) fn exact(code: u16, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
            retry_after: None,
            migrate_to: None,
        }
    }

    /// `400 Bad Request: <text>`.
    pub(crate) fn bad_request(text: &str) -> Self {
        Self::exact(400, format!("Bad Request: {}", uncapitalised(text)))
    }

    /// `403 Forbidden: <text>`.
    pub(crate) fn forbidden(text: &str) -> Self {
        Self::exact(403, format!("Forbidden: {}", uncapitalised(text)))
    }

    /// `429 Too Many Requests: retry after <seconds>`.
    pub(crate) fn too_many_requests(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::exact(429, format!("Too Many Requests: retry after {seconds}"))
        }
    }

    /// The answer for a basic group that became a supergroup.
    pub(crate) fn migrated(to: i64) -> Self {
        Self {
            migrate_to: Some(to),
            ..Self::bad_request("group chat was upgraded to a supergroup chat")
        }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        // Members in the order of the real server, for people who read answers.
        let (code, description) = (failure.code, json!(failure.description));
        let mut body = format!("{{\"ok\":false,\"error_code\":{code},\"description\":{description}");
        if let Some(seconds) = failure.retry_after {
            body += &format!(",\"parameters\":{{\"retry_after\":{seconds}}}");
        } else if let Some(chat_id) = failure.migrate_to {
            body += &format!(",\"parameters\":{{\"migrate_to_chat_id\":{chat_id}}}");
        }
        body.push('}');
        Self {
            retry_after: failure.retry_after,
            ..Self::raw(code, JSON, body)
        }
    }
}

impl From<Result<Success, Failure>> for Reply {
    fn from(outcome: Result<Success, Failure>) -> Self {
        outcome.map_or_else(Self::from, Self::from)
    }
}

/// Lower-cases the first letter unless the text is a raw error code such as `CHAT_WRITE_FORBIDDEN`.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    match letters.clone().next() {
        Some(second) if second.is_uppercase() || second == '_' => text.to_owned(),
        _ => first.to_lowercase().chain(letters).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(failure: Failure) -> (Reply, Value) {
        let reply = Reply::from(failure);
        let body = serde_json::from_slice(&reply.body).unwrap();
        (reply, body)
    }

    #[test]
    fn the_status_equals_the_error_code() {
        let (reply, body) = envelope(Failure::forbidden("bot was blocked by the user"));

        assert_eq!(reply.status, 403);
        assert_eq!(
            body,
            json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked by the user"})
        );
    }

    #[test]
    fn a_flood_wait_is_told_three_times() {
        let (reply, body) = envelope(Failure::too_many_requests(70_000));

        assert_eq!(reply.retry_after, Some(70_000));
        assert_eq!(body["description"], "Too Many Requests: retry after 70000");
        assert_eq!(body["parameters"], json!({"retry_after": 70_000}));
    }

    #[test]
    fn a_migration_names_the_new_chat() {
        let (reply, body) = envelope(Failure::migrated(-100_500));

        assert_eq!((reply.status, reply.retry_after), (400, None));
        assert_eq!(body["parameters"], json!({"migrate_to_chat_id": -100_500}));
    }

    #[test]
    fn descriptions_start_small_unless_they_are_codes() {
        assert_eq!(
            Failure::bad_request("Message text is empty").description,
            "Bad Request: message text is empty"
        );
        assert_eq!(
            Failure::bad_request("CHAT_WRITE_FORBIDDEN").description,
            "Bad Request: CHAT_WRITE_FORBIDDEN"
        );
    }

    #[test]
    fn a_described_success_carries_both() {
        let reply = Reply::from(Success::described("Webhook was set"));

        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            body,
            json!({"ok": true, "result": true, "description": "Webhook was set"})
        );
    }
}
