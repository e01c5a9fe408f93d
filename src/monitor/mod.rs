//! Health, metrics, status, dead letters and a live page, as a scope of an actix-web application.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use actogram::{Bot, Context};
//!
//! # async fn echo(_: Context) {}
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bot = Bot::from_env().handlers(|| echo).start().await?;
//! let monitored = bot.clone();
//! let server = HttpServer::new(move || {
//!     App::new().service(actogram::monitor::scope("/bot", monitored.clone()))
//! });
//! // The host stops the bot first, and then the server: streams of the page end with the bot.
//! let server = server.disable_signals().bind("127.0.0.1:8080")?.run();
//! # let _ = server;
//! # Ok(())
//! # }
//! ```
//!
//! Several bots have several scopes. Below the path of the scope there are:
//!
//! | path | who may see it | what |
//! |---|---|---|
//! | `/healthz` | everybody | 200 while the bot's thread answers; a process that is not healthy should be restarted |
//! | `/readyz` | everybody | 200 while updates come in and can be kept; else 503 with the reasons |
//! | `/metrics` | everybody | numbers for Prometheus ([`Family::ALL`](crate::metrics::Family::ALL)) |
//! | `/` | everybody | the live page; it shows nothing until `/events` does |
//! | `/status` | the owner | everything that is known, as JSON |
//! | `/events` | the owner | the same once a second, as server-sent events |
//! | `/dead` | the owner | dead letters: list, show, retry, drop |
//!
//! # Who the owner is
//!
//! What names chats or shows texts is for the owner alone. With an [`AccessToken`] that is whoever sends it
//! (`Authorization: Bearer …`). Without one it is whoever connects from this machine: the peer is a loopback address, the
//! request was not passed on by a proxy (it has no `Forwarded`, `X-Forwarded-*`, `X-Real-IP` or `Via`), and its `Host`, with HTTP/2
//! its `:authority`, names this machine, so that a page of somebody else cannot ask through a name of its own; and it speaks HTTP/1.1
//! at least, which nginx does not by default when it passes a request on. Another proxy on the same machine that adds none of these
//! headers makes everybody the owner: set a token then.
//!
//! State is changed only by `POST` with the header `x-actogram` (any value), which no form and no foreign page can send.

mod scope;
mod access;
mod lookout;
mod health;
mod status;
mod events;
#[cfg(feature = "journal")]
mod dead;
mod page;
mod answer;

pub(crate) use self::lookout::Lookout;
pub use self::{
    access::{AccessToken, WeakToken},
    scope::{Monitor, scope},
};
