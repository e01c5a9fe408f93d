//! The control API: tests in any language script the simulator with JSON over HTTP.

pub(crate) mod command;

pub(crate) mod fault_spec;
pub(crate) mod webhook_fault_spec;

pub(crate) mod run;

pub(crate) mod server;
