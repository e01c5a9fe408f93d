//! The server as clients see it: real sockets, a raw client.

mod support;

mod main_flows;

mod faults;

mod requests;

mod control;

mod handles;

mod volume;
