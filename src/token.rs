//! The token of a bot.
