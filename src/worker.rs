//! The consumer that runs a handler: one per worker thread.

use std::{fmt, future::Future, rc::Rc, sync::Arc, time::SystemTime};

use actogram_actors::{Consumer, DeadLetter, Delivery, Failure, Outcome};
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use tracing::Instrument;

use crate::{
    api::Api,
    backing::{Acknowledger, Backing},
    bot_facts::BotFacts,
    context::Context,
    handle::BotHandle,
    handler::{DynHandler, HandlerError, HandlerFactory, HandlerResult},
    staleness::MaxAges,
    update::Update,
};

/// An update that will not be tried again by itself, with its raw text and what went wrong.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadUpdate {
    /// The update; [`Update::raw`] is its JSON text.
    pub update: Update,
    /// What went wrong at the last attempt, with all causes, on one line.
    pub error: String,
    /// What went wrong at the attempts before, oldest first; at most 16.
    pub history: Vec<String>,
    /// Number of the last attempt, as [`Context::attempt`] gave it.
    pub attempt: u32,
    /// The handle for calls, for instance to tell the user that something went wrong.
    pub api: Api,
}

impl fmt::Debug for DeadUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadUpdate")
            .field("update", &self.update)
            .field("error", &self.error)
            .field("history", &self.history)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The error hook with its types erased.
#[derive(Clone)]
pub(crate) struct ErrorHook(Arc<dyn Fn(DeadUpdate) -> LocalBoxFuture<'static, ()> + Send + Sync>);

impl ErrorHook {
    pub(crate) fn new<F, Fut>(hook: F) -> Self
    where
        F: Fn(DeadUpdate) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Self(Arc::new(move |dead| Box::pin(hook(dead))))
    }
}

/// Builds a [`Worker`] on each worker thread.
pub(crate) struct WorkerFactory {
    pub(crate) handlers: Box<dyn HandlerFactory>,
    pub(crate) api: Api,
    pub(crate) on_error: Option<ErrorHook>,
    pub(crate) max_ages: MaxAges,
    pub(crate) backing: Backing,
    pub(crate) facts: Arc<BotFacts>,
    pub(crate) bot: Own,
}

/// The handle of the bot itself. It is there a moment after the engine has started, and until then handlers wait.
///
/// The handle keeps parts of the engine alive, and these the workers. Stopping the engine ends the workers, so nothing is
/// left then.
#[derive(Clone)]
pub(crate) struct Own(watch::Receiver<Option<Arc<BotHandle>>>);

impl Own {
    pub(crate) fn channel() -> (watch::Sender<Option<Arc<BotHandle>>>, Self) {
        let (introduce, own) = watch::channel(None);
        (introduce, Self(own))
    }

    /// Returns `None` when the start has failed after all.
    async fn get(&self) -> Option<Arc<BotHandle>> {
        let mut own = self.0.clone();
        let introduced = own.wait_for(Option::is_some).await;
        introduced.ok().and_then(|bot| bot.clone())
    }
}

impl WorkerFactory {
    pub(crate) fn build(&self) -> Worker {
        Worker {
            handler: self.handlers.build(),
            api: self.api.clone(),
            on_error: self.on_error.clone(),
            max_ages: self.max_ages.clone(),
            backing: self.backing.clone(),
            facts: Arc::clone(&self.facts),
            bot: self.bot.clone(),
        }
    }
}

impl Clone for WorkerFactory {
    fn clone(&self) -> Self {
        Self {
            handlers: self.handlers.clone_factory(),
            api: self.api.clone(),
            on_error: self.on_error.clone(),
            max_ages: self.max_ages.clone(),
            backing: self.backing.clone(),
            facts: Arc::clone(&self.facts),
            bot: self.bot.clone(),
        }
    }
}

/// See the module's documentation.
pub(crate) struct Worker {
    handler: Rc<dyn DynHandler>,
    api: Api,
    on_error: Option<ErrorHook>,
    max_ages: MaxAges,
    backing: Backing,
    facts: Arc<BotFacts>,
    bot: Own,
}

/// Sends what the user is to be told instead of a failure; then the update is handled.
async fn tell_user(handled: HandlerResult, context: &Context) -> HandlerResult {
    match handled.map_err(HandlerError::into_reply) {
        Err(Ok(text)) => context.reply(text).await.map(drop).map_err(HandlerError::from),
        Err(Err(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

impl Consumer<Update> for Worker {
    async fn consume(&self, delivery: Delivery<Update>) -> Outcome {
        let Delivery {
            seq,
            lane,
            attempt,
            payload,
            ..
        } = delivery;
        if self.max_ages.is_stale(&payload, SystemTime::now()) {
            tracing::info!(
                update_id = payload.id(),
                kind = payload.kind_name(),
                "update is too old, not handled"
            );
            return Outcome::Expired;
        }
        let attempt = attempt.saturating_add(self.backing.crashes(seq));
        let span = tracing::info_span!("update", update_id = payload.id(), %lane, attempt);
        let context = Context::of_delivery(
            Update::clone(&payload),
            self.api.clone(),
            attempt,
            Acknowledger::new(self.backing.clone(), seq),
            Arc::clone(&self.facts),
            self.bot.get().await,
        );
        // Also when the engine drops this at the deadline.
        let _running = self.facts.handler_time.start();
        let handled = async { tell_user(self.handler.handle(context.clone()).await, &context).await }
            .instrument(span)
            .await;
        match (handled, context.misled()) {
            (Err(error), _) => Outcome::Failed(error.into_failure()),
            // The handler saw nothing in the update because it could not be decoded: that is not "handled".
            (Ok(()), Some(error)) => Outcome::Failed(Failure::permanent(error.clone())),
            (Ok(()), None) => Outcome::Done,
        }
    }

    async fn bury(&self, letter: DeadLetter<Update>) {
        let DeadLetter {
            delivery,
            cause,
            history,
        } = letter;
        let update = Update::clone(&delivery.payload);
        let attempt = delivery
            .attempt
            .saturating_add(self.backing.crashes(delivery.seq));
        tracing::error!(
            update_id = update.id(),
            kind = update.kind_name(),
            lane = %delivery.lane,
            attempt,
            error = cause.chain(),
            "update is given up"
        );
        if let Some(ErrorHook(hook)) = &self.on_error {
            let (error, api) = (cause.chain(), self.api.clone());
            let span = tracing::info_span!("update", update_id = update.id(), lane = %delivery.lane, attempt);
            hook(DeadUpdate {
                update,
                error,
                history,
                attempt,
                api,
            })
            .instrument(span)
            .await;
        }
    }
}
