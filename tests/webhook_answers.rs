//! What a webhook answers to what: only an update with the right secret gets in, and 200 means that it is safe.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
mod webhook_poster;

use std::time::Duration;

use actix_web::{HttpResponse, web};
use actogram::{Bot, BotHandle, Context, Webhook, WebhookCounts};
use support::{Log, Stage, sharing, until_blocking};
use webhook_poster::{
    SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Answer, Wire, post, request},
};

type Handled = Log<(i64, String)>;

/// A bot that notes what it handles, with a journal in `folder`, mounted in a host.
struct Scene {
    /// Checks at the end that the bot broke no rule of the server.
    _stage: Stage,
    folder: tempfile::TempDir,
    handled: Handled,
    bot: BotHandle,
    host: Host,
}

fn noting(bot: Bot, handled: &Handled) -> Bot {
    bot.handlers(sharing(
        handled.clone(),
        |handled: Handled, ctx: Context| async move {
            let update = ctx.update();
            handled.add((update.id(), update.kind_name().to_owned()));
        },
    ))
}

impl Scene {
    fn new(change: impl FnOnce(Webhook) -> Webhook) -> Self {
        let (stage, folder, handled) = (Stage::lenient(), tempfile::tempdir().unwrap(), Log::new());
        let bot = noting(stage.actogram(), &handled).journal(folder.path().join("bot.db"));
        let (bot, route) = bot.spawn_webhook(change(Webhook::new(SECRET))).unwrap();
        let host = Host::start(mounting(route));
        Self {
            _stage: stage,
            folder,
            handled,
            bot,
            host,
        }
    }

    fn send(&self, request: &[u8]) -> Answer {
        Wire::once(self.host.address, request)
    }

    fn counts(&self) -> WebhookCounts {
        counts(&self.bot)
    }

    /// Waits until the journal has nothing left to handle; returns how many updates it ever had.
    fn handled_ids(&self, count: usize) -> Vec<i64> {
        until_blocking("all are handled", || self.handled.len() >= count);
        let mut ids: Vec<_> = self.handled.all().into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    fn end(self) {
        self.host.stop();
        assert!(wait_blocking(self.bot.shutdown()).unwrap().is_clean());
    }
}

fn counts(bot: &BotHandle) -> WebhookCounts {
    wait_blocking(bot.snapshot()).unwrap().webhook.unwrap()
}

#[test]
fn an_update_with_the_secret_is_journaled_and_handled() {
    let scene = Scene::new(|webhook| webhook);

    let answer = scene.send(&post("/telegram", SECRET, text_update(1, 7, "hello").as_bytes()));

    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, ""),
        "no webhook reply is made"
    );
    assert_eq!(scene.handled_ids(1), [1]);
    let counts = scene.counts();
    assert_eq!((counts.accepted, counts.duplicates), (1, 0));
    assert!(counts.last_update_age.is_some());
    scene.end();
}

/// The bad input table: the right status, nothing stored, and the webhook goes on.
#[test]
fn bad_input_is_refused_with_its_status_and_nothing_is_stored() {
    let scene = Scene::new(|webhook| webhook.body_timeout(Duration::from_millis(200)));
    let update = text_update(1, 7, "forged");
    let with_secret = [("x-telegram-bot-api-secret-token", SECRET)];
    let wrong_secret = [("x-telegram-bot-api-secret-token", "0123456789abcdef-secreT")];
    let huge = vec![b' '; 10 << 20];
    let unfinished = {
        let mut text = post("/telegram", SECRET, update.as_bytes());
        text.truncate(text.len() - 1);
        text
    };
    let chunked = {
        let mut text = format!(
            "POST /telegram HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
             x-telegram-bot-api-secret-token: {SECRET}\r\n\r\n"
        )
        .into_bytes();
        for _ in 0..320 {
            text.extend_from_slice(b"8000\r\n");
            text.resize(text.len() + 0x8000, b' ');
            text.extend_from_slice(b"\r\n");
        }
        text
    };
    let announced = format!(
        "POST /telegram HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nx-telegram-bot-api-secret-token: {SECRET}\r\n\r\n",
        10 << 20
    );
    let table: [(&str, Vec<u8>, u16); 15] = [
        ("10 MB announced", announced.into_bytes(), 413),
        (
            "no secret",
            request("POST", "/telegram", &[], update.as_bytes()),
            403,
        ),
        (
            "wrong secret",
            request("POST", "/telegram", &wrong_secret, update.as_bytes()),
            403,
        ),
        ("empty secret", post("/telegram", "", update.as_bytes()), 403),
        ("10 MB", post("/telegram", SECRET, &huge), 413),
        (
            "10 MB without a secret",
            request("POST", "/telegram", &[], &huge),
            403,
        ),
        ("10 MB in chunks", chunked, 413),
        ("not json", post("/telegram", SECRET, b"{\"update_id\":1"), 400),
        (
            "not text",
            post("/telegram", SECRET, b"{\"update_id\":1,\"x\":\"\xff\"}"),
            400,
        ),
        ("nothing", post("/telegram", SECRET, b""), 400),
        ("an array", post("/telegram", SECRET, b"[{\"update_id\":1}]"), 400),
        ("no id", post("/telegram", SECRET, b"{\"message\":{}}"), 400),
        ("a slow body", unfinished, 408),
        (
            "another method",
            request("GET", "/telegram", &with_secret, b""),
            405,
        ),
        (
            "another path",
            post("/telegram/1", SECRET, update.as_bytes()),
            404,
        ),
    ];

    for (name, request, status) in &table {
        let answer = scene.send(request);
        assert_eq!(answer.status, *status, "{name}: {answer:?}");
        assert_eq!(answer.body, "", "{name}: no detail is told");
        if matches!(status, 408 | 413) {
            assert_eq!(
                answer.header("connection"),
                Some("close"),
                "{name}: the rest is not read"
            );
        }
    }

    let refused = scene.counts().refused;
    assert_eq!(refused.wrong_secret, 4);
    assert_eq!((refused.too_large, refused.too_slow), (3, 1));
    assert_eq!((refused.not_an_update, refused.wrong_method), (5, 1));
    let stats = wait_blocking(scene.bot.journal_stats()).unwrap();
    assert_eq!(stats.unfinished, 0, "{stats:?}");
    let answer = scene.send(&post("/telegram", SECRET, text_update(2, 7, "real").as_bytes()));
    assert_eq!(answer.status, 200);
    assert_eq!(scene.handled_ids(1), [2]);
    scene.end();
}

/// Or anybody could keep connections for ever, and have them read for ever.
#[test]
fn who_is_refused_in_the_middle_of_a_body_loses_the_connection() {
    let scene = Scene::new(|webhook| webhook.body_limit(1024).body_timeout(Duration::from_millis(50)));
    let begun = |method, path, secret: &str, chunk: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
             x-telegram-bot-api-secret-token: {secret}\r\n\r\n{chunk}"
        )
    };
    let wrong = "0123456789abcdef-secreT";
    let long = format!("{:x}\r\n{}\r\n", 1025, "x".repeat(1025));
    for (name, request, status) in [
        ("no secret", begun("POST", "/telegram", wrong, ""), 403),
        (
            "no secret, and some of it",
            begun("POST", "/telegram", wrong, "1\r\n{\r\n"),
            403,
        ),
        ("too large", begun("POST", "/telegram", SECRET, &long), 413),
        ("too slow", begun("POST", "/telegram", SECRET, "1\r\n{\r\n"), 408),
        ("another method", begun("PUT", "/telegram", SECRET, ""), 405),
    ] {
        let mut wire = Wire::open(scene.host.address).unwrap();
        wire.write(request.as_bytes()).unwrap();
        assert_eq!(wire.read().unwrap().status, status, "{name}");
        assert!(wire.is_closed(), "{name}");
    }
    scene.end();
}

#[test]
fn an_update_of_which_the_end_is_missing_is_counted_and_not_kept() {
    let scene = Scene::new(|webhook| webhook);
    let update = text_update(1, 7, "half");
    let whole = post("/telegram", SECRET, update.as_bytes());
    let mut wire = Wire::open(scene.host.address).unwrap();
    wire.write(&whole[..whole.len() - 1]).unwrap();
    drop(wire);
    until_blocking("it is counted", || scene.counts().refused.cut_off == 1);
    assert_eq!(scene.counts().accepted, 0);
    scene.end();
}

/// What no server sends, but anybody can: all of it is answered, and none of it hurts.
#[test]
fn strange_requests_are_answered_and_harm_nothing() {
    let scene = Scene::new(|webhook| webhook);
    let update = text_update(1, 7, "forged");
    let raw = |headers: &[&[u8]], body: &[u8]| {
        let head = [b"POST /telegram HTTP/1.1".as_slice(), b"host: localhost"];
        let lines = head
            .iter()
            .chain(headers)
            .flat_map(|line| [line, b"\r\n".as_slice()]);
        [lines.collect::<Vec<_>>().concat().as_slice(), b"\r\n", body].concat()
    };
    let secret = format!("x-telegram-bot-api-secret-token: {SECRET}");
    let secret = secret.as_bytes();
    let wrong = b"x-telegram-bot-api-secret-token: 0123456789abcdef-secreT".as_slice();
    let foreign = [b"x-telegram-bot-api-secret-token: ".as_slice(), &[0xff; 23]].concat();
    let length = format!("content-length: {}", update.len());
    let (length, update) = (length.as_bytes(), update.as_bytes());
    let huge = [b"x-huge: ".as_slice(), &[b'x'; 200_000]].concat();
    let many: Vec<_> = (0..200).map(|n| format!("x-{n}: 1").into_bytes()).collect();
    let many: Vec<_> = many.iter().map(Vec::as_slice).collect();
    let zipped: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let nested = |levels: usize, close: &str| {
        let body = format!(
            "{{\"update_id\":1,\"message\":{}{}}}",
            "[".repeat(levels),
            close.repeat(levels)
        );
        post("/telegram", SECRET, body.as_bytes())
    };
    let table: [(&str, Vec<u8>, u16); 14] = [
        (
            "the secret after a wrong one",
            raw(&[wrong, secret, length], update),
            403,
        ),
        (
            "a wrong one after the secret",
            raw(&[secret, wrong, length], update),
            403,
        ),
        ("a secret that is no text", raw(&[&foreign, length], update), 403),
        ("a huge header", raw(&[secret, length, &huge], update), 431),
        ("200 headers", raw(&many, b""), 431),
        (
            "two lengths",
            raw(&[secret, length, b"content-length: 1"], update),
            400,
        ),
        (
            "a length below zero",
            raw(&[secret, b"content-length: -1"], update),
            400,
        ),
        (
            "a length and chunks",
            raw(&[secret, length, b"transfer-encoding: chunked"], update),
            400,
        ),
        (
            "chunks of no length",
            raw(&[secret, b"transfer-encoding: chunked"], b"x\r\n"),
            400,
        ),
        (
            "a compressed body",
            raw(
                &[secret, b"content-encoding: gzip", b"content-length: 10"],
                zipped,
            ),
            400,
        ),
        (
            "nothing but brackets",
            post("/telegram", SECRET, &[b'['; 1 << 20]),
            400,
        ),
        ("deep and unfinished", nested(500_000, ""), 400),
        ("no host", b"POST /telegram HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("no http", b"\x16\x03\x01\x02\x00\x01\r\n\r\n".to_vec(), 400),
    ];

    for (name, request, status) in &table {
        assert_eq!(scene.send(request).status, *status, "{name}");
    }

    assert_eq!(scene.counts().accepted, 0);
    assert_eq!(wait_blocking(scene.bot.journal_stats()).unwrap().unfinished, 0);
    // Deep but well-formed: it is kept as it came, like everything with an id.
    assert_eq!(scene.send(&nested(500_000, "]")).status, 200);
    let mut patient = Wire::open(scene.host.address).unwrap();
    let asks_first = raw(&[secret, b"expect: 100-continue", b"content-length: 15"], b"");
    assert_eq!(patient.send(&asks_first).unwrap().status, 100);
    assert_eq!(patient.send(br#"{"update_id":2}"#).unwrap().status, 200);
    assert_eq!(scene.handled_ids(2), [1, 2]);
    scene.end();
}

#[test]
fn the_refused_method_is_told_which_one_there_is() {
    let scene = Scene::new(|webhook| webhook);

    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let mut wire = Wire::open(scene.host.address).unwrap();
        wire.write(&request(method, "/telegram", &[], b"")).unwrap();
        let answer = wire.read().unwrap();
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("post")),
            "{method}"
        );
    }
    scene.end();
}

#[test]
fn what_no_version_knows_is_journaled_as_it_came() {
    let scene = Scene::new(|webhook| webhook);

    for body in [
        r#"{"update_id":1,"moon_phase":{"chat":{"id":5,"type":"galaxy"}}}"#,
        r#"{"update_id":2}"#,
        r#"{"update_id":3,"message":{"text":"\ud83d","chat":{"id":1e999}}}"#,
    ] {
        let text = request(
            "POST",
            "/telegram",
            &[
                ("x-telegram-bot-api-secret-token", SECRET),
                ("content-type", "text/plain"),
            ],
            body.as_bytes(),
        );
        assert_eq!(scene.send(&text).status, 200, "{body}");
    }

    assert_eq!(scene.handled_ids(3), [1, 2, 3]);
    assert!(scene.handled.all().contains(&(1, "moon_phase".to_owned())));
    scene.end();
}

#[test]
fn an_update_that_comes_again_is_acknowledged_and_not_handled_again() {
    let scene = Scene::new(|webhook| webhook);
    let update = post("/telegram", SECRET, text_update(1, 7, "once").as_bytes());

    for _ in 0..3 {
        assert_eq!(scene.send(&update).status, 200);
    }
    assert_eq!(
        scene
            .send(&post("/telegram", SECRET, text_update(2, 7, "two").as_bytes()))
            .status,
        200
    );

    assert_eq!(scene.handled_ids(2), [1, 2]);
    let counts = scene.counts();
    assert_eq!((counts.accepted, counts.duplicates), (2, 2));
    scene.end();
}

/// The client hangs up the moment its request is written: the update gets in once, whether it was seen or not.
#[test]
fn a_client_that_hangs_up_early_neither_loses_nor_doubles_an_update() {
    let scene = Scene::new(|webhook| webhook);
    let update = |id| post("/telegram", SECRET, text_update(id, id, "hello").as_bytes());

    for id in 1..=100 {
        let mut wire = Wire::open(scene.host.address).unwrap();
        wire.write(&update(id)).unwrap();
    }
    // Nothing was acknowledged, so all come again.
    for id in 1..=100 {
        assert_eq!(scene.send(&update(id)).status, 200);
    }

    assert_eq!(scene.handled_ids(100), (1..=100).collect::<Vec<_>>());
    let counts = scene.counts();
    assert_eq!(counts.accepted, 100);
    scene.end();
}

#[test]
fn only_telegrams_networks_get_in_when_that_is_asked_for() {
    let update = text_update(1, 7, "hello");
    let from = |address: &str| {
        let headers = [
            ("x-telegram-bot-api-secret-token", SECRET),
            ("x-forwarded-for", address),
        ];
        request("POST", "/telegram", &headers, update.as_bytes())
    };

    let direct = Scene::new(Webhook::only_from_telegram);
    assert_eq!(
        direct.send(&from("149.154.160.1")).status,
        403,
        "anybody can write that header"
    );
    assert_eq!(direct.counts().refused.wrong_network, 1);
    direct.end();

    let behind_proxy = Scene::new(|webhook| webhook.only_from_telegram_by_header("X-Forwarded-For"));
    assert_eq!(behind_proxy.send(&from("10.0.0.1")).status, 403);
    assert_eq!(behind_proxy.send(&from("10.0.0.1, 149.154.160.1")).status, 200);
    behind_proxy.end();
}

/// Two bots and the routes of the host live beside each other, below scopes of the host.
#[test]
fn two_bots_and_the_routes_of_the_host_share_one_application() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Log::new(), Log::new());
    let start = |name: &str, handled: &Handled| {
        noting(stage.actogram(), handled)
            .journal(folder.path().join(name))
            .spawn_webhook(Webhook::new(format!("{SECRET}-{name}")).path(format!("/{name}")))
            .unwrap()
    };
    let (first_bot, first_route) = start("first", &first);
    let (second_bot, second_route) = start("second", &second);
    let host = Host::start(move |config| {
        config.route(
            "/",
            web::get().to(|| async { HttpResponse::Ok().body("the host") }),
        );
        config.service(
            web::scope("/bots")
                .service(first_route.clone())
                .configure(second_route.config()),
        );
    });
    let post_to = |name: &str, secret: &str, id| {
        let path = format!("/bots/{name}");
        let secret = format!("{SECRET}-{secret}");
        Wire::once(
            host.address,
            &post(&path, &secret, text_update(id, 7, "x").as_bytes()),
        )
        .status
    };

    assert_eq!(
        Wire::once(host.address, &request("GET", "/", &[], b"")).body,
        "the host"
    );
    assert_eq!(post_to("first", "first", 1), 200);
    assert_eq!(post_to("second", "second", 2), 200);
    assert_eq!(post_to("first", "second", 3), 403, "each has a secret of its own");
    until_blocking("both are handled", || first.len() + second.len() == 2);
    assert!(wait_blocking(first_bot.shutdown()).unwrap().is_clean());
    assert_eq!(post_to("first", "first", 4), 503);
    assert_eq!(post_to("second", "second", 5), 200, "one stops without the other");
    assert_eq!(
        Wire::once(host.address, &request("GET", "/", &[], b"")).status,
        200
    );

    until_blocking("the last is handled", || second.len() == 2);
    host.stop();
    assert!(wait_blocking(second_bot.shutdown()).unwrap().is_clean());
    assert_eq!(first.all()[0].0, 1);
}

#[test]
fn a_paused_bot_leaves_updates_to_the_server() {
    let scene = Scene::new(|webhook| webhook);
    let update = post("/telegram", SECRET, text_update(1, 7, "hello").as_bytes());

    wait_blocking(scene.bot.pause()).unwrap();
    let answer = scene.send(&update);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(scene.counts().refused.closed, 1);
    wait_blocking(scene.bot.resume()).unwrap();

    assert_eq!(scene.send(&update).status, 200);
    assert_eq!(scene.handled_ids(1), [1]);
    scene.end();
}

#[test]
fn the_secret_is_not_written_to_the_journal() {
    let scene = Scene::new(|webhook| webhook);
    assert_eq!(
        scene
            .send(&post("/telegram", SECRET, text_update(1, 7, "x").as_bytes()))
            .status,
        200
    );

    for entry in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!contains(&bytes, SECRET.as_bytes()));
    }
    scene.end();
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
