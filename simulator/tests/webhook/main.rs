//! Webhooks over real sockets: the simulator posts to an actix-web server.

#![allow(clippy::unwrap_used, reason = "code of tests, outside of test functions")]

#[path = "../wire/support.rs"]
#[allow(dead_code, reason = "the tests of the wire use the rest")]
mod support;

mod receiver;

mod stage;

mod deliveries;

mod answers;

mod failures;

mod faults;

mod settings;

mod control;
