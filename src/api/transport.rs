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

use std::{error::Error, io, rc::Rc, sync::Arc, time::Duration};

use actix_http::error::{ParseError, PayloadError};
use actix_rt::time::timeout as within;
use awc::{
    Client, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
    http::header::{CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{
    config::ApiConfig,
    error::{ApiError, NotSentCause, UnknownCause},
    form_body::FileFault,
    request::{RequestBody, SentMark},
    response::RawResponse,
    server::Server,
};
use crate::token::Token;

/// Largest response body. An answer to `getUpdates` stays below 5 MiB, but nothing documents a limit.
const BODY_LIMIT: usize = 32 << 20;

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
            tls: Arc::new(tls_config()),
        }))
    }

    /// Returns a transport with the same settings and no connections, for when the present ones are not to be trusted.
    pub(crate) fn fresh(&self) -> Self {
        Self::connect_lazily(Rc::clone(&self.settings))
    }

    fn connect_lazily(settings: Rc<Settings>) -> Self {
        let connector = Connector::new()
            .limit(settings.max_connections)
            .timeout(settings.connect_timeout)
            .handshake_timeout(settings.connect_timeout)
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

    /// Makes one call, without repeating anything. Dropping the future closes the connection; whether the call is
    /// executed is then unknown.
    ///
    /// `timeout` covers everything from the connection to the last byte of the response.
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
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(ApiError::Method {
                method: method.to_owned(),
            });
        }
        let mark = SentMark::default();
        let exchange = async {
            let request = match &body {
                RequestBody::Download { file_path, .. } => self.client.get(self.file_url(file_path)),
                _ => self
                    .client
                    .post(self.settings.server.method_url(&self.settings.token, method)),
            };
            let body = body.open().await?;
            let request = match body.content_type() {
                Some(content_type) => request.insert_header((CONTENT_TYPE, content_type)),
                None => request,
            };
            let response = request.send_body(body.marking(mark.clone())).await;
            read_response(method, response.map_err(|error| send_error(method, error))?).await
        };
        // Boxed because the future of the HTTP client is large.
        within(timeout, Box::pin(exchange)).await.unwrap_or_else(|_| {
            Err(if mark.is_set() {
                unknown(method, None, UnknownCause::TimedOut(timeout))
            } else {
                not_sent(method, NotSentCause::TimedOut)
            })
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

async fn read_response(method: &str, mut response: ClientResponse) -> Result<RawResponse, ApiError> {
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER);
    let retry_after = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = match response.body().limit(BODY_LIMIT).await {
        Ok(body) => body,
        // The status alone is a definite answer.
        Err(_) if (400..500).contains(&status) => Bytes::new(),
        Err(error) => return Err(unknown(method, Some(status), payload_cause(error))),
    };
    Ok(RawResponse {
        status,
        retry_after,
        body,
    })
}

fn payload_cause(error: PayloadError) -> UnknownCause {
    match error {
        PayloadError::Overflow => UnknownCause::TooLarge { limit: BODY_LIMIT },
        PayloadError::Incomplete(None) => UnknownCause::Closed,
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => UnknownCause::Broken(error),
        other => UnknownCause::Http(other.to_string()),
    }
}

/// Sorts a failure to get a response by whether the request may have been written.
///
/// `Connect(Disconnected)` looks like a failure to connect, but it is what the client reports when the server has read
/// the request and closed the connection.
fn send_error(method: &str, error: SendRequestError) -> ApiError {
    let cause = match error {
        SendRequestError::Connect(error) => match error {
            ConnectError::Resolver(error) => {
                return not_sent(method, NotSentCause::Resolve(into_io_error(error)));
            }
            ConnectError::NoRecords => {
                let error = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
                return not_sent(method, NotSentCause::Resolve(error));
            }
            ConnectError::Io(error) => return not_sent(method, NotSentCause::Connect(error)),
            ConnectError::Timeout => return not_sent(method, NotSentCause::TimedOut),
            ConnectError::SslIsNotSupported | ConnectError::Unresolved => {
                return not_sent(method, NotSentCause::Client(error.to_string()));
            }
            ConnectError::Disconnected => UnknownCause::Closed,
            other => UnknownCause::Http(other.to_string()),
        },
        SendRequestError::Url(_) | SendRequestError::Http(_) | SendRequestError::TunnelNotSupported => {
            return not_sent(method, NotSentCause::Client(error.to_string()));
        }
        SendRequestError::Body(error) => match error.downcast::<FileFault>() {
            Ok(fault) => return ApiError::from(*fault),
            Err(other) => UnknownCause::Broken(into_io_error(other)),
        },
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
            UnknownCause::Broken(error)
        }
        other => UnknownCause::Http(other.to_string()),
    };
    unknown(method, None, cause)
}

/// The HTTP client's boxed errors cannot cross threads; I/O errors are kept, of others only the text.
fn into_io_error(error: Box<dyn Error>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(other) => io::Error::other(other.to_string()),
    }
}

fn not_sent(method: &str, source: NotSentCause) -> ApiError {
    ApiError::NotSent {
        method: method.to_owned(),
        source,
    }
}

fn unknown(method: &str, status: Option<u16>, source: UnknownCause) -> ApiError {
    ApiError::Unknown {
        method: method.to_owned(),
        status,
        source,
    }
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
