//! The update queue and who waits for it, as rules that need no clock and no socket.

pub(crate) mod kinds;
pub(crate) mod queue;

pub(crate) mod polling;
