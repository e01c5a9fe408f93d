//! Sending one message to many chats: paced, resumable, with an outcome for each chat.
//!
//! ```text
//! source ─chunks─▶ who still needs it? ─▶ pace ─▶ begin ─fsync─▶ your closure ─▶ Api ─▶ end ─▶ outcome
//!                     ledger (journal)              ledger                              ledger
//! ```
//!
//! One task per broadcast, on the thread of the bot. What it decides is in plain types: `agenda`, `judge`, `progress`.

mod builder;
mod control;
mod page;
mod record;
mod report;
mod send_error;
mod error;

mod registry;
mod source;
mod ledger;
mod memory;
mod runner;
mod agenda;
mod attempt;
mod judge;
mod progress;

#[cfg(feature = "journal")]
pub use self::page::BroadcastSummary;
#[cfg(feature = "journal")]
pub(crate) use self::page::{chats, forget, summaries};
#[cfg(feature = "journal")]
pub(crate) use self::record::{ChatsFilter, Ended, Mark, Marked, OpenedBroadcast, Opening};
pub(crate) use self::registry::Broadcasts;
pub use self::{
    builder::Broadcast,
    control::BroadcastHandle,
    error::BroadcastError,
    page::{BroadcastChats, ChatsPage},
    progress::{BroadcastProgress, BroadcastState},
    record::{ChatOutcome, ChatRecord, OutcomeCounts},
    report::{BroadcastEnding, BroadcastReport},
    send_error::SendError,
};
