//! Actor-based Telegram bot runtime that loses no update, keeps every chat in order under full concurrency, and stops
//! cleanly. Built on actix; usable alone or inside an existing actix / actix-web application.
//!
//! ```no_run
//! use actogram::{Bot, BotReport, Context, Error, HandlerResult};
//!
//! #[actix::main]
//! async fn main() -> Result<BotReport, Error> {
//!     Bot::from_env().handlers(|| echo).run().await
//! }
//!
//! async fn echo(ctx: Context) -> HandlerResult {
//!     if let Some(text) = ctx.text() {
//!         ctx.reply(text).await?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The principal type is [`Bot`], the builder. A [`Handler`] is an async function of a [`Context`], or a [`Router`] that
//! chooses a function of [extractors](extract) for each update. What it returns is sent ([`Respond`]) and decides what
//! happens to the update ([`HandlerError`]). [`Api`](api::Api) makes calls. [`BotHandle`] looks at a running bot, pauses and
//! stops it. [`Broadcast`] sends one message to many chats.
//!
//! # The flow
//!
//! ```text
//! Telegram ◀─getUpdates─ Poller ──batch──▶ Intake ──fsync──▶ journal ──heads of lanes──▶ Supervisor
//!                          ▲  ◀──it is durable──┘               ▲                            │ update
//!                          └ offset moves                       └──done, retry, dead──┐      ▼
//!                                                                  worker threads ──▶ your handler ──▶ Api ──▶ Telegram
//! ```
//!
//! With the cargo feature `webhook` the server posts updates instead (`Bot::start_webhook`, `Bot::run_webhook`).
//!
//! # What is guaranteed
//!
//! - **No update is lost** that the server handed over: not by errors, panics, deadlines, `kill -9`, power cuts or
//!   deploys. The offset moves only behind what is on disk (or, without a journal, behind what was handled).
//! - **Each lane is in order**, one update at a time, whatever fails; different lanes run concurrently. The lane of an
//!   update is its chat, else its user, else what it is about ([`Bot::lane_by`] changes that).
//! - **At least once**: after a `kill -9` what was running runs again. A clean stop repeats nothing.
//!   [`Delivery::AtMostOnce`] turns it around for effects that must never repeat.
//! - **Everything is bounded**: running handlers, retries, time to stop, memory, the journal.
//!
//! Not promised: exactly-once sending. The Bot API cannot make a call idempotent, so a message whose answer was lost may
//! have been sent ([`ApiError::Unknown`](api::ApiError::Unknown)). Write handlers [that may run
//! twice](https://github.com/actogram/actogram/blob/main/docs/guarantees.md#a-handler-that-does-not-mind);
//! [`Context::attempt`] alone does not tell whether effects are there already.
//!
//! # Logs
//!
//! Through [`tracing`](https://docs.rs/tracing). Each update is handled in a span `update` with `update_id`, `lane` and
//! `attempt`. The token, and what people wrote, are in none of our lines.

pub mod api;
pub mod update;
mod bot;
mod source;
#[cfg(feature = "journal")]
mod journal_config;
#[cfg(feature = "journal")]
mod queue;
#[cfg(feature = "webhook")]
mod webhook;
mod backing;
mod lane;
mod nesting;
mod model_gaps;
mod timings;
mod staleness;
mod worker;
mod handler;
mod context;
mod bot_facts;
mod router;
pub mod extract;
mod respond;
mod incoming;
mod broadcast;
mod handle;
#[cfg(feature = "journal")]
mod dead_letters;
#[cfg(feature = "journal")]
mod journal_stats;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "monitor")]
pub mod monitor;
#[cfg(feature = "cli")]
pub mod cli;
mod report;
mod token;
mod error;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod test_context;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the examples for people who come from elsewhere.
#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;

pub use actogram_actors::{
    Backoff, EngineError, Lane, LaneLoad, Placement, PollingState, RetryPolicy, Snapshot, StopReason, Totals,
    WorkerThreads,
};
pub use frankenstein;

#[cfg(feature = "webhook")]
pub use self::webhook::{
    SecretError, Webhook, WebhookCounts, WebhookError, WebhookRefusals, WebhookRegistration, WebhookRoute,
};
pub use self::{
    backing::AckError,
    bot::{Bot, Delivery},
    broadcast::{
        Broadcast, BroadcastChats, BroadcastEnding, BroadcastError, BroadcastHandle, BroadcastProgress,
        BroadcastReport, BroadcastState, ChatOutcome, ChatRecord, ChatsPage, OutcomeCounts, SendError,
    },
    context::{CallbackError, Context, NoBot, ReplyError},
    error::{ConfigError, Error},
    extract::FromUpdate,
    handle::{BotHandle, BotSnapshot},
    handler::{Handler, HandlerError, HandlerResult},
    incoming::IncomingUpdate,
    report::{AbandonedUpdate, BotReport, Fate},
    respond::{Answer, Edit, InlineKeyboard, Reply, Respond},
    router::{CommandRoute, HandlerFn, Interests, Middleware, Next, Router},
    source::{PollingCounts, PollingError},
    timings::Timings,
    worker::DeadUpdate,
};
#[cfg(feature = "journal")]
pub use self::{
    broadcast::BroadcastSummary,
    dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetterReason},
    journal_config::JournalConfig,
    journal_stats::JournalStats,
};
