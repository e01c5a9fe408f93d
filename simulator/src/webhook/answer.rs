//! The call that the answer of a webhook may carry (<https://core.telegram.org/bots/api#making-requests-when-getting-updates>).

use futures_util::FutureExt;

use super::action::WebhookAnswer;
use crate::encoding::{Reject, decode};
use crate::params::Params;

/// Methods that are not executed from an answer, beside everything that begins with `get`.
const IGNORED: &[&str] = &["setwebhook", "deletewebhook", "close", "logout"];

/// What a 2xx answer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WebhookReply {
    /// Nothing.
    None,
    /// A call, whose outcome nobody sees.
    Call { method: String, params: Params },
    /// A call of a method that is not executed here.
    Ignored { method: String },
}

/// Reads the body of an answer by its content type, under the rules for requests.
///
/// # Errors
///
/// A body that breaks the rules of HTTP makes the whole answer void.
pub(crate) fn read(answer: &WebhookAnswer) -> Result<WebhookReply, Reject> {
    if answer.body.is_empty() {
        return Ok(WebhookReply::None);
    }
    let decoded = decode("", answer.content_type.as_deref(), answer.body.clone());
    let params = decoded
        .now_or_never()
        .expect("a body in memory is decoded without waiting")?;
    let method = params.get("method").unwrap_or_default().to_owned();
    let name = method.to_ascii_lowercase();
    Ok(if name.is_empty() {
        WebhookReply::None
    } else if name.starts_with("get") || IGNORED.contains(&name.as_str()) {
        WebhookReply::Ignored { method }
    } else {
        WebhookReply::Call { method, params }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &str) -> Result<WebhookReply, Reject> {
        read(&WebhookAnswer {
            content_type: Some(content_type.to_owned()),
            ..WebhookAnswer::json(body.to_owned())
        })
    }

    fn call(pairs: &[(&str, &str)]) -> WebhookReply {
        WebhookReply::Call {
            method: "sendMessage".to_owned(),
            params: Params::from_pairs(pairs),
        }
    }

    #[test]
    fn json_form_and_multipart_carry_a_call() {
        let pairs = [("method", "sendMessage"), ("text", "hi")];
        let multipart = "--B\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nsendMessage\r\n\
                         --B\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--B--\r\n";

        assert_eq!(
            answer("application/json", r#"{"method": "sendMessage", "text": "hi"}"#),
            Ok(call(&pairs))
        );
        assert_eq!(
            answer("application/x-www-form-urlencoded", "method=sendMessage&text=hi"),
            Ok(call(&pairs))
        );
        assert_eq!(
            answer("multipart/form-data; boundary=B", multipart),
            Ok(call(&pairs))
        );
    }

    #[test]
    fn other_bodies_are_no_call() {
        assert_eq!(answer("text/plain", "method=sendMessage"), Ok(WebhookReply::None));
        assert_eq!(
            answer("application/json", r#"{"ok":true}"#),
            Ok(WebhookReply::None)
        );
        assert_eq!(answer("application/json", "broken"), Ok(WebhookReply::None));
        assert_eq!(answer("multipart/form-data", ""), Ok(WebhookReply::None));
        assert_eq!(read(&WebhookAnswer::new(204, "")), Ok(WebhookReply::None));
    }

    #[test]
    fn webhook_methods_and_getters_are_ignored() {
        for method in [
            "setWebhook",
            "deleteWebhook",
            "close",
            "logOut",
            "getMe",
            "GETUPDATES",
        ] {
            assert_eq!(
                answer("application/json", &format!(r#"{{"method":"{method}"}}"#)),
                Ok(WebhookReply::Ignored {
                    method: method.to_owned()
                })
            );
        }
    }

    #[test]
    fn a_broken_multipart_body_voids_the_answer() {
        assert_eq!(answer("multipart/form-data", "x"), Err(Reject(400)));
    }
}
