//! From a [`Reply`] to bytes on the wire, or to their absence.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use bytes::Bytes;
use futures_util::stream;

use super::connections::Connection;
use crate::reply::{Delivery, Reply};

/// How often an answer that never comes looks whether its client is still there.
const STALL_CHECK: Duration = Duration::from_millis(200);

/// Delivers an answer in its way.
pub(crate) async fn deliver(reply: Reply, connection: Option<Arc<Connection>>) -> HttpResponse {
    match (reply.delivery, connection) {
        (Delivery::Whole, connection) => {
            let body = reply.body.clone();
            let closes = connection.is_some_and(|connection| connection.end());
            response(&reply, body, closes)
        }
        (Delivery::CutAfter(length), Some(connection)) => {
            let total = reply.body.len() as u64;
            let part = reply.body.slice(..length.min(reply.body.len()));
            let body = SizedStream::new(total, Box::pin(cut(part, connection)));
            response(&reply, body, false)
        }
        (Delivery::Close, Some(connection)) => {
            connection.close();
            // Nothing of this is written: the socket is shut.
            response(&reply, Bytes::new(), true)
        }
        (Delivery::Never, Some(connection)) => {
            while !connection.is_closed() {
                actix_web::rt::time::sleep(STALL_CHECK).await;
            }
            response(&reply, Bytes::new(), true)
        }
        (Delivery::CutAfter(_) | Delivery::Close | Delivery::Never, None) => pending().await,
    }
}

fn response<B: MessageBody + 'static>(reply: &Reply, body: B, closes: bool) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    builder.insert_header((CONTENT_TYPE, reply.content_type));
    if let Some(seconds) = reply.retry_after {
        builder.insert_header((RETRY_AFTER, seconds));
    }
    if closes {
        builder.force_close();
    }
    let mut response: HttpResponse<BoxBody> = builder.body(body);
    response.head_mut().set_camel_case_headers(true);
    response
}

/// Yields `part`, lets it reach the socket, then ends the connection.
fn cut(part: Bytes, connection: Arc<Connection>) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(part), move |part| {
        let connection = connection.clone();
        async move {
            match part {
                Some(part) => Some((Ok(part), None)),
                None => {
                    // The HTTP dispatcher writes out what it has whenever the body is not ready.
                    tokio::task::yield_now().await;
                    connection.close();
                    Some((Err(io::ErrorKind::ConnectionAborted.into()), None))
                }
            }
        }
    })
}
