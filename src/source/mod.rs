//! Where updates come from.

mod polling;
mod offset;
mod watchdog;
mod monitor;

pub use self::{monitor::PollingCounts, polling::PollingError};
pub(crate) use self::{
    monitor::PollingMonitor,
    polling::{PollingSettings, PollingSource},
};
