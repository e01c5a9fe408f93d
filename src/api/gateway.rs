//! The actor that makes the calls of one bot.
//!
//! [`ApiGateway`] owns the [`Transport`] and the [`Schedule`]. [`Api`](super::Api) handles send it [`Call`]s; every call
//! becomes a task of its own on the gateway's arbiter, which first waits for its turn, so the actor only ever starts tasks
//! and a slow call holds up nobody but the calls behind it in its line. A call ends early when its caller goes away, and
//! leaves its line at once.
//!
//! Promise: a call that must not be repeated reaches the server at most once, unless the server answered 429, which
//! means that it was not executed, or its caller said otherwise.

use std::{fmt, rc::Rc, time::Duration};

use actix::{Actor, Context};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, oneshot},
};
use tracing::debug;

use super::{
    attempts::Attempts,
    chat,
    config::ApiConfig,
    error::ApiError,
    fetch::{Fetch, Fetched},
    options::CallOptions,
    outcomes::CallMeter,
    progress::ProgressSender,
    request::{OpenBody, RequestBody},
    response::{self, Answer},
    schedule::{Refusal, Schedule, Terms},
    stats::ApiStats,
    transport::Transport,
    turns::{Turn, Turns},
};

/// Makes one call to the Bot API and answers through the reply of its [`Work`], because the outcome is ready long after
/// the message.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) work: Work,
    /// Deadline of the attempts; `None` for the configured one.
    pub(crate) timeout: Option<Duration>,
    pub(crate) options: CallOptions,
    pub(crate) progress: Option<ProgressSender>,
    /// The right to wait here.
    pub(crate) place: OwnedSemaphorePermit,
}

/// What a call is about, and who waits for it.
pub(crate) enum Work {
    /// A method of the Bot API.
    Method { body: RequestBody, reply: Reply<Answer> },
    /// A file that `getFile` named.
    Fetch { fetch: Fetch, reply: Reply<Fetched> },
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ApiError>>;

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method { .. } => "Method",
            Self::Fetch { .. } => "Fetch",
        })
    }
}

impl actix::Message for Call {
    type Result = ();
}

/// Asks how the gateway is doing.
#[derive(Debug)]
pub(crate) struct Look;

impl actix::Message for Look {
    type Result = ApiStats;
}

/// Makes the calls of one bot.
pub(crate) struct ApiGateway {
    shared: Rc<Shared>,
}

impl ApiGateway {
    /// Builds the gateway on the current arbiter.
    pub(crate) fn new(config: ApiConfig, meter: CallMeter) -> Self {
        Self {
            shared: Rc::new(Shared {
                transport: Transport::new(&config),
                turns: Turns::new(Schedule::new(config.max_connections, config.max_waiting_per_chat)),
                config,
                meter,
            }),
        }
    }
}

impl Actor for ApiGateway {
    type Context = Context<Self>;
}

impl actix::Handler<Call> for ApiGateway {
    type Result = ();

    fn handle(&mut self, call: Call, _: &mut Context<Self>) {
        let Call {
            method,
            work,
            timeout,
            options,
            progress,
            place,
        } = call;
        let shared = Rc::clone(&self.shared);
        match work {
            Work::Method { body, reply } => {
                let terms = shared.terms(&method, &body, &options);
                // Entered here and not in the task, so that the order of the messages is the order of the calls.
                let turn = shared.enter(&method, terms);
                let call = async move {
                    let timeout = match timeout {
                        Some(timeout) => timeout,
                        None => shared.timeout_of(&body).await?,
                    };
                    let attempts = Attempts::new(&shared.config, &shared.meter, &method, &options, timeout);
                    let attempt = async |time_left| {
                        let transfer = shared.transport.call_reporting(
                            &method,
                            body.clone(),
                            time_left,
                            progress.as_ref(),
                        );
                        response::read(&method, shared.transport.token(), transfer.await?)
                    };
                    attempts.run(turn?, attempt, Answer::done).await
                };
                actix_rt::spawn(run(Box::pin(call), reply, place));
            }
            Work::Fetch { fetch, reply } => {
                let terms = shared.terms(&method, &RequestBody::Empty, &options);
                let turn = shared.enter(&method, terms);
                let call = async move {
                    let timeout =
                        timeout.unwrap_or_else(|| shared.config.transfer_timeout(fetch.expected_len()));
                    let attempts = Attempts::new(&shared.config, &shared.meter, &method, &options, timeout);
                    let attempt =
                        async |time_left| fetch.run(&shared.transport, time_left, progress.as_ref()).await;
                    attempts.run(turn?, attempt, Fetched::never).await
                };
                actix_rt::spawn(run(Box::pin(call), reply, place));
            }
        }
    }
}

impl actix::Handler<Look> for ApiGateway {
    type Result = actix::MessageResult<Look>;

    fn handle(&mut self, _: Look, _: &mut Context<Self>) -> Self::Result {
        actix::MessageResult(self.shared.turns.stats())
    }
}

/// Runs a call to its end or until the caller goes away, which closes its connection and gives up its place.
async fn run<T>(
    call: impl Future<Output = Result<T, ApiError>>,
    mut reply: Reply<T>,
    place: OwnedSemaphorePermit,
) {
    let outcome = select! {
        biased;
        () = reply.closed() => return,
        outcome = call => outcome,
    };
    drop(place);
    if let Err(error) = &outcome {
        debug!(method = error.method(), %error, "api call failed");
    }
    // The caller may have gone in this instant; then nobody wants the outcome.
    let _ = reply.send(outcome);
}

/// What the tasks of the calls share. All of them run on the gateway's arbiter.
pub(crate) struct Shared {
    transport: Transport,
    turns: Rc<Turns>,
    config: ApiConfig,
    meter: CallMeter,
}

impl Shared {
    fn terms(&self, method: &str, body: &RequestBody, options: &CallOptions) -> Terms {
        let target = body.target(method);
        let max_wait = options.max_wait.unwrap_or_else(|| self.config.longest_wait());
        Terms {
            takes_turns: chat::takes_turns(method),
            target,
            pacing: options.pacing.or(self.config.pacing),
            max_flood_wait: self.config.max_flood_wait.min(max_wait),
        }
    }

    /// Lets a call wait in line.
    fn enter(&self, method: &str, terms: Terms) -> Result<Turn, ApiError> {
        self.turns.enter(terms).map_err(|refusal| match refusal {
            Refusal::LineFull => ApiError::QueueFull {
                method: method.to_owned(),
                limit: self.config.max_waiting_per_chat,
                of_chat: true,
            },
            Refusal::Flood(retry_after) => ApiError::FloodWait {
                method: method.to_owned(),
                retry_after,
            },
        })
    }

    async fn timeout_of(&self, body: &RequestBody) -> Result<Duration, ApiError> {
        match body {
            RequestBody::Form(_) => match body.clone().open().await? {
                OpenBody::Form(form) => Ok(self.config.transfer_timeout(form.len())),
                OpenBody::Bytes(_) => Ok(self.config.timeout),
            },
            RequestBody::Empty | RequestBody::Json(_) => Ok(self.config.timeout),
        }
    }
}
