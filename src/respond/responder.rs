//! The trait of what handlers return.

use std::{borrow::Cow, future::Future};

use super::Reply;
use crate::{
    Context,
    handler::{HandlerError, HandlerResult},
};

/// What a handler may return. Performed when the handler has ended; if that fails, the attempt has failed.
///
/// | type | what happens |
/// |---|---|
/// | `()` | nothing |
/// | texts | sent to the chat of the update, as [`Context::reply`] does; an empty one is not sent |
/// | [`Reply`] | sent with markup, a keyboard, as a quotation |
/// | [`Answer`](crate::Answer), [`Edit`](crate::Edit) | a callback query is answered, the message with the button edited |
/// | `Option<R>` | nothing for `None` |
/// | `Result<R, E>` | the error says what becomes of the update: [`HandlerError`] |
/// | tuples of up to four | one after the other, as long as they work |
///
/// ```
/// use actogram::{Context, Respond, HandlerResult, Router};
///
/// async fn start() -> &'static str {
///     "Hello!"
/// }
///
/// /// A response of your own.
/// struct Dice;
///
/// impl Respond for Dice {
///     async fn respond(self, context: &Context) -> HandlerResult {
///         context.reply("🎲").await?;
///         Ok(())
///     }
/// }
///
/// async fn roll() -> Dice {
///     Dice
/// }
/// # let _ = Router::new().command("start", start).command("roll", roll);
/// ```
///
/// An update may be handled twice when the process is killed, so what a response sends may be sent twice.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "expected `()`, a text, `Reply`, `Answer`, `Edit`, or an `Option` or `Result` of these",
    note = "implement `Respond` for types of your own",
    note = "the error of a `Result` is any type that implements `std::error::Error + Send + Sync`, or `HandlerError`"
)]
pub trait Respond {
    /// Does what the value stands for.
    ///
    /// # Errors
    ///
    /// Whatever the attempt should fail with.
    fn respond(self, context: &Context) -> impl Future<Output = HandlerResult>;
}

impl Respond for () {
    async fn respond(self, _: &Context) -> HandlerResult {
        Ok(())
    }
}

impl<R: Respond> Respond for Option<R> {
    async fn respond(self, context: &Context) -> HandlerResult {
        match self {
            Some(response) => response.respond(context).await,
            None => Ok(()),
        }
    }
}

impl<R: Respond, E: Into<HandlerError>> Respond for Result<R, E> {
    async fn respond(self, context: &Context) -> HandlerResult {
        self.map_err(Into::into)?.respond(context).await
    }
}

macro_rules! texts {
    ($($text:ty)+) => {
        $(
            impl Respond for $text {
                async fn respond(self, context: &Context) -> HandlerResult {
                    Reply::text(self).respond(context).await
                }
            }
        )+
    };
}

texts! { &'static str String Box<str> Cow<'static, str> }

macro_rules! tuples {
    ($($($name:ident)+;)+) => {
        $(
            impl<$($name: Respond),+> Respond for ($($name,)+) {
                #[allow(non_snake_case, reason = "the types name the values")]
                async fn respond(self, context: &Context) -> HandlerResult {
                    let ($($name,)+) = self;
                    $($name.respond(context).await?;)+
                    Ok(())
                }
            }
        )+
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
}
