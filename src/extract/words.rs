//! Taking arguments apart into words. Pure.

use std::borrow::Cow;

/// The words of a text, separated by white space. A word that begins with a quotation mark goes on until the next one,
/// white space included; `\"` and `\\` inside stand for themselves. The typographic marks that phones write count as well:
/// `“…”`, `„…“`, `«…»`. A mark that is never closed is part of its word.
#[derive(Debug, Clone)]
pub struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    /// Returns the words of this text.
    pub fn new(text: &'t str) -> Self {
        Self { rest: text.trim() }
    }

    /// Returns everything behind the words taken so far, as it was written.
    pub fn rest(&self) -> &'t str {
        self.rest
    }

    /// Takes everything behind the words taken so far.
    pub(crate) fn take_rest(&mut self) -> &'t str {
        std::mem::take(&mut self.rest)
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Cow<'t, str>;

    fn next(&mut self) -> Option<Cow<'t, str>> {
        let first = self.rest.chars().next()?;
        let (word, rest) = quoted(self.rest, first).unwrap_or_else(|| {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            (Cow::Borrowed(word), rest)
        });
        self.rest = rest.trim_start();
        Some(word)
    }
}

/// Returns the word in quotation marks at the beginning of a text, and what is behind it.
fn quoted(text: &str, opening: char) -> Option<(Cow<'_, str>, &str)> {
    let closing: &[char] = match opening {
        '"' => &['"'],
        // Whoever types on a phone gets a mixture.
        '“' | '”' | '„' => &['”', '“', '"'],
        '«' => &['»'],
        _ => return None,
    };
    let inside = text.get(opening.len_utf8()..)?;
    let mut word = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        if closing.contains(&character) {
            let rest = inside.get(at + character.len_utf8()..)?;
            // `"a"b` is no quotation but a strange word.
            let ends = rest.chars().next().is_none_or(char::is_whitespace);
            return ends.then_some((Cow::Owned(word), rest));
        }
        if character != '\\' {
            word.push(character);
            continue;
        }
        match characters.clone().next() {
            Some((_, escaped)) if escaped == '\\' || closing.contains(&escaped) => {
                word.push(escaped);
                characters.next();
            }
            _ => word.push('\\'),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::new(text).map(Cow::into_owned).collect()
    }

    #[test]
    fn white_space_of_any_kind_separates() {
        assert_eq!(words("  a\tb\n\u{a0}c  "), ["a", "b", "c"]);
        assert!(words(" \n ").is_empty());
    }

    #[test]
    fn quotation_marks_hold_words_together() {
        assert_eq!(words(r#""a b" c"#), ["a b", "c"]);
        assert_eq!(words("“a b” „c d“ «e f»"), ["a b", "c d", "e f"]);
        assert_eq!(words(r#""" x"#), ["", "x"]);
        assert_eq!(words(r#""say \"hi\" \\ \n""#), [r#"say "hi" \ \n"#]);
    }

    #[test]
    fn marks_that_quote_nothing_are_part_of_their_word() {
        assert_eq!(words(r#""a b"#), ["\"a", "b"]);
        assert_eq!(words(r#"a"b c"d"#), ["a\"b", "c\"d"]);
        assert_eq!(words(r#""a"b c"#), ["\"a\"b", "c"]);
        assert_eq!(words("don't 'a b'"), ["don't", "'a", "b'"]);
        assert_eq!(words("\""), ["\""]);
    }

    #[test]
    fn the_rest_is_what_was_written() {
        let mut all = Words::new("5  \"buy  milk\" ");

        assert_eq!(all.next().as_deref(), Some("5"));
        assert_eq!(all.rest(), "\"buy  milk\"");
    }

    #[test]
    fn any_text_has_an_end() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let pieces = [
            "\"", "\\", "“", "”", "„", "«", "»", " ", "\n", "a", "🎉", "\u{301}",
        ];
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..12))
                .filter_map(|_| random.choice(pieces))
                .collect();

            let found = words(&text);

            assert!(found.len() <= text.chars().count(), "{text:?}");
            let length: usize = found.iter().map(String::len).sum();
            assert!(length <= text.len(), "{text:?}");
        }
    }
}
