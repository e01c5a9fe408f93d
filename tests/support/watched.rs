//! A web server with the monitor of a bot, and what a client sees of it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{collections::BTreeMap, time::Instant};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode, header::HeaderMap},
};
use actogram::{BotHandle, monitor::Monitor};
use serde_json::Value;

use crate::support::PATIENCE;

/// A server on this machine with the monitor of a bot at `/bot`.
pub(crate) struct Watched {
    pub(crate) url: String,
    server: ServerHandle,
}

/// What the server said.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Watched {
    /// Starts the server in this actix system.
    pub(crate) fn start(monitor: impl Fn() -> Monitor + Clone + Send + 'static) -> Self {
        Self::start_on("127.0.0.1:0", monitor)
    }

    /// As [`start`](Self::start), where another one was before.
    pub(crate) fn start_on(address: &str, monitor: impl Fn() -> Monitor + Clone + Send + 'static) -> Self {
        let server = HttpServer::new(move || App::new().service(monitor()))
            .workers(1)
            .disable_signals()
            .bind(address)
            .unwrap();
        let url = format!("http://{}/bot", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, server: handle }
    }

    pub(crate) fn of(bot: &BotHandle) -> Self {
        let bot = bot.clone();
        Self::start(move || actogram::monitor::scope("/bot", bot.clone()))
    }

    /// Returns the address and port of the server.
    pub(crate) fn address(&self) -> String {
        let address = self.url.trim_start_matches("http://");
        address.trim_end_matches("/bot").to_owned()
    }

    /// Ends the server, and keeps its address.
    pub(crate) async fn go_down(&self) {
        self.server.stop(false).await;
    }

    pub(crate) async fn stop(self) {
        self.go_down().await;
    }

    /// Makes a request with headers and a body.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Said {
        let mut request = client().request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let mut answer = request.send_body(body.to_owned()).await.unwrap();
        let text = String::from_utf8(answer.body().limit(8 << 20).await.unwrap().to_vec()).unwrap();
        Said {
            status: answer.status(),
            headers: answer.headers().clone(),
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        self.request(Method::GET, path, &[], "").await
    }

    /// Changes something as the owner does.
    pub(crate) async fn post(&self, path: &str) -> Said {
        self.request(Method::POST, path, &[("x-actogram", "test")], "")
            .await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &str) -> Said {
        let headers = [("x-actogram", "test"), ("content-type", "application/json")];
        self.request(Method::POST, path, &headers, body).await
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(&self, path: &str, what: &str, holds: impl Fn(&Said) -> bool) -> Said {
        let started = Instant::now();
        loop {
            let said = self.get(path).await;
            if holds(&said) {
                return said;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "waited too long until {what}: {} {}",
                said.status,
                said.text
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Returns the metrics, by name and labels.
    pub(crate) async fn metrics(&self) -> BTreeMap<String, f64> {
        parse(&self.get("/metrics").await.text)
    }
}

pub(crate) fn client() -> awc::Client {
    awc::Client::builder()
        .timeout(PATIENCE)
        .disable_redirects()
        .finish()
}

/// Reads the text format of Prometheus as strictly as its server does, and some more: every sample belongs to the family
/// whose lines it follows, and nothing comes twice.
pub(crate) fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let (mut family, mut kind) = ("", "");
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a name and a help").0;
            continue;
        }
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, declared) = declared.split_once(' ').expect("a name and a kind");
            assert_eq!(name, family, "{line}");
            kind = declared;
            continue;
        }
        let (key, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = key.split_once('{').expect("labels");
        let base = match kind {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .expect("a part of a histogram"),
            "counter" | "gauge" => name,
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(base, family, "{line}");
        for label in labels
            .strip_suffix('}')
            .expect("the end of the labels")
            .split(',')
        {
            let (_, value) = label.split_once('=').expect("a label");
            assert!(
                value.len() > 2 && value.starts_with('"') && value.ends_with('"'),
                "{line}"
            );
        }
        assert!(
            found.insert(key.to_owned(), value.parse().unwrap()).is_none(),
            "{line} comes twice"
        );
    }
    found
}
