//! A command that was used in a wrong way, in words for whoever wrote it.

use std::fmt;

/// How much of a wrong argument is quoted, in characters.
const QUOTED: usize = 64;

/// A command with arguments that do not fit. What it displays is for the person who wrote the command, in English:
///
/// ```text
/// minutes: "soon" is not a whole number from 0 to 255
/// usage: /remind <minutes> <text>
/// ```
///
/// To say it in other words, or another language, take a `Result<Command<T>, ExtractError>` as argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct UsageError {
    /// The name of the command as it was written, without the slash.
    pub command: String,
    /// What is wrong.
    pub problem: UsageProblem,
    /// The arguments that the command has, such as `<minutes> <text>`; empty when they have no names.
    pub arguments: String,
}

/// What is wrong with the arguments of a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageProblem {
    /// An argument is missing.
    Missing {
        /// Its name, unless it has none.
        argument: Option<String>,
    },
    /// An argument cannot be what was written.
    Invalid {
        /// Its name, unless it has none.
        argument: Option<String>,
        /// What was written.
        value: String,
        /// Why it does not fit, such as "is not a whole number from 0 to 255".
        reason: String,
    },
    /// There is more than the command takes.
    TooMany {
        /// What is behind the last argument.
        extra: String,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nusage: /{}", self.problem, self.command)?;
        if self.arguments.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.arguments)
        }
    }
}

impl fmt::Display for UsageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { argument: Some(name) } => write!(f, "{name} is missing"),
            Self::Missing { argument: None } => f.write_str("an argument is missing"),
            Self::Invalid {
                argument,
                value,
                reason,
            } => {
                if let Some(name) = argument {
                    write!(f, "{name}: ")?;
                }
                write!(f, "\"{}\" {reason}", Shortened(value))
            }
            Self::TooMany { extra } => write!(f, "\"{}\" is too much", Shortened(extra)),
        }
    }
}

/// The beginning of a text, so that an answer never gets too long for a message.
struct Shortened<'t>(&'t str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}
