//! Extractors: the arguments of handler functions.
//!
//! A handler of a [`Router`](crate::Router) is an async function of up to eight extractors, in any order. Each is made from
//! the update before the function is called, as with actix-web's `FromRequest`:
//!
//! ```
//! use actogram::{
//!     Respond,
//!     extract::{Chat, Data, Text},
//! };
//!
//! struct Greeting(String);
//!
//! async fn greet(greeting: Data<Greeting>, chat: Chat, Text(text): Text) -> impl Respond {
//!     format!("{} You said {text:?} in {:?}.", greeting.0, chat.title)
//! }
//! # let _ = actogram::Router::new().app_data(Data::new(Greeting("Hi!".to_owned()))).text(greet);
//! ```
//!
//! | extractor | gives | absent when |
//! |---|---|---|
//! | [`Context`](crate::Context), [`Api`](crate::api::Api), [`BotHandle`](crate::BotHandle), [`Update`](crate::update::Update), [`Raw`] | what is always there | never |
//! | [`Message`], [`CallbackQuery`] | the typed value, shared and not copied | the update is of another kind |
//! | [`Text`] | the text of the message | the message has none |
//! | [`Command<T>`], [`CommandName`] | a command and its arguments, parsed | the message is no command for this bot |
//! | [`CallbackData<T>`] | the data of a button behind the prefix of its route, parsed | the update is no press of such a button |
//! | [`Chat`], [`User`] | where it happened, and who did it | the update belongs to no chat or user |
//! | types of the Bot API such as `InlineQuery`, `Poll` or `PollAnswer` | the typed value of that kind | the update is of another kind |
//! | [`Data<T>`] | shared state | no router has such state |
//! | `Option<T>` | `None` for what is absent | never |
//! | `Result<T, ExtractError>` | the reason as a value | never |
//! | tuples of up to eight | all of them | one of them is |
//!
//! An extractor that fails makes the attempt fail, it does not make the router look for another route: what is absent, or
//! cannot be decoded, ends as a dead letter with its reason, so that no update disappears because a signature does not fit
//! its route. Only [`Command<T>`] is different: wrong arguments are answered with how to use the command, and the update is
//! handled. Your own extractors implement [`FromUpdate`].

mod from_update;
mod error;
mod data;
mod raw;
mod message;
mod people;
mod payloads;
pub(crate) mod command_text;
mod command;
mod callback;
pub(crate) mod words;
mod arguments;
mod shapes;
mod parsed;
mod usage;
#[cfg(test)]
mod argument_tests;
#[cfg(test)]
mod extractor_tests;

pub(crate) use self::{
    callback::MatchedPrefix,
    data::{DataMap, Layers},
};
pub use self::{
    callback::{CallbackData, CallbackQuery},
    command::{Command, CommandName},
    data::Data,
    error::ExtractError,
    from_update::FromUpdate,
    message::{Message, Text},
    parsed::Parsed,
    people::{Chat, User},
    raw::Raw,
    usage::{UsageError, UsageProblem},
};
