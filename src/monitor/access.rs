//! Who may see what names chats or shows texts, and change something.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode, Uri, Version,
        header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, VIA, WWW_AUTHENTICATE},
    },
    middleware::Next,
};
use subtle::ConstantTimeEq;

use super::answer::refusal;

/// Header that every request which changes something must have: forms and pages of other origins cannot send it.
const ACTION_HEADER: &str = "x-actogram";

/// How headers begin by which proxies say that they pass a request on.
const PROXY_HEADERS: [&str; 2] = ["x-forwarded", "x-real-ip"];

/// The secret that the owner of a bot sends to its [monitor](crate::monitor). `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken(Arc<str>);

impl AccessToken {
    /// Shortest token in characters.
    pub const MIN_LENGTH: usize = 16;

    /// Returns a token, which should be random: `openssl rand -hex 24`.
    ///
    /// # Errors
    ///
    /// Returns [`WeakToken`] if it is shorter than [`MIN_LENGTH`](Self::MIN_LENGTH), or has a character that is not visible
    /// ASCII, which a header could not carry.
    pub fn new(token: impl Into<Arc<str>>) -> Result<Self, WeakToken> {
        let token = token.into();
        if token.len() >= Self::MIN_LENGTH && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(token))
        } else {
            Err(WeakToken)
        }
    }

    /// Compares in a time that does not depend on where the two differ.
    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// A text that is no [`AccessToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an access token has at least {} visible ascii characters: make one with `openssl rand -hex 24`",
    AccessToken::MIN_LENGTH
)]
pub struct WeakToken;

/// Decides who may pass.
#[derive(Debug, Clone)]
pub(super) struct Access {
    token: Option<AccessToken>,
}

/// What a request is judged by.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    peer: Option<IpAddr>,
    version: Version,
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The token is missing or wrong.
    Token,
    /// There is no token, and the request does not come from this machine.
    NotHere,
    /// It would change something and does not have the header.
    Header,
}

impl Access {
    pub(super) fn new(token: Option<AccessToken>) -> Self {
        Self { token }
    }

    fn judge(&self, request: &Seen<'_>) -> Result<(), Refusal> {
        let headers = request.headers;
        match &self.token {
            Some(token) if bearer(headers).is_some_and(|given| token.is(given)) => {}
            Some(_) => return Err(Refusal::Token),
            None if request.comes_from_here() => {}
            None => return Err(Refusal::NotHere),
        }
        let reads = matches!(*request.method, Method::GET | Method::HEAD);
        if reads || headers.contains_key(ACTION_HEADER) {
            Ok(())
        } else {
            Err(Refusal::Header)
        }
    }
}

/// Lets the owner pass and refuses everybody else.
pub(super) async fn check<B: MessageBody + 'static>(
    access: Access,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let seen = Seen {
        peer: request.peer_addr().map(|peer| peer.ip()),
        version: request.version(),
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
    };
    match access.judge(&seen) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(refusal) => Ok(request.into_response(refusal.answer()).map_into_right_body()),
    }
}

impl Refusal {
    fn answer(self) -> HttpResponse {
        match self {
            Self::Token => {
                let mut answer = refusal(
                    StatusCode::UNAUTHORIZED,
                    "send the access token: `Authorization: Bearer ...`",
                );
                let challenge = actix_web::http::header::HeaderValue::from_static("Bearer");
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                answer
            }
            Self::NotHere => refusal(
                StatusCode::FORBIDDEN,
                "without an access token this is only for clients on the same machine, with HTTP/1.1 at least and not through a \
                 proxy; set one with `Monitor::access_token`",
            ),
            Self::Header => refusal(
                StatusCode::FORBIDDEN,
                "a request that changes something needs the header x-actogram",
            ),
        }
    }
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Seen<'_> {
    /// Returns whether whoever asks is on this machine.
    fn comes_from_here(&self) -> bool {
        let Self { peer, headers, .. } = self;
        let passed_on = headers.contains_key(FORWARDED)
            || headers.contains_key(VIA)
            || headers
                .keys()
                .any(|name| PROXY_HEADERS.iter().any(|start| name.as_str().starts_with(start)))
            // As nginx passes requests on unless it is told otherwise: with its own name for this machine as `Host`, and
            // without a header that says so. No browser asks like that.
            || self.version < Version::HTTP_11;
        let mut hosts = headers.get_all(HOST);
        // With HTTP/2 the name is here, and there is no `Host`.
        let addressed = self.uri.authority();
        peer.is_some_and(|peer| peer.to_canonical().is_loopback())
            && !passed_on
            && hosts.all(|host| host.to_str().is_ok_and(is_this_machine))
            && addressed.is_none_or(|authority| is_this_machine(authority.host()))
    }
}

/// Returns whether a `Host` can only mean this machine. Every other name may be somebody's who lets it point here.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
    static ROOT: LazyLock<Uri> = LazyLock::new(|| Uri::from_static("/"));

    /// A request from this machine.
    fn local() -> Seen<'static> {
        Seen {
            peer: Some([127, 0, 0, 1].into()),
            version: Version::HTTP_11,
            method: &Method::GET,
            uri: &ROOT,
            headers: &NO_HEADERS,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn judge(token: Option<&str>, peer: &str, pairs: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let access = Access::new(token.map(|token| AccessToken::new(token).unwrap()));
        access.judge(&Seen {
            peer: Some(peer.parse().unwrap()),
            headers: &headers(pairs),
            ..local()
        })
    }

    #[test]
    fn without_a_token_the_owner_is_whoever_connects_from_this_machine() {
        for peer in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(judge(None, peer, &[("host", "localhost:8080")]), Ok(()), "{peer}");
        }
        for peer in ["10.0.0.1", "192.0.2.1", "::", "2001:db8::1", "::ffff:10.0.0.1"] {
            let judged = judge(None, peer, &[("host", "localhost:8080")]);
            assert_eq!(judged, Err(Refusal::NotHere), "{peer}");
        }
    }

    #[test]
    fn a_peer_that_is_not_known_is_not_here() {
        let unknown = Seen {
            peer: None,
            ..local()
        };

        assert_eq!(Access::new(None).judge(&unknown), Err(Refusal::NotHere));
    }

    /// nginx passes requests on like that, with 127.0.0.1 as `Host` and no header that says so.
    #[test]
    fn a_request_in_an_old_version_of_http_may_be_a_proxys_and_needs_a_token() {
        let headers = headers(&[
            ("host", "127.0.0.1:8080"),
            ("authorization", "Bearer 0123456789abcdef"),
        ]);
        let judge = |version, token: Option<&str>| {
            let access = Access::new(token.map(|token| AccessToken::new(token).unwrap()));
            access.judge(&Seen {
                version,
                headers: &headers,
                ..local()
            })
        };

        for (version, allowed) in [
            (Version::HTTP_09, Err(Refusal::NotHere)),
            (Version::HTTP_10, Err(Refusal::NotHere)),
            (Version::HTTP_11, Ok(())),
            (Version::HTTP_2, Ok(())),
        ] {
            assert_eq!(judge(version, None), allowed, "{version:?}");
            assert_eq!(judge(version, Some(TOKEN)), Ok(()), "{version:?}");
        }
    }

    /// A page of somebody else may let its own name point to 127.0.0.1, and ask there with the browser of the owner.
    #[test]
    fn a_foreign_name_for_this_machine_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
        ] {
            assert_eq!(judge(None, "127.0.0.1", &[("host", host)]), Ok(()), "{host}");
        }
        let names = [
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "",
            "[::2]",
        ];
        for host in names {
            let judged = judge(None, "127.0.0.1", &[("host", host)]);
            assert_eq!(judged, Err(Refusal::NotHere), "{host}");
        }
    }

    #[test]
    fn a_foreign_name_in_the_address_is_refused_as_well() {
        let judge = |uri| {
            Access::new(None).judge(&Seen {
                uri: &Uri::from_static(uri),
                ..local()
            })
        };

        assert_eq!(judge("https://localhost:8443/bot/status"), Ok(()));
        assert_eq!(judge("https://evil.example/bot/status"), Err(Refusal::NotHere));
        assert_eq!(
            judge("https://localhost:x@evil.example/bot/status"),
            Err(Refusal::NotHere)
        );
    }

    #[test]
    fn what_a_proxy_on_this_machine_passes_on_does_not_come_from_here() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-port",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded",
            "x-real-ip",
        ] {
            let judged = judge(None, "127.0.0.1", &[("host", "localhost"), (name, "127.0.0.1")]);
            assert_eq!(judged, Err(Refusal::NotHere), "{name}");
        }
    }

    #[test]
    fn with_a_token_everybody_has_to_send_it_and_may_come_from_anywhere() {
        let judge = |peer, given| judge(Some(TOKEN), peer, &[("authorization", given)]);

        assert_eq!(judge("192.0.2.1", "Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(judge("192.0.2.1", "bearer 0123456789abcdef"), Ok(()));
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdefg",
            "Bearer",
            "Bearer ",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert_eq!(judge("127.0.0.1", wrong), Err(Refusal::Token), "{wrong}");
        }
    }

    #[test]
    fn whatever_changes_something_needs_the_header() {
        let access = Access::new(None);
        let judge = |method: Method, pairs| {
            access.judge(&Seen {
                method: &method,
                headers: &headers(pairs),
                ..local()
            })
        };

        for method in [
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ] {
            assert_eq!(judge(method.clone(), &[]), Err(Refusal::Header), "{method}");
            assert_eq!(judge(method, &[("x-actogram", "1")]), Ok(()));
        }
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(judge(method, &[]), Ok(()));
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        for weak in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdeé",
            "0123456789abcde\n",
        ] {
            assert_eq!(AccessToken::new(weak).unwrap_err(), WeakToken, "{weak:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(
            format!("{:?}", AccessToken::new(TOKEN).unwrap()),
            "AccessToken(..)"
        );
    }
}
