//! Showing that the bot is busy, for as long as it is.

use std::{future::Future, pin::pin, time::Duration};

use frankenstein::{methods::SendChatActionParams, types::ChatAction};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::{
    api::{Api, ApiError},
    context::Context,
};

/// Time between two actions. One is shown for 5 seconds or less: <https://core.telegram.org/bots/api#sendchataction>.
const INTERVAL: Duration = Duration::from_millis(4_500);

impl Context {
    /// Runs a future and shows "typing" in the chat of the update meanwhile.
    ///
    /// As [`while_showing`](Self::while_showing).
    ///
    /// ```
    /// use actogram::{Context, HandlerResult};
    ///
    /// async fn answer(ctx: Context) -> HandlerResult {
    ///     let answer = ctx.typing(think(ctx.text())).await;
    ///     ctx.reply(answer).await?;
    ///     Ok(())
    /// }
    /// # async fn think(_: Option<&str>) -> String { String::new() }
    /// ```
    pub async fn typing<F: Future>(&self, future: F) -> F::Output {
        self.while_showing(ChatAction::Typing, future).await
    }

    /// Runs a future and shows an action in the chat of the update meanwhile, in the same topic and through the same
    /// business connection: at once, and again before it would vanish.
    ///
    /// It stops when the future has ended or this one is dropped. Whatever becomes of the action changes nothing for the
    /// future: it neither waits nor fails. Under flood control nothing is shown until the wait has passed; after a refusal,
    /// for instance in a channel, nothing more is shown. Without a chat nothing is shown at all.
    ///
    /// See <https://core.telegram.org/bots/api#sendchataction>.
    pub async fn while_showing<F: Future>(&self, action: ChatAction, future: F) -> F::Output {
        let mut future = pin!(future);
        let showing = async {
            if let Some(params) = self.action_params(action) {
                // Late is worse than never here, so it waits for nothing.
                let api = self.api().max_wait(Duration::ZERO);
                show(&api, &params).await;
            }
        };
        let mut showing = pin!(showing);
        let mut shown = false;
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = &mut showing, if !shown => shown = true,
            }
        }
    }

    fn action_params(&self, action: ChatAction) -> Option<SendChatActionParams> {
        let mut params = SendChatActionParams::builder()
            .chat_id(self.chat_id()?)
            .action(action)
            .build();
        params.business_connection_id = self.update().business_connection_id().map(str::to_owned);
        params.message_thread_id = self
            .message()
            .filter(|message| message.is_topic_message == Some(true))
            .and_then(|message| message.message_thread_id);
        Some(params)
    }
}

/// Shows an action again and again, until the server refuses it.
async fn show(api: &Api, params: &SendChatActionParams) {
    loop {
        let next = Instant::now() + INTERVAL;
        let pause = match api.send_chat_action(params).await {
            Ok(_) => Duration::ZERO,
            Err(error @ (ApiError::Refused { .. } | ApiError::Stopped { .. } | ApiError::Encode { .. })) => {
                debug!(%error, "chat action is not shown");
                return;
            }
            Err(error) => {
                debug!(%error, "chat action is not shown this time");
                error.retry_after().unwrap_or_default()
            }
        };
        let wait_is_over = Instant::now().checked_add(pause);
        sleep_until(wait_is_over.map_or(next, |over| over.max(next))).await;
    }
}
