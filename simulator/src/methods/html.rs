//! `parse_mode` HTML: tags become entities (<https://core.telegram.org/bots/api#html-style>).

use serde_json::{Value, json};

/// A start tag that waits for its end.
struct Open {
    tag: String,
    entity: Value,
    /// Where its text begins, in UTF-16 units.
    offset: usize,
}

/// Reads `markup` and returns the plain text and its entities, or what is wrong with it.
pub(crate) fn parse(markup: &str) -> Result<(String, Vec<Value>), String> {
    let mut text = String::new();
    let mut length = 0;
    let mut entities: Vec<Value> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut place = 0;
    while let Some(letter) = markup[place..].chars().next() {
        let rest = &markup[place..];
        if letter == '<' {
            let end = rest.find('>');
            if let Some(name) = rest.strip_prefix("</") {
                let end = end.ok_or_else(|| format!("Unclosed end tag at byte offset {place}"))?;
                let name = name[..end - 2].trim().to_ascii_lowercase();
                let start = open
                    .pop()
                    .ok_or_else(|| format!("Unexpected end tag at byte offset {place}"))?;
                if !name.is_empty() && name != start.tag {
                    return Err(format!(
                        "Unmatched end tag at byte offset {place}, expected \"</{}>\", found \"</{name}>\"",
                        start.tag
                    ));
                }
                close(start, &text, length, &mut entities);
                place += end + 1;
            } else {
                let end = end.ok_or_else(|| format!("Unclosed start tag at byte offset {place}"))?;
                let tag = &rest[1..end];
                let name = tag
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let entity = entity_of(&name, tag)
                    .ok_or_else(|| format!("Unsupported start tag \"{name}\" at byte offset {place}"))?;
                open.push(Open {
                    tag: name,
                    entity,
                    offset: length,
                });
                place += end + 1;
            }
            continue;
        }
        let (letter, taken) = if letter == '&' {
            reference(rest)
        } else {
            (letter, letter.len_utf8())
        };
        text.push(letter);
        length += letter.len_utf16();
        place += taken;
    }
    if let Some(start) = open.pop() {
        return Err(format!(
            "Can't find end tag corresponding to start tag \"{}\"",
            start.tag
        ));
    }
    for entity in entities.iter_mut().filter(|entity| entity["type"] == "code") {
        // Only a block has a language.
        if let Some(fields) = entity.as_object_mut() {
            fields.remove("language");
        }
    }
    entities.sort_by_key(|entity| {
        (
            entity["offset"].as_u64(),
            std::cmp::Reverse(entity["length"].as_u64()),
        )
    });
    Ok((text, entities))
}

/// Turns a finished tag into an entity; empty ones vanish.
fn close(start: Open, text: &str, end: usize, entities: &mut Vec<Value>) {
    if end == start.offset {
        return;
    }
    let mut entity = start.entity;
    if entity["type"] == "text_link" && entity["url"] == "" {
        let units: Vec<u16> = text.encode_utf16().skip(start.offset).collect();
        entity["url"] = json!(String::from_utf16_lossy(&units));
    }
    // `<pre><code class="language-x">` is one block with a language.
    if entity["type"] == "pre"
        && let Some(inner) = entities.last()
        && inner["type"] == "code"
        && inner["offset"] == start.offset
        && inner["length"] == end - start.offset
    {
        if let Some(language) = inner.get("language") {
            entity["language"] = language.clone();
        }
        entities.pop();
    }
    entity["offset"] = json!(start.offset);
    entity["length"] = json!(end - start.offset);
    entities.push(entity);
}

/// Returns the entity of a start tag without its place, or `None` for a tag that is not supported.
fn entity_of(name: &str, tag: &str) -> Option<Value> {
    let simple = |kind: &str| Some(json!({"type": kind}));
    match name {
        "b" | "strong" => simple("bold"),
        "i" | "em" => simple("italic"),
        "u" | "ins" => simple("underline"),
        "s" | "strike" | "del" => simple("strikethrough"),
        "tg-spoiler" => simple("spoiler"),
        "span" if attribute(tag, "class").as_deref() == Some("tg-spoiler") => simple("spoiler"),
        "pre" => simple("pre"),
        "code" => {
            let class = attribute(tag, "class").unwrap_or_default();
            Some(match class.strip_prefix("language-") {
                Some(language) => json!({"type": "code", "language": language}),
                None => json!({"type": "code"}),
            })
        }
        "blockquote" if tag.split_whitespace().any(|word| word == "expandable") => {
            simple("expandable_blockquote")
        }
        "blockquote" => simple("blockquote"),
        "a" => Some(json!({"type": "text_link", "url": attribute(tag, "href").unwrap_or_default()})),
        "tg-emoji" => {
            let id = attribute(tag, "emoji-id")?;
            Some(json!({"type": "custom_emoji", "custom_emoji_id": id}))
        }
        _ => None,
    }
}

/// Returns the value of an attribute, quoted in either way or not at all.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let place = tag.find(&format!(" {name}="))?;
    let value = &tag[place + name.len() + 2..];
    let raw = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split_whitespace().next()?,
    };
    let mut text = String::new();
    let mut rest = raw;
    while let Some(letter) = rest.chars().next() {
        let (letter, taken) = if letter == '&' {
            reference(rest)
        } else {
            (letter, letter.len_utf8())
        };
        text.push(letter);
        rest = &rest[taken..];
    }
    Some(text)
}

/// Reads a character reference; anything else that starts with `&` stands for itself.
fn reference(text: &str) -> (char, usize) {
    for (name, letter) in [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')] {
        if text.starts_with(name) {
            return (letter, name.len());
        }
    }
    let number = text
        .strip_prefix("&#")
        .and_then(|rest| rest.split_once(';'))
        .map(|(number, _)| number);
    let code = number.and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    match (number, code.and_then(char::from_u32)) {
        (Some(number), Some(letter)) => (letter, number.len() + 3),
        _ => ('&', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities(markup: &str) -> (String, Value) {
        let (text, entities) = parse(markup).unwrap();
        (text, Value::Array(entities))
    }

    #[test]
    fn tags_become_entities_at_utf16_offsets() {
        assert_eq!(
            entities("🎉<b>bold <i>both</i></b> &lt;&#33;&amp;co"),
            (
                "🎉bold both <!&co".to_owned(),
                json!([
                    {"type": "bold", "offset": 2, "length": 9},
                    {"type": "italic", "offset": 7, "length": 4},
                ])
            )
        );
    }

    #[test]
    fn links_code_blocks_and_spoilers_keep_their_attributes() {
        assert_eq!(
            entities("<a href=\"https://example.org/?a=1&amp;b=2\">x</a>").1,
            json!([{"type": "text_link", "url": "https://example.org/?a=1&b=2", "offset": 0, "length": 1}])
        );
        assert_eq!(
            entities("<pre><code class=\"language-rust\">fn</code></pre>").1,
            json!([{"type": "pre", "language": "rust", "offset": 0, "length": 2}])
        );
        assert_eq!(
            entities("<code class=\"language-rust\">fn</code>").1,
            json!([{"type": "code", "offset": 0, "length": 2}])
        );
        assert_eq!(
            entities("<span class='tg-spoiler'>x</span><blockquote expandable>y</blockquote>").1,
            json!([
                {"type": "spoiler", "offset": 0, "length": 1},
                {"type": "expandable_blockquote", "offset": 1, "length": 1},
            ])
        );
    }

    #[test]
    fn broken_markup_is_refused_with_its_place() {
        let refused = |markup| parse(markup).unwrap_err();

        assert_eq!(refused("a <x>"), "Unsupported start tag \"x\" at byte offset 2");
        assert_eq!(
            refused("ä <b>x"),
            "Can't find end tag corresponding to start tag \"b\""
        );
        assert_eq!(refused("x</b>"), "Unexpected end tag at byte offset 1");
        assert_eq!(
            refused("<b>x</i>"),
            "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""
        );
        assert_eq!(refused("1 < 2"), "Unclosed start tag at byte offset 2");
    }
}
