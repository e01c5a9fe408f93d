//! Actor-based Telegram bot runtime that loses no update, keeps every chat in order and stops cleanly.

pub mod api;
mod lane;
mod token;
pub mod update;
