//! The nouns that travel through the engine: a [`Delivery`], the [`Lane`] that orders it, the [`Credit`] that
//! bounds it, and the [`Outcome`] of one attempt at it.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::error::Cause;

/// What every payload must offer: it is shared between the supervisor and the handler that works on it.
///
/// Implemented for every type that qualifies.
pub trait Payload: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> Payload for T {}

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

/// What a source must be told so that it forgets what is finished; its meaning is the source's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub i64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many more deliveries the receiver of a batch can take now.
///
/// It travels upstream in the reply to a batch and is the only back-pressure there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Credit(pub usize);

impl Credit {
    /// No delivery can be taken now.
    pub const NONE: Self = Self(0);

    /// Returns whether at least one delivery can be taken.
    pub fn any(self) -> bool {
        self.0 > 0
    }
}

/// One payload on its way through the engine, for one attempt.
///
/// Cloning shares the payload.
pub struct Delivery<T> {
    /// Order of arrival.
    pub seq: Seq,
    /// Ordering key.
    pub lane: Lane,
    /// Number of this attempt, counted from 1. A source that knows of attempts before a restart starts higher.
    pub attempt: u32,
    /// How often the handler has asked to wait so far ([`Retry::NotYet`]), which counts no attempt.
    pub waits: u32,
    /// What is delivered.
    pub payload: Arc<T>,
}

impl<T> Delivery<T> {
    /// Returns the first attempt at a payload.
    pub fn new(seq: Seq, lane: Lane, payload: T) -> Self {
        Self {
            seq,
            lane,
            attempt: 1,
            waits: 0,
            payload: Arc::new(payload),
        }
    }
}

impl<T> Clone for Delivery<T> {
    fn clone(&self) -> Self {
        Self {
            seq: self.seq,
            lane: self.lane.clone(),
            attempt: self.attempt,
            waits: self.waits,
            payload: Arc::clone(&self.payload),
        }
    }
}

impl<T> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("seq", &self.seq.0)
            .field("lane", &self.lane.as_str())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// How one attempt at a delivery ended.
#[derive(Debug)]
pub enum Outcome {
    /// Handled; the delivery is finished.
    Done,
    /// Too old to be worth handling; the delivery is finished without having been handled.
    Expired,
    /// Not handled; what happens next is the failure's [`Retry`].
    Failed(Failure),
}

/// A failed attempt: why, and what the handler wants to happen next.
#[derive(Debug)]
pub struct Failure {
    /// Why the attempt failed.
    pub cause: Cause,
    /// What should happen next.
    pub retry: Retry,
}

impl Failure {
    /// Returns a failure that no repetition can mend: the delivery becomes a dead letter at once.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Cause::Error(error.into()),
            retry: Retry::Never,
        }
    }

    /// Returns a failure that is worth repeating on the engine's schedule.
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Cause::Error(error.into()),
            retry: Retry::Backoff,
        }
    }

    /// Returns a failure that is worth repeating after `delay`; it costs an attempt.
    pub fn retry_after(error: impl Into<Box<dyn Error + Send + Sync>>, delay: Duration) -> Self {
        Self {
            cause: Cause::Error(error.into()),
            retry: Retry::After(delay),
        }
    }

    /// Returns a failure that only means "not yet": the delivery is repeated after `delay` and costs no attempt.
    pub fn not_yet(error: impl Into<Box<dyn Error + Send + Sync>>, delay: Duration) -> Self {
        Self {
            cause: Cause::Error(error.into()),
            retry: Retry::NotYet(delay),
        }
    }
}

/// What should happen after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing: the delivery becomes a dead letter.
    Never,
    /// Another attempt on the schedule of the [`RetryPolicy`](crate::RetryPolicy).
    Backoff,
    /// Another attempt after this time, as long as the policy has attempts left.
    After(Duration),
    /// Another attempt after this time that does not count, because the failed one was only told to wait.
    NotYet(Duration),
}

/// A delivery that will not be tried again by itself.
pub struct DeadLetter<T> {
    /// The delivery as it was at its last attempt.
    pub delivery: Delivery<T>,
    /// Why the last attempt failed.
    pub cause: Cause,
    /// What went wrong at the attempts before, oldest first; at most [`DeadLetter::MAX_HISTORY`] entries.
    pub history: Vec<String>,
}

impl<T> DeadLetter<T> {
    /// Number of earlier errors that are kept; older ones are forgotten first.
    pub const MAX_HISTORY: usize = 16;
}

impl<T> fmt::Debug for DeadLetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("delivery", &self.delivery)
            .field("cause", &self.cause)
            .field("history", &self.history)
            .finish()
    }
}
