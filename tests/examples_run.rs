//! Examples run against the simulator, with no token and no network, and do what they say. The others: `commands`, `keyboard`
//! and `middleware` in `examples_of_the_router`, `upload` and `long_handler` in `examples_of_calls`, `broadcast` in
//! `broadcasts_survive_kill_minus_9`, `webhook` in `webhook_serves_itself`, `crash_test` in
//! `an_update_that_ends_the_process_becomes_a_dead_letter`.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{io::Write, process::Stdio};

use rustix::process::Signal;
use support::{Program, Stage, example};

#[test]
fn the_smallest_bot_has_at_most_twelve_lines() {
    let source = include_str!("../examples/echo.rs");

    let code = source
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("//"))
        .count();

    assert!(code <= 12, "{code} lines");
}

#[test]
fn echo_answers_with_the_same_text() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    ann.say_all(["one", "two"]);
    let echo = stage.run_example("echo");
    stage.until_blocking("both are confirmed", |view| view.pending_count() == 0);

    echo.signal(Signal::TERM);

    assert!(echo.wait().0.success());
    assert_eq!(ann.heard(), ["one", "two"]);
}

#[test]
fn echo_says_what_to_do_when_there_is_no_token() {
    let (status, printed) = Program::start(example("echo")).wait();

    assert!(!status.success());
    assert_eq!(
        printed.trim(),
        "Error: no bot token: get one from @BotFather and set TELEGRAM_BOT_TOKEN to it"
    );
}

#[test]
fn the_actor_counts_the_messages_of_each_chat() {
    let stage = Stage::new();
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    ann.say_all(["a", "b"]);
    bob.say("c");
    let actors = stage.run_example("actors");
    stage.until_blocking("all are confirmed", |view| view.pending_count() == 0);

    actors.signal(Signal::TERM);

    assert!(actors.wait().0.success());
    assert_eq!(ann.heard(), ["message 1 of this chat", "message 2 of this chat"]);
    assert_eq!(bob.heard(), ["message 1 of this chat"]);
}

#[test]
fn two_bots_answer_each_in_its_own_way() {
    let stage = Stage::new();
    let second = stage
        .simulator
        .bot_with_token("7654321:SecondSecondSecondSecondSecondSecon")
        .unwrap();
    let (ann, bob) = (stage.bot.user("Ann"), second.user("Bob"));
    ann.say("hello");
    bob.say("hello");
    let program = stage.run_example_with("two_bots", |command| {
        command.env("SECOND_BOT_TOKEN", second.token());
    });
    stage.until_blocking("the first is confirmed", |view| view.pending_count() == 0);
    assert!(second.wait_for(support::PATIENCE, |view| view.pending_count() == 0));

    program.signal(Signal::TERM);

    assert!(program.wait().0.success());
    assert_eq!(
        (ann.heard(), bob.heard()),
        (vec!["hello".to_owned()], vec!["HELLO".to_owned()])
    );
}

#[test]
fn two_bots_take_empty_variables_for_missing_ones() {
    let run = |second_token: &str| {
        let mut command = example("two_bots");
        for empty in ["TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL"] {
            command.env(empty, "");
        }
        command.env("SECOND_BOT_TOKEN", second_token);
        let (status, printed) = Program::start(command).wait();
        assert!(!status.success(), "{printed}");
        printed
    };

    let (no_second, wrong_second) = (run(" "), run("no token"));

    assert!(no_second.contains("set SECOND_BOT_TOKEN to it"), "{no_second}");
    for expected in ["first bot: no bot token", "second bot: "] {
        assert!(wrong_second.contains(expected), "{wrong_second}");
    }
}

#[cfg(all(feature = "monitor", feature = "webhook"))]
mod an_embedded_bot {
    use std::{thread, time::Duration};

    use actogram::BotReport;
    use actogram_simulator::Fault;

    use super::*;

    /// What the server would send along with each update.
    const SECRET: &str = "0123456789abcdef-secret";

    /// The program of `embedded`, which listens.
    fn embedded(stage: &Stage) -> (Program, String) {
        let host = stage.run_example_with("embedded", |command| {
            command
                .env("ADDRESS", "127.0.0.1:0")
                .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
                .env("TELEGRAM_WEBHOOK_URL", "https://bots.example.org/telegram");
        });
        support::until_blocking("the host listens", || {
            host.printed().contains("listening on http://")
        });
        let address = address_in(&host.printed());
        (host, address)
    }

    /// Posts as the server does, and returns the answer when there is one.
    fn post_update(address: &str, id: i64, chat: i64, text: &str) -> thread::JoinHandle<String> {
        let body = format!(
            r#"{{"update_id":{id},"message":{{"message_id":{id},"date":1,"chat":{{"id":{chat},"type":"private"}},"text":"{text}"}}}}"#
        );
        let request = format!(
            "POST /telegram HTTP/1.0\r\nx-telegram-bot-api-secret-token: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let address = address.to_owned();
        thread::spawn(move || http(&address, &request))
    }

    #[test]
    fn lives_and_stops_with_its_host() {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("/start");
        let (host, address) = embedded(&stage);
        let get = |path: &str| http(&address, &format!("GET {path} HTTP/1.0\r\n\r\n"));

        let first = post_update(&address, 1, ann.chat_id(), "hello").join().unwrap();
        support::until_blocking("the route of the host tells of it", || {
            get("/").contains(r#""handled":1"#)
        });
        let (ready, numbers) = (get("/bot/readyz"), get("/bot/metrics"));
        let said = http(
            &address,
            &format!(
                "POST /say?chat={} HTTP/1.0\r\ncontent-length: 4\r\n\r\nnews",
                ann.chat_id()
            ),
        );
        let slow = Fault::DelayProcessing(Duration::from_millis(300)).on("sendMessage");
        stage.bot.fault(slow);
        let running = post_update(&address, 2, ann.chat_id(), "last");
        stage.until_blocking("the handler is in its send", |view| view.faults_left() == 0);
        host.signal(Signal::TERM);
        let (exit, printed) = host.wait();

        assert!(first.contains(" 200 OK"), "{first}");
        assert!(ready.contains(r#""ready":true"#), "{ready}");
        assert!(numbers.contains("actogram_webhook_age_seconds{"), "{numbers}");
        assert!(said.contains(" 200 OK"), "{said}");
        let running = running.join().unwrap();
        assert!(running.contains(" 200 OK"), "it waited for its answer: {running}");
        assert_eq!(ann.heard(), ["hello", "news", "last"]);
        assert!(exit.success(), "{printed}");
        assert!(printed.contains("stopped cleanly"), "{printed}");
    }

    #[test]
    fn lets_its_host_serve_while_it_drains_until_a_second_signal() {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        ann.say("/start");
        stage.bot.fault(Fault::Stall.on("sendMessage"));
        let (host, address) = embedded(&stage);
        let get = |path: &str| http(&address, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        let stuck = post_update(&address, 1, ann.chat_id(), "hello");
        stage.until_blocking("the handler is in its send", |view| view.faults_left() == 0);

        host.signal(Signal::TERM);
        support::until_blocking("the monitor tells of the stop", || {
            get("/bot/readyz").contains(r#""code":"stopping""#)
        });
        let late = post_update(&address, 2, ann.chat_id(), "late").join().unwrap();
        assert!(!stuck.is_finished());
        host.signal(Signal::INT);
        let (exit, printed) = host.wait();

        assert!(late.contains(" 503 "), "{late}");
        assert!(!stuck.join().unwrap().contains(" 200 "), "it was not handled");
        assert_eq!(
            exit.code(),
            Some(i32::from(BotReport::EXIT_UNFINISHED)),
            "{printed}"
        );
        assert!(printed.contains("abandoned update 1 "), "{printed}");
    }
}

#[cfg(feature = "monitor")]
#[test]
fn the_monitored_bot_can_be_watched_until_it_stops_with_its_host() {
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let host = stage.run_example_with("monitor", |command| {
        command
            .env("ADDRESS", "127.0.0.1:0")
            .env("ACTOGRAM_JOURNAL", "off");
    });
    support::until_blocking("the host listens", || host.printed().contains("the page is at"));
    let address = &address_in(&host.printed());
    ann.say("hello");
    stage.until_blocking("it is confirmed", |view| view.pending_count() == 0);

    let get = |path: &str| http(address, &format!("GET {path} HTTP/1.0\r\n\r\n"));
    let (home, health, ready) = (get("/"), get("/bot/healthz"), get("/bot/readyz"));
    let probes = include_str!("../deploy/kubernetes/polling.yaml")
        .split("httpGet: { path: ")
        .skip(1)
        .map(|rest| get(rest.split(',').next().unwrap()));
    let probed: Vec<_> = probes.map(|answer| answer[9..12].to_owned()).collect();
    let (metrics, page) = (get("/bot/metrics"), get("/bot/"));
    host.signal(Signal::TERM);
    let (exit, printed) = host.wait();

    assert!(
        home.ends_with("the application that the bot lives in\n"),
        "{home}"
    );
    assert!(health.contains(r#""healthy":true"#), "{health}");
    assert!(ready.contains(r#""ready":true"#), "{ready}");
    assert_eq!(probed, ["200"; 3]);
    assert!(
        metrics.contains("actogram_updates_received_total{bot="),
        "{metrics}"
    );
    assert!(page.contains("<title>bot</title>"), "{page}");
    assert!(exit.success(), "{printed}");
    assert!(printed.contains("stopped cleanly"), "{printed}");
    assert!(
        printed.contains(" INFO ") && printed.contains(": started bot_id="),
        "it logs: {printed}"
    );
    assert_eq!(ann.heard(), ["hello"]);
}

#[cfg(feature = "monitor")]
#[test]
fn the_monitored_program_ends_when_its_bot_does() {
    let stage = Stage::new();
    stage
        .bot
        .fault(actogram_simulator::Fault::Unauthorized.on("getUpdates"));
    let host = stage.run_example_with("monitor", |command| {
        command
            .env("ADDRESS", "127.0.0.1:0")
            .env("ACTOGRAM_JOURNAL", "off");
    });

    let (exit, printed) = host.wait();

    assert_eq!(exit.code(), Some(1), "{printed}");
    assert!(printed.contains("Unauthorized"), "{printed}");
}

#[test]
fn the_playground_talks_shows_the_pipeline_and_stops_cleanly() {
    let mut command = example("playground");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"hello\nbob: hi\n/fail\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = support::text(&output);

    assert!(output.status.success(), "{printed}");
    for expected in [
        "· fetched [",
        "· handled ",
        "· confirmed ",
        "bot: you said: hello",
        "bot: you said: hi",
        "· gave up ",
        "bot: sorry, that did not work",
        "stopped cleanly",
    ] {
        assert!(printed.contains(expected), "{expected:?} is missing: {printed}");
    }
}

/// Returns the address that a program says it listens at, among what it logs.
#[cfg(feature = "monitor")]
fn address_in(printed: &str) -> String {
    let rest = printed.split("http://").nth(1).unwrap();
    let end = rest.find(|character: char| character == '/' || character.is_whitespace());
    rest[..end.unwrap_or(rest.len())].to_owned()
}

/// Returns the whole answer, or as much of it as there was before the connection was cut.
#[cfg(feature = "monitor")]
fn http(address: &str, request: &str) -> String {
    use std::{io::Read, net::TcpStream, time::Duration};

    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}
