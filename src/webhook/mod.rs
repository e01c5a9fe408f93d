//! Updates by webhook: the server posts each one to a route.
//!
//! ```text
//! server ─POST─▶ route ─▶ Door: sender, secret, body, update
//!                           ├─ with a journal ──push──▶ Journal ─▶ …            200 when it is on disk
//!                           └─ without ──▶ PostedSource ─▶ Supervisor ─▶ …      200 when it was handled
//! ```
//!
//! Whatever is not answered 200 is sent again by the server, after 0, 2, 4, 8, … seconds at first and every one to two
//! minutes later, for as long as it keeps the update. So every other answer is safe, and 200 is the one irrevocable step.

mod settings;
mod secret;
mod checked;
mod route;
mod door;
mod origin;
mod refusal;
#[cfg(feature = "journal")]
mod journaled;
mod direct;
mod registration;
mod server;
mod tls;
mod monitor;
mod error;
pub(crate) mod fuzzing;

#[cfg(feature = "journal")]
pub(crate) use self::journaled::JournalIntake;
pub(crate) use self::{
    checked::CheckedWebhook,
    direct::DirectIntake,
    door::Intake,
    monitor::WebhookMonitor,
    registration::Registration,
    server::{Listening, second_signal},
};
pub use self::{
    error::WebhookError,
    monitor::{WebhookCounts, WebhookRefusals, WebhookRegistration},
    route::WebhookRoute,
    secret::SecretError,
    settings::Webhook,
};
