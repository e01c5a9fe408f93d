//! The journal's storage: one SQLite file that holds every update from its arrival to its end.
//!
//! Everything here is synchronous and takes the time as an argument. [`Store`] belongs to the one owner of a file; what
//! it writes, it writes in a transaction ([`Work`]) that says what it must survive ([`Durability`]).
//!
//! ```text
//! push ──▶ ready ──start──▶ started ──finish, expire──▶ (gone)
//!            ▲                 │
//!            ├─────retry───────┤        crash: ready again, one crash more
//!            │                 └──bury──▶ dead letter ──drop_dead──▶ (gone)
//!            └──────────────retry_dead──────────┘  at the end of its lane
//! ```
//!
//! # Promises
//!
//! - What was committed with [`Durability::Power`] survives a power cut, with [`Durability::Kill`] the death of the
//!   process.
//! - Places ([`RowId`]) are the order of arrival, and are never used twice.
//! - A damaged row is never handed out. It is set aside with what is left of it, and reported.
//! - Dead letters and what was set aside go only when somebody drops them, or [by their age or number](sweep), which is
//!   counted.
//! - There is one owner. An older one is stopped at its next transaction.

#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, reason = "a part is for the command line tool")
)]

mod owner;
mod transaction;
mod push;
mod moved;
mod marks;
mod load;
mod recover;
mod set_aside;
#[cfg(any(feature = "cli", test))]
mod remains;
mod dead;
mod list;
mod stats;
mod broadcasts;
mod broadcast_chats;
mod broadcast_sweep;
mod prune;
mod sweep;
mod upkeep;
#[cfg(any(feature = "cli", test))]
mod verify;
#[cfg(any(feature = "cli", test))]
mod operator;
mod entry;
mod history;
mod columns;
mod checksum;
mod time;
mod schema;
mod connection;
mod files;
mod wal;
mod lock;
mod error;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod dead_tests;
#[cfg(test)]
mod owner_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;

#[cfg(any(feature = "cli", test))]
pub(crate) use self::operator::Operator;
#[cfg(any(feature = "cli", test))]
pub(crate) use self::verify::verify;
pub(crate) use self::{
    broadcasts::BroadcastRow,
    dead::{DeadFilter, DeadLetter, DeadReason, DeadRetry, Opened},
    entry::{DamagedRow, Durability, IndexEntry, Loaded, RowId, StoreOptions},
    error::JournalError,
    list::Filter,
    marks::Retry,
    owner::Store,
    recover::Recovered,
    stats::Totals,
    sweep::Swept,
    time::Timestamp,
    upkeep::CheckpointMode,
};
#[cfg(feature = "cli")]
pub(crate) use self::{entry::Checked, list::Listed, remains::Remains, stats::Stats, verify::Report};
#[cfg(test)]
pub(crate) use self::{
    entry::{Damage, Stored},
    error::StorageError,
    moved::MOST_MOVED,
    transaction::Work,
    verify::Finding,
};
