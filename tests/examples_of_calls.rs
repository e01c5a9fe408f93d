//! The examples about calls run against the simulator and do what they say.

#![allow(clippy::unwrap_used, reason = "test code")]

mod scripted_server;
mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rustix::process::Signal;
use scripted_server::{Reply, Request, ScriptedServer, ok};
use support::{Program, Stage, example, until_blocking};
use tempfile::TempDir;

fn photos() -> (TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, len: usize| {
        let path = folder.path().join(name);
        fs::write(&path, vec![7; len]).unwrap();
        path
    };
    let photos = [write("first.jpg", 300_000), write("second.jpg", 1_000)];
    (folder, photos)
}

fn run_upload(stage: &Stage, url: &str, photos: &[PathBuf], temp: &TempDir) -> Program {
    stage.run_example_with("upload", |command| {
        command
            .args(photos)
            .env("TELEGRAM_API_URL", url)
            .env("TMPDIR", temp.path());
    })
}

#[test]
fn upload_sends_a_photo_with_progress_and_downloads_it_again() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let (_folder, photos) = photos();
    let temp = tempfile::tempdir().unwrap();
    ann.say_all(["what?", "/photo"]);
    ann.send_photo(vec![9; 5_000]);
    let upload = run_upload(&stage, &stage.simulator.url(), &photos, &temp);
    stage.until_blocking("all are confirmed", |view| view.pending_count() == 0);

    upload.signal(Signal::TERM);
    let (exit, printed) = upload.wait();

    assert!(exit.success(), "{printed}");
    assert!(
        printed.contains("bytes sent") && printed.contains("300000 bytes downloaded"),
        "{printed}"
    );
    let texts = stage.bot.view(|view| view.texts_to(ann.chat_id()).join("\n"));
    assert_eq!(
        texts,
        "/photo, /album, or a photo of yours\nI have 300000 bytes of your photo\nI have 5000 bytes of your photo"
    );
    let mut lengths: Vec<_> = fs::read_dir(temp.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [5_000, 300_000]);
}

/// The simulator has no albums, so that one method is answered in front of it.
#[test]
fn upload_sends_an_album_of_both_files() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let (_folder, photos) = photos();
    let temp = tempfile::tempdir().unwrap();
    let albums = Arc::new(Mutex::new(Vec::new()));
    let front = ScriptedServer::start({
        let (albums, token) = (Arc::clone(&albums), stage.bot.token().to_owned());
        let simulator = stage.simulator.url();
        move |request| {
            if request.method == "sendmediagroup" {
                albums.lock().unwrap().push(request.body_text());
                let message = scripted_server::MESSAGE;
                return ok(&format!("[{message},{message}]"));
            }
            pass_on(&simulator, &token, request)
        }
    });
    ann.say("/album");
    let upload = run_upload(&stage, &format!("http://{}", front.address()), &photos, &temp);

    until_blocking("it is sent", || {
        upload.printed().contains("an album of 2 photos sent")
    });

    // A stop would cancel a poll that the front goes on waiting for.
    upload.kill();
    let albums = albums.lock().unwrap();
    assert_eq!(albums.len(), 1);
    for name in ["first.jpg", "second.jpg"] {
        assert!(albums[0].contains(&format!("filename=\"{name}\"")));
    }
}

#[test]
fn upload_says_what_to_do_without_photos() {
    let (exit, printed) = Program::start(example("upload")).wait();

    assert!(!exit.success());
    assert!(printed.contains("name two photos"), "{printed}");
}

/// Sends a request with a JSON body to the simulator and returns what it answers.
fn pass_on(simulator: &str, token: &str, request: &Request) -> Reply {
    let address = simulator.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /bot{token}/{} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        request.method,
        request.body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Reply::Raw(answer)
}

/// With a journal: without one, nothing is fetched while a handler runs, so `/stop` would not arrive.
fn run_long_handler(stage: &Stage, think: &str, deadline: &str) -> (TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    let program = stage.run_example_with("long_handler", |command| {
        command
            .env("THINK_SECONDS", think)
            .env("DEADLINE_SECONDS", deadline)
            .env("ACTOGRAM_JOURNAL", folder.path().join("bot.db"));
    });
    (folder, program)
}

fn actions(stage: &Stage, chat_id: i64) -> usize {
    let sent = stage.bot.sent();
    sent.iter()
        .filter(|sent| sent.method == "sendChatAction" && sent.chat_id == Some(chat_id))
        .count()
}

#[test]
fn a_long_handler_shows_that_it_is_busy_and_is_stopped_by_its_user() {
    let stage = Stage::lenient();
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    let (_folder, program) = run_long_handler(&stage, "600", "900");
    ann.say_all(["a hard question", "another one"]);
    until_blocking("the bot is busy", || actions(&stage, ann.chat_id()) > 0);

    ann.say("/stop");
    until_blocking("the first is stopped", || ann.heard().len() == 1);
    let before = actions(&stage, ann.chat_id());
    until_blocking("it is busy again", || actions(&stage, ann.chat_id()) > before);
    bob.say("/stop");
    until_blocking("Bob is answered", || bob.heard().len() == 1);
    ann.say("/stop");
    until_blocking("the second is stopped", || ann.heard().len() == 2);
    program.signal(Signal::TERM);

    let (exit, printed) = program.wait();
    assert!(exit.success(), "{printed}");
    assert_eq!(ann.heard(), ["stopped", "stopped"]);
    assert_eq!(bob.heard(), ["there is nothing to stop"]);
}

#[test]
fn a_long_handler_answers_in_the_end() {
    let stage = Stage::lenient();
    let ann = stage.bot.user("Ann");
    ann.say("a question");
    let (_folder, program) = run_long_handler(&stage, "1", "600");
    until_blocking("it is answered", || !ann.heard().is_empty());

    program.signal(Signal::TERM);

    let (exit, printed) = program.wait();
    assert!(exit.success(), "{printed}");
    assert_eq!(ann.heard(), [r#"the answer to "a question" is 42"#]);
}

#[test]
fn a_long_handler_is_ended_by_its_deadline() {
    let stage = Stage::lenient();
    let ann = stage.bot.user("Ann");
    ann.say("a question");
    let (_folder, program) = run_long_handler(&stage, "600", "1");
    until_blocking("it is told", || !ann.heard().is_empty());

    program.signal(Signal::TERM);

    let (exit, printed) = program.wait();
    assert!(exit.success(), "{printed}");
    assert_eq!(ann.heard(), ["that took too long, sorry"]);
}
