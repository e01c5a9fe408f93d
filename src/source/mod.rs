//! Where updates come from.

mod polling;
mod rhythm;
mod offset;
mod watchdog;
mod monitor;
mod error;

#[cfg(feature = "journal")]
pub(crate) use self::offset::is_jump;
pub use self::{error::PollingError, monitor::PollingCounts};
pub(crate) use self::{
    monitor::PollingMonitor,
    polling::{PollingSettings, PollingSource},
};
