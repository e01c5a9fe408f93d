//! `run_webhook`: the bot has an HTTP server of its own, stopped by signals, with TLS or without.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
mod webhook_poster;

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use actix_web::http::{Method, StatusCode, Version};
use actogram::{Bot, Context, Error, Webhook, WebhookError};
use actogram_simulator::Fault;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rustix::process::Signal;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use support::{Log, Program, Stage, on_actix, sharing, until_blocking, until_snapshot};
use webhook_poster::{
    SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Wire, post},
};

async fn ignore(_: Context) {}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts the example and waits until it listens.
fn start(stage: &Stage, address: SocketAddr, change: impl FnOnce(&mut Command)) -> Program {
    let program = stage.run_example_with("webhook", |command| {
        command
            .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
            .env("ADDRESS", address.to_string());
        change(command);
    });
    until_blocking("it listens", || TcpStream::connect(address).is_ok());
    program
}

#[test]
fn a_signal_finishes_what_runs_and_leaves_the_webhook_set() {
    let stage = Stage::lenient();
    let ann = stage.bot.user("Ann");
    ann.say("/start");
    stage
        .bot
        .fault(Fault::DelayProcessing(Duration::from_millis(300)).on("sendMessage"));
    let address = free_address();
    let program = start(&stage, address, |command| {
        command.env("TELEGRAM_WEBHOOK_URL", "https://bots.example.org/telegram");
    });
    // A stop sets no webhook any more.
    until_blocking("it is set", || program.printed().contains("webhook is set"));
    let update = text_update(1, ann.chat_id(), "hello");
    let request = thread::spawn(move || Wire::once(address, &post("/telegram", SECRET, update.as_bytes())));
    stage.until_blocking("the handler is in its send", |view| view.faults_left() == 0);

    program.signal(Signal::TERM);

    assert_eq!(request.join().unwrap().status, 200);
    let (status, printed) = program.wait();
    assert!(status.success(), "{printed}");
    assert_eq!(ann.heard(), ["hello"]);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    // The server would refuse a poll.
    let polled = on_actix(stage.call("getUpdates", &serde_json::json!({})));
    assert_eq!(polled, 409, "the webhook is still set");
    stage.expect_violation("poll_while_webhook_set");
}

#[test]
fn it_serves_its_route_and_nothing_else() {
    let stage = Stage::lenient();
    let address = free_address();
    let program = start(&stage, address, |_| {});

    let update = text_update(1, 7, "hello");
    for path in [
        "/",
        "/telegram/",
        "/telegramm",
        "/telegram/../telegram",
        "//telegram",
    ] {
        let answer = Wire::once(address, &post(path, SECRET, update.as_bytes()));
        assert_eq!(answer.status, 404, "{path}");
    }
    let query = post(
        "/telegram?x=1",
        "wrong-secret-of-the-right-size",
        update.as_bytes(),
    );
    assert_eq!(Wire::once(address, &query).status, 403);
    // Nor does it listen to who goes on sending there.
    let mut wire = Wire::open(address).unwrap();
    wire.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    assert_eq!(wire.read().unwrap().status, 404);
    assert!(wire.is_closed());
    program.signal(Signal::INT);
    assert!(program.wait().0.success());
}

#[test]
fn a_refusal_of_the_server_ends_it_with_what_the_server_said_and_frees_the_address() {
    let stage = Stage::lenient();
    let address = free_address();

    let program = stage.run_example_with("webhook", |command| {
        command
            .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
            .env("TELEGRAM_WEBHOOK_URL", "http://bots.example.org/telegram")
            .env("ADDRESS", address.to_string());
    });
    let (status, printed) = program.wait();

    assert!(!status.success(), "{printed}");
    assert!(
        printed.contains("register(..)") && printed.contains("An HTTPS URL must be provided"),
        "{printed}"
    );
    assert!(TcpListener::bind(address).is_ok());
}

#[test]
fn an_address_that_is_no_text_is_not_passed_over() {
    let stage = Stage::lenient();

    let program = stage.run_example_with("webhook", |command| {
        command
            .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
            .env("TELEGRAM_WEBHOOK_URL", OsStr::from_bytes(b"https://\xff"))
            .env("ADDRESS", "127.0.0.1:0");
    });
    let (status, printed) = program.wait();

    assert!(!status.success());
    assert!(printed.contains("TELEGRAM_WEBHOOK_URL"), "{printed}");
}

#[test]
fn without_a_secret_it_says_what_to_do() {
    let stage = Stage::lenient();

    let (status, printed) = stage.run_example("webhook").wait();

    assert!(!status.success());
    assert_eq!(
        printed.trim(),
        "Error: no webhook secret: make one up (`openssl rand -hex 16`) and set TELEGRAM_WEBHOOK_SECRET to it"
    );
}

/// Returns the settings of a client that trusts this certificate and nobody else.
fn trusting(certificate: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[test]
fn it_serves_https_with_the_files_it_is_given() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let address = free_address();
    let program = start(&stage, address, |command| {
        command.env("TLS_CERTIFICATE", &certificate).env("TLS_KEY", &key);
    });

    let config = trusting(pair.cert.der());
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    // An update without a text: the echo has nothing to say, so it is handled at once.
    stream
        .write_all(&post("/telegram", SECRET, br#"{"update_id":1}"#))
        .unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();

    assert_eq!(&head, b"HTTP/1.1 200 OK");
    drop(stream);
    program.signal(Signal::TERM);
    assert!(program.wait().0.success());
}

/// Over TLS a client may choose HTTP/2. What is answered is the same.
#[test]
fn over_http_2_everything_gets_the_same_status() {
    let (stage, handled) = (Stage::lenient(), Log::new());
    let (bot, route) = stage
        .actogram()
        .handlers(sharing(
            handled.clone(),
            |handled: Log<i64>, ctx: Context| async move { handled.add(ctx.update().id()) },
        ))
        .spawn_webhook(Webhook::new(SECRET).body_timeout(Duration::from_millis(200)))
        .unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    let host = Host::start_secure(tls, mounting(route));
    let mut config = trusting(pair.cert.der());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let url = format!("https://localhost:{}/telegram", host.address.port());

    on_actix(async {
        let connector = awc::Connector::new().rustls_0_23(Arc::new(config));
        let client = awc::Client::builder().connector(connector).finish();
        let to = |method: Method, secret: &str| {
            client
                .request(method, &url)
                .insert_header(("x-telegram-bot-api-secret-token", secret))
        };
        let body = text_update(1, 7, "hello");

        let good = to(Method::POST, SECRET).send_body(body.clone()).await.unwrap();
        assert_eq!((good.status(), good.version()), (StatusCode::OK, Version::HTTP_2));
        let wrong = to(Method::POST, "x").send_body(body).await.unwrap();
        assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
        let get = to(Method::GET, SECRET).send().await.unwrap();
        assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
        let nonsense = to(Method::POST, SECRET).send_body("{").await.unwrap();
        assert_eq!(nonsense.status(), StatusCode::BAD_REQUEST);
        // This client may take an answer that comes before the end of its body for an error.
        let _ = to(Method::POST, SECRET).send_body(vec![b' '; 2 << 20]).await;
        let endless = stream::iter(0..64).map(|_| Ok::<_, io::Error>(Bytes::from(vec![b' '; 32 << 10])));
        let _ = to(Method::POST, SECRET).send_stream(endless).await;
        let asked = bot.clone();
        let late = stream::once(async move {
            until_snapshot(&asked, "it is given up", |snapshot| {
                snapshot.webhook.as_ref().unwrap().refused.too_slow == 1
            })
            .await;
            Ok::<_, io::Error>(Bytes::new())
        });
        let _ = to(Method::POST, SECRET).send_stream(Box::pin(late)).await;
        let refused = bot.snapshot().await.unwrap().webhook.unwrap().refused;
        assert_eq!((refused.too_large, refused.too_slow), (2, 1));
    });

    assert_eq!(handled.all(), [1]);
    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());
    host.stop();
}

#[test]
fn a_second_signal_ends_the_drain_and_whoever_waits_is_told() {
    let stage = Stage::lenient();
    let ann = stage.bot.user("Ann");
    ann.say("/start");
    stage.bot.fault(Fault::Stall.on("sendMessage"));
    let address = free_address();
    let mut program = start(&stage, address, |_| {});
    let update = text_update(1, ann.chat_id(), "hello");
    let stuck = thread::spawn(move || Wire::once(address, &post("/telegram", SECRET, update.as_bytes())));
    stage.until_blocking("the handler is in its send", |view| view.faults_left() == 0);

    program.signal(Signal::TERM);
    // Not one twice: what has been handled is acknowledged again.
    let mut ids = 2..;
    until_blocking("it drains", || {
        let other = post(
            "/telegram",
            SECRET,
            text_update(ids.next().unwrap(), 8, "hi").as_bytes(),
        );
        Wire::once(address, &other).status == 503
    });
    assert!(program.runs() && !stuck.is_finished());
    program.signal(Signal::INT);

    assert_eq!(stuck.join().unwrap().status, 503);
    let (status, printed) = program.wait();
    assert_eq!(
        status.code(),
        Some(i32::from(actogram::BotReport::EXIT_UNFINISHED)),
        "{printed}"
    );
}

/// Returns the error of a bot that cannot serve.
async fn failing(stage: &Stage, webhook: Webhook, address: SocketAddr, journal: &Path) -> Error {
    let bot: Bot = stage.actogram().journal(journal);
    bot.handlers(|| ignore)
        .run_webhook(webhook, address)
        .await
        .unwrap_err()
}

#[test]
fn bad_files_and_addresses_are_reported_before_anything_is_started() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let path = |name: &str| folder.path().join(name);
        let pair = |name: &str| {
            let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            fs::write(path(&format!("{name}.cert")), pair.cert.pem()).unwrap();
            fs::write(path(&format!("{name}.key")), pair.signing_key.serialize_pem()).unwrap();
        };
        pair("one");
        pair("two");
        fs::write(path("text"), "no certificate").unwrap();
        let journal = path("bot.db");
        let with = |certificate: &str, key: &str| Webhook::new(SECRET).tls(path(certificate), path(key));

        for (webhook, words) in [
            (with("missing", "one.key"), "cannot read"),
            (with("one.cert", "missing"), "cannot read"),
            (with("text", "one.key"), "no certificate in PEM"),
            (with("one.key", "one.key"), "no certificate in PEM"),
            (with("one.cert", "one.cert"), "no private key in PEM"),
            (with("one.cert", "two.key"), "do not fit"),
        ] {
            let error = failing(&stage, webhook, free_address(), &journal).await;
            let shown = format!("{error:?}");
            assert!(shown.contains(words), "{shown}");
        }
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = failing(&stage, Webhook::new(SECRET), address, &journal).await;
        assert!(
            matches!(error, Error::Webhook(WebhookError::Listen(_))),
            "{error:?}"
        );
        assert!(!journal.exists(), "nothing was started");
    });
}
