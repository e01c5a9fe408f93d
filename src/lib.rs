//! Actor-based Telegram bot runtime that loses no update, keeps every chat in order and stops cleanly.

pub mod api;
pub mod update;
mod bot;
mod source;
mod lane;
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
