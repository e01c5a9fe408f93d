//! The handle through which everything calls the Bot API.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::{Semaphore, oneshot};

use super::{
    config::ApiConfig,
    error::{ApiError, UnknownCause},
    gateway::{ApiGateway, Call, Reply, Work},
    multipart::MultipartForm,
    options::CallOptions,
    outcomes::{CallCounts, CallMeter},
    progress::{ProgressHook, ProgressSender},
    request::RequestBody,
    response::Answer,
};
use crate::{model_gaps::closed, nesting::with_enough_stack, token::Token};

/// Handle to the Bot API of one bot. Cloning is cheap, and a handle may go to any thread.
///
/// The common methods are inherent and return their result directly, such as [`Api::send_message`]. All others come with
/// [`frankenstein::AsyncTelegramApi`], which `Api` implements; bring the trait into scope to use them. Its methods
/// are generic, so each one that a bot uses makes every rebuild of that bot slower. [`Api::call_raw`] takes anything.
///
/// # Order
///
/// Calls that write into one chat (everything with a `chat_id` but `get…`, `answer…` and `sendChatAction`) are made one at
/// a time, in the order in which their futures were first polled, from whichever clone of the handle, with files or
/// without: the next one is written only when the one before has been answered, because the server orders concurrent
/// requests by arrival only. That holds across flood waits and repetitions too. Everything else goes at once, as do calls to
/// different chats. A chat named by `@name` is another chat here than the same one named by its id, and the chat of a
/// business connection is another than the bot's own.
///
/// # Waiting
///
/// A call waits for its turn in its chat, for one of the [connections](ApiConfig::max_connections), for
/// [flood control](ApiConfig::max_flood_wait) and for its [pace](Api::paced), all together at most
/// [`ApiConfig::max_wait`]. How many wait is [bounded](ApiConfig::max_waiting) and [visible](Api::stats).
///
/// # Repetition
///
/// A call that was not sent is repeated quickly, [a few times](ApiConfig::attempts). After an [unknown
/// outcome](ApiError::Unknown) only methods are repeated for which twice is as good as once, such as `get…`, `edit…` and
/// `deleteMessage`; a message is never sent twice unless [told so](Api::repeat_unknown). When such a repetition is refused
/// because an earlier attempt had its effect ("message is not modified", "message to delete not found", "query is too
/// old"), that is a success: the result is `true`, also for an edit, which returns the message otherwise.
/// `editMessageChecklist`, whose result cannot be `true`, reports the refusal.
///
/// Dropping the future of a call gives up its place, or aborts it; whether it is executed is then unknown.
#[derive(Clone)]
pub struct Api {
    pub(crate) gateway: Addr<ApiGateway>,
    /// Places in the gateway, so that its mailbox is bounded.
    places: Arc<Semaphore>,
    max_waiting: usize,
    token: Token,
    pub(crate) options: CallOptions,
    pub(crate) progress: Option<ProgressHook>,
    pub(crate) max_download: u64,
    pub(crate) local_files: Option<Arc<Path>>,
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
        Self::started_by(config, |config, meter| ApiGateway::new(config, meter).start())
    }

    /// Starts a gateway on another arbiter and returns a handle to it. If that arbiter has stopped, every call ends
    /// with [`ApiError::Stopped`].
    pub fn start_in(arbiter: &ArbiterHandle, config: ApiConfig) -> Self {
        // The HTTP client cannot change threads, so it is built on the arbiter.
        Self::started_by(config, |config, meter| {
            ApiGateway::start_in_arbiter(arbiter, move |_| ApiGateway::new(config, meter))
        })
    }

    fn started_by(config: ApiConfig, start: impl FnOnce(ApiConfig, CallMeter) -> Addr<ApiGateway>) -> Self {
        let meter = CallMeter::default();
        Self {
            places: Arc::new(Semaphore::new(config.max_waiting + config.max_connections)),
            max_waiting: config.max_waiting,
            token: config.token.clone(),
            options: CallOptions::default(),
            progress: None,
            max_download: config.max_download,
            local_files: config.local_files.as_deref().map(Arc::from),
            gateway: start(config, meter.clone()),
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

    /// Makes a call and waits for its outcome.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Option<Duration>,
    ) -> Result<Answer, ApiError> {
        let has_file = matches!(body, RequestBody::Form(_));
        self.ask(method, timeout, has_file, |reply| Work::Method { body, reply })
            .await
    }

    /// Hands work to the gateway, waits for its outcome, reporting progress meanwhile, and counts it.
    pub(crate) async fn ask<T>(
        &self,
        method: &str,
        timeout: Option<Duration>,
        has_file: bool,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, ApiError> {
        let under_way = self.meter.begin();
        let outcome = self.ask_uncounted(method, timeout, has_file, work).await;
        under_way.ended(&outcome);
        outcome
    }

    async fn ask_uncounted<T>(
        &self,
        method: &str,
        timeout: Option<Duration>,
        has_file: bool,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, ApiError> {
        let (reply, outcome) = oneshot::channel();
        let hook = self.progress.as_ref().filter(|_| has_file);
        let outcome = if let Some(hook) = hook {
            let (sender, watched) = ProgressSender::new();
            self.hand_over(method, timeout, Some(sender), work(reply))?;
            hook.watch(watched, outcome).await
        } else {
            self.hand_over(method, timeout, None, work(reply))?;
            outcome.await
        };
        outcome.unwrap_or_else(|_| {
            Err(ApiError::Unknown {
                method: method.to_owned(),
                status: None,
                source: UnknownCause::Stopped,
            })
        })
    }

    /// Hands work to the gateway. Never waits, so that the order of the calls is the order in which they are handed over.
    pub(crate) fn hand_over(
        &self,
        method: &str,
        timeout: Option<Duration>,
        progress: Option<ProgressSender>,
        work: Work,
    ) -> Result<(), ApiError> {
        if !self.gateway.connected() {
            return Err(ApiError::Stopped {
                method: method.to_owned(),
            });
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| ApiError::QueueFull {
            method: method.to_owned(),
            limit: self.max_waiting,
            of_chat: false,
        })?;
        self.gateway.do_send(Call {
            method: method.to_owned(),
            work,
            timeout,
            options: self.options,
            progress,
            place,
        });
        Ok(())
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
        let decode = || {
            decoder(json).or_else(|error| match closed(json) {
                Some(json) => decoder(json.as_bytes()),
                None => Err(error),
            })
        };
        with_enough_stack(json, decode)
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
