//! Answers that a server framework would not give.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use actogram_simulator::{PostOutcome, PostRecord};
use serde_json::json;

use crate::stage::Stage;
use crate::support::PATIENCE;

/// A stage, and its webhook with the first connection.
fn connected() -> (Stage, TcpListener, TcpStream) {
    let stage = Stage::bare();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    stage.set(&json!({"url": format!("http://{}/", listener.local_addr().unwrap())}));
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (stage, listener, stream)
}

/// Reads until what was read ends like this.
fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.extend_from_slice(&byte);
    }
}

/// Reads what comes until the other side closes the connection, which it may do before it has read everything.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    read
}

fn first_post(stage: &Stage) -> PostRecord {
    stage.until_ended(1).remove(0)
}

#[test]
fn an_answer_without_a_length_ends_with_its_head_and_what_follows_ends_the_connection() {
    let (stage, _listener, mut stream) = connected();
    let ann = stage.bot.user("Ann");
    let id = ann.say("hello");
    read_until(&mut stream, b"}}");
    let reply = json!({"method": "sendMessage", "chat_id": ann.chat_id(), "text": "lost"});

    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    stream.write_all(format!("{head}{reply}").as_bytes()).unwrap();

    stage.until_confirmed(id);
    assert!(read_to_end(&mut stream).is_empty());
    assert_eq!(first_post(&stage).outcome, PostOutcome::Acknowledged);
    assert!(ann.heard().is_empty());
    assert_eq!(stage.info().get("last_error_message"), None);
}
