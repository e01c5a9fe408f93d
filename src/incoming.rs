//! A team's own actor as the handler: updates as messages.

use std::{cell::RefCell, future::Future, rc::Rc};

use actix::{Message, Recipient};
use futures_util::future::LocalBoxFuture;

use crate::{
    context::Context,
    handler::{DynHandler, HandlerError, HandlerFactory, HandlerResult},
    router::Interests,
};

/// Handle this update. The reply decides what happens to it, as the result of a handler function does.
///
/// Answer with a `ResponseFuture` when handling takes time: a `ResponseActFuture` works too, but its future is
/// polled on every wake of the actor. Dropping the reply (the actor stopped, or panicked) counts as a failed attempt.
#[derive(Debug, Clone, Message)]
#[rtype(result = "HandlerResult")]
pub struct IncomingUpdate {
    /// The update, with what is needed to handle it.
    pub context: Context,
}

/// The actor did not answer, because it stopped or panicked.
#[derive(Debug, thiserror::Error)]
#[error("the actor that handles updates did not answer: {0}")]
struct NoAnswer(actix::MailboxError);

/// Hands updates to the actor of a worker. When that has ended, the factory is asked for another one.
struct ToRecipient<F> {
    factory: F,
    recipient: Rc<RefCell<Recipient<IncomingUpdate>>>,
}

impl<F> ToRecipient<F>
where
    F: Fn() -> Recipient<IncomingUpdate> + 'static,
{
    fn new(factory: F) -> Self {
        let recipient = Rc::new(RefCell::new(factory()));
        Self { factory, recipient }
    }

    fn send(&self, context: Context) -> impl Future<Output = HandlerResult> + 'static {
        if !self.recipient.borrow().connected() {
            tracing::warn!("the actor that handles updates has ended, starting another one");
            self.recipient.replace((self.factory)());
        }
        let answer = self.recipient.borrow().send(IncomingUpdate { context });
        async move {
            answer
                .await
                .unwrap_or_else(|error| Err(HandlerError::retry(NoAnswer(error))))
        }
    }
}

impl<F> DynHandler for ToRecipient<F>
where
    F: Fn() -> Recipient<IncomingUpdate> + 'static,
{
    fn handle(&self, context: Context) -> LocalBoxFuture<'static, HandlerResult> {
        Box::pin(self.send(context))
    }
}

/// The factory behind [`Bot::recipients`](crate::Bot::recipients).
#[derive(Clone)]
pub(crate) struct RecipientFactory<F>(pub(crate) F);

impl<F> HandlerFactory for RecipientFactory<F>
where
    F: Fn() -> Recipient<IncomingUpdate> + Clone + Send + 'static,
{
    fn build(&self) -> Rc<dyn DynHandler> {
        Rc::new(ToRecipient::new(self.0.clone()))
    }

    fn interests(&self) -> Option<Interests> {
        None
    }

    fn clone_factory(&self) -> Box<dyn HandlerFactory> {
        Box::new(self.clone())
    }
}
