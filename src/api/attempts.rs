//! The attempts of one call: what is repeated, how often, and what is reported in the end.

use std::time::Duration;

use actix_rt::time::{Instant, sleep};
use tracing::{debug, warn};

use super::{
    config::ApiConfig,
    error::ApiError,
    options::CallOptions,
    outcomes::CallMeter,
    repeat::{may_be_repeated, pauses, repetition_found_it_done},
    turns::Turn,
};

/// The rules for the attempts of one call.
pub(crate) struct Attempts<'a> {
    method: &'a str,
    meter: &'a CallMeter,
    /// Whether executing it twice does no harm.
    harmless: bool,
    /// Whether it is repeated after an unknown outcome.
    repeats_unknown: bool,
    most: u32,
    /// For all attempts between two waits.
    timeout: Duration,
    max_wait: Duration,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        config: &ApiConfig,
        meter: &'a CallMeter,
        method: &'a str,
        options: &CallOptions,
        timeout: Duration,
    ) -> Self {
        let harmless = method == super::downloads::DOWNLOAD || may_be_repeated(method);
        Self {
            method,
            meter,
            harmless,
            repeats_unknown: harmless || options.repeat_unknown,
            most: config.attempts,
            timeout,
            max_wait: options.max_wait.unwrap_or_else(|| config.longest_wait()),
        }
    }

    /// Makes the call whenever it is its turn, until it has a definite outcome or may not be repeated. `attempt` is given
    /// the time it has; `done` builds the result of a repetition that found the work done by an earlier attempt.
    pub(crate) async fn run<T>(
        self,
        mut turn: Turn,
        mut attempt: impl AsyncFnMut(Duration) -> Result<T, ApiError>,
        done: fn() -> Option<T>,
    ) -> Result<T, ApiError> {
        let method = self.method;
        let mut pauses = pauses();
        let mut first_unknown = None;
        'turn: loop {
            if let Err(error) = turn.comes(method, self.max_wait).await {
                return Err(self.conclude(first_unknown, error));
            }
            let began = Instant::now();
            let mut time_left = self.timeout;
            loop {
                let error = match attempt(time_left).await {
                    Ok(result) => return Ok(result),
                    Err(error) => error,
                };
                match &error {
                    ApiError::FloodWait { retry_after, .. } => {
                        warn!(
                            method,
                            retry_after_secs = retry_after.as_secs(),
                            "flood control asks for a wait"
                        );
                        self.meter.flood_wait();
                        turn.flooded(*retry_after);
                        continue 'turn;
                    }
                    ApiError::Refused { description, .. }
                        if first_unknown.is_some() && repetition_found_it_done(method, description) =>
                    {
                        if let Some(result) = done() {
                            return Ok(result);
                        }
                    }
                    _ => {}
                }
                let pause = pauses.next_delay(fastrand::f64());
                let in_time = began.elapsed() + pause < self.timeout;
                if !self.repeats(&error) || pauses.failures() >= self.most || !in_time {
                    return Err(self.conclude(first_unknown, error));
                }
                debug!(method, %error, "api call is repeated");
                if error.may_have_been_sent() {
                    first_unknown.get_or_insert(error);
                }
                sleep(pause).await;
                time_left = self.timeout.saturating_sub(began.elapsed());
            }
        }
    }

    fn repeats(&self, error: &ApiError) -> bool {
        match error {
            ApiError::NotSent { .. } => error.is_transient(),
            ApiError::Unknown { .. } => error.is_transient() && self.repeats_unknown,
            _ => false,
        }
    }

    /// Says what to report. Once an outcome was unknown, no later failure proves that the call was not executed; only for
    /// a call that may be executed twice the server's refusal of the repetition says more.
    fn conclude(&self, first_unknown: Option<ApiError>, last: ApiError) -> ApiError {
        let says_more =
            last.may_have_been_sent() || (self.harmless && matches!(last, ApiError::Refused { .. }));
        match first_unknown {
            Some(unknown) if !says_more => unknown,
            _ => last,
        }
    }
}
