//! The actor that runs a [`Consumer`].
//!
//! It owns one consumer on one thread, talks to nobody, and promises an answer to every message: whatever the
//! consumer does (return, panic, overrun, be abandoned), the reply tells. Each delivery is a task of its own, so the
//! actor's mailbox never waits for one.

use std::{
    any::Any, fmt, future::Future, marker::PhantomData, panic::AssertUnwindSafe, rc::Rc, time::Duration,
};

use actix::{Actor, Context, Message, MessageResult, ResponseFuture};
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use tokio::sync::watch;

use crate::{
    consumer::Consumer,
    delivery::{DeadLetter, Delivery, Failure, Outcome, Payload, Retry},
    error::Cause,
};

/// Work on a delivery; the reply is how the attempt ended.
#[derive(Debug)]
pub(crate) struct Handle<T> {
    pub(crate) delivery: Delivery<T>,
}

impl<T: Payload> Message for Handle<T> {
    type Result = Outcome;
}

/// Show a dead letter to the consumer; the reply is sent when that has ended in any way.
#[derive(Debug)]
pub(crate) struct Bury<T> {
    pub(crate) letter: DeadLetter<T>,
}

impl<T: Payload> Message for Bury<T> {
    type Result = ();
}

/// Answer, so that the sender knows the consumer was built.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(crate) struct Greet;

/// See the module's documentation.
pub(crate) struct HandlerActor<T, C> {
    held: Rc<Held<C>>,
    deadline: Duration,
    payload: PhantomData<fn(T)>,
}

/// The consumer, as long as the actor or an attempt needs it.
struct Held<C> {
    consumer: C,
    /// Becomes true, or loses its sender, when running work is to be dropped. After the consumer, so that the pool sees this
    /// receiver go when the consumer is freed.
    ending: watch::Receiver<bool>,
}

impl<T, C> fmt::Debug for HandlerActor<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerActor")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<T: Payload, C: Consumer<T>> HandlerActor<T, C> {
    pub(crate) fn new(consumer: C, deadline: Duration, ending: watch::Receiver<bool>) -> Self {
        Self {
            held: Rc::new(Held { consumer, ending }),
            deadline,
            payload: PhantomData,
        }
    }

    /// Runs `work` until it ends, panics, passes the deadline, or is abandoned; in the last two cases it is dropped. What is
    /// abandoned before it began does not begin.
    fn attempt<F, R>(&self, work: F) -> impl Future<Output = Result<R, Cause>> + use<F, R, T, C>
    where
        F: Future<Output = R> + 'static,
    {
        let deadline = self.deadline;
        let ending = self.held.ending.clone();
        async move {
            let caught = AssertUnwindSafe(work).catch_unwind();
            let bounded = std::pin::pin!(tokio::time::timeout(deadline, caught));
            let abandoned = std::pin::pin!(ended(ending));
            match select(abandoned, bounded).await {
                Either::Right((Ok(Ok(result)), _)) => Ok(result),
                Either::Right((Ok(Err(panic)), _)) => Err(Cause::Panicked(panic_message(panic.as_ref()))),
                Either::Right((Err(_elapsed), _)) => Err(Cause::DeadlinePassed(deadline)),
                Either::Left(_) => Err(Cause::WorkerLost),
            }
        }
    }
}

/// Waits until running work is to be dropped.
async fn ended(mut ending: watch::Receiver<bool>) {
    // Without its sender the engine is gone.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// Returns the text of a panic, which is a string unless the code used `panic_any`.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

impl<T: Payload, C: Consumer<T>> Actor for HandlerActor<T, C> {
    type Context = Context<Self>;
}

impl<T: Payload, C: Consumer<T>> actix::Handler<Greet> for HandlerActor<T, C> {
    type Result = MessageResult<Greet>;

    fn handle(&mut self, _: Greet, _: &mut Self::Context) -> Self::Result {
        MessageResult(true)
    }
}

impl<T: Payload, C: Consumer<T>> actix::Handler<Handle<T>> for HandlerActor<T, C> {
    type Result = ResponseFuture<Outcome>;

    fn handle(&mut self, message: Handle<T>, _: &mut Self::Context) -> Self::Result {
        let held = Rc::clone(&self.held);
        // The consumer is called inside the task: it may panic before it returns its future.
        let attempt = self.attempt(async move { held.consumer.consume(message.delivery).await });
        Box::pin(async move {
            attempt.await.unwrap_or_else(|cause| {
                Outcome::Failed(Failure {
                    cause,
                    retry: Retry::Backoff,
                })
            })
        })
    }
}

impl<T: Payload, C: Consumer<T>> actix::Handler<Bury<T>> for HandlerActor<T, C> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Bury<T>, _: &mut Self::Context) -> Self::Result {
        let held = Rc::clone(&self.held);
        let seq = message.letter.delivery.seq;
        let attempt = self.attempt(async move { held.consumer.bury(message.letter).await });
        Box::pin(async move {
            if let Err(cause) = attempt.await {
                tracing::error!(%seq, error = %cause, "dead letter hook failed");
            }
        })
    }
}
