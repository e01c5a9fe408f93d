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
#[path = "access_tests.rs"]
mod tests;
