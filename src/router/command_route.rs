//! A command as a route knows it.

use crate::{extract::command_text::CommandText, update::UpdateKind};

/// A command that a [`Router`](crate::Router) handles: its names, and how clients describe it.
///
/// [`Router::command`](crate::Router::command) takes it, or a name, or a name with a description:
///
/// ```
/// use actogram::{CommandRoute, Router};
///
/// async fn start() -> &'static str {
///     "Hello!"
/// }
///
/// Router::new()
///     .command("start", start)
///     .command(("help", "Shows what I can do"), start)
///     .command(CommandRoute::new("settings").describe("Changes settings").alias("preferences"), start);
/// ```
///
/// Names are compared without case. What counts as a command is described at [`Command`](crate::extract::Command).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a command does nothing until it is given to a router"]
pub struct CommandRoute {
    pub(super) names: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) kinds: Vec<UpdateKind>,
}

impl CommandRoute {
    /// Returns a command with this name, without the slash.
    ///
    /// # Panics
    ///
    /// Panics unless the name has [1 to 32 lower case letters, digits and
    /// underscores](https://core.telegram.org/bots/api#botcommand).
    #[track_caller]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            names: vec![checked(name.into())],
            description: None,
            kinds: vec![UpdateKind::Message],
        }
    }

    /// Sets how clients describe it. Only commands with a description are in the list that
    /// [`Bot::publish_commands`](crate::Bot::publish_commands) sets. Default: none.
    ///
    /// # Panics
    ///
    /// Panics unless the description has [1 to 256 characters](https://core.telegram.org/bots/api#botcommand).
    #[track_caller]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        let description = description.into();
        assert!(
            (1..=256).contains(&description.chars().count()),
            "the description of /{} must have 1 to 256 characters",
            self.names.first().map_or("", |name| name.as_str())
        );
        self.description = Some(description);
        self
    }

    /// Adds another name, which is not in the list of commands.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.names.push(checked(name.into()));
        self
    }

    /// Sets in which kinds of messages it counts. Default: [`Message`](UpdateKind::Message) only, so that neither an
    /// edited command runs again nor the command of a business account's customer runs at all.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = UpdateKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    pub(super) fn is_meant_by(&self, command: &CommandText<'_>) -> bool {
        self.names.iter().any(|name| command.is_named(name))
    }
}

#[track_caller]
fn checked(name: String) -> String {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(
        (1..=32).contains(&name.len()) && name.bytes().all(is_allowed),
        "{name:?} is not the name of a command: write 1 to 32 lower case letters, digits and underscores, without the slash"
    );
    name
}

impl From<&str> for CommandRoute {
    #[track_caller]
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<(&str, &str)> for CommandRoute {
    #[track_caller]
    fn from((name, description): (&str, &str)) -> Self {
        Self::new(name).describe(description)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn only_names_the_server_takes_are_accepted() {
        for name in ["a", "start", "x_1", "1", &"a".repeat(32)] {
            assert_eq!(CommandRoute::new(name).names, [name]);
        }
        for name in [
            "",
            "/start",
            "Start",
            "é",
            "a b",
            "a-b",
            "start@bot",
            &"a".repeat(33),
        ] {
            assert!(catch_unwind(|| CommandRoute::new(name)).is_err(), "{name:?}");
            assert!(
                catch_unwind(|| CommandRoute::new("a").alias(name)).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_descriptions_the_server_takes_are_accepted() {
        let longest = "é".repeat(256);
        assert_eq!(
            CommandRoute::from(("a", &*longest)).description,
            Some(longest.clone())
        );

        for description in [String::new(), longest + "x"] {
            assert!(catch_unwind(|| CommandRoute::new("a").describe(description)).is_err());
        }
    }
}
