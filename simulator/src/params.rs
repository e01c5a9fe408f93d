//! The parameters of a call as the server sees them: texts and uploaded files, first value first.

use bytes::Bytes;
use serde_json::{Map, Value};

/// A file that came with a multipart request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Name of the form field.
    pub field: String,
    /// Name the client gave the file, empty when it gave none.
    pub file_name: String,
    /// The content type the client stated.
    pub content_type: Option<String>,
    /// The bytes.
    pub bytes: Bytes,
}

/// The parameters of one call.
///
/// Every value is text: strings as they are, everything else as its JSON text. Of several values with one name the
/// first wins (<https://core.telegram.org/bots/api#making-requests>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
    uploads: Vec<Upload>,
    /// Whether some value was not UTF-8 and has replacement characters now.
    pub(crate) not_utf8: bool,
}

impl Params {
    /// Returns parameters from name-value pairs, in order.
    pub fn from_pairs<N: Into<String> + Clone, V: Into<String> + Clone>(pairs: &[(N, V)]) -> Self {
        let mut params = Self::default();
        for (name, value) in pairs.iter().cloned() {
            params.push(name, value);
        }
        params
    }

    /// Adds a value behind those that are there.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.pairs.push((name.into(), value.into()));
    }

    /// Adds an uploaded file.
    pub fn push_upload(&mut self, upload: Upload) {
        self.uploads.push(upload);
    }

    /// Returns the first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first upload in the form field `field`.
    pub fn upload(&self, field: &str) -> Option<&Upload> {
        self.uploads.iter().find(|upload| upload.field == field)
    }

    /// Returns the uploads in the order they came.
    pub fn uploads(&self) -> &[Upload] {
        &self.uploads
    }

    /// Returns the sum of all name and value lengths in bytes, files not included.
    pub(crate) fn text_bytes(&self) -> usize {
        self.pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// Returns a value that is present and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Reads a 32-bit number: an optional minus, digits up to the first other character, 0 for junk, wrapping on
    /// overflow. `None` when absent or empty.
    pub(crate) fn int(&self, name: &str) -> Option<i32> {
        self.text(name).map(|text| {
            let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            let magnitude = leading_digits(digits).fold(0_i32, |sum, digit| {
                sum.wrapping_mul(10).wrapping_add(i32::from(digit))
            });
            if negative {
                magnitude.wrapping_neg()
            } else {
                magnitude
            }
        })
    }

    /// Reads a 64-bit number under the rules of [`int`](Self::int).
    pub(crate) fn long(&self, name: &str) -> Option<i64> {
        self.text(name).map(|text| {
            let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            let magnitude = leading_digits(digits).fold(0_i64, |sum, digit| {
                sum.wrapping_mul(10).wrapping_add(i64::from(digit))
            });
            if negative {
                magnitude.wrapping_neg()
            } else {
                magnitude
            }
        })
    }

    /// Reads a boolean: `true`, `yes` and `1` in any case, false for everything else.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            value == "1" || value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("yes")
        })
    }

    /// Returns the effective values as one JSON object of strings.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        for (name, value) in &self.pairs {
            object
                .entry(name.clone())
                .or_insert_with(|| Value::String(value.clone()));
        }
        object
    }
}

fn leading_digits(text: &str) -> impl Iterator<Item = u8> {
    text.bytes()
        .take_while(u8::is_ascii_digit)
        .map(|byte| byte - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_wins() {
        let params = Params::from_pairs(&[("text", "query"), ("text", "body")]);

        assert_eq!(params.get("text"), Some("query"));
        assert_eq!(params.to_json()["text"], "query");
    }

    #[test]
    fn numbers_stop_at_the_first_other_character_and_wrap() {
        let int = |text: &str| Params::from_pairs(&[("n", text)]).int("n");

        assert_eq!(int("12abc"), Some(12));
        assert_eq!(int("-5"), Some(-5));
        assert_eq!(int("null"), Some(0));
        assert_eq!(int(""), None);
        assert_eq!(int("4294967297"), Some(1));
    }

    #[test]
    fn only_true_yes_and_one_are_true() {
        let flag = |text: &str| Params::from_pairs(&[("f", text)]).flag("f");

        assert!(flag("true") && flag("YES") && flag("1"));
        assert!(!flag("on") && !flag("0") && !flag("") && !flag("null"));
    }
}
