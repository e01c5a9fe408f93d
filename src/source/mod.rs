//! Where updates come from.

mod polling;
mod offset;
mod watchdog;
mod monitor;

#[cfg(feature = "journal")]
pub(crate) use self::offset::is_jump;
pub use self::{monitor::PollingCounts, polling::PollingError};
pub(crate) use self::{
    monitor::PollingMonitor,
    polling::{PollingSettings, PollingSource},
};
