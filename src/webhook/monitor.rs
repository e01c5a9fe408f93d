//! What a webhook can be asked about from outside its threads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::refusal::Refusal;

/// Shortest time between two log lines about refusals for the same reason: whoever sends nonsense must not fill the log.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// How a webhook goes, since the start of the bot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WebhookCounts {
    /// Updates taken in: they are in the journal, or without one, handled or given up.
    pub accepted: u64,
    /// Updates that came again and were acknowledged without being taken in once more.
    pub duplicates: u64,
    /// Requests that were not acknowledged.
    pub refused: WebhookRefusals,
    /// Time since an update was last acknowledged, also a duplicate; `None` before the first one. For a readiness check,
    /// as far as the bot is used that often.
    pub last_update_age: Option<Duration>,
    /// What became of [`Webhook::register`](super::Webhook::register).
    pub registration: WebhookRegistration,
}

/// Requests that were not acknowledged, by reason. The server repeats each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WebhookRefusals {
    /// 403: the secret was wrong or missing.
    pub wrong_secret: u64,
    /// 403: not from the networks of Telegram, where that is asked for.
    pub wrong_network: u64,
    /// 405: another method than POST.
    pub wrong_method: u64,
    /// 413: the body was above the limit.
    pub too_large: u64,
    /// 408: the body took too long.
    pub too_slow: u64,
    /// 400: the connection ended in the middle of the body.
    pub cut_off: u64,
    /// 400: the body was not JSON, or had no `update_id`.
    pub not_an_update: u64,
    /// 503: the journal or its disk was full.
    pub full: u64,
    /// 503: without a journal, too many updates were in hand.
    pub busy: u64,
    /// 503: without a journal, the handler took longer than a request may.
    pub still_running: u64,
    /// 503: the bot was paused or stopped.
    pub closed: u64,
    /// 503: the journal failed.
    pub failed: u64,
}

/// What became of [`Webhook::register`](super::Webhook::register).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WebhookRegistration {
    /// It was not asked for.
    #[default]
    NotAsked,
    /// It has not worked yet and is repeated.
    Pending {
        /// What went wrong last.
        last_error: Option<String>,
    },
    /// The server has the webhook as it is wanted.
    Registered,
    /// The server refused it. It is tried again once a minute, unless that ended the start of the bot.
    Refused {
        /// Text of the server.
        reason: String,
    },
}

/// Shared view of a webhook; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebhookMonitor(Arc<Mutex<Shared>>);

/// No lock is ever held across an await.
#[derive(Debug, Default)]
struct Shared {
    counts: WebhookCounts,
    last_update: Option<Instant>,
    logged: HashMap<Refusal, Logged>,
}

#[derive(Debug)]
struct Logged {
    at: Instant,
    unlogged: u64,
}

impl WebhookMonitor {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // The state is plain numbers: whoever panicked left nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn accepted(&self) {
        let mut shared = self.lock();
        shared.counts.accepted += 1;
        shared.last_update = Some(Instant::now());
    }

    pub(super) fn duplicate(&self) {
        let mut shared = self.lock();
        shared.counts.duplicates += 1;
        shared.last_update = Some(Instant::now());
    }

    /// Counts and logs a refusal; of many for the same reason only some are logged.
    pub(super) fn refused(&self, refusal: Refusal) {
        let now = Instant::now();
        let unlogged = {
            let mut shared = self.lock();
            *shared.counts.refused.of(refusal) += 1;
            match shared.logged.get_mut(&refusal) {
                Some(logged) if now.duration_since(logged.at) < LOG_PAUSE => {
                    logged.unlogged += 1;
                    return;
                }
                _ => shared
                    .logged
                    .insert(refusal, Logged { at: now, unlogged: 0 })
                    .map_or(0, |logged| logged.unlogged),
            }
        };
        tracing::warn!(
            reason = refusal.reason(),
            unlogged,
            "webhook request was not acknowledged"
        );
    }

    pub(super) fn registration(&self, state: WebhookRegistration) {
        self.lock().counts.registration = state;
    }

    pub(crate) fn counts(&self) -> WebhookCounts {
        let shared = self.lock();
        WebhookCounts {
            last_update_age: shared.last_update.map(|at| at.elapsed()),
            ..shared.counts.clone()
        }
    }
}

impl WebhookRefusals {
    /// Returns the numbers under their names.
    #[cfg(feature = "metrics")]
    pub(crate) fn by_reason(&self) -> [(&'static str, u64); 12] {
        [
            ("wrong_secret", self.wrong_secret),
            ("wrong_network", self.wrong_network),
            ("wrong_method", self.wrong_method),
            ("too_large", self.too_large),
            ("too_slow", self.too_slow),
            ("cut_off", self.cut_off),
            ("not_an_update", self.not_an_update),
            ("full", self.full),
            ("busy", self.busy),
            ("still_running", self.still_running),
            ("closed", self.closed),
            ("failed", self.failed),
        ]
    }

    fn of(&mut self, refusal: Refusal) -> &mut u64 {
        match refusal {
            Refusal::WrongMethod => &mut self.wrong_method,
            Refusal::WrongNetwork => &mut self.wrong_network,
            Refusal::WrongSecret => &mut self.wrong_secret,
            Refusal::TooLarge => &mut self.too_large,
            Refusal::TooSlow => &mut self.too_slow,
            Refusal::CutOff => &mut self.cut_off,
            Refusal::NotAnUpdate => &mut self.not_an_update,
            Refusal::Full => &mut self.full,
            Refusal::Busy => &mut self.busy,
            Refusal::StillRunning => &mut self.still_running,
            Refusal::Closed => &mut self.closed,
            Refusal::Failed => &mut self.failed,
        }
    }
}
