//! Calling the Bot API.
//!
//! [`Api`] is the handle. Behind it one actor per bot, the gateway, owns the HTTP client and obeys flood control:
//!
//! ```text
//! your code ─▶ Api ──Call──▶ gateway ──task per call──▶ its turn ──attempts──▶ transport ──HTTP──▶ Bot API server
//!               ▲ place            lines, holds, pace ─────┘                                      │
//!               └────────────────── result or ApiError ◀── envelope ◀── response ─────────────────┘
//! ```
//!
//! | message | from → to | reply |
//! |---|---|---|
//! | `Call` | [`Api`] → gateway | the text of the result, a downloaded file, or an [`ApiError`] |
//! | `Look` | [`Api`] → gateway | [`ApiStats`] |
//!
//! ```no_run
//! use actogram::api::{Api, ApiConfig, Token};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = Token::parse(&std::env::var("TELEGRAM_BOT_TOKEN")?)?;
//! let api = Api::start(ApiConfig::new(token));
//!
//! api.send_text(42, "Hello").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The token
//!
//! The token is part of every request path, and shows in no error, no `Debug` output and no log line of this crate. The
//! HTTP client underneath logs hosts and addresses at trace level, never a path: its one line that would, over HTTP/2,
//! cannot occur because HTTP/2 is not negotiated. Texts of the server that quote the token are redacted. A proxy or a
//! local Bot API server may still write request paths to logs of its own.
//!
//! # Proxies
//!
//! The HTTP client speaks no proxy protocol and reads no `HTTPS_PROXY`. Point [`Server`] at a reverse proxy instead.
//!
//! The groups of modules below stand in reading order.

// What the user sets, and what the user calls.
mod config;
mod server;

mod calls;
mod decode;
mod downloads;
mod handle;
mod options;
mod progress;
mod stats;
mod trait_impl;
mod uploads;

// The actor, and who goes when.
mod gateway;
mod turns;
mod schedule;
mod chat;
mod holds;
mod pacing;
mod attempts;
mod repeat;
mod outcomes;

// One request and its response.
mod fetch;
mod part_file;
mod form_body;
mod multipart;
mod request;
mod response;
mod transport;
mod connection;
mod failure;

mod error;

pub(crate) use self::{
    chat::Chat,
    pacing::Pacer,
    repeat::may_be_repeated,
    request::RequestBody,
    response::{Answer, RawResponse, read as read_response},
    transport::Transport,
};
pub use self::{
    config::ApiConfig,
    downloads::FileStream,
    error::{ApiError, NotSentCause, UnknownCause},
    handle::Api,
    multipart::MultipartForm,
    outcomes::CallCounts,
    pacing::Pacing,
    progress::Progress,
    server::{Server, ServerError},
    stats::ApiStats,
};
pub use crate::token::{Token, TokenError};
