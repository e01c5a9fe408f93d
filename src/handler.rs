//! The user's code: an async function of a [`Context`], and what its errors mean.

use std::{error::Error, fmt, future::Future, rc::Rc, time::Duration};

use actogram_actors::{Failure, Retry};
use futures_util::future::LocalBoxFuture;

use crate::{
    api::{ApiError, may_be_repeated},
    context::Context,
    respond::Respond,
    router::Interests,
};

/// What a handler returns: nothing, or why it did not work and what should happen next.
///
/// `?` turns any error into a [`HandlerError`].
pub type HandlerResult = Result<(), HandlerError>;

/// Code that handles updates.
///
/// [`Router`](crate::Router) is one. So are async functions and closures that take a [`Context`] and return what implements
/// [`Respond`]:
///
/// ```
/// use actogram::{Context, Handler, HandlerResult};
///
/// async fn echo(ctx: Context) -> HandlerResult {
///     if let Some(text) = ctx.text() {
///         ctx.reply(text).await?;
///     }
///     Ok(())
/// }
///
/// fn assert_handler(_: impl Handler) {}
/// assert_handler(echo);
/// assert_handler(|ctx: Context| async move { println!("{}", ctx.raw()) });
/// ```
///
/// One handler is built per worker thread and runs many updates concurrently, so it need not be `Send` but must not
/// block: blocking work belongs on a blocking thread. A panic is caught and costs the update an attempt; a handler
/// that passes its deadline is dropped at its next await point.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "expected a `Router`, or an async function or closure that takes one `Context`",
    note = "functions of other arguments are handlers of a `Router`: `Router::new().default(function)`",
    note = "what they return must implement `Respond`: `()`, a text, `Result<_, E>` with any error type `E`"
)]
pub trait Handler: 'static {
    /// Whether the bot builds one more of these handlers when it starts, on the thread that starts it, to ask for its
    /// [`interests`](Self::interests). Default: false.
    const DESCRIBES_ITSELF: bool = false;

    /// Handles one update.
    fn handle(&self, context: Context) -> impl Future<Output = HandlerResult> + 'static;

    /// Returns which updates it wants and which commands it knows; `None` when it does not say. Only asked when
    /// [`DESCRIBES_ITSELF`](Self::DESCRIBES_ITSELF) is true. Default: `None`.
    fn interests(&self) -> Option<Interests> {
        None
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Context) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: Respond,
{
    fn handle(&self, context: Context) -> impl Future<Output = HandlerResult> + 'static {
        let handled = self(context.clone());
        async move { handled.await.respond(&context).await }
    }
}

/// Why an update was not handled, and what should happen next.
///
/// Any error converts into it with `?`. What happens then depends on the [`ApiError`] that is the error itself or
/// stands in its chain of sources:
///
/// | error | what happens |
/// |---|---|
/// | [`ApiError::FloodWait`] | another attempt after the wait; it does not count |
/// | [`ApiError::NotSent`], [`ApiError::Stopped`], [`ApiError::QueueFull`], [`ApiError::WaitedTooLong`] | another attempt on the retry schedule |
/// | [`ApiError::Unknown`] of a method that may be repeated (`get…`, `edit…`, `deleteMessage`, `answerCallbackQuery`, `sendChatAction` …) | another attempt on the retry schedule |
/// | [`ApiError::Unknown`] of a method that sends something | dead letter: a repetition might send it twice |
/// | every other one, or none | dead letter |
///
/// To decide otherwise use [`retry`](Self::retry), [`retry_after`](Self::retry_after) or [`give_up`](Self::give_up)
/// with `map_err`. [`reply`](Self::reply) is for what the user did wrong: it tells them, and the update is handled.
///
/// It does not implement [`Error`] itself, because that would forbid the conversion from every error.
pub struct HandlerError {
    failure: Failure,
    reply: Option<String>,
}

/// The cause of an error that is told to the user.
#[derive(Debug, thiserror::Error)]
#[error("the user is told: {0}")]
struct Told(String);

impl HandlerError {
    /// The handler may run again: another attempt on the retry schedule, then a dead letter.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from_failure(Failure::transient(error))
    }

    /// The handler may run again after this time, as often as the retry schedule has attempts.
    pub fn retry_after(error: impl Into<Box<dyn Error + Send + Sync>>, delay: Duration) -> Self {
        Self::from_failure(Failure::retry_after(error, delay))
    }

    /// Running again would not help: a dead letter at once.
    pub fn give_up(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from_failure(Failure::permanent(error))
    }

    /// Nothing failed, but the user is to be told why nothing was done: the text is sent as [`Context::reply`] does, and
    /// when that has worked, the update is handled.
    ///
    /// ```
    /// use actogram::{HandlerError, extract::Command};
    ///
    /// async fn order(Command(number): Command<u32>) -> Result<String, HandlerError> {
    ///     let order = find(number).ok_or_else(|| HandlerError::reply(format!("there is no order {number}")))?;
    ///     Ok(format!("order {number}: {order}"))
    /// }
    /// # fn find(_: u32) -> Option<&'static str> { None }
    /// # let _ = actogram::Router::new().command("order", order);
    /// ```
    pub fn reply(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            failure: Failure::permanent(Told(text.clone())),
            reply: Some(text),
        }
    }

    fn from_failure(failure: Failure) -> Self {
        Self { failure, reply: None }
    }

    /// Returns what the user is to be told, or the error itself.
    pub(crate) fn into_reply(self) -> Result<String, Self> {
        match self.reply {
            Some(text) => Ok(text),
            None => Err(self),
        }
    }

    pub(crate) fn into_failure(self) -> Failure {
        self.failure
    }
}

/// Prints the cause and what was asked for.
impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("cause", &self.failure.cause)
            .field("retry", &self.failure.retry)
            .finish()
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.cause.chain())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let retry = api_error(&error).map_or(Retry::Never, retry_of);
        let mut failure = Failure::permanent(error);
        failure.retry = retry;
        Self::from_failure(failure)
    }
}

/// Finds the failed call behind an error, however often it was wrapped.
fn api_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ApiError> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

/// Says what a failed call means for the handler that made it.
fn retry_of(error: &ApiError) -> Retry {
    match error {
        ApiError::FloodWait { retry_after, .. } => Retry::NotYet(*retry_after),
        ApiError::Stopped { .. } => Retry::Backoff,
        ApiError::Unknown { method, .. } if !may_be_repeated(method) => Retry::Never,
        error if error.is_transient() => Retry::Backoff,
        _ => Retry::Never,
    }
}

/// A handler with its types erased, so that the runtime and the user's build know one type only.
pub(crate) trait DynHandler {
    fn handle(&self, context: Context) -> LocalBoxFuture<'static, HandlerResult>;
}

struct Erased<H>(H);

impl<H: Handler> DynHandler for Erased<H> {
    fn handle(&self, context: Context) -> LocalBoxFuture<'static, HandlerResult> {
        Box::pin(self.0.handle(context))
    }
}

/// A factory of handlers with its types erased; it can be cloned for each worker.
pub(crate) trait HandlerFactory: Send {
    fn build(&self) -> Rc<dyn DynHandler>;
    /// Returns what its handlers say about themselves.
    fn interests(&self) -> Option<Interests>;
    fn clone_factory(&self) -> Box<dyn HandlerFactory>;
}

impl<F, H> HandlerFactory for F
where
    F: Fn() -> H + Clone + Send + 'static,
    H: Handler,
{
    fn build(&self) -> Rc<dyn DynHandler> {
        Rc::new(Erased(self()))
    }

    fn interests(&self) -> Option<Interests> {
        if H::DESCRIBES_ITSELF {
            self().interests()
        } else {
            None
        }
    }

    fn clone_factory(&self) -> Box<dyn HandlerFactory> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::UnknownCause;

    fn unknown(method: &str) -> HandlerError {
        ApiError::Unknown {
            method: method.to_owned(),
            status: Some(502),
            source: UnknownCause::NotAnAnswer,
        }
        .into()
    }

    #[test]
    fn an_unknown_outcome_of_a_send_is_not_repeated_by_itself() {
        for method in [
            "sendMessage",
            "sendPhoto",
            "forwardMessage",
            "copyMessages",
            "createInvoiceLink",
            "newMethod",
        ] {
            assert_eq!(unknown(method).into_failure().retry, Retry::Never, "{method}");
        }
    }

    #[test]
    fn an_unknown_outcome_of_a_harmless_method_is_repeated() {
        for method in [
            "getChat",
            "editMessageText",
            "deleteMessage",
            "answerCallbackQuery",
            "sendChatAction",
        ] {
            assert_eq!(unknown(method).into_failure().retry, Retry::Backoff, "{method}");
        }
    }

    #[test]
    fn a_flood_wait_costs_no_attempt() {
        let wait = Duration::from_secs(77);
        let error: HandlerError = ApiError::FloodWait {
            method: "sendMessage".to_owned(),
            retry_after: wait,
        }
        .into();

        assert_eq!(error.into_failure().retry, Retry::NotYet(wait));
    }

    #[test]
    fn a_refusal_and_any_other_error_are_final() {
        let refused = ApiError::Refused {
            method: "sendMessage".to_owned(),
            code: 403,
            description: "Forbidden: bot was blocked by the user".to_owned(),
            migrate_to_chat_id: None,
        };

        assert_eq!(HandlerError::from(refused).into_failure().retry, Retry::Never);
        assert_eq!(HandlerError::from(fmt::Error).into_failure().retry, Retry::Never);
    }

    #[test]
    fn a_wrapped_call_error_counts_like_the_call_error_itself() {
        let wait = Duration::from_secs(7);
        let flood = ApiError::FloodWait {
            method: "sendMessage".to_owned(),
            retry_after: wait,
        };

        let error = HandlerError::from(crate::context::ReplyError::Call(flood));

        assert_eq!(error.into_failure().retry, Retry::NotYet(wait));
    }

    #[test]
    fn the_handler_has_the_last_word() {
        assert_eq!(HandlerError::retry("again").into_failure().retry, Retry::Backoff);
        let soon = Duration::from_secs(3);
        assert_eq!(
            HandlerError::retry_after("soon", soon).into_failure().retry,
            Retry::After(soon)
        );
        assert_eq!(HandlerError::give_up("no").to_string(), "handler failed: no");
    }
}
