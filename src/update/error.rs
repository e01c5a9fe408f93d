//! What can be wrong with an update. No message contains anything that somebody wrote.

use std::io;

use super::UpdateKind;

/// Why a text is not an update at all.
///
/// Anything that has an id is an update, however strange the rest of it is.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The text is not JSON.
    #[error("the text is not json")]
    NotJson {
        /// Where and how it breaks the syntax.
        #[source]
        source: serde_json::Error,
    },
    /// The text is JSON, but not an object.
    #[error("an update has to be a json object")]
    NotObject,
    /// The object has no `update_id` that is an integer within 64 bits.
    #[error("the update has no usable update_id")]
    NoUpdateId,
}

/// Why the result of a `getUpdates` call could not be taken apart. Ask again with the same offset.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The text is not JSON.
    #[error("the batch is not json")]
    NotJson {
        /// Where and how it breaks the syntax.
        #[source]
        source: serde_json::Error,
    },
    /// The text is JSON, but not an array.
    #[error("a batch has to be a json array")]
    NotArray,
}

/// Why an update has no typed value. Its raw text is still there.
///
/// There is no `source`: the message of the decoder quotes strings of the update, so only a cleaned copy is kept.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The kind is newer than the typed model, or there is no content; read the raw text instead.
    #[error("update {update_id} is of the unknown kind {kind_name}, read its raw text")]
    UnknownKind {
        /// The update.
        update_id: i64,
        /// The name of the kind on the wire.
        kind_name: String,
    },
    /// The payload does not fit the typed model; read the raw text instead.
    #[error(
        "the {kind} of update {update_id} does not fit the typed model at line {line} column {column}: {reason}"
    )]
    Mismatch {
        /// The update.
        update_id: i64,
        /// The kind, which says what the payload should be.
        kind: UpdateKind,
        /// Line within the payload, from 1; 0 when the decoder names no place.
        line: usize,
        /// Column within that line in bytes, from 1; 0 when the decoder names no place.
        column: usize,
        /// What the decoder objects to, without any text of the update.
        reason: String,
    },
    /// The payload nests so deeply that it is decoded on a thread of its own, and the system gave none; try again.
    #[error("no thread to decode the deeply nested update {update_id} ({kind}), try again")]
    NoThread {
        /// The update.
        update_id: i64,
        /// Why the thread did not start.
        kind: io::ErrorKind,
    },
}

impl DecodeError {
    pub(super) fn mismatch(update_id: i64, kind: UpdateKind, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let reason = message
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(&message);
        Self::Mismatch {
            update_id,
            kind,
            line,
            column,
            reason: without_quotes(reason),
        }
    }
}

/// Takes out what a decoder quotes from its input: a string in double quotes, and a variant or field in backticks
/// unless it is a short plain word, which is a tag of the protocol that tells what is new.
fn without_quotes(reason: &str) -> String {
    for start in ["unknown variant `", "unknown field `"] {
        if let Some(rest) = reason.strip_prefix(start) {
            // What was expected is written by the model and comes last, whatever the tag contains.
            let (tag, expected) = rest
                .rsplit_once("`, expected ")
                .unwrap_or((rest, "something else"));
            let plain = tag.len() <= 40
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return format!("{start}{}`, expected {expected}", if plain { tag } else { "…" });
        }
    }
    match (reason.find('"'), reason.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &reason[..=first], &reason[last..]),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_of_the_update_is_taken_out() {
        for (reason, cleaned) in [
            (
                r#"invalid type: string "my \"secret\" text", expected i64"#,
                r#"invalid type: string "…", expected i64"#,
            ),
            ("missing field `chat`", "missing field `chat`"),
            (
                "invalid type: integer `5`, expected a string",
                "invalid type: integer `5`, expected a string",
            ),
            ("recursion limit exceeded", "recursion limit exceeded"),
        ] {
            assert_eq!(without_quotes(reason), cleaned);
        }
    }

    #[test]
    fn a_new_tag_is_named_but_a_sentence_is_not() {
        let list = "expected one of `private`, `group`";

        assert_eq!(
            without_quotes(&format!("unknown variant `galaxy`, {list}")),
            format!("unknown variant `galaxy`, {list}")
        );
        for text in ["my secret text", "a`, expected b", &"x".repeat(41)] {
            assert_eq!(
                without_quotes(&format!("unknown variant `{text}`, {list}")),
                format!("unknown variant `…`, {list}")
            );
        }
    }
}
