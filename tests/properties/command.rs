//! A command is found exactly where its entity marks one, what is found stands in the text, and its arguments come apart into
//! words that are all there.
//!
//! The bytes are a line `<offset> <length>` of the entity, in UTF-16 units, and the text.

use actogram::fuzzing::{Words, parse_command};

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, text) = text.split_once('\n').unwrap_or(("", &text));
    let mut numbers = head.split_whitespace().map_while(|word| word.parse().ok());
    let offset = numbers.next().unwrap_or(0);
    let length = numbers
        .next()
        .unwrap_or_else(|| text.split_whitespace().next().map_or(0, str::len));

    if let Some(command) = parse_command(text, offset, length) {
        let addressee = command.addressee.map(|name| format!("@{name}"));
        let marked = format!("/{}{}", command.name, addressee.unwrap_or_default());
        assert_eq!((offset, length), (0, marked.encode_utf16().count()));
        let behind = text
            .strip_prefix(&*marked)
            .expect("what is found stands in the text");
        assert_eq!(command.arguments, behind.trim());
        for name in [Some(command.name), command.addressee].into_iter().flatten() {
            assert!(
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            );
        }

        // What was parsed, written anew, is parsed as the same.
        let anew = format!("{marked} {}", command.arguments);
        assert_eq!(parse_command(&anew, 0, length), Some(command));
        check_words(command.arguments);
    } else {
        let marked = text.get(..length).filter(|_| offset == 0);
        let name = marked.and_then(|marked| marked.strip_prefix('/'));
        let is_plain = name
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(!is_plain, "a command was overlooked");
    }
    check_words(text);
}

fn check_words(text: &str) {
    let mut words = Words::new(text);
    let mut rest = words.rest();
    assert_eq!(rest, text.trim());
    while let Some(word) = words.next() {
        let left = words.rest();
        assert!(
            left.len() < rest.len() && rest.ends_with(left),
            "words stand one behind the other"
        );
        assert_eq!(left, left.trim_start());
        let written = rest[..rest.len() - left.len()].trim_end();
        // Quotation marks and backslashes may be gone, letters never.
        assert!(word.len() <= written.len());
        let letters = |text: &str| {
            text.chars()
                .filter(|letter| letter.is_alphanumeric())
                .collect::<String>()
        };
        assert_eq!(letters(&word), letters(written));
        rest = left;
    }
    assert!(rest.is_empty(), "{rest:?} is left");
}
