//! Commands as arguments.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use super::{
    ExtractError, FromUpdate, UsageError,
    arguments::{self, ArgumentsError},
    command_text::{CommandText, command_of},
};
use crate::{Context, handler::HandlerError};

/// The arguments of a command, read into a type that serde can deserialize.
///
/// ```
/// use actogram::{Router, extract::Command};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Reminder {
///     minutes: u8,
///     text: String,
/// }
///
/// async fn remind(Command(reminder): Command<Reminder>) -> String {
///     format!("in {} minutes: {}", reminder.minutes, reminder.text)
/// }
/// # let _ = Router::new().command("remind", remind);
/// ```
///
/// `/remind 5 buy some milk` is taken apart at white space, member by member. `"quoted words"` belong together.
///
/// | type | takes |
/// |---|---|
/// | numbers, `char`, `bool` (yes, no, on, off, …) | one word |
/// | `String` | everything that is left when it stands last, else one word |
/// | `Command<String>` | everything behind the command, as it was written |
/// | `Option<T>`, members with `#[serde(default)]` | nothing when nothing is left |
/// | `Vec<T>` | all words that are left |
/// | enums | one of their names (of any case), then what the variant holds |
/// | structs, tuples | what their members take |
/// | [`Parsed<T>`](super::Parsed) | one word, read with [`FromStr`](std::str::FromStr) |
/// | `()` | nothing |
///
/// What a command is: the text, or else the caption, of a message that begins with a
/// [`bot_command` entity](https://core.telegram.org/bots/api#messageentity). One that is addressed to another bot
/// (`/start@other_bot`) is none for us; the name of the bot is asked for
/// [when it is needed](Context::bot_username) first.
///
/// # Errors
///
/// When the arguments do not fit, whoever wrote the command is told what is wrong and how to use it, and the update is
/// handled: see [`UsageError`]. Absent when the message is no command for this bot. Fails when the message cannot be
/// decoded, or the name of the bot cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<T = String>(pub T);

impl<T: DeserializeOwned> FromUpdate for Command<T> {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let command = own_command(context).await?;
        let arguments = arguments::read(command.arguments);
        arguments
            .map(Self)
            .map_err(|(error, shape)| wrong_arguments(command.name, error, shape))
    }
}

fn wrong_arguments(command: &str, error: ArgumentsError, arguments: String) -> ExtractError {
    match error {
        ArgumentsError::Usage(problem) => ExtractError::Usage(UsageError {
            command: command.to_owned(),
            problem,
            arguments,
        }),
        unsupported => HandlerError::give_up(unsupported).into(),
    }
}

/// The name of the command as it was written, without the slash; for handlers of several commands, or of unknown ones.
///
/// # Errors
///
/// Absent when the message is no command for this bot; fails as [`Command`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandName(pub String);

impl Deref for CommandName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl FromUpdate for CommandName {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        let command = own_command(context).await?;
        Ok(Self(command.name.to_owned()))
    }
}

/// Returns the command of a message that is meant for this bot.
async fn own_command(context: &Context) -> Result<CommandText<'_>, ExtractError> {
    let command = context
        .decoded_message()?
        .and_then(command_of)
        .ok_or(ExtractError::absent("a command"))?;
    if command.addressee.is_some() && !command.is_for(context.bot_username().await?) {
        return Err(ExtractError::absent("a command for this bot"));
    }
    Ok(command)
}
