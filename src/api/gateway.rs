//! The actor that makes the calls of one bot.
//!
//! [`ApiGateway`] owns the [`Transport`] and the flood holds. [`Api`](super::Api) handles send it [`Call`]s; every call
//! becomes a task of its own on the gateway's arbiter, so the actor only ever starts tasks and a slow call holds up
//! nobody. A call ends early when its caller goes away.
//!
//! Promise: a call reaches the server at most once, unless the server answered 429, which means that it was not
//! executed.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context};
use actix_rt::time::{Instant, sleep};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use tracing::{debug, warn};

use super::{
    config::ApiConfig,
    error::ApiError,
    holds::FloodHolds,
    outcomes::CallMeter,
    request::{OpenBody, RequestBody},
    response::{self, Answer},
    transport::Transport,
};

/// Makes one call to the Bot API and answers through `reply`, because the outcome is ready long after the message.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) body: RequestBody,
    /// Deadline of each attempt; `None` for the configured one.
    pub(crate) timeout: Option<Duration>,
    /// The right to use a connection.
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) reply: oneshot::Sender<Result<Answer, ApiError>>,
}

impl actix::Message for Call {
    type Result = ();
}

/// Makes the calls of one bot.
pub(crate) struct ApiGateway {
    shared: Rc<Shared>,
}

/// What the tasks of the calls share. All of them run on the gateway's arbiter.
struct Shared {
    transport: Transport,
    holds: RefCell<FloodHolds>,
    slots: Arc<Semaphore>,
    config: ApiConfig,
    meter: CallMeter,
}

impl ApiGateway {
    /// Builds the gateway on the current arbiter. `slots` are the connections that its calls share.
    pub(crate) fn new(config: ApiConfig, slots: Arc<Semaphore>, meter: CallMeter) -> Self {
        let transport = Transport::new(&config);
        let holds = RefCell::default();
        Self {
            shared: Rc::new(Shared {
                transport,
                holds,
                slots,
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
        actix_rt::spawn(run(Rc::clone(&self.shared), call));
    }
}

/// Runs a call to its end or until the caller goes away, which closes its connection.
async fn run(shared: Rc<Shared>, call: Call) {
    let Call {
        method,
        body,
        timeout,
        slot,
        mut reply,
    } = call;
    let outcome = select! {
        biased;
        () = reply.closed() => return,
        outcome = shared.perform(&method, body, timeout, slot) => outcome,
    };
    if let Err(error) = &outcome {
        debug!(method, %error, "api call failed");
    }
    // The caller may have gone in this instant; then nobody wants the outcome.
    let _ = reply.send(outcome);
}

impl Shared {
    /// Makes the call, waiting for flood control as long as the configuration allows.
    async fn perform(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Option<Duration>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Answer, ApiError> {
        let target = body.target(method);
        let timeout = match timeout {
            Some(timeout) => timeout,
            None => self.default_timeout(&body).await?,
        };
        let mut slot = Some(slot);
        let mut waited = Duration::ZERO;
        loop {
            let held = self.holds.borrow().wait_for(&target, now());
            if let Some(wait) = held {
                waited = waited.saturating_add(wait);
                if waited > self.config.max_flood_wait {
                    return Err(ApiError::FloodWait {
                        method: method.to_owned(),
                        retry_after: wait,
                    });
                }
                // Calls to other chats must not wait for this one.
                slot = None;
                sleep(wait).await;
                continue;
            }
            if slot.is_none() {
                let acquired = self.slots.clone().acquire_owned().await;
                slot = Some(acquired.map_err(|_| ApiError::Stopped {
                    method: method.to_owned(),
                })?);
                // The hold may have been renewed meanwhile.
                continue;
            }
            match self.attempt(method, body.clone(), timeout).await {
                Err(ApiError::FloodWait { retry_after, .. }) => {
                    self.meter.flood_wait();
                    warn!(
                        method,
                        retry_after_secs = retry_after.as_secs(),
                        "flood control asks for a wait"
                    );
                    self.holds.borrow_mut().hold(&target, retry_after, now());
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, method: &str, body: RequestBody, timeout: Duration) -> Result<Answer, ApiError> {
        let is_file = matches!(body, RequestBody::Download { .. });
        let response = self.transport.call(method, body, timeout).await?;
        if is_file && response.status == 200 {
            let body = response.body;
            return Ok(Answer {
                result: body.clone(),
                body,
            });
        }
        response::read(method, self.transport.token(), response)
    }

    async fn default_timeout(&self, body: &RequestBody) -> Result<Duration, ApiError> {
        match body {
            RequestBody::Download { len, .. } => Ok(self.config.transfer_timeout(*len)),
            RequestBody::Form(_) => match body.clone().open().await? {
                OpenBody::Form(form) => Ok(self.config.transfer_timeout(form.len())),
                OpenBody::Bytes(_) | OpenBody::Nothing => Ok(self.config.timeout),
            },
            RequestBody::Empty | RequestBody::Json(_) => Ok(self.config.timeout),
        }
    }
}

/// The runtime's clock, which tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
