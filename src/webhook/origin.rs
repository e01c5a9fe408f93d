//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};

/// The networks from which Telegram's own server sends, with the lengths of their prefixes; see
/// <https://core.telegram.org/bots/webhooks>.
const TELEGRAM: [(Ipv4Addr, u32); 2] = [
    (Ipv4Addr::new(149, 154, 160, 0), 20),
    (Ipv4Addr::new(91, 108, 4, 0), 22),
];

/// Where the address of whoever sends an update is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SenderAddress {
    /// The other end of the connection.
    Peer,
    /// The last address of this header, which the proxy in front has put there.
    Header(HeaderName),
}

impl SenderAddress {
    /// Returns whether a request with these headers, over a connection from `peer`, comes from Telegram's own server.
    pub(super) fn is_telegram(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
        let address = match self {
            Self::Peer => peer.map(|peer| peer.ip()),
            Self::Header(name) => headers
                .get_all(name)
                .last()
                .and_then(|value| last_address(value.to_str().ok()?)),
        };
        address.is_some_and(is_telegram)
    }
}

/// Reads the last address of a list: those before it were sent by whoever connected to the proxy.
fn last_address(list: &str) -> Option<IpAddr> {
    let last = list.rsplit(',').next()?.trim();
    last.parse()
        .ok()
        .or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn is_telegram(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address.to_canonical() else {
        return false;
    };
    TELEGRAM.iter().any(|(network, length)| {
        let host_bits = u32::BITS - length;
        address.to_bits() >> host_bits == network.to_bits() >> host_bits
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpRequest, test::TestRequest};

    use super::*;

    fn is_telegram_by(sender: &SenderAddress, request: &HttpRequest) -> bool {
        sender.is_telegram(request.headers(), request.peer_addr())
    }

    #[test]
    fn the_two_networks_of_telegram_end_where_they_are_documented_to() {
        for inside in [
            "149.154.160.0",
            "149.154.175.255",
            "91.108.4.0",
            "91.108.7.255",
            "::ffff:91.108.5.1",
        ] {
            assert!(is_telegram(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "149.154.159.255",
            "149.154.176.0",
            "91.108.3.255",
            "91.108.8.0",
            "127.0.0.1",
            "::1",
        ] {
            assert!(!is_telegram(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_header_counts_only_when_it_was_configured() {
        let request = TestRequest::post()
            .peer_addr("10.0.0.1:5".parse().unwrap())
            .insert_header(("x-forwarded-for", "149.154.160.1"))
            .to_http_request();

        assert!(!is_telegram_by(&SenderAddress::Peer, &request));
        let header = SenderAddress::Header(HeaderName::from_static("x-forwarded-for"));
        assert!(is_telegram_by(&header, &request));
    }

    #[test]
    fn what_the_sender_wrote_into_the_header_does_not_count() {
        let header = SenderAddress::Header(HeaderName::from_static("x-forwarded-for"));
        for (values, telegram) in [
            (&["149.154.160.1, 203.0.113.9"][..], false),
            (&["149.154.160.1", "203.0.113.9"], false),
            (&["203.0.113.9, 149.154.160.1"], true),
            (&["203.0.113.9,149.154.160.1:4711"], true),
            (&["unknown"], false),
            (&[""], false),
            (&[], false),
        ] {
            let mut request = TestRequest::post().peer_addr("149.154.160.1:5".parse().unwrap());
            for value in values {
                request = request.append_header(("x-forwarded-for", *value));
            }
            assert_eq!(
                is_telegram_by(&header, &request.to_http_request()),
                telegram,
                "{values:?}"
            );
        }
    }
}
