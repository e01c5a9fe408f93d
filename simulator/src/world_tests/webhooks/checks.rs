//! What `setWebhook` accepts on a server in the cloud, and how often.

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
