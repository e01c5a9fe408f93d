//! Setting the webhook at the server.
//!
//! `getWebhookInfo` first, for the log: what was set, how much waits, what went wrong last. Then `setWebhook`, each time,
//! because the secret (and the certificate) cannot be read back; the server takes a call that changes nothing as
//! nothing. Both are safe to repeat.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use actogram_actors::Backoff;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    error::WebhookError,
    monitor::{WebhookMonitor, WebhookRegistration},
    secret::Secret,
};
use crate::{
    api::{Api, ApiError, MultipartForm},
    handle::BotHandle,
    update::UpdateKind,
};

/// Time that starting waits for the registration before it goes on without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time until what was refused is tried again when nobody waits for it any more. The server also refuses what passes by
/// itself, such as a name that it cannot resolve at the moment.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Tells whoever starts the bot how it went.
type Starter = oneshot::Sender<Result<(), ApiError>>;

/// Which way the server is to take.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    pub(super) max_connections: Option<u32>,
    pub(super) ip_address: Option<IpAddr>,
    pub(super) certificate: Option<PathBuf>,
}

/// Everything for a call of `setWebhook`.
pub(crate) struct Registration {
    pub(super) url: String,
    pub(super) target: Target,
    pub(super) secret: Secret,
    pub(super) allowed_updates: Option<Vec<UpdateKind>>,
    pub(super) monitor: WebhookMonitor,
}

/// What the server tells of its webhook, as far as it is logged. Lenient: an answer of another shape must not hinder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    url: String,
    pending_update_count: i64,
    last_error_message: Option<String>,
}

impl Registration {
    /// Sets the webhook; returns after [`PATIENCE`] at the latest and then goes on in the background, until it worked or the
    /// bot begins to stop. A refusal until then is an error and ends it.
    pub(crate) async fn begin(self, bot: &BotHandle) -> Result<(), WebhookError> {
        self.monitor
            .registration(WebhookRegistration::Pending { last_error: None });
        let (starter, done) = oneshot::channel();
        let bot = bot.clone();
        actix_rt::spawn(async move {
            tokio::select! {
                // From the first moment of a stop on: another process may set its own webhook, which a late call would
                // overwrite. What was set is not undone.
                biased;
                () = bot.stopping() => {}
                () = self.repeat(bot.api(), starter) => {}
            }
        });
        match timeout(PATIENCE, done).await {
            Ok(Ok(Err(error))) => Err(WebhookError::Refused(error)),
            Ok(Ok(Ok(())) | Err(_)) => Ok(()),
            Err(_elapsed) => {
                tracing::warn!("webhook is not set yet, trying on in the background");
                Ok(())
            }
        }
    }

    /// Tries until it worked, or was refused while the starter waited.
    async fn repeat(&self, api: &Api, starter: Starter) {
        let mut starter = Some(starter);
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = self.attempt(api).await else {
                self.monitor.registration(WebhookRegistration::Registered);
                if let Some(starter) = starter {
                    let _ = starter.send(Ok(()));
                }
                return;
            };
            // Somebody else sets it at this moment (409); what a proxy answers may change.
            let refused = matches!(&error, ApiError::Refused { code, .. } if *code != 409)
                || !(error.is_transient() || error.is_conflict());
            let text = chain(&error);
            if refused {
                tracing::error!(error = text, "webhook was refused, nothing is sent to it");
                self.monitor
                    .registration(WebhookRegistration::Refused { reason: text });
                if starter
                    .take()
                    .is_some_and(|starter| starter.send(Err(error)).is_ok())
                {
                    return;
                }
                sleep(REFUSED_PAUSE).await;
                continue;
            }
            let pause = backoff
                .next_delay(fastrand::f64())
                .max(error.retry_after().unwrap_or_default());
            tracing::warn!(error = text, ?pause, "webhook could not be set, will be repeated");
            self.monitor.registration(WebhookRegistration::Pending {
                last_error: Some(text),
            });
            sleep(pause).await;
        }
    }

    async fn attempt(&self, api: &Api) -> Result<(), ApiError> {
        let info = api.call_raw("getWebhookInfo", &Value::Null, None).await?;
        let before: Info = serde_json::from_str(info.get()).unwrap_or_default();
        let params = self.params();
        match &self.target.certificate {
            None => api.call_raw("setWebhook", &Value::Object(params), None).await?,
            Some(certificate) => {
                let form =
                    MultipartForm::from_params(Value::Object(params), &[]).file("certificate", certificate);
                api.call_form("setWebhook", form, None).await?
            }
        };
        if before.url.is_empty() {
            tracing::info!(
                "no webhook was set before, a process that polls for this bot gets nothing from now on"
            );
        }
        // Not the addresses: people put secrets into them.
        tracing::info!(
            was_set = !before.url.is_empty(),
            moved = !before.url.is_empty() && before.url != self.url,
            pending = before.pending_update_count,
            last_error = before.last_error_message,
            "webhook is set"
        );
        Ok(())
    }

    fn params(&self) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert("url".to_owned(), json!(self.url));
        params.insert("secret_token".to_owned(), json!(self.secret.reveal()));
        if let Some(connections) = self.target.max_connections {
            params.insert("max_connections".to_owned(), json!(connections));
        }
        if let Some(address) = self.target.ip_address {
            params.insert("ip_address".to_owned(), json!(address));
        }
        if let Some(kinds) = &self.allowed_updates {
            let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            params.insert("allowed_updates".to_owned(), json!(names));
        }
        params
    }
}

/// Returns an error and its causes on one line.
fn chain(error: &ApiError) -> String {
    let first: &dyn std::error::Error = error;
    let levels = std::iter::successors(Some(first), |error| error.source());
    levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
