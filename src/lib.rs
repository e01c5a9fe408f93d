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
//! The principal type is [`Bot`], the builder. A [`Handler`] is an async function of a [`Context`]; what it returns
//! decides what happens to the update ([`HandlerError`]). [`Api`](api::Api) makes calls. [`BotHandle`] looks at a
//! running bot, pauses and stops it.
//!
//! # The flow
//!
//! ```text
//! Telegram ◀─getUpdates─ Poller ──batch──▶ Supervisor ──update──▶ worker threads ──▶ your handler ──▶ Api ──▶ Telegram
//!                          ▲  ◀──credit, progress──┘ one lane per chat ▲                  │
//!                          └ offset moves when the whole batch ended   └─────outcome──────┘
//! ```
//!
//! # What is guaranteed
//!
//! - **No update is lost** that the server handed over: not by errors, panics, deadlines, `kill -9`, power cuts or
//!   deploys. The offset moves only behind what was handled or given up.
//! - **Each lane is in order**, one update at a time, whatever fails; different lanes run concurrently. The lane of an
//!   update is its chat, else its user, else what it is about ([`Bot::lane_by`] changes that).
//! - **At least once**: after a `kill -9` up to one batch (100 updates) runs again. A clean stop repeats nothing.
//! - **Everything is bounded**: running handlers, retries, time to stop, memory.
//!
//! Not promised: exactly-once sending. The Bot API cannot make a call idempotent, so a message whose answer was lost may
//! have been sent ([`ApiError::Unknown`](api::ApiError::Unknown)). Write handlers that may run twice, or check
//! [`Context::attempt`].
//!
//! # Logs
//!
//! Through [`tracing`](https://docs.rs/tracing). Each update is handled in a span `update` with `update_id`, `lane` and
//! `attempt`. The token, and what people wrote, are in none of our lines.

pub mod api;
pub mod update;
mod bot;
mod source;
mod lane;
mod nesting;
mod worker;
mod handler;
mod context;
mod incoming;
mod handle;
mod report;
mod token;
mod error;

pub use actogram_actors::{
    Backoff, EngineError, Lane, Placement, PollingState, RetryPolicy, Snapshot, StopReason, Totals,
};
pub use frankenstein;

pub use self::{
    bot::Bot,
    context::{Context, ReplyError},
    error::{ConfigError, Error},
    handle::{BotHandle, BotSnapshot},
    handler::{Handler, HandlerError, HandlerResult, IntoHandlerResult},
    incoming::IncomingUpdate,
    report::{AbandonedUpdate, BotReport},
    source::{PollingCounts, PollingError},
    worker::DeadUpdate,
};
