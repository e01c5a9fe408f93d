//! The handle through which everything calls the Bot API.

use std::{fmt, sync::Arc, time::Duration};

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::{Semaphore, oneshot};

use super::{
    config::ApiConfig,
    error::{ApiError, UnknownCause},
    gateway::{ApiGateway, Call},
    multipart::MultipartForm,
    outcomes::{CallCounts, CallMeter},
    request::RequestBody,
    response::Answer,
};
use crate::{nesting::with_enough_stack, token::Token};

/// Handle to the Bot API of one bot. Cloning is cheap, and a handle may go to any thread.
///
/// The common methods are inherent and return their result directly, such as [`Api::send_message`]. All others come with
/// [`frankenstein::AsyncTelegramApi`], which `Api` implements; bring the trait into scope to use them. Its methods
/// are generic, so each one that a bot uses makes every rebuild of that bot slower. [`Api::call_raw`] takes anything.
///
/// A call waits for one of the [connections](ApiConfig::max_connections), in order of arrival, and for
/// [flood control](ApiConfig::max_flood_wait). A call is never repeated after an [unknown
/// outcome](ApiError::Unknown). Dropping the future of a call aborts it; whether it is executed is then unknown.
///
/// The calls of one chat keep their order only if each is awaited before the next.
#[derive(Clone)]
pub struct Api {
    gateway: Addr<ApiGateway>,
    slots: Arc<Semaphore>,
    token: Token,
    meter: CallMeter,
}

impl Api {
    /// Starts a gateway on the current arbiter and returns a handle to it. The gateway ends with its last handle.
    ///
    /// # Panics
    ///
    /// Panics outside an actix system, that is in a plain `#[tokio::main]` program or outside any runtime; see
    /// [`Api::start_in`].
    pub fn start(config: ApiConfig) -> Self {
        Self::started_by(config, |config, slots, meter| {
            ApiGateway::new(config, slots, meter).start()
        })
    }

    /// Starts a gateway on another arbiter and returns a handle to it. If that arbiter has stopped, every call ends
    /// with [`ApiError::Stopped`].
    pub fn start_in(arbiter: &ArbiterHandle, config: ApiConfig) -> Self {
        // The HTTP client cannot change threads, so it is built on the arbiter.
        Self::started_by(config, |config, slots, meter| {
            ApiGateway::start_in_arbiter(arbiter, move |_| ApiGateway::new(config, slots, meter))
        })
    }

    fn started_by(
        config: ApiConfig,
        start: impl FnOnce(ApiConfig, Arc<Semaphore>, CallMeter) -> Addr<ApiGateway>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let token = config.token.clone();
        let meter = CallMeter::default();
        Self {
            gateway: start(config, Arc::clone(&slots), meter.clone()),
            slots,
            token,
            meter,
        }
    }

    /// Returns the id of the bot, read from its token.
    pub fn bot_id(&self) -> u64 {
        self.token.bot_id()
    }

    /// Returns how the calls of this handle and its clones have ended so far.
    pub fn call_counts(&self) -> CallCounts {
        self.meter.read()
    }

    /// Calls any method with parameters as a JSON object and returns the JSON text of the result.
    ///
    /// Members that are `null` are left out, because the Bot API server does not take `null` for absence. `timeout`
    /// replaces the [configured deadline](ApiConfig::timeout).
    ///
    /// # Errors
    ///
    /// As for every call; [`ApiError::Encode`] if `params` is neither an object nor `null`.
    pub async fn call_raw(
        &self,
        method: &str,
        params: &Value,
        timeout: Option<Duration>,
    ) -> Result<Box<RawValue>, ApiError> {
        let body = match params {
            Value::Null => RequestBody::Empty,
            Value::Object(members) => {
                let present = members.iter().filter(|(_, value)| !value.is_null());
                encode(method, &present.collect::<std::collections::BTreeMap<_, _>>())?
            }
            _ => return Err(not_an_object(method)),
        };
        let answer = self.exchange(method, body, timeout).await?;
        self.raw(method, &answer)
    }

    /// Calls any method with parameters that are JSON text already, sent as they are; as [`Api::call_raw`] otherwise.
    ///
    /// # Errors
    ///
    /// As for every call; [`ApiError::Encode`] if `params` is not a JSON object. The Bot API server would execute the
    /// call with what it understood.
    pub async fn call_json(
        &self,
        method: &str,
        params: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Box<RawValue>, ApiError> {
        let checked: &RawValue = serde_json::from_slice(&params).map_err(|source| ApiError::Encode {
            method: method.to_owned(),
            source,
        })?;
        if !checked.get().starts_with('{') {
            return Err(not_an_object(method));
        }
        let answer = self.exchange(method, RequestBody::Json(params), timeout).await?;
        self.raw(method, &answer)
    }

    /// Calls any method with a form, which may hold files; as [`Api::call_raw`] otherwise.
    ///
    /// # Errors
    ///
    /// As for every call; [`ApiError::File`] if a file cannot be read.
    pub async fn call_form(
        &self,
        method: &str,
        form: MultipartForm,
        timeout: Option<Duration>,
    ) -> Result<Box<RawValue>, ApiError> {
        let answer = self.exchange(method, RequestBody::Form(form), timeout).await?;
        self.raw(method, &answer)
    }

    /// Hands a call to the gateway, waits for its outcome and counts it.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Option<Duration>,
    ) -> Result<Answer, ApiError> {
        let under_way = self.meter.begin();
        let outcome = self.hand_over(method, body, timeout).await;
        under_way.ended(&outcome);
        outcome
    }

    async fn hand_over(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Option<Duration>,
    ) -> Result<Answer, ApiError> {
        let stopped = || ApiError::Stopped {
            method: method.to_owned(),
        };
        // The mailbox of an actor is unbounded for `do_send`. Taking the slot first bounds it by the connections, and
        // callers wait here in order.
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| stopped())?;
        if !self.gateway.connected() {
            return Err(stopped());
        }
        let (reply, outcome) = oneshot::channel();
        self.gateway.do_send(Call {
            method: method.to_owned(),
            body,
            timeout,
            slot,
            reply,
        });
        outcome.await.unwrap_or_else(|_| {
            Err(ApiError::Unknown {
                method: method.to_owned(),
                status: None,
                source: UnknownCause::Stopped,
            })
        })
    }

    fn raw(&self, method: &str, answer: &Answer) -> Result<Box<RawValue>, ApiError> {
        // The result was read as JSON text, so this only copies it.
        self.decode(method, &answer.result, |json| serde_json::from_slice(json))
    }

    pub(crate) fn decode<T: Send>(
        &self,
        method: &str,
        json: &[u8],
        decoder: fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, ApiError> {
        with_enough_stack(json, || decoder(json))
            .unwrap_or_else(|no_thread| Err(serde::de::Error::custom(no_thread)))
            .map_err(|source| self.undecodable(method, source))
    }

    /// Wraps the error of a decoder. It may quote what it found, so the token is removed.
    pub(crate) fn undecodable(&self, method: &str, source: serde_json::Error) -> ApiError {
        let text = source.to_string();
        let redacted = self.token.redact(text.clone());
        let source = if redacted == text {
            source
        } else {
            serde::de::Error::custom(redacted)
        };
        ApiError::Decode {
            method: method.to_owned(),
            source,
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Writes parameters as a JSON object.
pub(crate) fn encode<P: Serialize + ?Sized>(method: &str, params: &P) -> Result<RequestBody, ApiError> {
    match serde_json::to_vec(params) {
        Ok(json) if json == b"null" => Ok(RequestBody::Empty),
        Ok(json) => Ok(RequestBody::Json(json.into())),
        Err(source) => Err(ApiError::Encode {
            method: method.to_owned(),
            source,
        }),
    }
}

fn not_an_object(method: &str) -> ApiError {
    let source = serde::ser::Error::custom("expected an object");
    ApiError::Encode {
        method: method.to_owned(),
        source,
    }
}
