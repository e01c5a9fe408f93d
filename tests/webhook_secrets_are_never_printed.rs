//! Whatever a webhook meets and whoever logs at whatever level: its secret and the token show nowhere. In a test binary of
//! its own, because loggers and panic hooks belong to the whole process.

#![allow(clippy::unwrap_used, reason = "test code")]

mod scripted_server;
mod support;
mod webhook_poster;

use std::{fmt::Write as _, io, panic, sync::Mutex};

use actogram::{Bot, Context, Webhook, api::Server};
use scripted_server::{ScriptedServer, error, ok};
use support::{on_actix, until};
use tracing_subscriber::fmt::MakeWriter;
use webhook_poster::{
    SECRET,
    host::{Host, mounting},
    text_update,
    wire::{Wire, post, request},
};

/// Everything that was logged through either facade, or printed by a panic.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(LOGGED.lock().unwrap(), "{} {}", record.target(), record.args()).unwrap();
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

fn listen() {
    log::set_boxed_logger(Box::new(Listener)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(Listener);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        writeln!(LOGGED.lock().unwrap(), "{info}").unwrap();
    }));
}

async fn ignore(_: Context) {}

#[test]
fn whatever_a_webhook_meets_it_keeps_its_secrets() {
    listen();
    let mut shown = String::new();
    on_actix(async {
        let quote = format!("no: {}", scripted_server::SECRET);
        // The server quotes the token: first as a problem of its own, then as a refusal.
        let server = ScriptedServer::start({
            let calls = std::sync::atomic::AtomicUsize::new(0);
            move |request| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                _ if request.method == "getwebhookinfo" => ok("true"),
                0..4 => error(500, &quote),
                _ => error(400, &quote),
            }
        });
        let bot = || {
            Bot::new(format!("123456:{}", scripted_server::SECRET))
                .server(Server::parse(&format!("http://{}", server.address())).unwrap())
                .direct()
                .handlers(|| ignore)
        };
        let webhook = || Webhook::new(SECRET);
        writeln!(shown, "{:?}", webhook().register("https://example.org/")).unwrap();
        let refused = bot()
            .start_webhook(webhook().register("https://example.org/"))
            .await
            .unwrap_err();
        writeln!(shown, "{refused} {refused:?} {refused:#?}").unwrap();
        assert!(server.requests().len() > 4, "both answers were met");

        let (handle, route) = bot().start_webhook(webhook()).await.unwrap();
        writeln!(shown, "{route:?} {handle:?}").unwrap();
        let host = Host::start(mounting(route));
        let address = host.address;
        let posts = std::thread::spawn(move || {
            let update = text_update(1, 7, "hello");
            let headers = [("x-telegram-bot-api-secret-token", SECRET)];
            for (request, status) in [
                (post("/telegram", SECRET, update.as_bytes()), 200),
                (post("/telegram", &format!("{SECRET}x"), update.as_bytes()), 403),
                (post("/telegram", SECRET, SECRET.as_bytes()), 400),
                (request("GET", "/telegram", &headers, b""), 405),
                (post("/elsewhere", SECRET, update.as_bytes()), 404),
            ] {
                assert_eq!(Wire::once(address, &request).status, status);
            }
        });
        until("all are answered", || posts.is_finished()).await;
        posts.join().unwrap();
        writeln!(shown, "{:?}", handle.snapshot().await.unwrap()).unwrap();
        writeln!(shown, "{:?}", handle.shutdown().await.unwrap()).unwrap();
        actix_rt::task::spawn_blocking(|| host.stop()).await.unwrap();
    });

    let logged = LOGGED.lock().unwrap().clone();
    assert!(
        logged.contains("webhook request was not acknowledged"),
        "{logged}"
    );
    for secret in [SECRET, scripted_server::SECRET] {
        assert!(!shown.contains(secret), "{shown}");
        let lines: Vec<_> = logged.lines().filter(|line| line.contains(secret)).collect();
        assert_eq!(lines, [] as [&str; 0]);
    }
}
