//! What a command is. Pure: a text and where its first `bot_command` entity is.

use std::iter;

use frankenstein::types::{Message, MessageEntityType};

/// A command as somebody wrote it: `/name@addressee arguments`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandText<'t> {
    /// The name without the slash, in the case in which it was written. Letters, digits and underscores; not empty.
    pub name: &'t str,
    /// The bot it is addressed to, without the `@`.
    pub addressee: Option<&'t str>,
    /// Everything behind it, without white space around.
    pub arguments: &'t str,
}

impl CommandText<'_> {
    /// Returns whether it has this name. Case does not matter: names are registered in
    /// [lower case](https://core.telegram.org/bots/api#botcommand), and whoever writes `/Start` means `/start`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns whether it may be meant for the bot with this name: it is, or it names no bot.
    pub(crate) fn is_for(&self, username: &str) -> bool {
        self.addressee
            .is_none_or(|addressee| addressee.eq_ignore_ascii_case(username))
    }
}

/// Reads the command at the beginning of a text. `offset` and `length` are those of a `bot_command` entity in
/// [UTF-16 units](https://core.telegram.org/bots/api#messageentity). Returns `None` when the entity is not at the
/// beginning, does not fit the text, or does not mark a command.
pub fn parse(text: &str, offset: usize, length: usize) -> Option<CommandText<'_>> {
    if offset != 0 {
        return None;
    }
    // All characters of a command are ASCII, so units of UTF-16 are bytes. If they are not, this is no command.
    let (marked, rest) = text.split_at_checked(length)?;
    let marked = marked.strip_prefix('/')?;
    let (name, addressee) = match marked.split_once('@') {
        Some((name, addressee)) => (name, Some(addressee)),
        None => (marked, None),
    };
    if !iter::once(name).chain(addressee).all(is_word) {
        return None;
    }
    Some(CommandText {
        name,
        addressee,
        arguments: rest.trim(),
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns the command that a message begins with: in its text or, when it has none, in its caption.
pub(crate) fn command_of(message: &Message) -> Option<CommandText<'_>> {
    let (text, entities) = match &message.text {
        Some(text) => (text, &message.entities),
        None => (message.caption.as_ref()?, &message.caption_entities),
    };
    let mut commands = entities
        .iter()
        .flatten()
        .filter(|entity| entity.type_field == MessageEntityType::BotCommand);
    commands.find_map(|entity| parse(text, entity.offset.into(), entity.length.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command<'t>(name: &'t str, addressee: Option<&'t str>, arguments: &'t str) -> Option<CommandText<'t>> {
        Some(CommandText {
            name,
            addressee,
            arguments,
        })
    }

    #[test]
    fn commands_are_read_as_they_were_written() {
        for (text, length, expected) in [
            ("/start", 6, command("start", None, "")),
            ("/Start", 6, command("Start", None, "")),
            ("/start payload-1_2", 6, command("start", None, "payload-1_2")),
            ("/start\nnext line", 6, command("start", None, "next line")),
            ("/start \t\n x  y \n", 6, command("start", None, "x  y")),
            ("/start@our_bot x", 14, command("start", Some("our_bot"), "x")),
            ("/start@Other", 12, command("start", Some("Other"), "")),
            ("/start, now", 6, command("start", None, ", now")),
            ("/start 🎉 é", 6, command("start", None, "🎉 é")),
            ("/start\u{2003}x", 6, command("start", None, "x")),
            ("/a /b", 2, command("a", None, "/b")),
            ("/1_x", 4, command("1_x", None, "")),
        ] {
            assert_eq!(parse(text, 0, length), expected, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_command_is_none() {
        for (text, offset, length) in [
            ("", 0, 0),
            ("", 0, 6),
            ("/", 0, 1),
            ("//", 0, 2),
            ("//start", 0, 7),
            ("/ start", 0, 7),
            ("/ start", 0, 1),
            ("start", 0, 5),
            ("/start", 1, 5),
            ("/start", 0, 7),
            ("/start", 0, usize::MAX),
            ("/start@", 0, 7),
            ("/@our_bot", 0, 9),
            ("/a@b@c", 0, 6),
            ("/stärt", 0, 6),
            ("/🎉", 0, 3),
            ("🎉/start", 0, 6),
            ("say /start", 4, 6),
            ("/start\u{0}", 0, 7),
            ("／start", 0, 6),
        ] {
            assert_eq!(parse(text, offset, length), None, "{text:?} {offset} {length}");
        }
    }

    #[test]
    fn an_entity_that_ends_inside_a_character_is_none() {
        let text = "/a🎉";

        assert_eq!(parse(text, 0, 2), command("a", None, "🎉"));
        assert!((3..8).all(|length| parse(text, 0, length).is_none()));
    }

    #[test]
    fn names_and_addressees_are_compared_without_case() {
        let start = parse("/StArT@Our_BOT", 0, 14).unwrap();

        assert!(start.is_named("start") && !start.is_named("star") && !start.is_named("started"));
        assert!(start.is_for("our_bot") && !start.is_for("our_bot2") && !start.is_for(""));
        assert!(parse("/start", 0, 6).unwrap().is_for("any_bot"));
    }

    #[test]
    fn whatever_is_marked_what_is_found_stands_in_the_text() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let pieces = [
            "/", "@", "start", "Our_bot", " ", "\n", "é", "🎉", "\u{301}", "\u{0}", "_", "9", "\u{200f}",
        ];
        let mut found = 0;
        for _ in 0..20_000 {
            let mut text = String::from(if random.bool() { "/" } else { "" });
            text.extend((0..random.usize(..6)).filter_map(|_| random.choice(pieces)));
            let (offset, length) = (random.usize(..2), random.usize(..text.len() + 3));

            let Some(command) = parse(&text, offset, length) else {
                continue;
            };

            found += 1;
            let addressee = command
                .addressee
                .map(|name| format!("@{name}"))
                .unwrap_or_default();
            let marked = format!("/{}{addressee}", command.name);
            assert_eq!((offset, length), (0, marked.encode_utf16().count()), "{text:?}");
            let arguments = text.strip_prefix(&*marked).unwrap();
            assert_eq!(command.arguments, arguments.trim(), "{text:?}");
        }
        assert!(found > 100, "only {found} were commands");
    }
}
