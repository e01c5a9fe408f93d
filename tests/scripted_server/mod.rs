//! A small HTTP server on loopback that answers as a test tells it, with one thread per connection.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use actogram::api::{Api, ApiConfig, Server, Token};

/// Bound of every wait in these tests. It only matters when a test fails.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

pub(crate) const MESSAGE: &str = r#"{"message_id":1,"date":2,"chat":{"id":7,"type":"private"},"text":"hi"}"#;

/// A request that has been read completely.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Bot API method, the last segment of the path.
    pub(crate) method: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Number of the connection, counted from 0.
    pub(crate) connection: usize,
}

impl Request {
    pub(crate) fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// Answers with a JSON body and keeps the connection.
    Json(u16, String),
    /// Answers as `Json`, closes the connection and reports that.
    JsonThenClose(u16, String, mpsc::Sender<()>),
    /// As `JsonThenClose`, but closes only when the gate is opened.
    JsonThenGate(u16, String, Arc<Mutex<mpsc::Receiver<()>>>, mpsc::Sender<()>),
    /// Writes the bytes as they are and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection without an answer.
    Close,
    /// Never answers; reports when the client closes the connection.
    Stall(mpsc::Sender<()>),
    /// Answers as `Json` once the gate is opened by dropping or using its sender.
    Gate(Arc<Mutex<mpsc::Receiver<()>>>, u16, String),
    /// Announces a body of this length, writes each piece that comes, and closes the connection when no more do.
    Pieces(u64, Arc<Mutex<mpsc::Receiver<Vec<u8>>>>),
}

pub(crate) fn ok(result: &str) -> Reply {
    Reply::Json(200, format!(r#"{{"ok":true,"result":{result}}}"#))
}

pub(crate) fn error(code: u16, description: &str) -> Reply {
    Reply::Json(
        code,
        format!(r#"{{"ok":false,"error_code":{code},"description":"{description}"}}"#),
    )
}

pub(crate) fn flood_wait(secs: u64) -> Reply {
    Reply::Json(
        429,
        format!(
            r#"{{"ok":false,"error_code":429,"description":"Too Many Requests: retry after {secs}",
                "parameters":{{"retry_after":{secs}}}}}"#
        ),
    )
}

pub(crate) fn raw(head: &str, body: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes())
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

pub(crate) struct ScriptedServer {
    url: String,
    seen: Arc<Seen>,
}

impl ScriptedServer {
    /// Starts a server that asks `script` for every request.
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// As [`start`](Self::start), at a certain address.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listening(TcpListener::bind(address).unwrap(), script)
    }

    fn listening(listener: TcpListener, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let (script, shared) = (Arc::new(script), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&shared));
                let connection = seen.connections.fetch_add(1, Ordering::SeqCst);
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_open.fetch_max(open, Ordering::SeqCst);
                thread::spawn(move || {
                    // A client that breaks off is part of some tests.
                    let _ = serve(stream.unwrap(), connection, &*script, &seen);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, seen }
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.seen.requests.lock().unwrap()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Most connections that were open at once.
    pub(crate) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn config(&self) -> ApiConfig {
        config_for(&self.url)
    }

    pub(crate) fn api(&self) -> Api {
        Api::start(self.config())
    }
}

/// A clock that stands still but for [`turn`](Self::turn), although real sockets are waited for.
pub(crate) struct HandTurnedClock {
    _release: mpsc::Sender<()>,
}

impl HandTurnedClock {
    pub(crate) fn stop() -> Self {
        tokio::time::pause();
        // A paused clock jumps to the next timer whenever nothing else is to do, except while blocking work runs.
        let (release, work) = mpsc::channel();
        drop(tokio::task::spawn_blocking(move || work.recv()));
        Self { _release: release }
    }

    pub(crate) async fn turn(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

/// Waits until something holds that other threads bring about, by the clock on the wall.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "waited too long until {what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn config_for(url: &str) -> ApiConfig {
    ApiConfig::new(token())
        .server(Server::parse(url).unwrap())
        .timeout(LONG)
}

pub(crate) fn token() -> Token {
    Token::parse(&format!("123456:{SECRET}")).unwrap()
}

fn serve(
    stream: TcpStream,
    connection: usize,
    script: &dyn Fn(&Request) -> Reply,
    seen: &Seen,
) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, connection)? {
        seen.requests.lock().unwrap().push(request.clone());
        match script(&request) {
            Reply::Json(status, body) => write_json(&mut writer, status, &body)?,
            Reply::JsonThenClose(status, body, closed) => {
                write_json(&mut writer, status, &body)?;
                drop((reader, writer));
                let _ = closed.send(());
                return Ok(());
            }
            Reply::JsonThenGate(status, body, gate, closed) => {
                write_json(&mut writer, status, &body)?;
                let _ = gate.lock().unwrap().recv();
                drop((reader, writer));
                let _ = closed.send(());
                return Ok(());
            }
            Reply::Raw(bytes) => return writer.write_all(&bytes),
            Reply::Close => return Ok(()),
            Reply::Stall(closed) => {
                let _ = reader.read(&mut [0; 1]);
                let _ = closed.send(());
                return Ok(());
            }
            Reply::Pieces(length, pieces) => {
                write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")?;
                for piece in pieces.lock().unwrap().iter() {
                    writer.write_all(&piece)?;
                }
                return Ok(());
            }
            Reply::Gate(gate, status, body) => {
                let _ = gate.lock().unwrap().recv();
                write_json(&mut writer, status, &body)?;
            }
        }
    }
    Ok(())
}

fn write_json(writer: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

fn read_request(reader: &mut BufReader<TcpStream>, connection: usize) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let head = head.to_lowercase().replace("\r\n", "\n");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let method = path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Some(Request {
        method,
        head,
        body,
        connection,
    }))
}
