//! The status as a stream of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderValue, RETRY_AFTER},
    },
    web::{Bytes, Data},
};
use futures_util::{Stream, stream::unfold};
use serde_json::json;
use tokio::time::sleep;

use super::{answer::refusal, lookout::Viewer, scope::Settings, status::Status};
use crate::metrics::Stage;

/// Time between two events. An event is sent whether anything has changed or not, so whoever hears nothing for some of
/// them knows that the connection is gone.
const TICK: Duration = Duration::from_secs(1);

/// Seconds after which a client that found no place should ask again.
const PATIENCE: &str = "10";

/// Where a stream stands.
enum Place {
    First,
    Next,
    Over,
}

pub(super) async fn events(settings: Data<Settings>) -> HttpResponse {
    let lookout = settings.bot.lookout();
    let Some(viewer) = lookout.enter(settings.max_viewers, settings.view_time) else {
        let mut answer = refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages are live already; close one",
        );
        let patience = HeaderValue::from_static(PATIENCE);
        answer.headers_mut().insert(RETRY_AFTER, patience);
        return answer;
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // Proxies that collect answers would hold the events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream(settings.into_inner(), viewer))
}

/// Returns the events until the bot has stopped, or the time of the viewer is over.
fn stream(settings: Arc<Settings>, viewer: Viewer) -> impl Stream<Item = Result<Bytes, Infallible>> {
    unfold(
        (Place::First, settings, viewer),
        async |(place, settings, viewer)| {
            match place {
                Place::Over => return None,
                Place::First => {}
                Place::Next if viewer.is_over() => return None,
                Place::Next => tokio::select! {
                    () = sleep(TICK) => {}
                    () = settings.bot.stopped() => {}
                },
            }
            let vitals = settings.bot.lookout().look(&settings.bot).await;
            let over = matches!(vitals.stage, Stage::Stopped(_) | Stage::Lost);
            let mut text = event("status", &Status::of(&vitals, settings.max_silence));
            if over {
                text.push_str(&event("end", &json!({ "stage": vitals.stage.as_str() })));
            }
            let place = if over { Place::Over } else { Place::Next };
            Some((Ok(Bytes::from(text)), (place, settings, viewer)))
        },
    )
}

/// Writes an event. JSON has no line breaks, so the data is one line.
fn event(name: &str, data: &impl serde::Serialize) -> String {
    let data =
        serde_json::to_string(data).unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
    format!("event: {name}\ndata: {data}\n\n")
}
