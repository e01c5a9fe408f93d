//! One HTTP client towards the Bot API server: a request out, a response or a classified failure back.
//!
//! A [`Transport`] knows nothing of flood control or of results. The gateway owns one and the long-polling source
//! another, so that sending can never starve polling of connections. It lives on one arbiter.
//!
//! # The token
//!
//! The token is part of every request path. The HTTP client's own log lines, at any level, name at most the host; the
//! one exception prints the request head over HTTP/2, which is never negotiated here. Its requests, responses and
//! connection descriptions do print the path with `{:?}` and are never formatted.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use awc::{
    Client, ClientResponse, Connector,
    http::{
        Version,
        header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING},
    },
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::time::{Instant, timeout_at as within};

use super::{
    config::ApiConfig,
    connection::{Exchange, connector},
    error::{ApiError, NotSentCause, UnknownCause},
    failure::{BODY_LIMIT, not_sent, payload_cause, send_error, unknown, unwritten},
    progress::ProgressSender,
    request::RequestBody,
    response::RawResponse,
    server::Server,
};
use crate::token::Token;

/// A client of one Bot API server for one bot. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client,
    settings: Rc<Settings>,
}

struct Settings {
    token: Token,
    server: Server,
    max_connections: usize,
    connect_timeout: Duration,
    keep_alive: Duration,
    tls: Arc<ClientConfig>,
}

impl Transport {
    /// Builds a client on the current arbiter. No connection is made yet.
    pub(crate) fn new(config: &ApiConfig) -> Self {
        Self::connect_lazily(Rc::new(Settings {
            token: config.token.clone(),
            server: config.server.clone(),
            max_connections: config.max_connections,
            connect_timeout: config.connect_timeout,
            keep_alive: config.keep_alive,
            tls: Arc::new(tls_config()),
        }))
    }

    /// Returns a transport with the same settings and no connections, for when the present ones are not to be trusted.
    pub(crate) fn fresh(&self) -> Self {
        Self::connect_lazily(Rc::clone(&self.settings))
    }

    fn connect_lazily(settings: Rc<Settings>) -> Self {
        let connector = Connector::new()
            .connector(connector())
            .limit(settings.max_connections)
            .timeout(settings.connect_timeout)
            .handshake_timeout(settings.connect_timeout)
            .conn_keep_alive(settings.keep_alive)
            .rustls_0_23(Arc::clone(&settings.tls));
        let client = Client::builder()
            .connector(connector)
            // A redirect would carry the token to another place.
            .disable_redirects()
            // The deadline of each call is kept by `call`, over all steps.
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client, settings }
    }

    pub(crate) fn token(&self) -> &Token {
        &self.settings.token
    }

    fn file_url(&self, file_path: &str) -> String {
        self.settings.server.file_url(&self.settings.token, file_path)
    }

    /// Makes one call. Dropping the future closes the connection; whether the call is executed is then unknown.
    ///
    /// `timeout` covers everything from the connection to the last byte of the response. Nothing that was written is ever
    /// repeated; a kept connection that turns out to be closed before anything was written gives way to the next one.
    ///
    /// # Errors
    ///
    /// Returns [`ApiError::NotSent`], [`ApiError::Unknown`], [`ApiError::File`] or [`ApiError::Method`]. A response of
    /// any status is a success here; [`super::response::read`] sorts it.
    pub(crate) async fn call(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Duration,
    ) -> Result<RawResponse, ApiError> {
        self.call_reporting(method, body, timeout, None).await
    }

    /// As [`call`](Self::call), and reports how far an upload is.
    pub(crate) async fn call_reporting(
        &self,
        method: &str,
        body: RequestBody,
        timeout: Duration,
        progress: Option<&ProgressSender>,
    ) -> Result<RawResponse, ApiError> {
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(ApiError::Method {
                method: method.to_owned(),
            });
        }
        self.exchange(method, timeout, async |exchange| {
            let url = self.settings.server.method_url(&self.settings.token, method);
            let body = body.clone().open().await?;
            let request = self
                .client
                .post(url)
                .insert_header((CONTENT_TYPE, body.content_type()));
            let sent = request.send_body(body.marking(exchange, progress)).await;
            let incoming = Incoming {
                method: method.to_owned(),
                response: sent.map_err(|error| send_error(method, error))?,
            };
            incoming.into_raw().await
        })
        .await
    }

    /// Asks for a file and returns its content as it comes; `timeout` covers everything up to the head of the response.
    /// As [`call`](Self::call) otherwise; `method` is what errors name.
    pub(crate) async fn fetch(
        &self,
        method: &str,
        file_path: &str,
        timeout: Duration,
    ) -> Result<Incoming, ApiError> {
        self.exchange(method, timeout, async |exchange| {
            // There is no body that the HTTP client would ask for.
            exchange.begin();
            let sent = self.client.get(self.file_url(file_path)).send().await;
            Ok(Incoming {
                method: method.to_owned(),
                response: sent.map_err(|error| send_error(method, error))?,
            })
        })
        .await
    }

    /// Goes through an exchange, again as long as it is given connections that are closed already.
    async fn exchange<T>(
        &self,
        method: &str,
        timeout: Duration,
        steps: impl AsyncFn(&Exchange) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let deadline = Instant::now() + timeout;
        // Each closed connection leaves the pool, so this many tries find an open one or make a new one.
        for _ in 0..=self.settings.max_connections {
            let exchange = Exchange::default();
            // Boxed because the future of the HTTP client is large.
            let ended = within(deadline, Box::pin(exchange.scope(steps(&exchange)))).await;
            return match ended {
                Err(_) if exchange.was_written() => {
                    Err(unknown(method, None, UnknownCause::TimedOut(timeout)))
                }
                Err(_) => Err(not_sent(method, NotSentCause::TimedOut)),
                Ok(Err(_)) if exchange.found_closed() => continue,
                Ok(Err(ApiError::Unknown { source, .. })) if !exchange.was_written() => {
                    Err(not_sent(method, unwritten(source)))
                }
                Ok(ended) => ended,
            };
        }
        let error = io::Error::new(io::ErrorKind::NotConnected, "all kept connections were closed");
        Err(not_sent(method, NotSentCause::Connect(error)))
    }
}

/// A response whose body has not been read.
pub(crate) struct Incoming {
    method: String,
    response: ClientResponse,
}

impl Incoming {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Length of the body in bytes, if the server told it.
    pub(crate) fn len(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)
    }

    /// Whether the end of the body can be told. The HTTP client takes a body of HTTP/1.1 without any length for an empty
    /// one.
    pub(crate) fn is_delimited(&self) -> bool {
        let headers = self.response.headers();
        self.response.version() < Version::HTTP_11
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING)
    }

    fn header(&self, name: &HeaderName) -> Option<u64> {
        self.response
            .headers()
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Waits for the next piece of the body; `None` after the last one.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, UnknownCause> {
        self.response.try_next().await.map_err(payload_cause)
    }

    /// Reads the whole body into memory.
    pub(crate) async fn into_raw(mut self) -> Result<RawResponse, ApiError> {
        let status = self.status();
        let retry_after = self.header(&RETRY_AFTER);
        let body = match self.response.body().limit(BODY_LIMIT).await {
            Ok(body) => body,
            // The status alone is a definite answer.
            Err(_) if (400..500).contains(&status) => Bytes::new(),
            Err(error) => return Err(unknown(&self.method, Some(status), payload_cause(error))),
        };
        Ok(RawResponse {
            status,
            retry_after,
            body,
        })
    }
}

/// TLS with a provider and roots of our own. The process-wide default provider is not touched, so it does not matter
/// which one, or how many, the rest of the program brings.
fn tls_config() -> ClientConfig {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // HTTP/2 would bring nothing here, and its client logs request paths.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        thread::{self, JoinHandle},
    };

    use super::*;

    const ENOUGH: Duration = Duration::from_secs(20);

    fn transport(server: &str) -> Transport {
        let config = ApiConfig::new(Token::parse("123:secret").unwrap());
        Transport::new(&config.server(Server::parse(server).unwrap()))
    }

    /// Answers one small request with an empty object.
    fn answer(stream: &mut TcpStream) -> String {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"{}") {
            let read = stream.read(&mut piece).unwrap();
            assert_ne!(read, 0, "the request ended early");
            request.extend(&piece[..read]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
        String::from_utf8(request).unwrap()
    }

    fn serve<T: Send + 'static>(
        address: &str,
        script: impl FnOnce(TcpListener) -> T + Send + 'static,
    ) -> (String, JoinHandle<T>) {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        (
            format!("http://{address}"),
            thread::spawn(move || script(listener)),
        )
    }

    #[actix::test]
    async fn a_request_tells_its_length_and_type_and_nothing_about_the_client() {
        let (server, script) = serve("127.0.0.1:0", |listener| {
            answer(&mut listener.accept().unwrap().0)
        });

        let response = transport(&server)
            .call("getMe", RequestBody::Empty, ENOUGH)
            .await
            .unwrap();

        let request = script.join().unwrap();
        let host = server.trim_start_matches("http://");
        let lines: Vec<_> = request.split("\r\n").collect();
        assert_eq!(lines[0], "POST /bot123:secret/getMe HTTP/1.1");
        for line in [
            "content-length: 2",
            "content-type: application/json",
            &format!("host: {host}"),
        ] {
            assert!(lines.contains(&line), "{line}: {request}");
        }
        assert!(!request.contains("user-agent"), "{request}");
        assert_eq!((response.status, &response.body[..]), (200, &b"{}"[..]));
    }

    #[actix::test]
    async fn calls_share_a_connection_and_a_fresh_transport_opens_its_own() {
        let (server, script) = serve("127.0.0.1:0", |listener| {
            let mut first = listener.accept().unwrap().0;
            answer(&mut first);
            answer(&mut first);
            answer(&mut listener.accept().unwrap().0);
        });
        let old = transport(&server);
        old.call("getMe", RequestBody::Empty, ENOUGH).await.unwrap();
        old.call("getMe", RequestBody::Empty, ENOUGH).await.unwrap();

        old.fresh()
            .call("getMe", RequestBody::Empty, ENOUGH)
            .await
            .unwrap();

        script.join().unwrap();
    }

    #[actix::test]
    async fn a_server_may_have_an_ipv6_address() {
        if TcpListener::bind("[::1]:0").is_err() {
            println!("skipped: this machine has no IPv6");
            return;
        }
        let (server, script) = serve("[::1]:0", |listener| answer(&mut listener.accept().unwrap().0));

        transport(&server)
            .call("getMe", RequestBody::Empty, ENOUGH)
            .await
            .unwrap();

        script.join().unwrap();
    }

    #[actix::test]
    async fn a_name_that_is_not_a_method_is_not_sent() {
        for name in ["", "getMe?a=b", "../getMe", "get Me", "getMe/"] {
            let error = transport("http://127.0.0.1:1")
                .call(name, RequestBody::Empty, ENOUGH)
                .await;

            assert!(matches!(error, Err(ApiError::Method { method }) if method == name));
        }
    }

    #[actix::test]
    async fn a_deadline_before_the_connection_means_not_sent() {
        // A TLS handshake that the server never answers.
        let (server, script) = serve("127.0.0.1:0", |listener| listener.accept().unwrap().0);
        let server = server.replace("http:", "https:");

        let error = transport(&server)
            .call("getMe", RequestBody::Empty, Duration::from_millis(50))
            .await;

        let error = error.unwrap_err();
        assert!(
            matches!(
                error,
                ApiError::NotSent {
                    source: NotSentCause::TimedOut,
                    ..
                }
            ),
            "{error:?}"
        );
        drop(script.join().unwrap());
    }

    #[actix::test]
    async fn a_server_that_speaks_no_tls_was_not_sent_anything() {
        let (server, script) = serve("127.0.0.1:0", |listener| {
            listener
                .accept()
                .unwrap()
                .0
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        });
        let server = server.replace("http:", "https:");

        let error = transport(&server)
            .call("getMe", RequestBody::Empty, ENOUGH)
            .await
            .unwrap_err();

        assert!(
            matches!(
                error,
                ApiError::NotSent {
                    source: NotSentCause::Connect(_),
                    ..
                }
            ),
            "{error:?}"
        );
        script.join().unwrap();
    }
}
