//! Webhook delivery, as rules that need no clock and no socket: what is sent when, over which connection, and what an
//! answer means. The sockets are behind [`Action`](action::WebhookAction) and [`Event`](action::WebhookEvent).

// What is sent, in which order, ...
pub(crate) mod domain;
pub(crate) mod schedule;

pub(crate) mod budget;

// ... what goes wrong on purpose, ...
pub(crate) mod faults;

// ... who decides, ...
pub(crate) mod lines;
pub(crate) mod step;

pub(crate) mod dispatcher;

#[cfg(test)]
mod dispatcher_tests;

// ... how it looks on the wire, ...
pub(crate) mod action;

pub(crate) mod post;

pub(crate) mod answer;

// ... and what it does to the bot.
pub(crate) mod delivery;
