//! The nouns that travel through the engine: a [`Delivery`], the [`Lane`] that orders it, the [`Credit`] that
//! bounds it, and the ways it can end.

use std::{fmt, sync::Arc};

/// Ordering key of a delivery.
///
/// Deliveries of one lane are handled strictly one after the other, in the order of their [`Seq`]; different lanes
/// run concurrently. The text is shown in logs and snapshots, so it should be readable and carry its namespace
/// (`room:17`, `user:17`). Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(Arc<str>);

impl Lane {
    /// Returns the lane with this key.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// Returns the key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({})", self.0)
    }
}

/// Order of arrival, stamped by the [`Source`](crate::Source) and strictly increasing within it.
///
/// It says nothing about how many deliveries lie between two of them: gaps are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
