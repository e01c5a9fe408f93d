use serde_json::json;

use super::{Hooked, URL};
use crate::params::Upload;
use crate::world_tests::{TOKEN, description, ids};
use crate::{Params, Request, Restart, Rules, Verdict, WebhookAnswer, WebhookEvent};

#[test]
fn the_info_shows_what_was_set() {
    let mut hooked = Hooked::bare();
    assert_eq!(
        hooked.info(),
        json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0})
    );
    hooked.stage.say("queued before");

    let set = hooked.set(&[("max_connections", "7"), ("allowed_updates", "[\"message\"]")]);

    assert_eq!(description(&set), "Webhook was set");
    assert_eq!(
        hooked.info(),
        json!({
            "url": URL, "has_custom_certificate": false, "pending_update_count": 1, "max_connections": 7,
            "ip_address": "127.0.0.1", "allowed_updates": ["message"],
        })
    );
}

#[test]
fn the_number_of_connections_has_a_default_and_bounds_of_the_kind_of_server() {
    for (local, asked, granted) in [
        (true, "", 100),
        (true, "0", 1),
        (true, "1000000", 100_000),
        (false, "", 40),
        (false, "-1", 1),
        (false, "101", 100),
    ] {
        let mut hooked = Hooked::with(Rules {
            local,
            ..Rules::default()
        });
        hooked.set(&[("url", "https://bot.example.org"), ("max_connections", asked)]);

        assert_eq!(hooked.info()["max_connections"], granted, "{local} {asked}");
    }
}

#[test]
fn the_address_of_a_name_is_unknown_until_a_connection_is_open() {
    let mut hooked = Hooked::bare();
    hooked.set(&[("url", "http://bot.example.org/")]);
    hooked.say("hello");
    assert_eq!(hooked.info()["ip_address"], "<unknown>");

    let connection = hooked.in_flight[0].0;
    let ip = "203.0.113.7".parse().unwrap();
    hooked
        .stage
        .world
        .webhook_event(hooked.stage.now, connection, WebhookEvent::Connected { ip });

    assert_eq!(hooked.info()["ip_address"], "203.0.113.7");
}

#[test]
fn a_fixed_address_is_used() {
    let mut hooked = Hooked::bare();

    hooked.set(&[("url", "http://bot.example.org/"), ("ip_address", "127.0.0.9")]);

    assert_eq!(hooked.info()["ip_address"], "127.0.0.9");
}

#[test]
fn an_address_that_is_none_is_a_change_and_removes_the_webhook() {
    let mut hooked = Hooked::new();

    let refused = hooked.set(&[("ip_address", "here")]);

    assert_eq!(
        description(&refused),
        "Bad Request: bad webhook: Invalid IP address specified"
    );
    assert_eq!(hooked.info()["url"], "");
}

#[test]
fn setting_the_same_webhook_changes_nothing_but_the_filter() {
    let mut hooked = Hooked::new();
    let id = hooked.say("in flight");

    let again = hooked.set(&[("allowed_updates", "[\"poll\"]")]);

    assert_eq!(description(&again), "Webhook is already set");
    assert_eq!(hooked.posted(), [id]);
    assert_eq!(hooked.info()["allowed_updates"], json!(["poll"]));
}

#[test]
fn another_secret_or_a_drop_sets_it_anew() {
    let mut hooked = Hooked::new();
    hooked.say("a");

    assert_eq!(
        description(&hooked.set(&[("secret_token", "hush")])),
        "Webhook was set"
    );
    assert_eq!(
        description(&hooked.set(&[("secret_token", "hush")])),
        "Webhook is already set"
    );
    let drop = hooked.set(&[("secret_token", "hush"), ("drop_pending_updates", "True")]);
    assert_eq!(description(&drop), "Webhook was set");

    assert!(hooked.posted().is_empty());
    assert_eq!(hooked.info()["pending_update_count"], 0);
}

#[test]
fn a_refused_url_or_secret_removes_the_webhook_that_was_there() {
    for (name, value, reason) in [
        ("url", "ftp://x", "Bad Request: invalid webhook URL specified"),
        (
            "secret_token",
            "a b",
            "Bad Request: secret token contains unallowed characters",
        ),
    ] {
        let mut hooked = Hooked::new();
        hooked.say("in flight");

        assert_eq!(description(&hooked.set(&[(name, value)])), reason);

        assert_eq!(hooked.info()["url"], "");
        assert!(hooked.posted().is_empty());
        assert_eq!(ids(&hooked.stage.call("getUpdates", &[])).len(), 1);
    }
}

#[test]
fn a_certificate_is_noted_and_has_a_largest_size() {
    let mut hooked = Hooked::bare();
    let mut set = |bytes: usize| {
        let mut params = Params::from_pairs(&[("url", URL)]);
        params.push("certificate", "attach://pem");
        params.push_upload(Upload {
            field: "pem".to_owned(),
            file_name: "cert.pem".to_owned(),
            content_type: None,
            bytes: vec![0; bytes].into(),
        });
        hooked.stage.wait(1_000);
        let now = hooked.stage.now;
        match hooked
            .stage
            .world
            .call(now, Request::new(TOKEN, "setWebhook", params))
        {
            Verdict::Reply(reply) => (
                description(&reply),
                hooked.info()["has_custom_certificate"].clone(),
            ),
            Verdict::Later(_) => panic!("setWebhook waits"),
        }
    };

    let largest = 3 << 20;
    assert_eq!(set(largest), ("Webhook was set".to_owned(), json!(true)));
    assert_eq!(
        set(largest),
        ("Webhook was set".to_owned(), json!(true)),
        "never unchanged"
    );
    let too_big = format!("Bad Request: certificate size is too big ({} bytes)", largest + 1);
    assert_eq!(set(largest + 1), (too_big, json!(false)));

    set(1);
    let without = hooked.set(&[]);
    assert_eq!(description(&without), "Webhook was set");
    assert_eq!(hooked.info()["has_custom_certificate"], false);
}

#[test]
fn the_last_error_is_shown_until_the_webhook_is_set_anew() {
    let mut hooked = Hooked::new();
    hooked.say("a");
    let date = hooked.stage.now.unix_seconds();

    hooked.status(502, "Bad Gateway");
    assert_eq!(
        hooked.info()["last_error_message"],
        "Wrong response from the webhook: 502 Bad Gateway"
    );
    assert_eq!(hooked.info()["last_error_date"], date);
    hooked.wait(5_000);
    hooked.answer(WebhookAnswer::new(200, "OK"));
    assert_eq!(
        hooked.info()["last_error_date"],
        date,
        "a success does not hide it"
    );

    hooked.set(&[("max_connections", "3")]);
    assert_eq!(hooked.info().get("last_error_message"), None);
}

#[test]
fn a_restart_keeps_the_settings_and_forgets_the_last_error() {
    let mut hooked = Hooked::bare();
    hooked.set(&[("ip_address", "127.0.0.1"), ("allowed_updates", "[\"message\"]")]);
    let before = hooked.info();
    hooked.say("a");
    hooked.status(502, "Bad Gateway");
    assert_ne!(hooked.info().get("last_error_message"), None);

    hooked
        .stage
        .world
        .restart(hooked.stage.now, Restart::KeepConfirmations);

    let mut after = hooked.info();
    assert_eq!(after["pending_update_count"], 1);
    after["pending_update_count"] = json!(0);
    assert_eq!(after, before);
}

#[test]
fn a_connection_that_ends_in_order_is_a_failure_that_the_info_does_not_show() {
    let mut hooked = Hooked::new();
    let id = hooked.say("a");
    let connection = hooked.in_flight[0].0;
    hooked.event(connection, WebhookEvent::Closed { error: None });
    assert_eq!(hooked.info().get("last_error_message"), None);

    hooked.wait(2_000);
    assert_eq!(hooked.posted(), [id]);
    let connection = hooked.in_flight[0].0;
    let error = Some("Connection refused".to_owned());
    hooked.event(connection, WebhookEvent::Closed { error });

    assert_eq!(hooked.info()["last_error_message"], "Connection refused");
}

#[test]
fn a_polled_bot_gets_what_the_deleted_webhook_did_not_acknowledge() {
    let mut hooked = Hooked::new();
    let id = hooked.say("in flight");
    let connection = hooked.in_flight[0].0;

    let deleted = hooked.stage.call("deleteWebhook", &[]);
    hooked.pump();
    assert_eq!(description(&deleted), "Webhook was deleted");
    assert!(hooked.closed.contains(&connection));
    hooked.event(connection, WebhookEvent::Answered(WebhookAnswer::new(200, "OK")));

    assert_eq!(ids(&hooked.stage.call("getUpdates", &[])), [id]);
    assert!(hooked.stage.bot().view().confirmed().is_empty());
}

#[test]
fn a_deleted_webhook_leaves_its_filter() {
    let mut hooked = Hooked::bare();
    hooked.set(&[("allowed_updates", "[\"poll\"]")]);

    hooked.stage.call("deleteWebhook", &[]);

    assert_eq!(hooked.info()["allowed_updates"], json!(["poll"]));
    let ann = hooked.stage.ann;
    assert_eq!(hooked.stage.bot().say(ann, Some(ann), "filtered"), None);
}

#[test]
fn a_log_out_removes_the_webhook() {
    let mut hooked = Hooked::new();
    hooked.say("in flight");

    hooked.stage.call("logOut", &[]);
    hooked.pump();

    assert!(hooked.posted().is_empty());
    assert_eq!(hooked.stage.bot().view().posts_in_flight(), 0);
}
