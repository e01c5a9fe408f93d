//! Counting how calls end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::error::ApiError;

/// How the calls of one [`Api`](super::Api) and its clones have ended so far. Long polling and
/// [streams](super::Api::download_stream) are not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls that were executed, also when their result could not be used ([`ApiError::Decode`], [`ApiError::TooLarge`]).
    pub sent: u64,
    /// Calls that the server refused ([`ApiError::Refused`]).
    pub refused: u64,
    /// Calls that gave up because flood control asks for too long a wait ([`ApiError::FloodWait`]).
    pub flooded: u64,
    /// Calls that did not reach the server ([`ApiError::NotSent`], [`ApiError::Stopped`]) or did not get their turn
    /// ([`ApiError::QueueFull`], [`ApiError::WaitedTooLong`]).
    pub not_sent: u64,
    /// Calls that may have been executed or not ([`ApiError::Unknown`]).
    pub unknown: u64,
    /// Calls that could not be built ([`ApiError::Encode`], [`ApiError::Method`], [`ApiError::File`]).
    pub invalid: u64,
    /// Calls whose future was dropped before there was an outcome.
    pub cancelled: u64,
    /// Answers 429: how often the server asked to wait. A call that succeeds after its wait is `sent` as well.
    pub flood_waits: u64,
}

/// Collects [`CallCounts`]; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallMeter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    refused: AtomicU64,
    flooded: AtomicU64,
    not_sent: AtomicU64,
    unknown: AtomicU64,
    invalid: AtomicU64,
    cancelled: AtomicU64,
    flood_waits: AtomicU64,
}

impl CallMeter {
    /// Notes that a call begins; what is returned wants to know its outcome.
    pub(crate) fn begin(&self) -> CallUnderWay<'_> {
        CallUnderWay(&self.0.cancelled, &self.0)
    }

    /// Notes that the server asked to wait.
    pub(crate) fn flood_wait(&self) {
        self.0.flood_waits.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> CallCounts {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        CallCounts {
            sent: of(&self.0.sent),
            refused: of(&self.0.refused),
            flooded: of(&self.0.flooded),
            not_sent: of(&self.0.not_sent),
            unknown: of(&self.0.unknown),
            invalid: of(&self.0.invalid),
            cancelled: of(&self.0.cancelled),
            flood_waits: of(&self.0.flood_waits),
        }
    }
}

/// A call that has no outcome yet: it counts as cancelled when it is dropped like this.
#[derive(Debug)]
pub(crate) struct CallUnderWay<'a>(&'a AtomicU64, &'a Counters);

impl CallUnderWay<'_> {
    /// Notes the outcome.
    pub(crate) fn ended<T>(mut self, outcome: &Result<T, ApiError>) {
        let counters = self.1;
        self.0 = match outcome {
            // What cannot be decoded was executed.
            Ok(_) | Err(ApiError::Decode { .. } | ApiError::TooLarge { .. }) => &counters.sent,
            Err(ApiError::Refused { .. }) => &counters.refused,
            Err(ApiError::FloodWait { .. }) => &counters.flooded,
            Err(
                ApiError::NotSent { .. }
                | ApiError::Stopped { .. }
                | ApiError::QueueFull { .. }
                | ApiError::WaitedTooLong { .. },
            ) => &counters.not_sent,
            Err(ApiError::Unknown { .. }) => &counters.unknown,
            Err(ApiError::Encode { .. } | ApiError::Method { .. } | ApiError::File { .. }) => {
                &counters.invalid
            }
        };
    }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::{NotSentCause, UnknownCause};

    #[test]
    fn every_outcome_is_counted_once_in_its_class() {
        let (meter, method) = (CallMeter::default(), || "getMe".to_owned());
        let count = |outcome: Result<(), ApiError>| meter.begin().ended(&outcome);

        count(Ok(()));
        count(Err(ApiError::Refused {
            method: method(),
            code: 400,
            description: String::new(),
            migrate_to_chat_id: None,
        }));
        count(Err(ApiError::FloodWait {
            method: method(),
            retry_after: Duration::ZERO,
        }));
        count(Err(ApiError::NotSent {
            method: method(),
            source: NotSentCause::TimedOut,
        }));
        count(Err(ApiError::Stopped { method: method() }));
        count(Err(ApiError::Unknown {
            method: method(),
            status: None,
            source: UnknownCause::Closed,
        }));
        count(Err(ApiError::Method { method: method() }));
        meter.flood_wait();

        let expected = CallCounts {
            sent: 1,
            refused: 1,
            flooded: 1,
            not_sent: 2,
            unknown: 1,
            invalid: 1,
            cancelled: 0,
            flood_waits: 1,
        };
        assert_eq!(meter.read(), expected);
    }

    #[test]
    fn a_result_that_cannot_be_decoded_was_sent_all_the_same() {
        let meter = CallMeter::default();
        let source = serde_json::from_str::<u8>("x").unwrap_err();

        meter.begin().ended::<()>(&Err(ApiError::Decode {
            method: "getMe".to_owned(),
            source,
        }));

        assert_eq!(meter.read().sent, 1);
    }

    #[test]
    fn a_call_without_an_outcome_was_cancelled() {
        let meter = CallMeter::default();

        drop(meter.begin());

        assert_eq!(meter.read().cancelled, 1);
    }
}
