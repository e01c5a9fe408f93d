//! Why the tool cannot do what it was asked for.

use std::{error::Error, io, iter};

use thiserror::Error;

use crate::queue::store::JournalError;

#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Several bots have a broadcast of this name.
    #[error("several bots have a broadcast of this name; choose one of {bots:?} with --bot")]
    WhichBot {
        /// Their ids.
        bots: Vec<u64>,
    },
    /// The result cannot be printed.
    #[error("the result cannot be printed")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Returns the message with all its causes on one line.
    pub(super) fn chain(&self) -> String {
        let levels = iter::successors(Some(self as &dyn Error), |error| (*error).source());
        levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
