//! The server's face: HTTP on loopback.

pub(crate) mod answer;
pub(crate) mod connections;
pub(crate) mod server;

pub(crate) mod webhook_answer;
pub(crate) mod webhook_lines;
