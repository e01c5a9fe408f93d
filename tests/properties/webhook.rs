//! What is posted is an update with exactly its bytes, the same one each time and for whoever reads those bytes again, or it is
//! refused for a reason; only the secret is the secret; and only the last address that a proxy has added counts, and only
//! when it is one of Telegram.
//!
//! The bytes are a head and a body, separated by `0x1e`, or a body alone. A head is lines: the secret of the webhook, the
//! secret that is offered, and values of `X-Forwarded-For`.

use std::net::Ipv6Addr;

use actogram::{
    SecretError,
    fuzzing::{PostedIdentity, is_from_telegram, posted_update, secret_matches},
    update::Update,
};

use super::{
    json::{Members, is_json},
    update_id::{integer, update_id},
};

pub(crate) fn check(bytes: &[u8]) {
    let body = match bytes.iter().position(|byte| *byte == 0x1e) {
        Some(at) => {
            check_head(&bytes[..at]);
            &bytes[at + 1..]
        }
        None => bytes,
    };
    check_body(body);
}

fn check_body(body: &[u8]) {
    let text = str::from_utf8(body).ok().filter(|text| is_json(text));
    let Some(update) = posted_update(body) else {
        let members = text.and_then(Members::of);
        let id = members.and_then(|members| members.all("update_id").find_map(integer));
        return assert!(id.is_none(), "an update was refused");
    };
    let text = text.expect("only json is an update");
    assert!(text.trim_start().starts_with('{'));
    assert_eq!(update.raw(), text.trim(), "the bytes are not kept");
    if let Some(members) = Members::of(text) {
        assert_eq!(Some(update.id()), update_id(&members));
    }
    assert!(!update.lane().as_str().is_empty() && update.lane().as_str().is_ascii());

    let again = |body: &[u8]| posted_update(body).expect("it was taken before");
    assert_same(&update, &again(body));
    assert_same(&update, &again(format!("\r\n{text}\t ").as_bytes()));
    let kept = Update::from_json(update.raw()).expect("what a journal keeps is read in the next life");
    assert_same(&update, &kept);

    let raw = update.raw().as_bytes();
    for cut in [raw.len() / 2, raw.len() - 1] {
        assert!(
            posted_update(&raw[..cut]).is_none(),
            "cut off at {cut}, and taken"
        );
    }
    assert!(
        posted_update(&[raw, b"\xff"].concat()).is_none(),
        "this is no text"
    );
}

fn assert_same(one: &Update, other: &Update) {
    assert_eq!(PostedIdentity::of(one), PostedIdentity::of(other));
    assert_eq!((one.id(), one.raw()), (other.id(), other.raw()));
    assert_eq!((one.kind(), one.kind_name()), (other.kind(), other.kind_name()));
    assert_eq!((one.lane(), one.moves_lane()), (other.lane(), other.moves_lane()));
    assert_eq!((one.keys(), one.date()), (other.keys(), other.date()));
}

fn check_head(head: &[u8]) {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (secret, offered) = (line(), line());
    check_secret(&String::from_utf8_lossy(secret), offered);
    check_addresses(&lines.collect::<Vec<_>>());
}

fn check_secret(secret: &str, offered: &[u8]) {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match secret_matches(secret, offered) {
        Ok(matches) => {
            assert!((16..=256).contains(&secret.len()) && secret.bytes().all(is_allowed));
            assert_eq!(matches, secret.as_bytes() == offered);
            assert_eq!(secret_matches(secret, secret.as_bytes()), Ok(true));
        }
        Err(SecretError::TooShort) => assert!(secret.len() < 16),
        Err(SecretError::TooLong) => assert!(secret.len() > 256),
        Err(SecretError::Characters) => assert!(!secret.bytes().all(is_allowed)),
        Err(other) => panic!("a new error: {other}"),
    }
}

fn check_addresses(values: &[&[u8]]) {
    let Some(found) = is_from_telegram(values) else {
        return;
    };
    let last = values.last().copied();
    let address = last
        .and_then(|value| str::from_utf8(value).ok())
        .filter(|text| text.is_ascii());
    let address = address.and_then(|list| list.rsplit(',').next());
    assert_eq!(found, address.is_some_and(|text| is_of_telegram(text.trim())));

    let Some(last) = last else { return };
    assert_eq!(is_from_telegram(&[last]), Some(found), "an earlier value counted");
    for earlier in [&b"149.154.160.1,"[..], b"203.0.113.9,", b","] {
        let list = [earlier, last].concat();
        assert_eq!(
            is_from_telegram(&[&list]),
            Some(found),
            "an earlier address counted"
        );
    }
}

/// Reads an address with or without a port, slowly.
fn is_of_telegram(text: &str) -> bool {
    let (v6, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let Some((address, port)) = bracketed.rsplit_once("]:") else {
                return false;
            };
            let (address, scope) = address.split_once('%').unwrap_or((address, "0"));
            if number(scope, 10, u64::from(u32::MAX)).is_none() {
                return false;
            }
            (Some(address), port)
        }
        None if text.matches(':').count() > 1 => (Some(text), "0"),
        None => (None, text.split_once(':').map_or("0", |(_, port)| port)),
    };
    if number(port, usize::MAX, u64::from(u16::MAX)).is_none() {
        return false;
    }
    match v6 {
        Some(v6) => match v6.parse::<Ipv6Addr>().map(|address| address.octets()) {
            Ok([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, _]) => is_in_networks([a, b, c]),
            _ => false,
        },
        None => {
            let address = text.split_once(':').map_or(text, |(address, _)| address);
            let is_plain = |part: &str| part == "0" || !part.starts_with('0');
            let parts: Option<Vec<u64>> = address
                .split('.')
                .map(|part| number(part, 3, 255).filter(|_| is_plain(part)))
                .collect();
            match parts.as_deref() {
                Some([a, b, c, _]) => is_in_networks([a, b, c].map(|part| *part as u8)),
                _ => false,
            }
        }
    }
}

/// The networks as they are written at <https://core.telegram.org/bots/webhooks>: 149.154.160.0/20 and 91.108.4.0/22.
fn is_in_networks(address: [u8; 3]) -> bool {
    matches!(address, [149, 154, 160..=175] | [91, 108, 4..=7])
}

fn number(digits: &str, most_digits: usize, most: u64) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = digits.trim_start_matches('0').len().max(1) <= most_digits;
    (is_number && is_short)
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| *number <= most)
}
