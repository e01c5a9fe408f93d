//! A raw HTTP client, so that the tests see what is on the wire and share nothing with a client library.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actogram_simulator::{Bot, Simulator};
use serde_json::Value;

/// Every wait of a test ends after this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One answer as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body is as long as `Content-Length` says.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The ids of a `getUpdates` answer.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let body = self.json();
        body["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|update| update["update_id"].as_i64().unwrap())
            .collect()
    }
}

/// A connection that has sent a request.
pub(crate) struct Exchange {
    pub(crate) stream: TcpStream,
}

impl Exchange {
    /// Reads the answer; `None` when the connection ends before its first byte.
    pub(crate) fn answer(mut self) -> Option<Answer> {
        self.read_answer()
    }

    /// Reads one answer and keeps the connection.
    pub(crate) fn read_answer(&mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(place) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break place;
            }
            if !read_some(&mut self.stream, &mut bytes) {
                assert!(bytes.is_empty(), "the head of an answer is cut");
                return None;
            }
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut body = bytes.split_off(head_end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        while body.len() < length && read_some(&mut self.stream, &mut body) {}
        let complete = body.len() == length;
        Some(Answer {
            status,
            headers,
            body,
            complete,
        })
    }
}

fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 65_536];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(read) => {
            bytes.extend_from_slice(&buffer[..read]);
            true
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("no answer in time: {error}"),
    }
}

/// Opens a connection to the server.
pub(crate) fn connect(simulator: &Simulator) -> TcpStream {
    let stream = TcpStream::connect(simulator.url().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes a request to an open connection.
pub(crate) fn write_request(stream: &mut TcpStream, path: &str, content_type: &str, body: &[u8]) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).unwrap();
}

/// Sends any request on a connection of its own.
pub(crate) fn send(simulator: &Simulator, path: &str, content_type: &str, body: &[u8]) -> Exchange {
    let mut stream = connect(simulator);
    write_request(&mut stream, path, content_type, body);
    Exchange { stream }
}

/// Sends a call with JSON parameters.
pub(crate) fn begin(simulator: &Simulator, bot: &Bot, method: &str, params: &Value) -> Exchange {
    let path = format!("/bot{}/{method}", bot.token());
    send(
        simulator,
        &path,
        "application/json",
        params.to_string().as_bytes(),
    )
}

/// Makes a call with JSON parameters and returns its answer.
pub(crate) fn call(simulator: &Simulator, bot: &Bot, method: &str, params: &Value) -> Answer {
    begin(simulator, bot, method, params).answer().unwrap()
}
