//! What `setWebhook` accepts on a server in the cloud, and how often.

use std::net::Ipv4Addr;

use crate::Rules;
use crate::world_tests::{Stage, body, description};

const URL: &str = "https://bot.example.org/";
const PREFIX: &str = "Bad Request: ";

/// Sets a webhook that nothing is wrong with but what `name` is set to.
fn set(name: &str, value: &str) -> String {
    let mut stage = Stage::new(Rules::default());
    description(&stage.call("setWebhook", &[(name, value), ("url", URL)]))
}

#[test]
fn settings_are_refused_with_the_exact_reason() {
    let no_url = "invalid webhook URL specified";
    let long = "s".repeat(257);
    for (name, value, reason) in [
        ("url", "ftp://x", no_url),
        ("url", "https://bot.example.org:/", no_url),
        ("url", "https://bot.example.org:0/", no_url),
        ("url", "https://bot.example.org:+443/", no_url),
        ("url", "https://bot.example.org:65536/", no_url),
        ("url", "https://me:pw@bot.example.org:65979/", no_url),
        ("secret_token", &long, "secret token is too long"),
        (
            "secret_token",
            "a b",
            "secret token contains unallowed characters",
        ),
        (
            "url",
            "https://bot.example.org:8080/",
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
        (
            "url",
            "http://bot.example.org/",
            "bad webhook: An HTTPS URL must be provided for webhook",
        ),
        (
            "url",
            "https://localhost/",
            "bad webhook: IP address 127.0.0.1 is reserved",
        ),
        (
            "url",
            "https://[2a00::1]/",
            "bad webhook: IPv6-only addresses are not allowed",
        ),
        (
            "ip_address",
            "2a00::1",
            "bad webhook: IPv6-only addresses are not allowed",
        ),
        (
            "ip_address",
            "10.1.2.3",
            "bad webhook: IP address 10.1.2.3 is reserved",
        ),
        ("ip_address", "here", "bad webhook: Invalid IP address specified"),
    ] {
        assert_eq!(set(name, value), format!("{PREFIX}{reason}"), "{name} {value}");
    }
}

#[test]
fn settings_at_the_edge_of_what_is_refused_are_accepted() {
    let longest = format!("{}azAZ09_-", "s".repeat(248));
    for (name, value) in [
        ("url", "bot.example.org"),
        ("url", "https://bot.example.org:80/"),
        ("url", "https://bot.example.org:88/"),
        ("url", "https://bot.example.org:443/"),
        ("url", "https://me:pw@bot.example.org:08443/"),
        ("secret_token", &longest),
        ("ip_address", "149.154.160.1"),
    ] {
        assert_eq!(set(name, value), "Webhook was set", "{name} {value}");
    }
}

#[test]
fn reserved_blocks_are_refused_from_their_first_address_to_their_last() {
    for (first, last) in [
        ([0, 0, 0, 0], [0, 255, 255, 255]),
        ([10, 0, 0, 0], [10, 255, 255, 255]),
        ([100, 64, 0, 0], [100, 127, 255, 255]),
        ([127, 0, 0, 0], [127, 255, 255, 255]),
        ([169, 254, 0, 0], [169, 254, 255, 255]),
        ([172, 16, 0, 0], [172, 31, 255, 255]),
        ([192, 0, 0, 0], [192, 0, 0, 255]),
        ([192, 0, 2, 0], [192, 0, 2, 255]),
        ([192, 88, 99, 0], [192, 88, 99, 255]),
        ([192, 168, 0, 0], [192, 168, 255, 255]),
        ([198, 18, 0, 0], [198, 19, 255, 255]),
        ([198, 51, 100, 0], [198, 51, 100, 255]),
        ([203, 0, 113, 0], [203, 0, 113, 255]),
        ([224, 0, 0, 0], [255, 255, 255, 255]),
    ] {
        let (first, last) = (u32::from_be_bytes(first), u32::from_be_bytes(last));
        let answer = |ip: u32| set("ip_address", &Ipv4Addr::from(ip).to_string());
        for ip in [first, last] {
            let reason = format!(
                "{PREFIX}bad webhook: IP address {} is reserved",
                Ipv4Addr::from(ip)
            );
            assert_eq!(answer(ip), reason);
        }
        for ip in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            assert_eq!(answer(ip), "Webhook was set", "{}", Ipv4Addr::from(ip));
        }
    }
}

#[test]
fn one_call_with_a_url_is_processed_per_second_refused_or_not() {
    let mut stage = Stage::new(Rules::default());
    let limited = |stage: &mut Stage| stage.call("setWebhook", &[("url", URL)]).retry_after == Some(1);

    assert!(!limited(&mut stage));
    assert!(limited(&mut stage));
    stage.wait(999);
    assert!(limited(&mut stage));
    stage.wait(1);
    assert!(!limited(&mut stage), "what was limited does not count");
    stage.wait(1_000);
    stage.call("setWebhook", &[("url", "ftp://x")]);

    assert!(limited(&mut stage), "what was refused does");
}

#[test]
fn deleting_is_not_limited_and_an_empty_url_deletes() {
    let mut stage = Stage::new(Rules::default());
    stage.say("dropped with the webhook");
    stage.call("setWebhook", &[("url", URL)]);
    stage.wait(999);
    let empty = [("url", ""), ("drop_pending_updates", "true")];

    for (method, params, said) in [
        ("setWebhook", &empty[..], "Webhook was deleted"),
        ("deleteWebhook", &[], "Webhook is already deleted"),
        ("setWebhook", &[], "Webhook is already deleted"),
    ] {
        assert_eq!(description(&stage.call(method, params)), said);
    }
    assert!(stage.bot().view().pending().is_empty());

    stage.wait(1);
    let set = stage.call("setWebhook", &[("url", URL)]);
    assert_eq!(description(&set), "Webhook was set", "deleting does not count");
}

#[test]
fn a_refused_change_leaves_no_webhook_at_all() {
    let mut stage = Stage::new(Rules::default());
    stage.call("setWebhook", &[("url", "https://bot.example.org/")]);
    stage.wait(1_000);

    stage.call("setWebhook", &[("url", "https://bot.example.org:8080/")]);

    assert_eq!(body(&stage.call("getWebhookInfo", &[]))["result"]["url"], "");
    assert_eq!(
        description(&stage.call("deleteWebhook", &[])),
        "Webhook is already deleted"
    );
}
