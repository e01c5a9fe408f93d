//! The methods of the Bot API, one file per family.

pub(crate) mod dispatch;

pub(crate) mod get_updates;

pub(crate) mod content;
pub(crate) mod html;
pub(crate) mod messages;

pub(crate) mod edits;
pub(crate) mod media;

pub(crate) mod callbacks;
pub(crate) mod copies;

pub(crate) mod profile;
pub(crate) mod webhook;
