//! Delivery engine: ordered lanes, credit, retries and clean shutdown on actix actors.

mod delivery;

pub use delivery::{Lane, Seq};
