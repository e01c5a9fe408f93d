//! An independent Telegram Bot API server for tests and demos.
//!
//! [`Simulator`] is a real HTTP server on 127.0.0.1 that behaves like <https://core.telegram.org/bots/api> where a bot
//! can lose, repeat or reorder something: the update queue and its offsets, waiting polls, conflicts, expiry, flood
//! waits, webhooks, error texts. It can be made to fail in every way a network or a server can, and it keeps a ledger of what
//! was issued, confirmed and sent, which the real server never shows.
//!
//! ```
//! use actogram_simulator::{Fault, Simulator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::start()?;
//! let bot = simulator.bot();
//! let ann = bot.user("Ann");
//!
//! bot.fault(Fault::DropAfterProcessing.on("sendMessage"));
//! ann.say("hello");
//! // Start a bot with `simulator.url()` and `bot.token()` here, then look at what it did:
//! assert_eq!(bot.pending().len(), 1);
//! assert!(ann.heard().is_empty());
//! assert!(bot.violations().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! | part | what it does |
//! |---|---|
//! | [`Simulator`] | starts, stops and restarts the server, takes it off the network |
//! | [`Bot`] | adds users and chats, queues updates, injects faults, shows the ledger, waits for conditions |
//! | [`User`], [`Chat`] | speak, edit, press buttons |
//! | [`Fault`], [`WebhookFault`] | what goes wrong, by name |
//! | [`PostRecord`] | one request to a webhook, with its answer |
//! | [`World`] | the server without clock and socket, for virtual time |
//!
//! # Webhooks
//!
//! A bot that calls `setWebhook` gets its updates posted, with the order, the retries and the timeouts of the real
//! server. Requests go out over plain HTTP, so the rules of a local server have to apply:
//! [`SimulatorBuilder::local`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use actogram_simulator::{PostOutcome, Simulator, WebhookFault};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::builder().local(true).start()?;
//! let bot = simulator.bot();
//! // Start a bot that calls `setWebhook` with its own `http://127.0.0.1:<port>/...` here. Then:
//! bot.webhook_fault(WebhookFault::LoseAnswer);
//! let update_id = bot.user("Ann").say("hello");
//!
//! assert!(bot.wait_for(Duration::from_secs(10), |view| view.confirmed().contains(&update_id)));
//! let outcomes: Vec<_> = bot.posts().iter().map(|post| post.outcome).collect();
//! assert_eq!(outcomes, [PostOutcome::AnswerLost, PostOutcome::Acknowledged]);
//! # Ok(())
//! # }
//! ```
//!
//! - An update that was answered 200 to 299 is confirmed, as one is that a poll has left behind: [`Issued::fate`] and
//!   [`Bot::confirmed`] do not tell the two apart.
//! - After a failure the update comes again at once, then after 2, 4, 8, 16, 32 s, then every 60 to 120 s until it
//!   expires. `Retry-After` takes the place of one of these waits.
//! - Within an ordering domain (the messages of a chat, the presses of a user, ...) one update is posted at a time;
//!   different domains run side by side, over at most `max_connections` connections.
//! - An endpoint without a success in the last 10 s gets one connection, and a new one every 2 s at most. So an
//!   endpoint that was down gets the first update up to 2 s after it is back, or later when the update waits for
//!   its retry: [`Simulator::advance_clock`] and [`SimulatorBuilder::clock_rate`] shorten that.
//!
//! In a [`World`], [`World::take_webhook_actions`] says what is to be sent, and [`World::webhook_event`] takes what
//! came of it:
//!
//! ```
//! use std::time::Duration;
//!
//! use actogram_simulator::{
//!     Moment, Params, Request, Rules, WebhookAction, WebhookAnswer, WebhookEvent, World,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = "42:secret";
//! let now = Moment::from_unix(Duration::from_secs(1_800_000_000));
//! let mut world = World::new(Rules::default(), 7);
//! let url = Params::from_pairs(&[("url", "https://bot.example.org/hook")]);
//! let ann = world.bot(now, token)?.add_user("Ann");
//! world.call(now, Request::new(token, "setWebhook", url));
//! let id = world.bot(now, token)?.say(ann, Some(ann), "hello");
//!
//! world.advance(now);
//! let actions = world.take_webhook_actions();
//! let [WebhookAction::Connect { .. }, WebhookAction::Post { connection, post }] = &actions[..] else {
//!     panic!("a connection and a request are wanted: {actions:?}")
//! };
//! assert_eq!(Some(post.update_id), id);
//! world.webhook_event(now, *connection, WebhookEvent::Answered(WebhookAnswer::new(200, "OK")));
//! assert!(world.bot(now, token)?.view().pending().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Virtual time
//!
//! ```
//! use std::time::Duration;
//!
//! use actogram_simulator::{Moment, Params, Request, Rules, Verdict, World};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = "42:secret";
//! let now = Moment::from_unix(Duration::from_secs(1_800_000_000));
//! let mut world = World::new(Rules::default(), 7);
//! world.bot(now, token)?.add_user("Ann");
//!
//! let poll = Request::new(token, "getUpdates", Params::from_pairs(&[("timeout", "50")]));
//! let Verdict::Later(ticket) = world.call(now, poll) else { panic!("nothing is queued") };
//! assert_eq!(world.due_at(), Some(now + Duration::from_secs(50)));
//! world.advance(now + Duration::from_secs(50));
//! assert_eq!(world.take_replies()[0].0, ticket);
//! # Ok(())
//! # }
//! ```
//!
//! # What is not simulated
//!
//! Webhooks are not posted over TLS: every post to an `https` URL fails. Their host names are resolved when a
//! connection is opened and not by `setWebhook`, which answers at once and so never conflicts with another
//! `setWebhook`. HTML becomes entities, but Markdown stays in the
//! text. Files are not fetched from URLs. Request bodies cannot be compressed. Methods that are not known are
//! answered `404 Not Found: method not found`.

// In reading order: what comes in and goes out, ...
mod moment;
mod params;

mod encoding;

mod request;

mod reply;

mod token;

// ... one bot and all it has, ...
mod updates;

mod webhook;

mod people;

mod files;
mod ledger;
mod violations;

mod account;

mod actions;

// ... what calls do to it, and what goes wrong, ...
mod methods;

mod faults;
mod flood;

mod world;

#[cfg(test)]
mod world_tests;

// ... and the machine around the rules.
mod shared;

mod face;

mod view;

mod world_bot;

mod bot;
mod chat;

mod simulator;

mod control;

pub use crate::account::Rules;
pub use crate::actions::{ActionError, Queued};
pub use crate::bot::Bot;
pub use crate::chat::{Chat, User};
pub use crate::faults::{Fault, FaultRule};
pub use crate::flood::FloodProfile;
pub use crate::ledger::{Fate, Issued, PollOutcome, PollRecord, PostOutcome, PostRecord, Refused, Sent};
pub use crate::moment::Moment;
pub use crate::params::{Params, Upload};
pub use crate::people::{Access, ChatKind};
pub use crate::reply::{Delivery, Reply};
pub use crate::request::{Request, Restart, Ticket, Verdict};
pub use crate::simulator::{Simulator, SimulatorBuilder, StartError};
pub use crate::token::TokenError;
pub use crate::view::View;
pub use crate::violations::Violation;
pub use crate::webhook::action::{
    WebhookAction, WebhookAnswer, WebhookConnection, WebhookEndpoint, WebhookEvent, WebhookPost,
};
pub use crate::webhook::faults::{WebhookFault, WebhookFaultRule};
pub use crate::world::World;
pub use crate::world_bot::WorldBot;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
