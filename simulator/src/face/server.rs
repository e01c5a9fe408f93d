//! Paths, bodies and limits of the Bot API server.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::http::{KeepAlive, Method};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::answer::deliver;
use super::connections::{Connection, register};
use crate::encoding::{Reject, decode};
use crate::methods::dispatch::is_poll;
use crate::params::Params;
use crate::reply::{Delivery, Failure, Reply};
use crate::request::{BotKey, Request, Verdict};
use crate::shared::Shared;

/// The largest upload (<https://core.telegram.org/bots/api#sending-files>) and what surrounds it.
const MAX_BODY_BYTES: usize = (50 << 20) + (1 << 20);
/// Idle connections live this long.
const KEEP_ALIVE: Duration = Duration::from_secs(500);
/// Enough for tests; the work itself is done under one lock.
const WORKERS: usize = 2;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Method {
        token: String,
        test: bool,
        method: String,
    },
    File {
        token: String,
        test: bool,
        path: String,
    },
    Nowhere,
}

impl Target {
    fn of(path: &str) -> Self {
        let path = percent_decoded(path);
        let split = |rest: &str| {
            let (token, rest) = rest.split_once('/')?;
            let (test, rest) = rest
                .strip_prefix("test/")
                .map_or((false, rest), |rest| (true, rest));
            Some((token.to_owned(), test, rest.to_owned()))
        };
        if let Some((token, test, method)) = path.strip_prefix("/bot").and_then(split) {
            let method = method.trim_end_matches('/').to_owned();
            Self::Method { token, test, method }
        } else if let Some((token, test, path)) = path.strip_prefix("/file/bot").and_then(split) {
            Self::File { token, test, path }
        } else {
            Self::Nowhere
        }
    }
}

/// Starts the server on a bound listener.
pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> std::io::Result<Server> {
    let registry = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(shared.clone()))
            .default_service(web::to(serve))
    })
    .workers(WORKERS)
    .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
    .client_request_timeout(Duration::ZERO)
    .client_disconnect_timeout(Duration::ZERO)
    .disable_signals()
    .on_connect(move |stream, extensions| register(&registry, stream, extensions))
    .listen(listener)?;
    Ok(server.run())
}

async fn serve(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.begin();
    }
    let reply = match read(&request, payload).await {
        Ok(body) => answer(&request, body, &shared, connection.clone()).await,
        Err(Reject(status)) => {
            // The rest of the body would be read as the next request.
            let reply = deliver(Reply::empty(status), connection).await;
            return closing(reply);
        }
    };
    deliver(reply, connection).await
}

fn closing(mut response: HttpResponse) -> HttpResponse {
    response
        .head_mut()
        .set_connection_type(actix_web::http::ConnectionType::Close);
    response
}

/// Checks what the HTTP layer checks and reads the body.
async fn read(request: &HttpRequest, mut payload: web::Payload) -> Result<Bytes, Reject> {
    if request.method() != Method::GET && request.method() != Method::POST {
        return Err(Reject(501));
    }
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Reject(415));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Reject(400))?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Reject(413));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn answer(
    request: &HttpRequest,
    body: Bytes,
    shared: &Shared,
    connection: Option<Arc<Connection>>,
) -> Reply {
    match Target::of(request.uri().path()) {
        Target::Nowhere => Failure::exact(404, "Not Found").into(),
        Target::File { token, test, path } => {
            let key = BotKey { token, test };
            match shared.lock().world.file(&key, &path) {
                Some(bytes) => Reply::raw(200, "application/octet-stream", bytes),
                None => Failure::exact(404, "Not Found").into(),
            }
        }
        Target::Method { token, test, method } => {
            let content_type = request
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok());
            let query = request.uri().query().unwrap_or_default();
            match decode(query, content_type, body).await {
                Ok(params) => call(BotKey { token, test }, method, params, shared, connection).await,
                Err(Reject(status)) => Reply::empty(status),
            }
        }
    }
}

/// Processes the call at once; a client that goes away afterwards changes nothing.
async fn call(
    key: BotKey,
    method: String,
    params: Params,
    shared: &Shared,
    connection: Option<Arc<Connection>>,
) -> Reply {
    let later = shared.change(|state, now| {
        let cut = connection.as_ref().is_some_and(|connection| connection.is_cut());
        if cut || state.connections.is_down() {
            // It was sent before its connection was noticed and closed; off the network, it does not arrive.
            return Ok(Reply::undelivered(Delivery::Close));
        }
        if is_poll(&method) {
            state.note_lost_clients();
        }
        let request = Request {
            key,
            method,
            params,
            unseen: false,
        };
        match state.world.call(now, request) {
            Verdict::Reply(reply) => Ok(reply),
            Verdict::Later(ticket) => Err(state.await_reply(ticket, connection)),
        }
    });
    match later {
        Ok(reply) => reply,
        Err(waiting) => waiting
            .await
            .unwrap_or_else(|_| Failure::exact(500, "Internal Server Error: restart").into()),
    }
}

/// Replaces `%XX`; what is not two hexadecimal digits stays as it is.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex
            .filter(|_| *byte == b'%')
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(token: &str, test: bool, method: &str) -> Target {
        Target::Method {
            token: token.into(),
            test,
            method: method.into(),
        }
    }

    #[test]
    fn paths_lead_to_methods_of_both_environments() {
        assert_eq!(Target::of("/bot1:a/getMe"), method("1:a", false, "getMe"));
        assert_eq!(Target::of("/bot1%3Aa/getMe"), method("1:a", false, "getMe"));
        assert_eq!(Target::of("/bot1:a/test/getMe"), method("1:a", true, "getMe"));
        assert_eq!(Target::of("/bot1:a/"), method("1:a", false, ""));
        assert_eq!(Target::of("/"), Target::Nowhere);
        assert_eq!(Target::of("/getMe"), Target::Nowhere);
    }

    #[test]
    fn file_paths_keep_their_slashes() {
        let file = |test, path: &str| Target::File {
            token: "1:a".into(),
            test,
            path: path.into(),
        };

        assert_eq!(
            Target::of("/file/bot1:a/photos/file_0.jpg"),
            file(false, "photos/file_0.jpg")
        );
        assert_eq!(
            Target::of("/file/bot1:a/test/photos/file_0.jpg"),
            file(true, "photos/file_0.jpg")
        );
    }

    #[test]
    fn a_stray_percent_sign_stays() {
        assert_eq!(percent_decoded("100%/a%2"), "100%/a%2");
    }
}
