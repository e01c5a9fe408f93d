//! A slow second reader of JSON, built on serde alone, to compare the quick one with.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// How deep texts are written anew; what lies deeper is kept as it is.
const DEPTH: usize = 24;

/// The members of an object in their order, duplicates included, each with its exact text.
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Returns the members of an object; `None` for other types and for keys that are not valid Unicode.
    pub(crate) fn of(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Returns the texts of all members with this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.get())
    }

    /// Returns the text of the member with this name if there is exactly one.
    pub(crate) fn only(&self, name: &str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Returns whether a text is JSON. Neither the range of numbers nor escapes in strings matter.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Returns an integer within 64 bits with sign.
pub(crate) fn integer(json: &str) -> Option<i64> {
    // Serde reads this one as a float.
    if json == "-0" {
        Some(0)
    } else {
        serde_json::from_str(json).ok()
    }
}

/// Writes a value anew: other white space, other escapes, the same meaning. An object gets one more member, in front,
/// that means nothing.
pub(crate) fn written_anew(json: &str) -> String {
    let mut written = String::with_capacity(2 * json.len());
    let json = json.trim();
    match (json.strip_prefix('{'), Members::of(json)) {
        (Some(_), Some(members)) => write_members(&mut written, &members, r#""~":[{"update_id":8}]"#, DEPTH),
        _ => write_value(&mut written, json, DEPTH),
    }
    written
}

fn write_members(written: &mut String, members: &Members<'_>, first: &str, depth: usize) {
    written.push_str("{\t");
    written.push_str(first);
    for (n, (key, value)) in members.0.iter().enumerate() {
        if n > 0 || !first.is_empty() {
            written.push_str(" ,\n");
        }
        write_string(written, key);
        written.push_str(" :\r");
        write_value(written, value.get(), depth - 1);
    }
    written.push_str(" }");
}

fn write_value(written: &mut String, json: &str, depth: usize) {
    match json.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            if let Some(members) = Members::of(json) {
                return write_members(written, &members, "", depth);
            }
        }
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str::<String>(json) {
                return write_string(written, &text);
            }
        }
        _ => {}
    }
    written.push_str(json);
}

/// Escapes every letter `d`, which is part of all names that matter.
fn write_string(written: &mut String, text: &str) {
    let plain = serde_json::to_string(text).unwrap_or_default();
    // Serde escapes control characters only, in lower-case hexadecimals: `\u000d` must not become `\u000\u0064`.
    if plain.contains("\\u") {
        written.push_str(&plain);
    } else {
        written.push_str(&plain.replace('d', "\\u0064"));
    }
}
