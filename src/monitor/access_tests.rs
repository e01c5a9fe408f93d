//! Tests of [`super`]: who is the owner.

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
