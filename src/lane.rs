//! The lane of an update.
