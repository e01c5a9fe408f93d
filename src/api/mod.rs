//! Calling the Bot API.
//!
//! [`Api`] is the handle. Behind it one actor per bot, the gateway, owns the HTTP client and obeys flood control:
//!
//! ```text
//! your code ─▶ Api ──Call──▶ gateway ──task per call──▶ transport ──HTTP──▶ Bot API server
//!               ▲ slot                    │ flood holds                          │
//!               └────────────── result or ApiError ◀── envelope ◀── response ────┘
//! ```
//!
//! | message | from → to | reply |
//! |---|---|---|
//! | `Call` | [`Api`] → gateway | the text of the result, or an [`ApiError`] |
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
//! The groups of modules below stand in reading order.

// What the user sets, and what the user calls.
mod config;
mod server;

mod calls;
mod decode;
mod downloads;
mod handle;
mod trait_impl;
mod uploads;

// The actor and its flood control.
mod chat;
mod gateway;
mod holds;

// One request and its response.
mod form_body;
mod multipart;
mod request;
mod response;
mod transport;

mod error;

pub use self::{
    config::ApiConfig,
    error::{ApiError, NotSentCause, UnknownCause},
    handle::Api,
    multipart::MultipartForm,
    server::{Server, ServerError},
};
pub use crate::token::{Token, TokenError};
