//! Updates as they arrive: taken apart without decoding them, kept as raw text, decoded when a handler asks.
//!
//! ```text
//! getUpdates result ──split──▶ raw updates ──Envelope::read──▶ id, kind, keys ──▶ Update (own copy, lane)
//!                                                                                  │ content(), in the handler
//!                                                                                  ▼
//!                                                                                 typed value
//! ```
//!
//! The principal type is [`Update`]. Whatever the Bot API may add, an update with an id can be read, ordered,
//! kept and confirmed; only its typed value may be missing:
//!
//! ```
//! use actogram::update::{Update, UpdateKind};
//!
//! let update = Update::from_json(
//!     r#"{"update_id":7,"moon_phase":{"chat":{"id":-1001,"type":"galaxy"},"phase":0.25}}"#,
//! )?;
//!
//! assert_eq!(update.kind(), UpdateKind::Unknown);
//! assert_eq!(update.kind_name(), "moon_phase");
//! assert_eq!(update.lane().as_str(), "chat:-1001");
//! assert!(update.content().is_err());
//! # Ok::<(), actogram::update::EnvelopeError>(())
//! ```

mod batch;

mod envelope;
mod fields;
mod kind;
mod scan;

mod owned;

mod content;

mod error;

pub use batch::split;
pub use content::UpdateContent;
pub use envelope::{Envelope, Keys};
pub use error::{BatchError, DecodeError, EnvelopeError};
pub use kind::UpdateKind;
pub use owned::Update;
