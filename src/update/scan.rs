//! Walks JSON text that is already known to be well formed, in one pass and without building anything.
//!
//! Why not a serde visitor: serde cannot step back. A member of an unexpected type, a number outside every range or an
//! unpaired surrogate ends the whole decode there, and reading leniently by way of raw values walks every level again.
//! Here a value nobody asked for is passed over as text, and where a value began and ended is known for free.
//!
//! The input should be the text of a [`RawValue`](serde_json::value::RawValue). Any other text gives meaningless
//! members, but never a panic or an endless loop. Nesting costs no stack.

use std::{borrow::Cow, ops::Range};

/// Position in a JSON text.
///
/// After [`key`](Self::key) returned a key, its value has to be taken by exactly one of the methods that consume a
/// value: [`skip`](Self::skip), [`string`](Self::string), those that read integers, or
/// [`enter_object`](Self::enter_object) and keys up to `None`.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Returns a cursor before the first value of the text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Steps into the next value and returns true when it is an object; passes over it and returns false when not.
    pub(super) fn enter_object(&mut self) -> bool {
        if self.next_byte() == Some(b'{') {
            self.at += 1;
            return true;
        }
        self.skip();
        false
    }

    /// Returns the next key of the object that was entered, or `None` after stepping out of its end.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let first = self.next_byte()?;
        if first == b'"' {
            let start = self.at;
            let escaped = self.close_string();
            if !escaped {
                return self.text.get(start + 1..self.at - 1).map(Cow::Borrowed);
            }
            let quoted = self.text.get(start..self.at)?;
            return Some(unescape(quoted).unwrap_or(Cow::Borrowed(quoted)));
        }
        self.at += 1;
        None
    }

    /// Passes over what is left of the object that was entered.
    pub(super) fn leave_object(&mut self) {
        self.close(1);
    }

    /// Returns where the next value begins.
    pub(super) fn position(&mut self) -> usize {
        self.next_byte();
        self.at
    }

    /// Returns where the text since `start` lies, for a `start` that [`position`](Self::position) gave.
    pub(super) fn since(&self, start: usize) -> Range<usize> {
        start..self.at
    }

    /// Passes over the next value, whatever it is and however deep it nests, and returns its text.
    pub(super) fn skip(&mut self) -> &'a str {
        let start = self.position();
        match self.byte() {
            Some(b'"') => {
                self.close_string();
            }
            Some(b'{' | b'[') => {
                self.at += 1;
                self.close(1);
            }
            _ => {
                while !matches!(
                    self.byte(),
                    None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                ) {
                    self.at += 1;
                }
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Passes over the next value and returns it when it is an integer within 64 bits with sign.
    pub(super) fn integer(&mut self) -> Option<i64> {
        self.skip().parse().ok()
    }

    /// As [`integer`](Self::integer), but takes a string that holds nothing but such an integer, too.
    pub(super) fn integer_or_digits(&mut self) -> Option<i64> {
        let value = self.skip();
        value.parse().ok().or_else(|| unescape(value)?.parse().ok())
    }

    /// Passes over the next value and returns it when it is a string that is valid Unicode.
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        unescape(self.skip())
    }

    /// Passes over the next value and returns its member `name` when it is an object with such an integer.
    pub(super) fn integer_member(&mut self, name: &str) -> Option<i64> {
        if !self.enter_object() {
            return None;
        }
        while let Some(key) = self.key() {
            if key != name {
                self.skip();
            } else if let Some(value) = self.integer() {
                self.leave_object();
                return Some(value);
            }
        }
        None
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves to the next byte that is part of a value or closes one.
    fn next_byte(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')) {
            self.at += 1;
        }
        self.byte()
    }

    /// Moves behind the bracket that closes the given number of open ones.
    fn close(&mut self, mut open: usize) {
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.close_string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    /// Moves from the opening quote of a string behind its closing one and returns whether it has escapes.
    fn close_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        while let Some(rest) = bytes.get(self.at..) {
            self.at += plain_prefix(rest);
            match bytes.get(self.at) {
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => {
                    self.at += 1;
                    return escaped;
                }
                None => break,
            }
        }
        self.at = bytes.len();
        escaped
    }
}

/// Returns how many bytes come before the first quote or backslash. Most of an update is text, so this looks at eight
/// bytes at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    // Sets the high bit of each zero byte; a byte above a zero one may be set wrongly, never one below.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH_BITS;

    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return n * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let in_tail = tail
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .unwrap_or(tail.len());
    words.len() * 8 + in_tail
}

/// Returns what a quoted JSON string says, or `None` when the text is something else or not valid Unicode.
fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Vec<(String, String)> {
        let mut cursor = Cursor::new(text);
        let mut found = Vec::new();
        if cursor.enter_object() {
            while let Some(key) = cursor.key() {
                found.push((key.into_owned(), cursor.skip().to_owned()));
            }
        }
        found
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn members_of_every_type_are_found_with_their_exact_text() {
        let text =
            r#" { "a" : 1 ,"b":-2.5e+3, "c":"x,}\"]{", "d":[1,{"e":"]"},[]] ,"f":{}, "g":null,"h":true} "#;

        assert_eq!(
            members(text),
            pairs(&[
                ("a", "1"),
                ("b", "-2.5e+3"),
                ("c", r#""x,}\"]{""#),
                ("d", r#"[1,{"e":"]"},[]]"#),
                ("f", "{}"),
                ("g", "null"),
                ("h", "true"),
            ])
        );
    }

    #[test]
    fn escaped_keys_are_read_as_what_they_say() {
        let text = r#"{"\u0069d":1,"a\\":2,"\"":3,"":4}"#;

        assert_eq!(
            members(text),
            pairs(&[("id", "1"), ("a\\", "2"), ("\"", "3"), ("", "4")])
        );
    }

    #[test]
    fn a_key_that_is_not_unicode_is_kept_as_its_text() {
        assert_eq!(
            members(r#"{"\ud83d":1,"b":2}"#),
            pairs(&[(r#""\ud83d""#, "1"), ("b", "2")])
        );
    }

    #[test]
    fn a_hundred_thousand_levels_are_passed_over() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"deep":{deep},"after":7}}"#);

        let found = members(&text);

        assert_eq!(found[0].1.len(), deep.len());
        assert_eq!(found[1], ("after".to_owned(), "7".to_owned()));
    }

    #[test]
    fn integers_outside_64_bits_and_other_types_are_not_integers() {
        for text in [
            "9223372036854775808",
            "1e3",
            "1.0",
            "\"1\"",
            "null",
            "[]",
            "{}",
            "1e999",
        ] {
            assert_eq!(Cursor::new(text).integer(), None, "{text}");
        }
        assert_eq!(Cursor::new("-9223372036854775808").integer(), Some(i64::MIN));
    }

    #[test]
    fn digits_in_a_string_are_an_integer_only_when_asked_for() {
        for (text, expected) in [
            ("12", Some(12)),
            (r#""12""#, Some(12)),
            (r#""\u0031""#, Some(1)),
            (r#""1 ""#, None),
        ] {
            assert_eq!(Cursor::new(text).integer_or_digits(), expected, "{text}");
        }
    }

    #[test]
    fn the_first_usable_integer_member_counts() {
        let text = r#"{"o":{"id":"x","id":5,"id":6,"z":{"id":1}},"after":7}"#;
        let mut cursor = Cursor::new(text);
        cursor.enter_object();

        cursor.key();
        let id = cursor.integer_member("id");

        assert_eq!(id, Some(5));
        assert_eq!(cursor.key().as_deref(), Some("after"));
        assert_eq!(cursor.integer(), Some(7));
        assert_eq!(cursor.key(), None);
    }

    #[test]
    fn text_that_is_not_json_ends_without_a_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let alphabet = [
            '{',
            '}',
            '[',
            ']',
            '"',
            '\\',
            ',',
            ':',
            ' ',
            '1',
            'a',
            'é',
            '\u{1f600}',
        ];

        for _ in 0..20_000 {
            let text: String = (0..random.usize(..24))
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            let mut cursor = Cursor::new(&text);
            cursor.enter_object();
            let mut keys = 0;
            while cursor.key().is_some() {
                cursor.integer_member("a");
                keys += 1;
                assert!(keys <= text.len(), "endless loop in {text:?}");
            }
        }
    }
}
