//! A webhook as a bot would have it, whose answers the test decides.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;
use tokio::sync::watch;

use crate::support::PATIENCE;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The address of the other side, which tells connections apart.
    pub(crate) peer: String,
    /// `None` when the body did not arrive as a whole.
    pub(crate) update: Option<Value>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn id(&self) -> i64 {
        self.update.as_ref().unwrap()["update_id"].as_i64().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        self.update.as_ref().unwrap()["message"]["text"].as_str().unwrap()
    }
}

/// What the webhook says.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Says {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }

    pub(crate) fn body(content_type: &str, body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..Self::status(200).with("Content-Type", content_type)
        }
    }
}

#[derive(Default)]
struct Notes {
    seen: Vec<Seen>,
    answers: VecDeque<Says>,
    in_flight: usize,
    most_in_flight: usize,
}

struct State {
    notes: Mutex<Notes>,
    changed: Condvar,
    /// Requests whose text is in the list wait for it to leave; `*` means every request.
    held: watch::Sender<Vec<String>>,
}

/// The running webhook; it ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    port: u16,
    state: Arc<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            notes: Mutex::default(),
            changed: Condvar::new(),
            held: watch::Sender::new(Vec::new()),
        });
        let (handle, thread) = serve(listener, state.clone());
        Self {
            url: format!("http://127.0.0.1:{port}/hook"),
            port,
            state,
            handle,
            thread: Some(thread),
        }
    }

    /// Dies, whatever is in flight, and comes back on the same port.
    pub(crate) fn restart(&mut self) {
        self.end();
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let (handle, thread) = serve(listener, self.state.clone());
        self.handle = handle;
        self.thread = Some(thread);
    }

    fn end(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Decides the next answers; after them everything is answered 200.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Says>) {
        self.state.notes.lock().unwrap().answers.extend(answers);
    }

    /// Lets requests with this text wait, `*` every request.
    pub(crate) fn hold(&self, text: &str) {
        self.state.held.send_modify(|held| held.push(text.to_owned()));
    }

    /// Lets everything go that waits.
    pub(crate) fn release(&self) {
        self.state.held.send_modify(Vec::clear);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.notes.lock().unwrap().seen.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.text().to_owned()).collect()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state.notes.lock().unwrap().in_flight
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.state.notes.lock().unwrap().most_in_flight
    }

    /// Waits until so many requests have come.
    pub(crate) fn until_seen(&self, count: usize) -> Vec<Seen> {
        let ends = Instant::now() + PATIENCE;
        let mut notes = self.state.notes.lock().unwrap();
        while notes.seen.len() < count {
            let left = ends.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{count} requests do not come: {:?}", notes.seen);
            notes = self.state.changed.wait_timeout(notes, left).unwrap().0;
        }
        notes.seen.clone()
    }
}

/// Starts the server on a thread of its own.
fn serve(listener: TcpListener, state: Arc<State>) -> (ServerHandle, JoinHandle<()>) {
    let (started, handle) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::from(state.clone()))
                    .default_service(web::to(receive))
            })
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
            started.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    (handle.recv().unwrap(), thread)
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.release();
        self.end();
    }
}

/// Counts a request until it is answered, or until its connection ends.
struct InFlight(web::Data<State>);

impl InFlight {
    fn begin(state: &web::Data<State>) -> Self {
        let mut notes = state.notes.lock().unwrap();
        notes.in_flight += 1;
        notes.most_in_flight = notes.most_in_flight.max(notes.in_flight);
        Self(state.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.notes.lock().unwrap().in_flight -= 1;
        self.0.changed.notify_all();
    }
}

async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let _in_flight = InFlight::begin(&state);
    let body = payload.to_bytes().await.ok();
    let update: Option<Value> = body.and_then(|body| serde_json::from_slice(&body).ok());
    let text = update
        .as_ref()
        .and_then(|update| update["message"]["text"].as_str())
        .unwrap_or_default()
        .to_owned();
    let headers = request.headers().iter();
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        peer: request.peer_addr().unwrap().to_string(),
        update,
    };
    let answer = {
        let mut notes = state.notes.lock().unwrap();
        notes.seen.push(seen);
        notes.answers.pop_front()
    };
    state.changed.notify_all();
    let is_free = |held: &Vec<String>| !held.iter().any(|name| *name == text || name == "*");
    let mut held = state.held.subscribe();
    held.wait_for(is_free).await.unwrap();

    let says = answer.unwrap_or_else(|| Says::status(200));
    let mut response = HttpResponse::build(says.status.try_into().unwrap());
    for (name, value) in says.headers {
        response.insert_header((name, value));
    }
    response.body(says.body)
}
