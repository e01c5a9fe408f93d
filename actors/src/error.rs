//! What can go wrong, one enum per boundary.

use std::{error::Error, fmt, time::Duration};

/// Why an attempt at a delivery failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The consumer returned an error.
    #[error("handler failed")]
    Error(#[source] Box<dyn Error + Send + Sync>),
    /// The consumer panicked; the text is the panic message where there was one.
    #[error("handler panicked: {0}")]
    Panicked(String),
    /// The consumer did not finish in time and was dropped.
    #[error("handler passed its deadline of {0:?}")]
    DeadlinePassed(Duration),
    /// The thread that ran the consumer ended; whether the attempt had effects is not known.
    #[error("handler thread ended during the attempt")]
    WorkerLost,
}

impl Cause {
    /// Returns this level and all sources below it on one line, for logs and records.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// Returns an error and all its sources on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let levels = std::iter::successors(Some(error), |error| (*error).source());
    levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Why a [`Source`](crate::Source) could not do what it was asked.
///
/// It prints as the error the source reported.
#[derive(Debug)]
pub struct SourceError {
    error: Box<dyn Error + Send + Sync>,
    fatal: bool,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// Returns an error that passes by itself: the fetch is repeated after a backoff.
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            fatal: false,
            retry_after: None,
        }
    }

    /// Returns an error that only a person can mend: the engine drains and stops.
    pub fn fatal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            fatal: true,
            retry_after: None,
        }
    }

    /// Sets the time the other side asked us to wait; the fetch is not repeated earlier.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Returns whether repeating the fetch is pointless.
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// Returns the time the other side asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns this error and all its sources on one line, for logs and records.
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns the error the source reported.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.error.as_ref()
    }

    /// Returns the error the source reported.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.error
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Why the engine could not be started or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No actix system runs on this thread.
    #[error(
        "no actix system on this thread: start inside `#[actix::main]`, or on a thread with a system of its own"
    )]
    NoSystem,
    /// A setting is out of its bounds.
    #[error("{setting} must be {bound}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it must be.
        bound: &'static str,
    },
    /// The consumer factory panicked on a worker thread.
    #[error("the handler factory panicked on worker {worker}; its message is on standard error")]
    FactoryPanicked {
        /// Index of the worker, counted from 0.
        worker: usize,
    },
    /// A shared worker thread did not get round to building the handler within 10 s.
    #[error(
        "worker thread {worker} does not answer: move what blocks it, in a handler of another engine, elsewhere"
    )]
    WorkerBlocked {
        /// Index of the worker, counted from 0.
        worker: usize,
    },
    /// The operating system refused a worker thread.
    #[error("worker threads could not be started")]
    Threads(#[source] std::io::Error),
    /// The signal handlers could not be installed.
    #[error("signal handlers could not be installed")]
    Signals(#[source] std::io::Error),
    /// The engine has stopped, or its thread ended.
    #[error("the engine is gone")]
    Gone,
}
