//! A journal with a large backlog: the process dies with it, the next one begins at once, handles all of it in order,
//! and gives the space back.
//!
//! `ACTOGRAM_BACKLOG` sets how many updates there are (default 10,000). Times and memory are printed, not judged.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod support;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use actogram_simulator::Fault;
use oracle::{History, Keeping, all_answered, wait_for_all_answers};
use rustix::process::Signal;
use support::{Program, Stage};

const CHATS: usize = 1_000;

/// Bound of the write-ahead log: what is damaged in it takes its tail along.
const LOG_BOUND: u64 = 16 << 20;

/// Bound for the whole backlog to go through a debug build.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_backlog_that_was_killed_is_handled_in_order_and_its_space_is_given_back() {
    let backlog: usize = std::env::var("ACTOGRAM_BACKLOG").map_or(10_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.db");
    let stage = Stage::lenient();
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    for n in 0..backlog {
        users[n % CHATS].say(&format!("text {n}"));
    }

    stage.bot.fault(Fault::Stall.on("sendMessage").forever());
    let (started, first) = (Instant::now(), echo(&stage, &journal));
    let kept = stage.bot.wait_for(LONG, |view| {
        view.pending_count() == 0 && view.confirmed().len() == backlog
    });
    assert!(kept, "all are in the journal while the handlers hang");
    println!(
        "{backlog} updates kept in {:.1?}, peak memory {}",
        started.elapsed(),
        peak(&first)
    );
    assert_eq!(stage.bot.sent().len(), 0, "no handler has ended");
    first.kill();
    let full = size(&journal);
    stage.bot.clear_faults();

    let (started, second) = (Instant::now(), echo(&stage, &journal));
    stage.until_blocking("the first handler has answered", |view| !view.sent().is_empty());
    println!(
        "first answer after {:.0?}, peak memory {}",
        started.elapsed(),
        peak(&second)
    );
    wait_for_all_answers(&stage.bot);
    println!(
        "all answered after {:.1?}, peak memory {}",
        started.elapsed(),
        peak(&second)
    );
    let log = length(&journal.with_file_name("bot.db-wal"));
    println!("{log} bytes of log");
    assert!(
        log <= LOG_BOUND,
        "the log is moved into the database early: {log} bytes"
    );
    stop(second);

    let third = echo(&stage, &journal);
    users[0].say("fresh");
    stage.until_blocking("a fresh text is answered", all_answered);
    stop(third);
    let history = History::of_echo(&stage.bot, Keeping::Journal, 1, 1);
    assert_eq!(history.broken_laws(), [] as [String; 0]);
    assert_eq!(history.copies(), 0, "what hung had not been sent");
    println!("{full} bytes with the backlog, {} afterwards", size(&journal));
    assert!(
        size(&journal) * 2 < full,
        "the file shrinks: {full} bytes with the backlog, {} afterwards",
        size(&journal)
    );
}

fn echo(stage: &Stage, journal: &Path) -> Program {
    stage.run_example_with("echo", |command| {
        command.env("ACTOGRAM_JOURNAL", journal);
    })
}

fn stop(program: Program) {
    program.signal(Signal::TERM);
    let (status, printed) = program.wait();
    assert!(status.success(), "{status}: {printed}");
}

/// Returns the length of the database and its log.
fn size(journal: &Path) -> u64 {
    length(journal) + length(&journal.with_file_name("bot.db-wal"))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// Returns the most memory that a program has had in use, where the system tells.
fn peak(program: &Program) -> String {
    fs::read_to_string(format!("/proc/{}/status", program.id()))
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("unknown")
        .trim()
        .to_owned()
}
