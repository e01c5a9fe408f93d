//! What happens to one request: who sends it, its body, its update, and then the intake.

use std::{fmt, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use actogram_actors::Lane;
use futures_util::StreamExt;
use tokio::time::timeout;

#[cfg(feature = "journal")]
use super::journaled::JournalIntake;
use super::{
    direct::DirectIntake, monitor::WebhookMonitor, origin::SenderAddress, refusal::Refusal, secret::Secret,
};
#[cfg(feature = "journal")]
use crate::queue::Journal;
use crate::{lane::LaneChoice, update::Update};

/// The header with the secret; see <https://core.telegram.org/bots/api#setwebhook>.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Room for a body that is made before any of it has arrived; what is declared may never come.
const USUAL_BODY: usize = 16 << 10;

/// Where updates go.
#[derive(Debug)]
pub(crate) enum Intake {
    /// To the engine; the request waits until they have ended.
    Direct(DirectIntake),
    /// Into the journal; the request waits until they are durable.
    #[cfg(feature = "journal")]
    Journal(JournalIntake<Journal>),
}

impl Intake {
    async fn take(&self, lane: Lane, update: Update) -> Result<(), Refusal> {
        match self {
            Self::Direct(intake) => intake.take(lane, update).await,
            #[cfg(feature = "journal")]
            Self::Journal(intake) => intake.take(lane, update).await,
        }
    }
}

/// Everything the route needs, shared by all threads that serve it.
pub(super) struct Door {
    pub(super) path: String,
    pub(super) secret: Secret,
    pub(super) senders: Option<SenderAddress>,
    pub(super) body_limit: usize,
    pub(super) body_timeout: Duration,
    pub(super) lanes: LaneChoice,
    pub(super) intake: Intake,
    pub(super) monitor: WebhookMonitor,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the path: people put secrets into it.
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// Answers a POST.
    pub(super) async fn post(&self, request: &HttpRequest, mut body: web::Payload) -> HttpResponse {
        match self.let_in(request, &mut body).await {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(refusal) => self.turn_away(refusal, body),
        }
    }

    /// Answers a refusal to whoever may still be sending a body.
    pub(super) fn turn_away(&self, refusal: Refusal, body: web::Payload) -> HttpResponse {
        self.monitor.refused(refusal);
        leaving_unread(body, refusal.response())
    }

    async fn let_in(&self, request: &HttpRequest, body: &mut web::Payload) -> Result<(), Refusal> {
        if let Some(senders) = &self.senders
            && !senders.is_telegram(request.headers(), request.peer_addr())
        {
            return Err(Refusal::WrongNetwork);
        }
        // Of several that differ somebody on the way has added one, so none of them counts.
        let mut offered = request.headers().get_all(SECRET_HEADER).peekable();
        if offered.peek().is_none() || !offered.all(|offered| self.secret.matches(offered.as_bytes())) {
            return Err(Refusal::WrongSecret);
        }
        let body = self.read(request, body).await?;
        let update = update_in(&body)?;
        let lane = self.lanes.lane(&update);
        self.intake.take(lane, update).await
    }

    /// Reads the body, whatever its content type.
    async fn read(&self, request: &HttpRequest, body: &mut web::Payload) -> Result<Vec<u8>, Refusal> {
        let declared = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.body_limit as u64) {
            return Err(Refusal::TooLarge);
        }
        let usual = declared.and_then(|length| usize::try_from(length).ok());
        let mut bytes = Vec::with_capacity(usual.unwrap_or_default().min(USUAL_BODY));
        let read = async {
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|_cut_off| Refusal::CutOff)?;
                if bytes.len() + chunk.len() > self.body_limit {
                    return Err(Refusal::TooLarge);
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(())
        };
        timeout(self.body_timeout, read)
            .await
            .unwrap_or(Err(Refusal::TooSlow))?;
        Ok(bytes)
    }
}

/// Returns the answer, after which the connection is closed if there is more of the body. Were the body dropped before the
/// answer is written, the server would read on and keep the connection for as long as somebody sends nothing, or anything.
pub(super) fn leaving_unread(body: web::Payload, mut answer: HttpResponse) -> HttpResponse {
    answer.extensions_mut().insert(body);
    answer
}

/// Reads the update. Everything with an `update_id` is one; what the error would say is nothing for the log, because it
/// may be anybody's text.
pub(super) fn update_in(body: &[u8]) -> Result<Update, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_not_text| Refusal::NotAnUpdate)?;
    Update::from_json(text).map_err(|_not_an_update| Refusal::NotAnUpdate)
}
