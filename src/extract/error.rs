//! Why an argument of a handler cannot be made.

use std::{borrow::Cow, error::Error, fmt};

use super::UsageError;
use crate::handler::HandlerError;

/// Why an extractor has no value.
///
/// Any error converts into [`Failed`](Self::Failed) with `?`. Like [`HandlerError`], into which it converts, it does not
/// implement [`Error`] itself, because that would forbid the conversion from every error.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExtractError {
    /// The update does not have it. `Option` turns this into `None`; otherwise the update becomes a dead letter.
    Absent {
        /// What the update is not, to complete the sentence "the update is not …".
        expected: Cow<'static, str>,
    },
    /// Somebody used a command in a wrong way. They are told how to use it, and the update is handled.
    Usage(UsageError),
    /// The value could not be had; the error says what happens next.
    Failed(HandlerError),
}

/// The update is not what the signature of its handler says.
#[derive(Debug, thiserror::Error)]
#[error("the update is not {expected}; take an `Option` of the argument, or route the update elsewhere")]
struct Mismatch {
    expected: Cow<'static, str>,
}

impl ExtractError {
    /// Returns the error for what the update does not have. `expected` completes the sentence "the update is not …", for
    /// instance "a message".
    pub fn absent(expected: impl Into<Cow<'static, str>>) -> Self {
        Self::Absent {
            expected: expected.into(),
        }
    }

    /// Returns whether the update does not have it, so that an `Option` would be `None`.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { expected } => write!(f, "the update is not {expected}"),
            Self::Usage(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ExtractError {
    fn from(error: E) -> Self {
        Self::Failed(HandlerError::from(error))
    }
}

impl From<HandlerError> for ExtractError {
    fn from(error: HandlerError) -> Self {
        Self::Failed(error)
    }
}

impl From<ExtractError> for HandlerError {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Absent { expected } => Self::give_up(Mismatch { expected }),
            ExtractError::Usage(error) => Self::reply(error.to_string()),
            ExtractError::Failed(error) => error,
        }
    }
}
