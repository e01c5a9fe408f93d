//! Answers that a server framework would not give.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use actogram_simulator::{PostOutcome, PostRecord, WebhookFault};
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

#[test]
fn an_answer_that_comes_before_the_whole_request_counts_and_ends_the_connection() {
    let (stage, _listener, mut stream) = connected();
    let slow = WebhookFault::SlowRequest(Duration::from_secs(50));
    stage.bot.webhook_fault(slow);
    stage.bot.user("Ann").say("hello");
    read_until(&mut stream, b"\r\n\r\n");

    let answer = b"HTTP/1.1 413 Payload Too Large\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).unwrap();

    let post = first_post(&stage);
    assert_eq!((post.status, post.outcome), (Some(413), PostOutcome::Rejected));
    let wait = post.retry_at.unwrap().since(post.ended_at.unwrap());
    assert_eq!(wait, Duration::from_secs(30));
    assert_eq!(
        stage.info()["last_error_message"],
        "Wrong response from the webhook: 413 Payload Too Large"
    );
    assert!(!read_to_end(&mut stream).ends_with(b"}}"), "the rest is not sent");
}
