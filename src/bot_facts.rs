//! What all workers of one bot share: the name of the bot, how many updates no route took, and how long handlers take.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

use crate::{
    api::{Api, ApiError},
    timings::Stopwatch,
};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct BotFacts {
    username: OnceCell<Box<str>>,
    unrouted: AtomicU64,
    /// Time of each attempt of a handler.
    pub(crate) handler_time: Stopwatch,
}

impl BotFacts {
    #[cfg(test)]
    pub(crate) fn named(username: &str) -> Self {
        Self {
            username: OnceCell::new_with(Some(username.into())),
            ..Self::default()
        }
    }

    /// Returns the name of the bot without `@`, empty should it have none. One call asks the server and the others wait for
    /// it; when it fails, the next one asks.
    pub(crate) async fn username(&self, api: &Api) -> Result<&str, ApiError> {
        let username = self.username.get_or_try_init(|| async {
            let me = api.get_me().await?;
            Ok(me.username.unwrap_or_default().into())
        });
        username.await.map(|name| &**name)
    }

    /// Returns the name of the bot when it is known already.
    pub(crate) fn known_username(&self) -> Option<&str> {
        self.username.get().map(|name| &**name)
    }

    /// Counts an update that no route took.
    pub(crate) fn count_unrouted(&self) {
        self.unrouted.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many updates no route took.
    pub(crate) fn unrouted(&self) -> u64 {
        self.unrouted.load(Ordering::Relaxed)
    }
}
