//! Taking a batch apart, so that one strange update cannot spoil the others.

use serde_json::value::RawValue;

use super::BatchError;

/// Splits the `result` of a [`getUpdates`](https://core.telegram.org/bots/api#getupdates) call into its updates, in
/// their order and without looking into them.
///
/// Only the syntax is checked. Elements that are no updates, that nest deeply or that hold numbers and strings no type
/// can take are returned like the others, to be judged one by one.
///
/// # Errors
///
/// [`BatchError`] when the text as a whole is not JSON or not an array: then there is no telling where an update ends.
pub fn split(result: &str) -> Result<Vec<&RawValue>, BatchError> {
    serde_json::from_str(result).map_err(|_| match serde_json::from_str::<&RawValue>(result) {
        // Every array would have been taken apart.
        Ok(_) => BatchError::NotArray,
        Err(source) => BatchError::NotJson { source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{EnvelopeError, Update};

    #[test]
    fn one_strange_element_does_not_spoil_the_others() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let batch = format!(
            r#" [ {{"update_id":1}}, 5, null, {deep}, {{}}, {{"update_id":2,"x":"\ud83d","y":1e999}} ,{{"update_id":3}}] "#
        );

        let ids: Vec<_> = split(&batch)
            .unwrap()
            .into_iter()
            .map(|raw| Update::from_raw(raw).map(|update| update.id()))
            .collect();

        assert_eq!(ids.len(), 7);
        assert!(matches!(
            ids.as_slice(),
            [
                Ok(1),
                Err(EnvelopeError::NotObject),
                Err(EnvelopeError::NotObject),
                Err(EnvelopeError::NotObject),
                Err(EnvelopeError::NoUpdateId),
                Ok(2),
                Ok(3),
            ]
        ));
    }

    #[test]
    fn elements_keep_their_exact_text() {
        let parts = split(r#"[{"update_id" : 1,"a":1.50},  {"update_id":1}]"#).unwrap();

        assert_eq!(
            parts.iter().map(|raw| raw.get()).collect::<Vec<_>>(),
            [r#"{"update_id" : 1,"a":1.50}"#, r#"{"update_id":1}"#]
        );
        assert!(split("[]").unwrap().is_empty());
    }

    #[test]
    fn other_types_and_broken_syntax_are_told_apart() {
        for text in ["{}", "null", "true", "7", "1e999", r#""[]""#, r#""\ud83d""#] {
            assert!(matches!(split(text), Err(BatchError::NotArray)), "{text}");
        }
        for text in [
            "",
            "[",
            r#"[{"update_id":1}"#,
            "[1,]",
            "[] []",
            "<html>",
            r#"{"a":.5}"#,
        ] {
            assert!(matches!(split(text), Err(BatchError::NotJson { .. })), "{text}");
        }
    }
}
