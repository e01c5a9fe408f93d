//! What a handler is given.

mod shorthands;
mod typing;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use frankenstein::{
    methods::SendMessageParams,
    types::{CallbackQuery, MaybeInaccessibleMessage, Message},
};

pub use self::shorthands::CallbackError;
use crate::{
    api::{Api, ApiError},
    backing::{AckError, Acknowledger},
    bot_facts::BotFacts,
    extract::{Data, Layers},
    handle::BotHandle,
    update::{DecodeError, Update, UpdateContent},
};

/// One update on its way through a handler: its raw text, its typed value when asked for, and the [`Api`].
///
/// `Clone + Send + Sync`; cloning is cheap and shares what was decoded.
///
/// The typed value is decoded at the first use. [`content`](Self::content) reports an update that does not fit the
/// typed model as an error. The shorthands ([`message`](Self::message), [`text`](Self::text) …) return `None` for what
/// the update is not; for a message that does not fit the typed model they return `None` as well, and make the
/// attempt fail when the handler has returned, so that it becomes a dead letter instead of being ignored. A handler
/// that works on [`raw`](Self::raw) is not concerned by any of this.
#[derive(Clone)]
pub struct Context(Arc<Inner>, Surroundings);

struct Inner {
    update: Update,
    api: Api,
    attempt: u32,
    acknowledger: Option<Acknowledger>,
    facts: Arc<BotFacts>,
    bot: Option<Arc<BotHandle>>,
    content: OnceLock<UpdateContent>,
    message: OnceLock<Decoded<Message>>,
    callback_query: OnceLock<Decoded<CallbackQuery>>,
    /// Whether a handler was told that something is not there which could only not be decoded.
    misled: AtomicBool,
}

/// What decoding gave: nothing when the update is of another kind.
type Decoded<T> = Result<Option<Box<T>>, DecodeError>;

/// What differs between the clones of a context.
#[derive(Clone, Default)]
struct Surroundings {
    data: Layers,
    /// Whether it is a router that asks: what it finds undecodable may still be taken by a raw handler.
    routing: bool,
}

impl Context {
    /// Returns a context, for tests of handlers. It belongs to no [`bot`](Self::bot).
    pub fn new(update: Update, api: Api, attempt: u32) -> Self {
        Self::build(update, api, attempt, None, Arc::default(), None)
    }

    pub(crate) fn of_delivery(
        update: Update,
        api: Api,
        attempt: u32,
        acknowledger: Acknowledger,
        facts: Arc<BotFacts>,
        bot: Option<Arc<BotHandle>>,
    ) -> Self {
        Self::build(update, api, attempt, Some(acknowledger), facts, bot)
    }

    #[cfg(test)]
    pub(crate) fn of_bot(update: Update, api: Api, facts: Arc<BotFacts>) -> Self {
        Self::build(update, api, 1, None, facts, None)
    }

    fn build(
        update: Update,
        api: Api,
        attempt: u32,
        acknowledger: Option<Acknowledger>,
        facts: Arc<BotFacts>,
        bot: Option<Arc<BotHandle>>,
    ) -> Self {
        let inner = Inner {
            update,
            api,
            attempt,
            acknowledger,
            facts,
            bot,
            content: OnceLock::new(),
            message: OnceLock::new(),
            callback_query: OnceLock::new(),
            misled: AtomicBool::new(false),
        };
        Self(Arc::new(inner), Surroundings::default())
    }

    /// Returns the update with its ids, its kind and its lane.
    pub fn update(&self) -> &Update {
        &self.0.update
    }

    /// Returns the JSON text of the update as it arrived.
    pub fn raw(&self) -> &str {
        self.0.update.raw()
    }

    /// Returns the handle for calls.
    pub fn api(&self) -> &Api {
        &self.0.api
    }

    /// Returns the handle of the bot that this handler works for: to stop or pause it, to look at it, or to begin a
    /// broadcast, for instance when its owner says so. [`BotHandle`] is an [extractor](crate::extract) as well.
    ///
    /// A handler that awaits [`BotHandle::shutdown`] waits for itself; [`request_shutdown`](BotHandle::request_shutdown) is
    /// the call to make.
    ///
    /// ```
    /// use actogram::{BotHandle, Context, HandlerResult, Router, extract::Command};
    ///
    /// const OWNER: i64 = 42;
    ///
    /// fn router() -> Router {
    ///     let owner = Router::new().command("stop", stop).command("tell_all", tell_all);
    ///     Router::new().scope(owner.guard(|ctx| ctx.update().user_id() == Some(OWNER)))
    /// }
    ///
    /// async fn stop(bot: BotHandle) -> &'static str {
    ///     bot.request_shutdown();
    ///     "Stopping when all is done."
    /// }
    ///
    /// async fn tell_all(ctx: Context, Command(text): Command) -> HandlerResult {
    ///     let name = format!("update-{}", ctx.update().id());
    ///     ctx.bot()?.broadcast(name).to(everybody()).text(text).start().await?;
    ///     Ok(())
    /// }
    /// # fn everybody() -> Vec<i64> { vec![42] }
    /// # let _ = router();
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`NoBot`] for a context that was made with [`new`](Self::new).
    pub fn bot(&self) -> Result<&BotHandle, NoBot> {
        self.0.bot.as_deref().ok_or(NoBot)
    }

    /// Returns the number of this attempt, counted from 1. Above 1 an earlier attempt failed, or the death of the process
    /// cut it off (`kill -9`, a crash, a power cut), so its effects may be there already.
    ///
    /// Attempts that were cut off use up nothing of the [retry schedule](crate::Bot::retry). Not counted are attempts that
    /// were told to wait ([`ApiError::FloodWait`]), those that a stop cut off at its drain deadline, and, without a
    /// [journal](crate::Bot::journal), whatever happened before the last start.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Ends the update now, durably, although the handler goes on: for a handler that is about to end the process, which
    /// would otherwise be given the same update again after every restart. Whatever the handler returns afterwards
    /// changes nothing any more; its chat still waits until it has ended.
    ///
    /// # Errors
    ///
    /// Returns [`AckError`] when that is not possible; the update is then settled by how the handler ends, as usual.
    pub async fn ack_now(&self) -> Result<(), AckError> {
        match &self.0.acknowledger {
            Some(acknowledger) => acknowledger.acknowledge().await,
            None => Err(AckError::Ended),
        }
    }

    /// Returns the typed value.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError`] for an update of a kind or shape that the typed model does not know.
    pub fn content(&self) -> Result<&UpdateContent, DecodeError> {
        if let Some(content) = self.0.content.get() {
            return Ok(content);
        }
        let content = self.0.update.content()?;
        Ok(self.0.content.get_or_init(|| content))
    }

    /// Returns the message, when the update is one: new or edited, of a chat, a channel or a business account.
    pub fn message(&self) -> Option<&Message> {
        self.noting_errors(self.decoded_message())
    }

    /// Returns the text of the message, when the update is a message with text.
    pub fn text(&self) -> Option<&str> {
        self.message()?.text.as_deref()
    }

    /// Returns the callback query, when the update is one.
    pub fn callback_query(&self) -> Option<&CallbackQuery> {
        self.noting_errors(self.decoded_callback_query())
    }

    /// Returns the chat the update belongs to, without decoding it.
    pub fn chat_id(&self) -> Option<i64> {
        self.0.update.chat_id()
    }

    /// Sends a text to the chat of the update: to the same topic, and through the same business connection.
    ///
    /// # Errors
    ///
    /// As [`Api::send_message`]; [`ReplyError::NoChat`] when the update belongs to no chat.
    pub async fn reply(&self, text: impl Into<String>) -> Result<Message, ReplyError> {
        let params = self.reply_params(text.into())?;
        self.0.api.send_message(&params).await.map_err(ReplyError::Call)
    }

    /// Returns the parameters that send a text to where the update came from.
    pub(crate) fn reply_params(&self, text: String) -> Result<SendMessageParams, ReplyError> {
        let update = &self.0.update;
        let chat_id = update.chat_id().ok_or(ReplyError::NoChat {
            update_id: update.id(),
        })?;
        let mut params = SendMessageParams::builder().chat_id(chat_id).text(text).build();
        params.business_connection_id = update.business_connection_id().map(str::to_owned);
        if let Some(message) = self.nearest_message() {
            // Outside forums a thread id only marks a chain of replies, and the server refuses it as a destination.
            params.message_thread_id = message
                .message_thread_id
                .filter(|_| message.is_topic_message == Some(true));
            params.direct_messages_topic_id =
                message.direct_messages_topic.as_ref().map(|topic| topic.topic_id);
        }
        Ok(params)
    }

    /// Returns the message, or the one whose button was pressed, as far as it can be decoded.
    pub(crate) fn nearest_message(&self) -> Option<&Message> {
        if let Ok(Some(message)) = self.decoded_message() {
            return Some(message);
        }
        match self.decoded_callback_query().ok()??.message.as_ref()? {
            MaybeInaccessibleMessage::Message(message) => Some(message),
            MaybeInaccessibleMessage::InaccessibleMessage(_) => None,
        }
    }

    /// Returns the shared state of this type that was set last: by the innermost router that has one, or by
    /// [`with_data`](Self::with_data).
    pub fn data<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Data<T>> {
        self.1.data.find()
    }

    /// Returns this context with a value that extractors of [`Data`] find first: how middleware hands on what it has
    /// found out.
    #[must_use = "the context itself is not changed"]
    pub fn with_data<T: ?Sized + Send + Sync + 'static>(&self, data: Data<T>) -> Self {
        self.within(&self.1.data.with(data))
    }

    /// Returns the `@username` of the bot, without the `@`. Asks the server the first time
    /// (<https://core.telegram.org/bots/api#getme>); afterwards all handlers of the bot know it.
    ///
    /// # Errors
    ///
    /// As [`Api::get_me`]. The next call asks again.
    pub async fn bot_username(&self) -> Result<&str, ApiError> {
        self.0.facts.username(&self.0.api).await
    }

    pub(crate) fn facts(&self) -> &BotFacts {
        &self.0.facts
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.1.data
    }

    pub(crate) fn within(&self, data: &Layers) -> Self {
        let surroundings = Surroundings {
            data: data.clone(),
            ..self.1
        };
        Self(Arc::clone(&self.0), surroundings)
    }

    /// Returns this context for the questions of a router, which mislead no handler.
    pub(crate) fn for_routing(&self) -> Self {
        let mut context = self.clone();
        context.1.routing = true;
        context
    }

    /// Returns the message, when the update is one. Both outcomes are kept.
    pub(crate) fn decoded_message(&self) -> Result<Option<&Message>, DecodeError> {
        let decoded = self.0.message.get_or_init(|| self.0.update.message());
        decoded.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Returns the callback query, when the update is one. Both outcomes are kept.
    pub(crate) fn decoded_callback_query(&self) -> Result<Option<&CallbackQuery>, DecodeError> {
        let decoded = self
            .0
            .callback_query
            .get_or_init(|| self.0.update.callback_query());
        decoded.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Returns why the update could not be decoded, if anybody has tried.
    pub(crate) fn undecodable(&self) -> Option<&DecodeError> {
        let message = self.0.message.get().and_then(|decoded| decoded.as_ref().err());
        message.or_else(|| {
            self.0
                .callback_query
                .get()
                .and_then(|decoded| decoded.as_ref().err())
        })
    }

    /// Returns why a shorthand could not decode the update, if a handler used one.
    pub(crate) fn misled(&self) -> Option<&DecodeError> {
        self.undecodable()
            .filter(|_| self.0.misled.load(Ordering::Relaxed))
    }

    fn noting_errors<T>(&self, decoded: Result<Option<T>, DecodeError>) -> Option<T> {
        decoded.unwrap_or_else(|_kept| {
            if !self.1.routing {
                self.0.misled.store(true, Ordering::Relaxed);
            }
            None
        })
    }
}

/// Shows ids and sizes, never what somebody wrote.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("update", &self.0.update)
            .field("attempt", &self.0.attempt)
            .finish_non_exhaustive()
    }
}

/// The context was made for a test, and no bot stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no bot stands behind this context: start one, instead of calling the handler by itself")]
pub struct NoBot;

/// Why a reply was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The update belongs to no chat, for instance an inline query or a poll.
    #[error("update {update_id} belongs to no chat, so there is nowhere to reply")]
    NoChat {
        /// The update.
        update_id: i64,
    },
    /// The call failed.
    #[error("the reply did not go through")]
    Call(#[source] ApiError),
}
