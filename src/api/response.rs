//! Reading the answer of the Bot API server: the envelope, not the result inside it.
//!
//! Success is `{"ok":true,"result":…}`, failure `{"ok":false,"error_code":…,"description":…}`
//! (<https://core.telegram.org/bots/api#making-requests>). Front-ends and the server's own HTTP layer answer with
//! HTML, an empty body or anything else, so a body is never assumed to be JSON.

use std::{collections::HashMap, time::Duration};

use awc::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::error::{ApiError, UnknownCause};
use crate::token::Token;

/// Wait when a 429 does not say how long.
const DEFAULT_RETRY_AFTER_SECS: u64 = 5;

/// A response as it came, of any status.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    /// The `Retry-After` header, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Bytes,
}

/// A successful response.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The whole envelope.
    pub(crate) body: Bytes,
    /// The JSON text of `result`; shares the memory of `body`.
    pub(crate) result: Bytes,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Answer {
    /// The answer `true`, for a repetition that found its work done.
    pub(crate) fn done() -> Option<Self> {
        let body = Bytes::from_static(br#"{"ok":true,"result":true}"#);
        let result = body.slice(20..24);
        Some(Self { body, result })
    }

    /// The JSON text of `result`.
    pub(crate) fn result_text(&self) -> &str {
        std::str::from_utf8(&self.result).expect("`read` has made the body valid utf-8 before it was parsed")
    }
}

/// Replaces what is not UTF-8, which JSON has to be: one broken string must not make a whole batch unreadable, or it
/// would come again for ever.
fn readable(body: Bytes) -> Bytes {
    match std::str::from_utf8(&body) {
        Ok(_) => body,
        Err(_) => Bytes::from(String::from_utf8_lossy(&body).into_owned()),
    }
}

/// Sorts a response into success or one of the outcomes of [`ApiError`]. The token is removed from texts of the server.
pub(crate) fn read(method: &str, token: &Token, response: RawResponse) -> Result<Answer, ApiError> {
    let RawResponse {
        status,
        retry_after,
        body,
    } = response;
    let body = readable(body);
    // An array with the right types would do as well for a derived decoder.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let envelope: Option<Envelope<'_>> = is_object.then(|| serde_json::from_slice(&body).ok()).flatten();
    match envelope {
        Some(Envelope {
            ok: true,
            result: Some(result),
        }) if (200..300).contains(&status) => {
            let result = body.slice_ref(result.get().as_bytes());
            Ok(Answer { body, result })
        }
        Some(Envelope { ok: false, .. }) => {
            Err(Failure::parse(status, &body).into_error(method, token, status, retry_after))
        }
        // Not the envelope, or one that contradicts its status: only the status counts.
        _ => Err(Failure::of_status(status).into_error(method, token, status, retry_after)),
    }
}

/// What a failed response says about itself.
struct Failure {
    code: u16,
    description: Option<String>,
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Failure {
    fn of_status(code: u16) -> Self {
        Self {
            code,
            description: None,
            retry_after: None,
            migrate_to_chat_id: None,
        }
    }

    /// Takes what can be taken. An unexpected member must never hide that a call failed, or for how long to wait.
    fn parse(status: u16, body: &[u8]) -> Self {
        let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else {
            return Self::of_status(status);
        };
        let parameters = members.get("parameters").map(|raw| raw.get());
        let parameters: Members<'_> = parameters
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let code = integer(&value_of(&members, "error_code")).and_then(|code| u16::try_from(code).ok());
        Self {
            code: code.filter(|code| (400..600).contains(code)).unwrap_or(status),
            description: value_of(&members, "description")
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            retry_after: seconds(&value_of(&parameters, "retry_after")),
            migrate_to_chat_id: integer(&value_of(&parameters, "migrate_to_chat_id")),
        }
    }

    fn into_error(
        self,
        method: &str,
        token: &Token,
        status: u16,
        retry_after_header: Option<u64>,
    ) -> ApiError {
        let method = method.to_owned();
        let no_description = self.description.is_none();
        let description = match self.description {
            Some(text) => token.redact(text),
            None => status_text(self.code).to_owned(),
        };
        match self.code {
            429 => {
                let wait = self
                    .retry_after
                    .or(retry_after_header)
                    .unwrap_or(DEFAULT_RETRY_AFTER_SECS);
                // A wait of zero would repeat the call in a hot loop.
                ApiError::FloodWait {
                    method,
                    retry_after: Duration::from_secs(wait.max(1)),
                }
            }
            // A redirect was not followed, so the call was not executed either.
            code @ 300..500 => ApiError::Refused {
                method,
                code,
                description,
                migrate_to_chat_id: self.migrate_to_chat_id,
            },
            500.. => ApiError::Unknown {
                method,
                status: Some(status),
                source: UnknownCause::Server { description },
            },
            _ if no_description => ApiError::Unknown {
                method,
                status: Some(status),
                source: UnknownCause::NotAnAnswer,
            },
            _ => ApiError::Unknown {
                method,
                status: Some(status),
                source: UnknownCause::Server { description },
            },
        }
    }
}

/// The members of an object, none of them looked into yet: a number beyond all ranges, broken Unicode or deep nesting in
/// one of them says nothing about the others.
type Members<'a> = HashMap<String, &'a RawValue>;

/// Returns a member; null when it is missing or no value can hold it.
fn value_of(members: &Members<'_>, name: &str) -> Value {
    let value = members.get(name).map(|raw| raw.get());
    value
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn status_text(code: u16) -> &'static str {
    StatusCode::from_u16(code)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason given")
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Seconds of any size, also as text or with a fraction, which is rounded up.
fn seconds(value: &Value) -> Option<u64> {
    let text = value.as_str().map(str::trim);
    let whole = value.as_u64().or_else(|| text?.parse().ok());
    let fraction = || {
        value
            .as_f64()
            .or_else(|| text?.parse().ok())
            .filter(|n| n.is_finite())
    };
    // The cast saturates: a negative wait becomes zero, one beyond 2^64 stays the longest.
    whole.or_else(|| fraction().map(|n| n.ceil() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_is_not_utf_8_spoils_nothing_around_it() {
        let body = Bytes::from_static(
            b"{\"ok\":true,\"result\":[{\"update_id\":1,\"x\":\"\xff\"},{\"update_id\":2}]}",
        );
        let token = Token::parse("123:secret").unwrap();

        let answer = read(
            "getUpdates",
            &token,
            RawResponse {
                status: 200,
                retry_after: None,
                body,
            },
        )
        .unwrap();

        assert_eq!(
            answer.result_text(),
            "[{\"update_id\":1,\"x\":\"\u{fffd}\"},{\"update_id\":2}]"
        );
    }

    #[test]
    fn the_answer_of_a_repetition_that_found_its_work_done_is_true() {
        let answer = Answer::done().unwrap();

        assert_eq!(answer.result, "true");
        assert!(answer.body.starts_with(b"{\"ok\":true,"));
    }

    fn respond(status: u16, body: &str) -> Result<Answer, ApiError> {
        respond_with_header(status, None, body)
    }

    fn respond_with_header(status: u16, retry_after: Option<u64>, body: &str) -> Result<Answer, ApiError> {
        let token = Token::parse("123:abcdefghijklmnopqrst").unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        read(
            "sendMessage",
            &token,
            RawResponse {
                status,
                retry_after,
                body,
            },
        )
    }

    fn flood_wait(status: u16, retry_after: Option<u64>, body: &str) -> u64 {
        match respond_with_header(status, retry_after, body).unwrap_err() {
            ApiError::FloodWait { retry_after, .. } => retry_after.as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn success_yields_the_text_of_the_result() {
        let answer = respond(200, r#"{"description":"d","ok":true,"result": {"id" : 1}}"#).unwrap();

        assert_eq!(answer.result, r#"{"id" : 1}"#);
    }

    #[test]
    fn definite_refusals_carry_code_text_and_the_new_chat() {
        let body = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat",
            "parameters":{"migrate_to_chat_id":-1001234567890}}"#;

        let error = respond(400, body).unwrap_err();

        let ApiError::Refused {
            method,
            code,
            description,
            migrate_to_chat_id,
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((method.as_str(), code), ("sendMessage", 400));
        assert!(description.starts_with("Bad Request: group chat"));
        assert_eq!(migrate_to_chat_id, Some(-1_001_234_567_890));
    }

    #[test]
    fn refusals_without_json_carry_the_status_text() {
        for (status, body, text) in [
            (413, "", "Payload Too Large"),
            (404, "<html>not found</html>", "Not Found"),
            (400, "{\"ok\":", "Bad Request"),
            (403, "[]", "Forbidden"),
            (301, "<html>moved</html>", "Moved Permanently"),
        ] {
            let error = respond(status, body).unwrap_err();

            assert!(
                matches!(&error, ApiError::Refused { code, description, .. } if *code == status && description == text),
                "{error:?}"
            );
        }
    }

    #[test]
    fn server_errors_are_unknown_outcomes() {
        for (status, body) in [
            (
                500,
                r#"{"ok":false,"error_code":500,"description":"Internal Server Error: restart"}"#,
            ),
            (502, "<html>bad gateway</html>"),
            (503, ""),
            (504, r#"{"ok":true,"result":true}"#),
        ] {
            let error = respond(status, body).unwrap_err();

            let ApiError::Unknown {
                status: seen,
                source: UnknownCause::Server { .. },
                ..
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!(seen, Some(status));
        }
    }

    #[test]
    fn a_success_that_is_not_an_answer_is_an_unknown_outcome() {
        for body in [
            "",
            "<html>",
            r#"{"ok":true}"#,
            r#"{"ok":true,"result":{"a"#,
            "null",
            r#"{"ok":1,"result":1}"#,
            "[true,1]",
        ] {
            let error = respond(200, body).unwrap_err();

            assert!(
                matches!(
                    error,
                    ApiError::Unknown {
                        source: UnknownCause::NotAnAnswer,
                        ..
                    }
                ),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn a_failure_with_status_200_is_sorted_by_its_code() {
        let error = respond(
            200,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: x"}"#,
        )
        .unwrap_err();

        assert!(matches!(error, ApiError::Refused { code: 403, .. }), "{error:?}");
    }

    #[test]
    fn flood_waits_of_any_size_and_form_are_read() {
        for (value, secs) in [
            ("5", 5),
            ("65536", 65_536),
            ("1209600", 1_209_600),
            ("18446744073709551615", u64::MAX),
            ("1e300", u64::MAX),
            ("\"17\"", 17),
            ("\" 2.5 \"", 3),
            ("2.2", 3),
            ("0", 1),
            ("-3", 1),
            ("null", 5),
            ("[]", 5),
            ("\"soon\"", 5),
        ] {
            let body = format!(
                r#"{{"ok":false,"error_code":429,"description":"d","parameters":{{"retry_after":{value}}}}}"#
            );

            assert_eq!(flood_wait(429, None, &body), secs, "{value}");
        }
    }

    #[test]
    fn a_flood_wait_without_json_uses_the_header_or_five_seconds() {
        assert_eq!(flood_wait(429, Some(70_000), "<html>"), 70_000);
        assert_eq!(flood_wait(429, None, ""), 5);
        assert_eq!(
            flood_wait(429, Some(9), r#"{"ok":false,"error_code":429,"parameters":3}"#),
            9
        );
    }

    #[test]
    fn the_body_wins_over_the_header() {
        let body = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":3}}"#;

        assert_eq!(flood_wait(429, Some(9), body), 3);
    }

    #[test]
    fn odd_members_do_not_hide_a_refusal() {
        let body =
            r#"{"ok":false,"error_code":"403","description":7,"parameters":{"migrate_to_chat_id":"-5"}}"#;

        let error = respond(400, body).unwrap_err();

        assert!(
            matches!(
                error,
                ApiError::Refused {
                    code: 403,
                    migrate_to_chat_id: Some(-5),
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_member_that_nothing_can_hold_hides_neither_a_refusal_nor_a_wait() {
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        for odd in [deep.as_str(), "1e400", r#""\ud83d""#] {
            let refused =
                respond(200, &format!(r#"{{"ok":false,"error_code":403,"new":{odd}}}"#)).unwrap_err();
            assert!(
                matches!(refused, ApiError::Refused { code: 403, .. }),
                "{refused:?}"
            );
            for body in [
                format!(
                    r#"{{"ok":false,"error_code":429,"description":{odd},"parameters":{{"retry_after":30}}}}"#
                ),
                format!(r#"{{"ok":false,"error_code":429,"parameters":{{"new":{odd},"retry_after":30}}}}"#),
            ] {
                assert_eq!(flood_wait(429, None, &body), 30, "{body}");
            }
        }
    }

    #[test]
    fn a_token_in_the_text_of_the_server_is_removed() {
        let body = r#"{"ok":false,"error_code":404,"description":"no route /bot123:abcdefghijklmnopqrst/x"}"#;

        let error = respond(404, body).unwrap_err();

        assert!(
            !format!("{error} {error:?}").contains("abcdefghijklmnopqrst"),
            "{error:?}"
        );
    }
}
