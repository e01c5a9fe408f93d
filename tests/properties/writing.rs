//! The same JSON in other words.

use super::json::Members;

/// How deep texts are written anew; what lies deeper is kept as it is.
const DEPTH: usize = 24;

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
