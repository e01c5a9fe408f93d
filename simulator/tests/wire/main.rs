//! The server as clients see it: real sockets, a raw client.

#![allow(clippy::unwrap_used, reason = "code of tests, outside of test functions")]

mod support;

mod main_flows;

mod faults;

mod requests;

mod control;

mod handles;

mod volume;
