//! Chromium, driven through the DevTools protocol over two pipes.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// Chromium with one tab.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// What the page complained about: exceptions, and what breaks the content security policy.
    pub(crate) complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium; `None` when this machine is excused.
    pub(crate) fn start() -> Option<Self> {
        if env::var_os("ACTOGRAM_WITHOUT_CHROMIUM").is_some() {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        // The protocol is spoken on the descriptors 3 and 4, which the shell makes of its own input and output.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#)
            .arg("chromium")
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-gpu",
            ])
            // Tests run as root in containers, and show nothing but pages of our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-extensions"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (give, answers) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(1..)) {
                message.pop();
                let Ok(parsed) = serde_json::from_slice(&message) else {
                    return;
                };
                if give.send(parsed).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            orders,
            answers,
            last_id: 0,
            session: None,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.call(domain, &json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut order = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).unwrap();
        loop {
            let answer = self.answers.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!(
                    "chromium does not answer {method} ({error}): is it installed? scripts/test.sh does that"
                )
            });
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(event["params"].to_string()),
            Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                self.complaints.push(event["params"]["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Sets the size of the window in CSS pixels, and forgets what was complained about.
    pub(crate) fn open(&mut self, url: &str, (width, height): (u32, u32)) {
        let mobile = width < 600;
        let scale = if mobile { 2 } else { 1 };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile }),
        );
        self.call("Page.navigate", &json!({ "url": url }));
        self.until("document.readyState === 'complete'", "the page is there");
        self.complaints.clear();
    }

    /// Returns the value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let result = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str, what: &str) {
        let started = Instant::now();
        while self.value(expression) != json!(true) {
            assert!(
                started.elapsed() < PATIENCE,
                "waited too long until {what}; the page says: {}",
                self.value("document.body.innerText")
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the text that is visible in the elements of a selector.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let value = self.value(&format!(
            "[...document.querySelectorAll({selector:?})].map((e) => e.innerText).join('\\n')"
        ));
        value.as_str().unwrap().to_owned()
    }

    /// Presses the button with this label, in the first element of the selector that has one.
    pub(crate) fn press(&mut self, within: &str, label: &str) {
        let find = format!(
            "[...document.querySelectorAll({:?})].find((b) => b.textContent === {label:?} && !b.hidden)",
            format!("{within} button")
        );
        self.until(
            &format!("!!{find} && !{find}.disabled"),
            &format!("{label:?} can be pressed"),
        );
        self.value(&format!("{find}.click()"));
    }

    /// Keeps a picture of the whole page when somebody wants one.
    pub(crate) fn keep_picture(&mut self, name: &str) {
        let Some(folder) = env::var_os("ACTOGRAM_SCREENSHOTS") else {
            return;
        };
        let picture = self.call(
            "Page.captureScreenshot",
            &json!({ "captureBeyondViewport": true }),
        );
        let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
