//! Dead letters over HTTP: list, show, retry, drop.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{answer::refusal, scope::Settings, status::unix};
use crate::{
    Lane,
    dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, is_damaged},
    error::Error,
    handle::BotHandle,
};

/// Most letters of one page; each may hold 32 KiB of errors.
const MAX_PAGE: u32 = 500;

/// Most letters of one request that changes them.
const MAX_CHANGE: usize = 1000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/dead").get(list))
        .service(web::resource("/dead/retry").post(retry_all))
        .service(web::resource("/dead/drop").post(drop_all))
        .service(web::resource("/dead/{id}").get(show))
        .service(web::resource("/dead/{id}/retry").post(retry))
        .service(web::resource("/dead/{id}/drop").post(drop_one));
}

/// Which letters to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    lane: Option<String>,
    reason: Option<ReasonName>,
    after: Option<i64>,
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReasonName {
    Failed,
    Crashed,
    Interrupted,
}

/// A letter without its text.
#[derive(Debug, Serialize)]
struct Letter {
    id: i64,
    /// Id of the bot that received it; another one may have been started on the journal before.
    bot: u64,
    update_id: i64,
    kind: String,
    lane: String,
    bytes: u64,
    /// Unix time.
    received_at: f64,
    /// Unix time.
    died_at: f64,
    reason: String,
    attempt: u32,
    waits: u32,
    crashes: u32,
    errors: Vec<String>,
}

/// Which letters to change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    ids: Vec<i64>,
}

async fn list(settings: Data<Settings>, selection: Query<Selection>) -> HttpResponse {
    let Selection {
        lane,
        reason,
        after,
        limit,
    } = selection.into_inner();
    let limit = limit.unwrap_or(DeadLetterFilter::DEFAULT_LIMIT);
    if !(1..=MAX_PAGE).contains(&limit) {
        return refusal(StatusCode::BAD_REQUEST, "limit must be from 1 to 500");
    }
    let mut filter = DeadLetterFilter::new().limit(limit);
    if let Some(lane) = lane {
        filter = filter.lane(Lane::new(lane));
    }
    if let Some(reason) = reason {
        filter = filter.reason(reason.into());
    }
    if let Some(after) = after {
        filter = filter.after(DeadLetterId::of(after));
    }
    match settings.bot.dead_letters(filter).await {
        Ok(page) => HttpResponse::Ok().json(json!({
            "letters": page.letters.into_iter().map(Letter::from).collect::<Vec<_>>(),
            "damaged": page.damaged.into_iter().map(DeadLetterId::number).collect::<Vec<_>>(),
            "next": page.next.map(DeadLetterId::number),
        })),
        Err(error) => failure(&error),
    }
}

async fn show(settings: Data<Settings>, id: Path<i64>) -> HttpResponse {
    match settings.bot.dead_letter(DeadLetterId::of(id.into_inner())).await {
        Ok(Some((letter, update))) => HttpResponse::Ok().json(json!({
            "letter": Letter::from(letter),
            "raw": update.raw(),
        })),
        Ok(None) => missing(),
        Err(error) => failure(&error),
    }
}

async fn retry(settings: Data<Settings>, id: Path<i64>) -> HttpResponse {
    changed(retry_own(&settings.bot, DeadLetterId::of(id.into_inner())).await)
}

async fn drop_one(settings: Data<Settings>, id: Path<i64>) -> HttpResponse {
    changed(
        settings
            .bot
            .drop_dead_letter(DeadLetterId::of(id.into_inner()))
            .await,
    )
}

async fn retry_all(settings: Data<Settings>, choice: Json<Choice>) -> HttpResponse {
    change_all(&settings.bot, choice.into_inner(), retry_own).await
}

/// Retries a letter unless it is another bot's: that would only wait until the other bot is started.
async fn retry_own(bot: &BotHandle, id: DeadLetterId) -> Result<bool, Error> {
    match bot.dead_letter(id).await? {
        Some((letter, _)) if letter.bot_id != bot.api().bot_id() => {
            let of = letter.bot_id;
            Err(Error::Journal(Box::new(ForeignLetter { id, of })))
        }
        _ => bot.retry_dead_letter(id).await,
    }
}

async fn drop_all(settings: Data<Settings>, choice: Json<Choice>) -> HttpResponse {
    change_all(&settings.bot, choice.into_inner(), async |bot, id| {
        bot.drop_dead_letter(id).await
    })
    .await
}

/// Changes letters one after the other. Each is changed or not by itself.
async fn change_all(
    bot: &BotHandle,
    Choice { ids }: Choice,
    change: impl AsyncFn(&BotHandle, DeadLetterId) -> Result<bool, Error>,
) -> HttpResponse {
    if ids.len() > MAX_CHANGE {
        return refusal(StatusCode::BAD_REQUEST, "at most 1000 ids at a time");
    }
    let (mut done, mut absent, mut damaged, mut foreign) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        match change(bot, DeadLetterId::of(id)).await {
            Ok(true) => done.push(id),
            Ok(false) => absent.push(id),
            Err(error) if is_damaged(&error) => damaged.push(id),
            Err(error) if is_foreign(&error) => foreign.push(id),
            // The next one would fail as well.
            Err(error) => {
                let mut answer = json!({ "error": error.to_string() });
                answer["done"] = json!(done);
                return HttpResponse::build(status_of(&error)).json(answer);
            }
        }
    }
    HttpResponse::Ok().json(json!({
        "done": done, "missing": absent, "damaged": damaged, "foreign": foreign,
    }))
}

fn changed(outcome: Result<bool, Error>) -> HttpResponse {
    match outcome {
        Ok(true) => HttpResponse::Ok().json(json!({ "done": true })),
        Ok(false) => missing(),
        Err(error) => failure(&error),
    }
}

fn missing() -> HttpResponse {
    refusal(StatusCode::NOT_FOUND, "there is no such dead letter")
}

fn failure(error: &Error) -> HttpResponse {
    refusal(status_of(error), &error.to_string())
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::NoJournal => StatusCode::NOT_FOUND,
        error if is_damaged(error) || is_foreign(error) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A dead letter is another bot's, which was started on the same journal.
#[derive(Debug, thiserror::Error)]
#[error(
    "dead letter {id} is of bot {of} and would wait for it: start that bot on this journal, and retry it there"
)]
struct ForeignLetter {
    id: DeadLetterId,
    of: u64,
}

fn is_foreign(error: &Error) -> bool {
    matches!(error, Error::Journal(cause) if cause.is::<ForeignLetter>())
}

impl From<ReasonName> for DeadLetterReason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::Failed => Self::Failed,
            ReasonName::Crashed => Self::Crashed,
            ReasonName::Interrupted => Self::Interrupted,
        }
    }
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id.number(),
            bot: letter.bot_id,
            update_id: letter.update_id,
            kind: letter.kind,
            lane: letter.lane.to_string(),
            bytes: letter.bytes,
            received_at: unix(letter.received_at),
            died_at: unix(letter.died_at),
            reason: letter.reason.to_string(),
            attempt: letter.attempt,
            waits: letter.waits,
            crashes: letter.crashes,
            errors: letter.errors,
        }
    }
}
