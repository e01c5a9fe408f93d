//! The disk fails or is full, at any moment: nothing is confirmed that is not kept, nothing is lost. A disk that does not
//! take what is written ends the bot with a clear error; a full one only makes it wait for room.

#![cfg(all(feature = "journal", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod strace;
mod support;
#[cfg(feature = "webhook")]
mod webhook_poster;

#[cfg(feature = "monitor")]
use std::io::{Read, Write};
#[cfg(feature = "webhook")]
use std::net::TcpListener;
#[cfg(any(feature = "monitor", feature = "webhook"))]
use std::net::TcpStream;
use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::{Fault, View};
use oracle::{History, Keeping, all_answered};
use rustix::process::Signal;
use support::{PATIENCE, Program, Stage, until_blocking};

struct Scene {
    stage: Stage,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn echo(&self, injection: Option<&str>) -> Program {
        self.stage.run_example_with("echo", |command| {
            command.env("ACTOGRAM_JOURNAL", self.path("bot.db"));
            if let Some(injection) = injection {
                *command = strace::inject(command, injection, &self.path("strace.log"));
            }
        })
    }

    /// Lets calls of a running program fail until the program that is returned ends.
    fn inject_into(&self, program: &Program, calls: &str, injection: &str) -> Program {
        let strace = Program::start(strace::join(
            program.id(),
            calls,
            injection,
            &self.path("strace.log"),
        ));
        until_blocking("strace has joined every thread", || is_traced(program.id()));
        strace
    }

    /// Returns the calls that were made to fail, as strace shows them.
    fn failed_calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("strace.log"))
            .unwrap_or_default()
            .lines()
            .filter(|line| line.contains("(INJECTED)"))
            .map(str::to_owned)
            .collect()
    }

    /// Waits for the pause between two looks for room, a second each. A strace that ends in the middle of a call makes it
    /// fail in a way that no disk does.
    fn until_no_call_is_under_way(&self) {
        let (mut calls, mut since) = (0, Instant::now());
        until_blocking("it pauses", || {
            let so_far = self.failed_calls().len();
            if so_far != calls {
                (calls, since) = (so_far, Instant::now());
            }
            since.elapsed() > Duration::from_millis(300)
        });
    }

    /// Returns the last call that was made to fail.
    fn failed_call(&self) -> Option<String> {
        self.failed_calls().pop()
    }

    /// SQLite looks at no error from syncing a folder, and tells of none when it switches an empty journal to a
    /// write-ahead log.
    fn may_be_unnoticed(&self, call: &str) -> bool {
        let folder = format!("<{}>)", self.folder.path().display());
        let log = fs::read_to_string(self.path("strace.log")).unwrap();
        let before = log.split("(INJECTED)").next().unwrap();
        call.contains(&folder) || call.contains("/bot.db") && !before.contains("/bot.db-wal>")
    }

    /// Starts the program on a disk that is well and judges the whole run, in which it failed `failures` times.
    fn everything_is_answered_after_a_restart(&self, failures: usize, what: &str) {
        let last = self.echo(None);
        self.stage.bot.user("fresh").say("fresh");
        self.stage
            .until_blocking(&format!("all are answered after {what}"), answered_and_confirmed);
        last.kill();
        let history = History::of_echo(&self.stage.bot, Keeping::Journal, failures, failures);
        assert_eq!(history.broken_laws(), [] as [String; 0], "{what}");
    }
}

fn answered_and_confirmed(view: &View<'_>) -> bool {
    all_answered(view) && view.pending_count() == 0
}

fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        fs::read_to_string(thread.path().join("status"))
            .is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    })
}

#[test]
fn a_batch_whose_sync_failed_is_neither_confirmed_nor_handled_and_ends_the_bot() {
    if !strace::is_there() {
        return;
    }
    let scene = Scene::new();
    let ann = scene.stage.bot.user("Ann");
    let echo = scene.echo(None);
    ann.say("one");
    scene
        .stage
        .until_blocking("the first text is answered", answered_and_confirmed);

    let strace = scene.inject_into(&echo, "fsync,fdatasync", "fsync,fdatasync:error=EIO:when=1+");
    ann.say_all(["two", "three"]);
    let (status, printed) = echo.wait();
    strace.wait();

    assert!(status.code().is_some_and(|code| code != 0), "{status}: {printed}");
    assert!(
        printed.contains("the disk did not take what was written to the journal; check the disk")
            && printed.contains("sqlite code"),
        "it says what failed and what to do: {printed}"
    );
    assert_eq!(ann.heard(), ["one"]);
    assert_eq!(
        scene.stage.bot.pending().len(),
        2,
        "what may not be on the disk stays with the server"
    );
    scene.everything_is_answered_after_a_restart(1, "a failed sync");
}

/// What the server posts again after the restart is not handled twice, whether it got into the file or not.
#[cfg(feature = "webhook")]
#[test]
fn a_post_whose_sync_failed_is_not_acknowledged_and_ends_the_bot() {
    use webhook_poster::{
        SECRET, text_update,
        wire::{Wire, post},
    };
    if !strace::is_there() {
        return;
    }
    let scene = Scene::new();
    let ann = scene.stage.bot.user("Ann");
    ann.say("/start");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = || {
        let program = scene.stage.run_example_with("webhook", |command| {
            command
                .env("ACTOGRAM_JOURNAL", scene.path("bot.db"))
                .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
                .env("ADDRESS", address.to_string());
        });
        until_blocking("it listens", || TcpStream::connect(address).is_ok());
        program
    };
    let send = |id, text| {
        let update = text_update(id, ann.chat_id(), text);
        Wire::once(address, &post("/telegram", SECRET, update.as_bytes()))
    };
    let heard = |count| {
        scene
            .stage
            .until_blocking("it is answered", |view| view.sent().len() == count);
    };
    let failing = start();
    assert_eq!(send(1, "one").status, 200);
    heard(1);

    let strace = scene.inject_into(&failing, "fsync,fdatasync", "fsync,fdatasync:error=EIO:when=1+");
    let refused = send(2, "two");
    let (status, printed) = failing.wait();
    strace.wait();

    assert_eq!(refused.status, 503, "{printed}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {printed}");
    assert!(
        printed.contains("the disk did not take what was written to the journal; check the disk"),
        "{printed}"
    );
    assert_eq!(ann.heard(), ["one"]);
    let well = start();
    assert_eq!((send(1, "one").status, send(2, "two").status), (200, 200));
    heard(2);
    well.signal(Signal::TERM);
    assert!(well.wait().0.success());
    assert_eq!(ann.heard(), ["one", "two"]);
}

#[test]
fn a_sync_that_fails_at_any_moment_ends_the_bot_and_loses_nothing() {
    each_failure("fsync", 3, 15);
}

#[test]
fn a_write_that_fails_at_any_moment_ends_the_bot_and_loses_nothing() {
    each_failure("pwrite64", 11, 40);
}

/// Lets the first, second, third … of these calls fail, or every `step`th with a random beginning.
fn each_failure(calls: &str, step: usize, least: usize) {
    if !strace::is_there() {
        return;
    }
    let all = std::env::var("ACTOGRAM_CRASH_POINTS").is_ok_and(|value| value == "all");
    let seed: u64 = std::env::var("ACTOGRAM_SEED")
        .ok()
        .map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    let (first, step) = if all {
        (1, 1)
    } else {
        (1 + fastrand::Rng::with_seed(seed).usize(..step), step)
    };
    let (mut failures, mut unnoticed, mut nth) = (0, 0, first);
    loop {
        let what = format!("{calls} {nth} with EIO, seed {seed}");
        let scene = Scene::new();
        let users: Vec<_> = (0..3)
            .map(|n| scene.stage.bot.user(&format!("user {n}")))
            .collect();
        for user in &users {
            user.say_all(["one", "two", "three"]);
        }
        let mut echo = scene.echo(Some(&format!("{calls}:error=EIO:when={nth}")));
        let started = Instant::now();
        while echo.runs() && !scene.stage.bot.view(answered_and_confirmed) {
            assert!(started.elapsed() < PATIENCE, "it neither works nor ends: {what}");
            thread::sleep(Duration::from_millis(2));
        }
        match scene.failed_call() {
            None => {
                // It comes later or never; the rest is closing, which has a test of its own.
                echo.kill();
                break;
            }
            Some(call) if echo.runs() && scene.may_be_unnoticed(&call) => {
                echo.kill();
                unnoticed += 1;
            }
            Some(call) => {
                let (status, printed) = echo.wait();
                assert!(
                    status.code().is_some_and(|code| code != 0),
                    "{what}: {status} after {call}: {printed}"
                );
                assert!(printed.contains("journal"), "{what}: {printed}");
                assert!(
                    !printed.contains("lost to a panic") && !printed.contains("it is closed"),
                    "{what}: {printed}"
                );
                failures += 1;
            }
        }
        scene.everything_is_answered_after_a_restart(1, &what);
        nth += step;
    }
    println!("{calls}: {failures} failures up to {nth}, {unnoticed} more unnoticed, seed {seed}");
    assert!(nth > least, "the run is void: {calls} ended before number {nth}");
}

#[test]
fn a_full_disk_holds_up_intake_only_and_only_until_there_is_room() {
    if !strace::is_there() {
        return;
    }
    let scene = Scene::new();
    let bot = &scene.stage.bot;
    // More chats than handlers run at the same time, each busy for a while.
    let early: Vec<_> = (0..300).map(|n| bot.user(&format!("user {n}"))).collect();
    for user in &early {
        user.say("early");
    }
    bot.fault(
        Fault::DelayProcessing(Duration::from_millis(500))
            .on("sendMessage")
            .forever(),
    );
    let mut echo = scene.echo(None);
    scene
        .stage
        .until_blocking("all are in the journal", |view| view.pending_count() == 0);

    let strace = scene.inject_into(&echo, "pwrite64", "pwrite64:error=ENOSPC:when=1+");
    let late = bot.user("late");
    late.say_all(["one", "two", "three"]);
    scene
        .stage
        .until_blocking("what is in the journal goes on", |view| view.sent().len() == 300);
    let before = scene.failed_calls().len();
    until_blocking("it has looked for room several times", || {
        scene.failed_calls().len() > before + 2
    });

    assert!(echo.runs());
    assert_eq!(bot.pending().len(), 3, "the server keeps what has no room");
    assert_eq!(late.heard(), [] as [String; 0]);

    scene.until_no_call_is_under_way();
    strace.signal(Signal::TERM);
    strace.wait();
    until_blocking("it goes on by itself when there is room", || {
        assert!(echo.runs(), "it has ended: {}", echo.printed());
        bot.pending().is_empty() && late.heard().len() == 3
    });
    late.say("four");
    scene
        .stage
        .until_blocking("and stays well", answered_and_confirmed);
    echo.signal(Signal::TERM);
    assert!(echo.wait().0.success());
    assert_eq!(late.heard(), ["one", "two", "three", "four"]);
    let history = History::of_echo(bot, Keeping::Journal, 0, 0);
    assert_eq!(
        history.broken_laws(),
        [] as [String; 0],
        "nothing was lost or repeated"
    );
}

/// An orchestrator learns it from the bot's monitor.
#[cfg(feature = "monitor")]
#[test]
fn a_full_disk_makes_a_bot_not_ready_until_there_is_room() {
    if !strace::is_there() {
        return;
    }
    let scene = Scene::new();
    let ann = scene.stage.bot.user("Ann");
    ann.say("one");
    let program = scene.stage.run_example_with("monitor", |command| {
        command
            .env("ADDRESS", "127.0.0.1:0")
            .env("ACTOGRAM_JOURNAL", scene.path("bot.db"));
    });
    until_blocking("it listens", || program.printed().contains("the page is at"));
    let address = program.printed();
    let address = address
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let ready = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /bot/readyz HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    until_blocking("it is ready", || ready().contains(r#""ready":true"#));

    let strace = scene.inject_into(&program, "pwrite64", "pwrite64:error=ENOSPC:when=1+");
    ann.say("two");
    until_blocking("it says why it is not", || {
        let answer = ready();
        answer.contains(" 503 ") && answer.contains(r#""code":"journal_blocked""#)
    });
    strace.signal(Signal::TERM);
    strace.wait();

    until_blocking("it is ready again", || {
        let answer = ready();
        answer.contains(" 200 ") && answer.contains(r#"{"ready":true,"reasons":[]}"#)
    });
    scene
        .stage
        .until_blocking("what waited is answered", answered_and_confirmed);
    program.signal(Signal::TERM);
    assert!(program.wait().0.success());
}

#[test]
fn a_bot_that_starts_on_a_full_disk_says_so_and_leaves_nothing_that_hinders_the_next_start() {
    if !strace::is_there() {
        return;
    }
    for nth in [1, 12, 30, 40] {
        let scene = Scene::new();
        scene.stage.bot.user("Ann").say("one");

        let (status, printed) = scene
            .echo(Some(&format!("pwrite64:error=ENOSPC:when={nth}+")))
            .wait();

        assert!(
            status.code().is_some_and(|code| code != 0),
            "{nth}: {status}: {printed}"
        );
        assert!(
            printed.contains("the disk of the journal is full; free some space"),
            "{nth}: {printed}"
        );
        assert_eq!(
            scene.stage.bot.polls().len(),
            0,
            "{nth}: nothing was fetched without a place to keep it"
        );
        scene.everything_is_answered_after_a_restart(1, "a start on a full disk");
    }
}

#[test]
fn a_disk_that_fails_while_the_journal_is_closed_loses_nothing() {
    if !strace::is_there() {
        return;
    }
    let scene = Scene::new();
    let ann = scene.stage.bot.user("Ann");
    let echo = scene.echo(None);
    ann.say_all(["one", "two"]);
    scene
        .stage
        .until_blocking("both are answered", answered_and_confirmed);

    let calls = format!("{}:error=EIO:when=1+", "pwrite64,fsync,fdatasync");
    let strace = scene.inject_into(&echo, strace::WRITES, &calls);
    echo.signal(Signal::TERM);
    let (status, printed) = echo.wait();
    strace.wait();

    assert!(status.code().is_some_and(|code| code != 0), "{status}: {printed}");
    assert!(
        printed.contains("the disk did not take what was written to the journal"),
        "{printed}"
    );
    assert!(
        !scene.failed_calls().is_empty(),
        "the run is void: nothing was written"
    );
    scene.everything_is_answered_after_a_restart(1, "a failure while closing");
}
