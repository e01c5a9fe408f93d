//! The token shows in no error and in no log line, of ours or of the HTTP client's, at any level.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    error::Error,
    fmt::Write as _,
    io,
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use actogram::api::{Api, ApiError, MultipartForm, Pacing, Progress};
use frankenstein::types::File;
use scripted_server::{Reply, SECRET, ScriptedServer, config_for, error, flood_wait, ok, raw, token};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

/// Everything logged through either facade, one text.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(
            LOGGED.lock().unwrap(),
            "{} {} {}",
            record.level(),
            record.target(),
            record.args()
        )
        .unwrap();
    }

    fn flush(&self) {}
}

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Listener {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

fn logged() -> MutexGuard<'static, String> {
    LOGGED.lock().unwrap()
}

/// Display and Debug of an error and of all its causes.
fn everything_shown(error: &ApiError) -> String {
    let mut shown = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        writeln!(shown, "{error}\n{error:?}\n{error:#?}").unwrap();
        next = error.source();
    }
    shown
}

fn assert_secret_free(text: &str, origin: &str) {
    assert!(!text.contains(SECRET), "{origin} shows the token");
}

/// The reply for each method name, so that one server provokes every outcome.
fn reply(method: &str) -> Reply {
    let quoting = format!("no route /bot123456:{SECRET}/x, nor /bot123456%3A{SECRET}/x");
    match method {
        "refused" => error(404, &quoting),
        "conflict" => error(409, &quoting),
        "broken" => error(500, &quoting),
        "garbage" => raw("200 OK\r\ncontent-length: 100", &quoting),
        "nothttp" => Reply::Raw(quoting.into_bytes()),
        "html" => raw("502 Bad Gateway\r\ncontent-length: 200", &quoting),
        "redirect" => raw(
            &format!("302 Found\r\nlocation: /bot123456:{SECRET}/y\r\ncontent-length: 0"),
            "",
        ),
        "closed" => Reply::Close,
        "large" => raw("200 OK\r\ncontent-length: 99999999", ""),
        "flood" => flood_wait(3600),
        "getme" => ok(&format!("{{\"id\":\"{quoting}\"}}")),
        "stalled" => Reply::Stall(std::sync::mpsc::channel().0),
        _ => ok("true"),
    }
}

#[actix::test]
async fn the_token_shows_nowhere() {
    log::set_boxed_logger(Box::new(Listener)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(Listener);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let server = ScriptedServer::start(|request| reply(&request.method));
    let api = server.api();
    let mut errors = Vec::new();

    for method in [
        "refused", "conflict", "broken", "garbage", "nothttp", "html", "redirect", "closed", "large",
        "flood", "flood",
    ] {
        errors.push(api.call_raw(method, &json!({}), None).await.unwrap_err());
    }
    errors.push(
        api.call_raw("stalled", &json!({}), Some(Duration::from_millis(50)))
            .await
            .unwrap_err(),
    );
    errors.push(api.get_me().await.unwrap_err());
    errors.push(frankenstein::AsyncTelegramApi::get_me(&api).await.unwrap_err());
    errors.push(api.call_raw("no method", &json!({}), None).await.unwrap_err());
    errors.push(api.call_raw("getMe", &json!([]), None).await.unwrap_err());
    let missing = MultipartForm::new().file("photo", "/missing/file");
    errors.push(api.call_form("sendPhoto", missing, None).await.unwrap_err());
    for url in [
        unused_address("http"),
        unused_address("https"),
        "http://bot-api.invalid".to_owned(),
    ] {
        errors.push(Api::start(config_for(&url)).get_me().await.unwrap_err());
    }
    let plain = server
        .config()
        .server(format!("https://{}", server.address()).parse().unwrap());
    errors.push(Api::start(plain).get_me().await.unwrap_err());
    let file = |path: &str| {
        File::builder()
            .file_id("id")
            .file_unique_id("unique")
            .file_path(path)
            .build()
    };
    for path in ["refused", "/absolute", "closed"] {
        errors.push(api.download(&file(path)).await.unwrap_err());
    }
    api.call_raw("fine", &json!({}), None).await.unwrap();
    errors.push(api.download_to(&file("closed"), "/missing/a").await.unwrap_err());
    let stream = api.download_stream(&file("documents/fine")).await;
    let values = format!(
        "{:?} {:?} {:?} {:?}",
        api.stats().await.unwrap(),
        stream,
        api.paced(Pacing::bulk()),
        Progress::default()
    );
    assert_secret_free(&values, "a value");
    let narrow = Api::start(server.config().max_waiting(0, 0).max_connections(1));
    let (first, second) = tokio::join!(narrow.get_me(), narrow.get_me());
    errors.extend(first.err());
    errors.extend(second.err());

    for error in &errors {
        assert_secret_free(&everything_shown(error), "an error");
    }
    assert_secret_free(
        &format!("{:?} {} {api:?} {:?}", token(), token(), server.config()),
        "a value",
    );
    let logged = logged().clone();
    for target in ["actogram::api", "actix_tls::connect"] {
        assert!(
            logged.contains(target),
            "nothing was captured of {target}: {logged}"
        );
    }
    assert_secret_free(&logged, "a log line");
    // Our own lines may quote the server, redacted; the HTTP client's must not even show the path.
    let foreign = logged
        .lines()
        .find(|line| line.contains("/bot") && !line.contains("actogram::api"));
    assert_eq!(foreign, None, "shows a request path");
}

fn unused_address(scheme: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("{scheme}://{}", listener.local_addr().unwrap())
}
