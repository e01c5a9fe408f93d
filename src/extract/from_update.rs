//! The trait of extractors, and the extractors made of others.

use std::future::Future;

use super::ExtractError;
use crate::Context;

/// A value that can be made from an update, and so be an argument of a handler function.
///
/// ```
/// use actogram::{
///     Context,
///     extract::{ExtractError, FromUpdate, User},
/// };
///
/// /// Who may do everything.
/// struct Owner(u64);
///
/// impl FromUpdate for Owner {
///     async fn from_update(context: &Context) -> Result<Self, ExtractError> {
///         let user = User::from_update(context).await?;
///         if user.id == 42 {
///             Ok(Self(user.id))
///         } else {
///             Err(ExtractError::absent("from the owner"))
///         }
///     }
/// }
///
/// async fn shutdown(owner: Owner) -> String {
///     format!("as you wish, {}", owner.0)
/// }
/// # let _ = actogram::Router::new().command("shutdown", shutdown);
/// ```
///
/// It runs before the handler, once per attempt and argument, in order. A panic costs that update an attempt. The future
/// is dropped when the handler's deadline passes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from an update",
    label = "expected an extractor",
    note = "arguments of handlers are extractors: `Context`, `Api` and what `actogram::extract` lists, such as \
            `extract::Message`, `Text`, `Command<T>`, `Data<T>`, `Option<T>`",
    note = "implement `FromUpdate` for types of your own; take references inside the function instead of arguments"
)]
pub trait FromUpdate: Sized {
    /// Makes the value.
    ///
    /// # Errors
    ///
    /// [`ExtractError::Absent`] for what the update does not have, which `Option<Self>` turns into `None`; the other ones
    /// for what went wrong. Any error converts with `?`.
    fn from_update(context: &Context) -> impl Future<Output = Result<Self, ExtractError>>;
}

/// `None` for what is absent. What cannot be decoded, and wrong arguments of a command, remain errors.
impl<T: FromUpdate> FromUpdate for Option<T> {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        match T::from_update(context).await {
            Ok(value) => Ok(Some(value)),
            Err(ExtractError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error as a value, so that the handler decides what it means. `E` is [`ExtractError`],
/// [`HandlerError`](crate::HandlerError), or what converts from the former.
impl<T: FromUpdate, E: From<ExtractError>> FromUpdate for Result<T, E> {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(T::from_update(context).await.map_err(E::from))
    }
}

impl FromUpdate for () {
    async fn from_update(_: &Context) -> Result<Self, ExtractError> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => {
        $(
            impl<$($name: FromUpdate),+> FromUpdate for ($($name,)+) {
                async fn from_update(context: &Context) -> Result<Self, ExtractError> {
                    Ok(($($name::from_update(context).await?,)+))
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
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
