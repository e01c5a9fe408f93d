//! The echo program is killed in front of one system call after the other that changes the journal's files: while it
//! creates or takes over the journal, keeps, leases, settles and closes. Nothing is lost at any point.
//!
//! By default a sample of the points, `ACTOGRAM_CRASH_POINTS=all` takes every one; where the sample begins follows from
//! `ACTOGRAM_SEED`, which is printed.

#![cfg(all(feature = "journal", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod strace;
mod support;

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::{Fault, User, View};
use oracle::{History, Keeping, all_answered};
use rustix::process::Signal;
use support::{PATIENCE, Program, Stage};

const CHATS: usize = 3;

/// How the journal looks when the program is started that will be killed.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// There is none.
    Fresh,
    /// An earlier process was killed while three handlers ran and six updates waited.
    TakeOver,
}

#[test]
fn at_every_write_to_a_new_journal() {
    each_point(Start::Fresh, "pwrite64", 3, 50);
}

#[test]
fn at_every_write_to_a_journal_that_is_taken_over() {
    each_point(Start::TakeOver, "pwrite64", 3, 50);
}

#[test]
fn at_every_sync_of_a_new_journal() {
    each_point(Start::Fresh, "fsync", 2, 20);
}

#[test]
fn at_every_sync_of_a_journal_that_is_taken_over() {
    each_point(Start::TakeOver, "fsync", 1, 4);
}

#[test]
fn at_every_change_of_a_name_or_length() {
    each_point(Start::Fresh, "?rename,?renameat,?renameat2", 1, 1);
    each_point(Start::Fresh, "?unlink,?unlinkat", 2, 6);
    each_point(Start::Fresh, "ftruncate", 1, 2);
    each_point(Start::TakeOver, "ftruncate", 1, 2);
}

/// Kills in front of the first, second, third … of these calls until there are no more, or of every `step`th. Fewer than
/// `least` calls in all mean that the run saw little of the journal.
fn each_point(start: Start, calls: &str, step: usize, least: usize) {
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

    let (mut killed, mut copies, mut nth) = (0, 0, first);
    while let Some(repeated) = one_point(start, calls, nth) {
        killed += 1;
        copies += repeated;
        nth += step;
    }

    println!("{start:?} {calls}: killed at {killed} points up to {nth}, {copies} copies, seed {seed}");
    assert!(
        nth > least,
        "the run is void: {calls} ended before number {nth} of a {start:?} start"
    );
}

/// Kills in front of one call and returns how many answers were repeated; `None` when there are fewer calls.
fn one_point(start: Start, calls: &str, nth: usize) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.db");
    let stage = Stage::lenient();
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    for user in &users {
        user.say_all(["one", "two"]);
    }
    let mut kills = 1;
    if matches!(start, Start::TakeOver) {
        leave_a_journal(&stage, &journal, &users);
        kills += 1;
    }

    let status = work_and_stop(
        &stage,
        &journal,
        &users,
        &format!("{calls}:signal=SIGKILL:when={nth}"),
    );
    if status.success() {
        return None;
    }
    assert_eq!(status.signal(), Some(9), "{start:?} {calls} {nth}: {status}");

    let last = echo(&stage, &journal, None);
    for user in &users {
        user.say("fresh");
    }
    stage.until_blocking(
        &format!("all are answered after {start:?} {calls} {nth}"),
        |view| all_answered(view) && view.pending_count() == 0,
    );
    last.kill();
    let history = History::of_echo(&stage.bot, Keeping::Journal, kills, kills);
    assert_eq!(
        history.broken_laws(),
        [] as [String; 0],
        "{start:?} {calls} {nth}"
    );
    let copies = history.copies();
    assert!(
        copies <= CHATS,
        "{start:?} {calls} {nth}: {copies} copies, but one handler runs in each chat"
    );
    Some(copies)
}

/// Lets a program keep everything, begin with the first text of each chat, and be killed.
fn leave_a_journal(stage: &Stage, journal: &Path, users: &[User]) {
    stage.bot.fault(Fault::Stall.on("sendMessage").times(users.len()));
    let earlier = echo(stage, journal, None);
    stage.until_blocking("a handler runs in each chat and all is confirmed", |view| {
        view.faults_left() == 0 && view.pending_count() == 0
    });
    earlier.kill();
}

/// Runs the program under an injection until it has answered everything and was asked to stop, or until it is killed.
fn work_and_stop(stage: &Stage, journal: &Path, users: &[User], injection: &str) -> ExitStatus {
    let mut traced = echo(stage, journal, Some(injection));
    let answered = answers_or_ends(&mut traced, stage, all_answered);
    for user in users {
        user.say("three");
    }
    if answered
        && answers_or_ends(&mut traced, stage, |view| {
            all_answered(view) && view.pending_count() == 0
        })
        && traced.runs()
    {
        traced.signal(Signal::TERM);
    }
    traced.wait().0
}

fn answers_or_ends(program: &mut Program, stage: &Stage, mut holds: impl FnMut(&View<'_>) -> bool) -> bool {
    let started = Instant::now();
    while program.runs() {
        if stage.bot.view(&mut holds) {
            return true;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it neither answers nor ends: {}",
            program.printed()
        );
        thread::sleep(Duration::from_millis(2));
    }
    false
}

fn echo(stage: &Stage, journal: &Path, injection: Option<&str>) -> Program {
    stage.run_example_with("echo", |command| {
        command.env("ACTOGRAM_JOURNAL", journal);
        if let Some(injection) = injection {
            *command = strace::inject(command, injection, Path::new("/dev/null"));
        }
    })
}
