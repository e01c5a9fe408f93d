//! What a handler says about itself before it handles anything.

use std::collections::BTreeSet;

use crate::update::UpdateKind;

/// Kinds that the server [keeps only for bots that name them](https://core.telegram.org/bots/api#getupdates).
const NAMED_ONLY: [UpdateKind; 3] = [
    UpdateKind::ChatMember,
    UpdateKind::MessageReaction,
    UpdateKind::MessageReactionCount,
];

/// What a [`Handler`](crate::Handler) wants to be given, and which commands it knows. A [`Router`](crate::Router) says it by
/// its routes; the bot derives [`allowed_updates`](crate::Bot::allowed_updates) and the
/// [list of commands](crate::Bot::publish_commands) from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Interests {
    kinds: BTreeSet<UpdateKind>,
    everything: bool,
    commands: Vec<(String, String)>,
}

impl Interests {
    /// Returns the interest in nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind.
    pub fn kind(mut self, kind: UpdateKind) -> Self {
        // Kinds nobody documented cannot be named; they come when nothing is left out.
        if kind == UpdateKind::Unknown {
            return self.everything();
        }
        self.kinds.insert(kind);
        self
    }

    /// Adds every kind that the server keeps by default: all but `chat_member`, `message_reaction` and
    /// `message_reaction_count`, which have to be [named](Self::kind).
    pub fn everything(mut self) -> Self {
        self.everything = true;
        self
    }

    /// Adds a command to the list that clients show. Of several with one name the first counts.
    pub fn command(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        let name = name.into();
        if self.commands.iter().all(|(earlier, _)| *earlier != name) {
            self.commands.push((name, description.into()));
        }
        self
    }

    /// Returns the names and descriptions of the commands, in order.
    pub fn commands(&self) -> &[(String, String)] {
        &self.commands
    }

    /// Returns what to send as [`allowed_updates`](https://core.telegram.org/bots/api#getupdates). Empty for what the server
    /// keeps by default: an empty list makes it forget the kinds of an earlier version of the bot.
    pub fn allowed_updates(&self) -> Vec<UpdateKind> {
        if !self.everything {
            return self.kinds.iter().copied().collect();
        }
        if NAMED_ONLY.iter().all(|kind| !self.kinds.contains(kind)) {
            return Vec::new();
        }
        let wanted = |kind: &UpdateKind| !NAMED_ONLY.contains(kind) || self.kinds.contains(kind);
        UpdateKind::ALL.iter().copied().filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_asked_for() {
        let interests = Interests::new()
            .kind(UpdateKind::CallbackQuery)
            .kind(UpdateKind::Message)
            .kind(UpdateKind::Message);

        assert_eq!(
            interests.allowed_updates(),
            [UpdateKind::Message, UpdateKind::CallbackQuery]
        );
    }

    #[test]
    fn who_wants_everything_names_nothing() {
        let everything = Interests::new().kind(UpdateKind::Message).everything();

        assert!(everything.allowed_updates().is_empty());
        assert!(
            Interests::new()
                .kind(UpdateKind::Unknown)
                .allowed_updates()
                .is_empty()
        );
    }

    #[test]
    fn everything_and_a_kind_that_must_be_named_names_all_of_it() {
        let kinds = Interests::new()
            .everything()
            .kind(UpdateKind::ChatMember)
            .allowed_updates();

        assert_eq!(kinds.len(), UpdateKind::ALL.len() - 2);
        assert!(kinds.contains(&UpdateKind::ChatMember) && kinds.contains(&UpdateKind::Poll));
        assert!(!kinds.contains(&UpdateKind::MessageReaction));
    }

    #[test]
    fn of_two_commands_with_one_name_the_first_counts() {
        let interests = Interests::new()
            .command("a", "1")
            .command("b", "2")
            .command("a", "3");

        assert_eq!(
            interests.commands(),
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]
        );
    }
}
