//! Where updates come from.

mod polling;
mod offset;
mod watchdog;
mod monitor;
mod error;

pub use self::{error::PollingError, monitor::PollingCounts};
pub(crate) use self::{
    monitor::PollingMonitor,
    polling::{PollingSettings, PollingSource},
};
