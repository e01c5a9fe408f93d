//! Request decoding: the query and one body become [`Params`].
//!
//! Bodies are `application/x-www-form-urlencoded`, `application/json` or `multipart/form-data`
//! (<https://core.telegram.org/bots/api#making-requests>). A body of any other type is ignored. Compressed bodies are
//! refused with 415; the Bot API server accepts them.

use actix_web::web::Query;
use bytes::Bytes;
use futures_util::stream;
use serde_json::value::RawValue;

use crate::params::{Params, Upload};

/// The largest sum of parameter names and values, files not counted.
const MAX_PARAM_BYTES: usize = 1 << 20;
/// The largest number of files of one request.
const MAX_FILES: usize = 50;
/// The longest multipart boundary.
const MAX_BOUNDARY: usize = 70;

/// A request the HTTP layer rejects: a status and an empty body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject(pub(crate) u16);

/// Decodes a query string and a body; the query comes first.
pub(crate) async fn decode(query: &str, content_type: Option<&str>, body: Bytes) -> Result<Params, Reject> {
    let mut params = Params::default();
    push_urlencoded(query, &mut params);
    let content_type = content_type.unwrap_or_default().trim_start();
    let is = |name: &str| {
        content_type
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    if is("application/json") {
        params.not_utf8 |= std::str::from_utf8(&body).is_err();
        push_json(&String::from_utf8_lossy(&body), &mut params);
    } else if is("application/x-www-form-urlencoded") {
        push_urlencoded(&String::from_utf8_lossy(&body), &mut params);
    } else if is("multipart/form-data") {
        push_multipart(content_type, body, &mut params).await?;
    }
    if params.text_bytes() > MAX_PARAM_BYTES {
        return Err(Reject(413));
    }
    Ok(params)
}

fn push_urlencoded(text: &str, params: &mut Params) {
    if let Ok(pairs) = Query::<Vec<(String, String)>>::from_query(text) {
        let means_replacement = text.contains('\u{fffd}') || text.to_ascii_uppercase().contains("%EF%BF%BD");
        for (name, value) in pairs.into_inner() {
            params.not_utf8 |= !means_replacement && value.contains('\u{fffd}');
            params.push(name, value);
        }
    }
}

/// Reads members until the object ends or something is not JSON; what was read until then counts.
fn push_json(text: &str, params: &mut Params) {
    let Some(mut rest) = text.trim_start().strip_prefix('{') else {
        return;
    };
    loop {
        let Some((name, after)) = next_value::<String>(rest) else {
            return;
        };
        let Some(after) = after.trim_start().strip_prefix(':') else {
            return;
        };
        let after = after.trim_start();
        let after = if after.starts_with('"') {
            let Some((value, after)) = next_value::<String>(after) else {
                return;
            };
            params.push(name, value);
            after
        } else {
            let Some((value, after)) = next_value::<&RawValue>(after) else {
                return;
            };
            params.push(name, value.get());
            after
        };
        let Some(after) = after.trim_start().strip_prefix(',') else {
            return;
        };
        rest = after;
    }
}

/// Reads one JSON value from the start of `text` and returns it with what follows.
fn next_value<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Option<(T, &'t str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    let end = values.byte_offset();
    Some((value, text.get(end..)?))
}

async fn push_multipart(content_type: &str, body: Bytes, params: &mut Params) -> Result<(), Reject> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| Reject(400))?;
    if boundary.len() > MAX_BOUNDARY {
        return Err(Reject(400));
    }
    let stream = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut multipart = multer::Multipart::new(stream, boundary);
    while let Some(field) = multipart.next_field().await.map_err(|_| Reject(400))? {
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(Reject(400));
        };
        let file_name = field.file_name().map(str::to_owned);
        let part_type = field.content_type().map(ToString::to_string);
        let bytes = field.bytes().await.map_err(|_| Reject(400))?;
        match file_name {
            None => {
                params.not_utf8 |= std::str::from_utf8(&bytes).is_err();
                params.push(name, String::from_utf8_lossy(&bytes));
            }
            Some(file_name) => {
                if params.uploads().len() == MAX_FILES {
                    return Err(Reject(413));
                }
                params.push_upload(Upload {
                    field: name,
                    file_name,
                    content_type: part_type,
                    bytes,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn decoded(query: &str, content_type: &str, body: &str) -> Result<Params, Reject> {
        decode(query, Some(content_type), Bytes::copy_from_slice(body.as_bytes()))
            .now_or_never()
            .expect("a body in memory is decoded without waiting")
    }

    fn json(body: &str) -> Params {
        decoded("", "application/json; charset=utf-8", body).unwrap()
    }

    #[test]
    fn the_query_comes_before_the_body() {
        let params = decoded("text=a%20b&x=1", "application/json", r#"{"text":"body","y":2}"#).unwrap();

        assert_eq!(
            params,
            Params::from_pairs(&[("text", "a b"), ("x", "1"), ("text", "body"), ("y", "2")])
        );
    }

    #[test]
    fn a_form_body_is_percent_decoded() {
        let params = decoded("", "application/x-www-form-urlencoded", "text=%C3%A4+b&chat_id=7").unwrap();

        assert_eq!(params, Params::from_pairs(&[("text", "ä b"), ("chat_id", "7")]));
    }

    #[test]
    fn values_that_are_not_utf8_are_noticed() {
        let form = "application/x-www-form-urlencoded";

        assert!(decoded("", form, "text=%FF").unwrap().not_utf8);
        assert!(!decoded("", form, "text=%EF%BF%BD").unwrap().not_utf8);
        assert!(!decoded("", form, "text=%C3%A4").unwrap().not_utf8);
    }

    #[test]
    fn json_strings_are_unescaped_and_other_values_stay_raw() {
        let params =
            json(r#"{ "text": "a\n\u00e4", "n": 12 , "deep": {"a": [1, "x"]}, "off":null,"b":true}"#);

        assert_eq!(params.get("text"), Some("a\nä"));
        assert_eq!(params.get("n"), Some("12"));
        assert_eq!(params.get("deep"), Some(r#"{"a": [1, "x"]}"#));
        assert_eq!(params.get("off"), Some("null"));
        assert_eq!(params.get("b"), Some("true"));
    }

    #[test]
    fn malformed_json_counts_up_to_the_error() {
        let params = json(r#"{"chat_id":7,"text":"kept","broken":tru,"lost":1}"#);
        assert_eq!(params, Params::from_pairs(&[("chat_id", "7"), ("text", "kept")]));

        assert_eq!(
            json(r#"{"chat_id":7,"text":"never clos"#),
            Params::from_pairs(&[("chat_id", "7")])
        );
        assert_eq!(
            json(r#"{"chat_id":7 "text":"x"}"#),
            Params::from_pairs(&[("chat_id", "7")])
        );
        assert_eq!(json("[1]"), Params::default());
        assert_eq!(json(""), Params::default());
    }

    #[test]
    fn a_body_of_another_type_is_invisible() {
        assert_eq!(
            decoded("a=1", "text/plain", "text=x").unwrap(),
            Params::from_pairs(&[("a", "1")])
        );
    }

    #[test]
    fn multipart_yields_fields_and_files() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\
                    Content-Type: image/jpeg\r\n\r\nJPEG\r\n--B--\r\n";
        let params = decoded("", "multipart/form-data; boundary=B", body).unwrap();

        assert_eq!(params.get("chat_id"), Some("7"));
        assert_eq!(
            params.upload("photo"),
            Some(&Upload {
                field: "photo".into(),
                file_name: "a.jpg".into(),
                content_type: Some("image/jpeg".into()),
                bytes: Bytes::from_static(b"JPEG"),
            })
        );
    }

    #[test]
    fn broken_or_unbounded_multipart_is_rejected() {
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));

        assert_eq!(decoded("", "multipart/form-data", ""), Err(Reject(400)));
        assert_eq!(decoded("", &long, ""), Err(Reject(400)));
        assert_eq!(
            decoded("", "multipart/form-data; boundary=B", "--B\r\nnonsense"),
            Err(Reject(400))
        );
    }

    #[test]
    fn fifty_files_are_accepted_and_one_more_is_not() {
        let parts = |count: usize| {
            let mut body = String::new();
            for index in 0..count {
                body += "--B\r\nContent-Disposition: form-data; name=\"f";
                body += &format!("{index}\"; filename=\"x\"\r\n\r\nx\r\n");
            }
            body + "--B--\r\n"
        };

        assert!(decoded("", "multipart/form-data; boundary=B", &parts(50)).is_ok());
        assert_eq!(
            decoded("", "multipart/form-data; boundary=B", &parts(51)),
            Err(Reject(413))
        );
    }

    #[test]
    fn parameters_above_a_mebibyte_are_too_large() {
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(MAX_PARAM_BYTES));

        assert_eq!(decoded("", "application/json", &body), Err(Reject(413)));
    }
}
