//! What must hold for any bytes that come from outside: one module per property, each with a function `check` that panics
//! when it does not hold.
//!
//! The fuzz targets in `fuzz/` look for bytes that break them; `fuzz_seeds_keep_their_properties` checks the seeds.

pub(crate) mod envelope;
pub(crate) mod response;
pub(crate) mod address;
pub(crate) mod form;
pub(crate) mod command;
#[cfg(feature = "webhook")]
pub(crate) mod webhook;

mod json;
mod update_id;
mod writing;
