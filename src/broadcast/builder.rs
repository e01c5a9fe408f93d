//! Putting a broadcast together and starting it.

use std::{error::Error, fmt, sync::Arc};

use futures_util::{Stream, StreamExt};

use super::{
    attempt::Send, control::BroadcastHandle, error::BroadcastError, registry::Broadcasts,
    send_error::SendError, source::Source,
};
use crate::api::{Api, Pacing};

/// Longest name, in bytes.
const LONGEST_NAME: usize = 200;

/// Most chats at a time: the connections of the [`Api`].
const MOST_AT_ONCE: usize = 100;

/// What is set.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) pacing: Option<Pacing>,
    pub(super) concurrency: usize,
    pub(super) repeat_unknown: bool,
    pub(super) in_memory: bool,
    pub(super) anew: bool,
    pub(super) total: Option<u64>,
}

/// Builder of a broadcast: one message to many chats; from [`BotHandle::broadcast`](crate::BotHandle::broadcast).
///
/// ```no_run
/// # async fn send(bot: actogram::BotHandle, subscribers: Vec<i64>) -> Result<(), actogram::BroadcastError> {
/// let broadcast = bot
///     .broadcast("newsletter-2026-11")
///     .to(subscribers)
///     .text("The November issue is out.")
///     .start()
///     .await?;
/// println!("{}", broadcast.wait().await?);
/// # Ok(())
/// # }
/// ```
///
/// # What is guaranteed
///
/// With a [journal](crate::Bot::journal), under one name, whatever happens to the process:
///
/// - **Nobody gets it twice.** That a send begins is on disk before a byte of it is written; a chat with an outcome, or with
///   a send that has begun, is not begun again. That also makes duplicates in the source harmless.
/// - **Nobody is skipped** whom the source names: every chat gets an [outcome](super::ChatOutcome), however often the
///   process ends, as long as the broadcast is started again.
/// - After a `kill -9` or a power cut what was being sent, at most [`concurrency`](Self::concurrency) chats, is
///   [unknown](super::ChatOutcome::Unknown), as is a message whose answer was lost. It is not sent again unless
///   [`repeat_unknown`](Self::repeat_unknown) says so; then it may arrive twice.
///
/// The source may name the chats in any order, another one after each restart.
///
/// # What is waited for
///
/// Flood control, a network that is gone, and a server that is down are waited out, for as long as it takes. A chat under
/// flood control holds up no other. After three unknown outcomes in a row one chat at a time is tried, with pauses, so that
/// an outage costs a few chats and not all. A token that is not accepted ends the run; nobody counts as failed because of that.
#[must_use = "a broadcast does nothing until it is started"]
pub struct Broadcast {
    broadcasts: Broadcasts,
    source: Option<Source>,
    send: Option<Send>,
    settings: Settings,
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Broadcast {
    /// Chats at a time, by default: enough for 30 per second when a call takes half a second.
    pub const DEFAULT_CONCURRENCY: usize = 16;

    pub(crate) fn new(broadcasts: Broadcasts, name: String) -> Self {
        Self {
            broadcasts,
            source: None,
            send: None,
            settings: Settings {
                name,
                pacing: Some(Pacing::bulk()),
                concurrency: Self::DEFAULT_CONCURRENCY,
                repeat_unknown: false,
                in_memory: false,
                anew: false,
                total: None,
            },
        }
    }

    /// Sets the chats, by their ids. They are read as they are needed. Replaces what was set before.
    ///
    /// The iterator runs on the thread of the bot: one that blocks, on a database for instance, holds up the bot. Use
    /// [`to_stream`](Self::to_stream) then.
    pub fn to<I>(mut self, chats: I) -> Self
    where
        I: IntoIterator<Item = i64>,
        I::IntoIter: std::marker::Send + 'static,
    {
        self.source = Some(Source::from_iter(chats));
        self
    }

    /// Sets the chats, as a stream. Replaces what was set before.
    pub fn to_stream(self, chats: impl Stream<Item = i64> + std::marker::Send + 'static) -> Self {
        self.to_try_stream(chats.map(Ok::<_, std::convert::Infallible>))
    }

    /// Sets the chats, as a stream that may fail. An error ends the run after the chats before it, with
    /// [`BroadcastError::Source`]; the broadcast is not complete then and can be started again.
    pub fn to_try_stream<E>(
        mut self,
        chats: impl Stream<Item = Result<i64, E>> + std::marker::Send + 'static,
    ) -> Self
    where
        E: Into<Box<dyn Error + std::marker::Send + Sync>>,
    {
        self.source = Some(Source::from_stream(chats));
        self
    }

    /// Sets how many chats the source has, for the progress. Default: what an iterator says, else unknown.
    pub fn total(mut self, chats: u64) -> Self {
        self.settings.total = Some(chats);
        self
    }

    /// Sends this text of 1 to 4096 characters, without formatting. Replaces what was set before.
    /// See <https://core.telegram.org/bots/api#sendmessage>.
    pub fn text(self, text: impl Into<String>) -> Self {
        let text: Arc<str> = text.into().into();
        self.send(move |api, chat| {
            let text = Arc::clone(&text);
            async move { api.send_text(chat, &text).await }
        })
    }

    /// Sends with a closure, which is called for each chat with the chat's id and the [`Api`] to use: it keeps the
    /// [pace](Self::pacing). Replaces what was set before.
    ///
    /// The outcome of the chat is that of the closure. When it fails because nothing was sent, such as under flood control,
    /// it is called again; so a closure that makes several calls reports what fails after the first success with
    /// [`SendError::partly`]. When the chat of a group has moved, it is called again with the new id. A panic costs the
    /// chat: its outcome is unknown.
    ///
    /// The closure runs on the thread of the bot and must not block.
    ///
    /// ```no_run
    /// # use actogram::{Broadcast, frankenstein::methods::CopyMessageParams};
    /// # fn build(broadcast: Broadcast) -> Broadcast {
    /// broadcast.send(|api, chat| async move {
    ///     let copy = CopyMessageParams::builder().chat_id(chat).from_chat_id(-1001234567890_i64).message_id(7).build();
    ///     api.copy_message(&copy).await
    /// })
    /// # }
    /// ```
    pub fn send<F, Fut, T, E>(mut self, send: F) -> Self
    where
        F: Fn(Api, i64) -> Fut + std::marker::Send + 'static,
        Fut: Future<Output = Result<T, E>> + 'static,
        E: Into<SendError>,
    {
        self.send = Some(Box::new(move |api, chat| {
            let sending = send(api, chat);
            Box::pin(async move { sending.await.map(drop).map_err(E::into) })
        }));
        self
    }

    /// Sets the pace. Default: [`Pacing::bulk`], 30 chats per second.
    ///
    /// The calls of the broadcast share the budget with all other calls of the same pacing; answers to people do not wait for
    /// it, but take from it.
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.settings.pacing = Some(pacing);
        self
    }

    /// Sends as fast as it can, and obeys flood control only.
    pub fn unpaced(mut self) -> Self {
        self.settings.pacing = None;
        self
    }

    /// Sets to how many chats is sent at the same time. Default: [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY), from 1
    /// to 100; values outside are set to the nearest of the two. So many chats may be unknown after a `kill -9`.
    pub fn concurrency(mut self, chats: usize) -> Self {
        self.settings.concurrency = chats.clamp(1, MOST_AT_ONCE);
        self
    }

    /// Sets whether a message whose outcome is unknown is sent again: at once when an answer was lost, and after a restart
    /// when the process ended during the send. It may then arrive twice. Default: no.
    pub fn repeat_unknown(mut self, repeat: bool) -> Self {
        self.settings.repeat_unknown = repeat;
        self
    }

    /// Records nothing in the journal: the position is lost with the process, and the outcomes with the last handle.
    /// Needed for a bot without a journal.
    pub fn in_memory(mut self) -> Self {
        self.settings.in_memory = true;
        self
    }

    /// Forgets what is recorded under this name, whether it has ended or not, and begins with nobody. **Everybody gets the
    /// message again.** Without it, a name that has ended is refused.
    pub fn anew(mut self) -> Self {
        self.settings.anew = true;
        self
    }

    /// Starts the broadcast, or resumes it when it has not ended, and returns its handle. It runs on the thread of the
    /// bot and stops with it; start it again after the next start of the bot.
    ///
    /// # Errors
    ///
    /// Returns what is missing or wrong; [`BroadcastError::NoJournal`] when the bot has no journal,
    /// [`BroadcastError::AlreadyRunning`], [`BroadcastError::Ended`], [`BroadcastError::Journal`], and
    /// [`BroadcastError::BotStopped`]. Nothing was sent then.
    pub async fn start(self) -> Result<BroadcastHandle, BroadcastError> {
        let Self {
            broadcasts,
            source,
            send,
            settings,
        } = self;
        if settings.name.is_empty() || settings.name.len() > LONGEST_NAME {
            return Err(BroadcastError::Name);
        }
        let source = source.ok_or(BroadcastError::NoChats)?;
        let send = send.ok_or(BroadcastError::NoMessage)?;
        broadcasts.start(settings, source, send).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts on other runtimes start broadcasts from tasks that move between threads.
    #[test]
    fn starting_and_waiting_can_be_done_on_any_thread() {
        fn check<T: std::marker::Send>(_: T) {}

        let _never_called = |broadcast: Broadcast, handle: BroadcastHandle| {
            check(broadcast.start());
            check(handle.wait());
        };
    }
}
