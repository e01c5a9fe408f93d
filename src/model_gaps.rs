//! Values that the Bot API sends in another shape than the typed model expects, brought into that shape.
//!
//! The model reads `SuggestedPostInfo.state` and `SuggestedPostRefunded.reason` as objects with a `type`;
//! <https://core.telegram.org/bots/api#suggestedpostinfo> has plain strings. Without this a message that carries one of
//! them could not be decoded at all.

use serde_json::{Value, json};

/// The member that holds the value, and the member of it that is a string instead of an object.
const GAPS: [(&str, &str); 2] = [
    ("suggested_post_info", "state"),
    ("suggested_post_refunded", "reason"),
];

/// Returns the text with the gaps closed, if there are any.
pub(crate) fn closed(json: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    close(&mut value).then(|| value.to_string())
}

fn close(value: &mut Value) -> bool {
    match value {
        Value::Array(elements) => elements
            .iter_mut()
            .fold(false, |any, element| close(element) | any),
        Value::Object(members) => {
            let mut any = false;
            for (holder, member) in GAPS {
                if let Some(text @ Value::String(_)) =
                    members.get_mut(holder).and_then(|it| it.get_mut(member))
                {
                    *text = json!({ "type": text.take() });
                    any = true;
                }
            }
            members.values_mut().fold(any, |any, member| close(member) | any)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_closed_at_any_depth_and_nothing_else_is_touched() {
        let text = r#"{"a":[{"suggested_post_info":{"state":"pending","x":"state"}}],
            "suggested_post_refunded":{"reason":"post_deleted","suggested_post_message":{"reason":"y"}}}"#;

        let closed = closed(text.as_bytes()).unwrap();

        assert_eq!(
            serde_json::from_str::<Value>(&closed).unwrap(),
            json!({
                "a": [{"suggested_post_info": {"state": {"type": "pending"}, "x": "state"}}],
                "suggested_post_refunded": {
                    "reason": {"type": "post_deleted"},
                    "suggested_post_message": {"reason": "y"},
                },
            })
        );
    }

    #[test]
    fn what_has_no_gap_is_left_alone() {
        for text in [
            r#"{"suggested_post_info":{"state":{"type":"pending"}}}"#,
            r#"{"state":"pending","suggested_post_info":[]}"#,
            r#"{"suggested_post_info""#,
        ] {
            assert_eq!(closed(text.as_bytes()), None, "{text}");
        }
    }
}
