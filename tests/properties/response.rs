//! Any response is the result of a call or one of the outcomes of `ApiError`: a result is never made up, a wait is never
//! overlooked, a definite outcome never claimed without ground, and the token never shown.
//!
//! The bytes are a line `<status> [<retry-after header>]` and the body.

use std::error::Error;

use actogram::{
    api::{ApiError, Token},
    fuzzing::read_response,
    update::{Update, split},
};

use super::json::{Members, is_json};

const TOKEN: &str = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

pub(crate) fn check(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = match at {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&b""[..], bytes),
    };
    let head = String::from_utf8_lossy(head);
    let mut numbers = head.split_whitespace();
    let status = numbers.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let header = numbers.next().and_then(|word| word.parse().ok());
    let token = Token::parse(TOKEN).expect("the token is well formed");

    let outcome = read_response(&token, status, header, body);

    let text = String::from_utf8_lossy(body);
    let said = Said::by(&text);
    match &outcome {
        Ok(result) => check_result(status, &said, result),
        Err(error) => {
            let granted = (200..300).contains(&status) && said.result().is_some();
            assert!(!granted, "a result was refused: {error:?}");
            check_error(status, header, &said, error);
        }
    }
}

/// What the body says, read slowly. Members that occur twice say nothing.
struct Said<'a> {
    top: Option<Members<'a>>,
    parameters: Option<Members<'a>>,
}

impl<'a> Said<'a> {
    fn by(text: &'a str) -> Self {
        let top = Members::of(text);
        let parameters = top.as_ref().and_then(|top| Members::of(only(top, "parameters")?));
        Self { top, parameters }
    }

    fn top(&self, name: &str) -> Option<&'a str> {
        only(self.top.as_ref()?, name)
    }

    fn failed(&self) -> bool {
        self.top("ok") == Some("false")
    }

    fn result(&self) -> Option<&'a str> {
        self.top("result")
            .filter(|result| self.top("ok") == Some("true") && *result != "null")
    }

    /// `None` when it is not clear: a code may also be written as text.
    fn code(&self, status: u16) -> Option<u16> {
        if !self.failed() || self.top.as_ref()?.all("error_code").next().is_none() {
            return Some(status);
        }
        let code: i64 = self.top("error_code")?.parse().ok()?;
        let code = u16::try_from(code).ok().filter(|code| (400..600).contains(code));
        Some(code.unwrap_or(status))
    }

    fn wait(&self) -> Option<u64> {
        only(self.parameters.as_ref()?, "retry_after")?.parse().ok()
    }
}

fn check_result(status: u16, said: &Said<'_>, result: &str) {
    assert!((200..300).contains(&status), "status {status} is no success");
    assert_eq!(Some(result), said.result());
    assert!(is_json(result));
    for part in split(result).unwrap_or_default() {
        let _ = Update::from_raw(part);
    }
}

fn check_error(status: u16, header: Option<u64>, said: &Said<'_>, error: &ApiError) {
    let code = said.code(status);
    match error {
        ApiError::FloodWait { retry_after, .. } => {
            let wait = retry_after.as_secs();
            assert!(wait >= 1, "a call would be repeated at once");
            if said.failed() && code == Some(429) {
                let expected = said.wait().or(header.filter(|_| said.parameters.is_none()));
                assert!(
                    expected.is_none_or(|expected| expected.max(1) == wait),
                    "{expected:?} became {wait}"
                );
            }
        }
        ApiError::Refused { code: found, .. } => assert!((300..500).contains(found) && *found != 429),
        ApiError::Unknown { status: found, .. } => assert_eq!(*found, Some(status)),
        other => panic!("not an outcome of reading: {other:?}"),
    }
    if let (true, Some(code)) = (said.failed(), code) {
        let expected = match code {
            429 => matches!(error, ApiError::FloodWait { .. }),
            300..500 => matches!(error, ApiError::Refused { code: found, .. } if *found == code),
            _ => matches!(error, ApiError::Unknown { .. }),
        };
        assert!(expected, "{code} became {error:?}");
    } else if !said.failed() && (200..300).contains(&status) {
        assert!(error.may_have_been_sent(), "{error:?} without ground");
    }

    let mut shown = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    let (_, secret) = TOKEN.split_once(':').expect("the token is well formed");
    assert!(!shown.contains(secret), "the token is shown");
}

/// Returns the text of the member with this name if there is exactly one.
fn only<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    let mut all = members.all(name);
    all.next().filter(|_| all.next().is_none())
}
