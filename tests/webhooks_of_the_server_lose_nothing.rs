//! The server itself posts, with its own order and its own repetitions, to programs that are killed with SIGKILL or replaced
//! by others behind one address: everything is answered, each chat in order, and a replacement repeats nothing. One that
//! drains its journal leaves nothing in it.
//!
//! `ACTOGRAM_KILLS` sets how often the program is killed (default 10); its seed is printed, and `ACTOGRAM_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod support;

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use actogram_simulator::Fault;
use oracle::{History, Keeping, all_answered, wait_for_all_answers};
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use support::{Program, Stage};

const SECRET: &str = "0123456789abcdef-secret";

const CHATS: usize = 20;

/// Returns an address that nobody uses.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts the echo program at `address`. It tells the server to post to `url`, if that is given.
fn start(stage: &Stage, address: SocketAddr, url: Option<SocketAddr>, journal: &Path) -> Program {
    stage.run_example_with("webhook", |command| configure(command, address, url, journal))
}

/// As [`start`]; when it is told to stop, it empties its journal.
fn start_draining(stage: &Stage, address: SocketAddr, url: SocketAddr, journal: &Path) -> Program {
    stage.run_example_with("webhook", |command| {
        configure(command, address, Some(url), journal);
        command.env("DRAIN_JOURNAL", "1");
    })
}

fn configure(command: &mut Command, address: SocketAddr, url: Option<SocketAddr>, journal: &Path) {
    command
        .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
        .env("ADDRESS", address.to_string())
        .env("ACTOGRAM_JOURNAL", journal);
    if let Some(url) = url {
        command.env("TELEGRAM_WEBHOOK_URL", format!("http://{url}/telegram"));
    }
}

fn until_served(address: SocketAddr) {
    while TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns how many updates are unfinished in a journal, whoever owns it.
fn unfinished(journal: &Path) -> usize {
    let file = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    file.busy_timeout(Duration::from_secs(10)).unwrap();
    let count: isize = file
        .query_row("SELECT count(*) FROM updates", [], |row| row.get(0))
        .unwrap();
    count.unsigned_abs()
}

/// How long a held answer takes by the clock of the server, unless that is moved on.
const HOLD: Duration = Duration::from_secs(600);

/// Holds the next answer of each chat, so that what comes behind it waits in the journal.
fn hold(stage: &Stage) {
    let held = Fault::DelayProcessing(HOLD);
    stage.bot.fault(held.on("sendMessage").times(CHATS));
}

fn stop(program: Program) {
    program.signal(Signal::TERM);
    await_end(program);
}

fn await_end(program: Program) {
    let (status, printed) = program.wait();
    assert!(status.success(), "{status}: {printed}");
}

/// Says something in every chat, `rounds` times.
fn talk(stage: &Stage, users: &[actogram_simulator::User], rounds: std::ops::Range<usize>) {
    for round in rounds {
        for user in users {
            user.say(&format!("text {round}"));
        }
    }
    stage.until_blocking("it is posted", |view| view.posts().len() > 10);
}

/// Checks what holds also when two programs with two journals share the updates of a chat.
fn nothing_is_lost_or_repeated(stage: &Stage) {
    let history = History::of_echo(&stage.bot, Keeping::Journal, 0, 0);
    assert_eq!(history.copies(), 0, "nothing was answered twice");
    let lost: Vec<_> = history
        .broken_laws()
        .into_iter()
        // Two programs have two journals: what the old one still handles may come after what the new one got later.
        .filter(|law| !law.starts_with("out of order") && !law.starts_with("repeated without a kill"))
        .collect();
    assert_eq!(lost, [] as [String; 0]);
}

#[test]
fn a_storm_of_kills_under_the_posts_of_the_server_loses_nothing_and_keeps_every_chat_in_order() {
    let kills: usize = std::env::var("ACTOGRAM_KILLS").map_or(10, |text| text.parse().unwrap());
    let seed: u64 =
        std::env::var("ACTOGRAM_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("seed {seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let (stage, folder) = (Stage::posting(), tempfile::tempdir().unwrap());
    let (address, journal) = (free_address(), folder.path().join("bot.db"));
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();

    let mut kills_with_work = 0;
    for round in 0..kills {
        let program = start(&stage, address, Some(address), &journal);
        let answered = stage.bot.sent().len();
        talk(&stage, &users, round * 10..(round + 1) * 10);
        stage.until_blocking("something is answered", |view| view.sent().len() > answered + 1);
        thread::sleep(Duration::from_millis(random.u64(0..60)));
        program.kill();
        kills_with_work += usize::from(!stage.bot.view(all_answered));
    }
    let last = start(&stage, address, Some(address), &journal);
    wait_for_all_answers(&stage.bot);
    stop(last);

    let history = History::of_echo(&stage.bot, Keeping::Journal, kills, kills_with_work);
    println!(
        "{} updates, {} copies, {kills_with_work} kills with work",
        history.issued.len(),
        history.copies()
    );
    assert_eq!(history.broken_laws(), [] as [String; 0]);
    assert!(kills_with_work > 0, "every kill came when all was done");
}

#[test]
fn one_program_takes_over_from_another_behind_one_address_and_nothing_is_lost_or_repeated() {
    let (stage, folder) = (Stage::posting(), tempfile::tempdir().unwrap());
    let balancer = Balancer::start();
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let journal = |round| folder.path().join(format!("{round}.db"));
    let mut old: Option<Program> = None;

    for round in 0..3 {
        let address = free_address();
        let new = start(&stage, address, Some(balancer.address), &journal(round));
        until_served(address);
        balancer.lead_to(address);
        talk(&stage, &users, round * 10..round * 10 + 5);
        if let Some(old) = old.replace(new) {
            // The server still has connections to it, where it answers 503 from now on.
            stop(old);
        }
        talk(&stage, &users, round * 10 + 5..(round + 1) * 10);
    }
    stage.until_blocking("everything is confirmed", |view| view.pending_count() == 0);
    // What an old program had acknowledged and not begun waits in its journal for whoever is started on it.
    let rest: Vec<_> = (0..2)
        .map(|round| start(&stage, free_address(), None, &journal(round)))
        .collect();
    stage.until_blocking("everything is answered", all_answered);
    rest.into_iter().chain(old).for_each(stop);

    nothing_is_lost_or_repeated(&stage);
}

#[test]
fn a_program_that_drains_its_journal_leaves_nothing_in_it_when_another_one_takes_over() {
    let (stage, folder) = (Stage::posting(), tempfile::tempdir().unwrap());
    let balancer = Balancer::start();
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let [old_journal, new_journal] = ["old.db", "new.db"].map(|name| folder.path().join(name));
    let [old_address, new_address] = [free_address(), free_address()];
    hold(&stage);
    let old = start_draining(&stage, old_address, balancer.address, &old_journal);
    balancer.lead_to(old_address);
    talk(&stage, &users, 0..10);
    stage.until_blocking("all is acknowledged", |view| view.pending_count() == 0);
    assert_eq!(unfinished(&old_journal), 10 * CHATS);

    let new = start(&stage, new_address, Some(balancer.address), &new_journal);
    until_served(new_address);
    balancer.lead_to(new_address);
    old.signal(Signal::TERM);
    stage.simulator.advance_clock(HOLD);
    // The server still has connections to the old one, where it answers 503 from now on.
    talk(&stage, &users, 10..20);
    await_end(old);
    assert_eq!(unfinished(&old_journal), 0);
    stage.until_blocking("everything is answered", all_answered);
    stage.until_blocking("everything is confirmed", |view| view.pending_count() == 0);
    stop(new);

    nothing_is_lost_or_repeated(&stage);
}

#[test]
fn a_program_that_is_killed_while_it_drains_its_journal_loses_nothing() {
    let (stage, folder) = (Stage::posting(), tempfile::tempdir().unwrap());
    let (address, journal) = (free_address(), folder.path().join("bot.db"));
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    hold(&stage);
    let slow = Fault::DelayProcessing(Duration::from_millis(2_500));
    stage.bot.fault(slow.on("sendMessage").forever());
    let first = start_draining(&stage, address, address, &journal);
    talk(&stage, &users, 0..20);
    stage.until_blocking("all is acknowledged", |view| view.pending_count() == 0);
    assert_eq!(unfinished(&journal), 20 * CHATS);

    first.signal(Signal::TERM);
    stage.simulator.advance_clock(HOLD);
    // More than were running.
    stage.until_blocking("it is draining", |view| view.sent().len() > 3 * CHATS);
    first.kill();
    assert!(
        unfinished(&journal) > 0,
        "the run is void: it was killed too late"
    );
    let second = start(&stage, address, Some(address), &journal);
    stage.until_blocking("everything is answered", all_answered);
    stage.until_blocking("everything is confirmed", |view| view.pending_count() == 0);
    stop(second);

    let history = History::of_echo(&stage.bot, Keeping::Journal, 1, 1);
    assert_eq!(history.broken_laws(), [] as [String; 0]);
}

/// One address in front of programs that come and go.
struct Balancer {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
}

impl Balancer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let balancer = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::default(),
        };
        let target = Arc::clone(&balancer.target);
        // It ends with the process of the test.
        thread::spawn(move || {
            for client in listener.incoming() {
                let leads_to = *target.lock().unwrap();
                let server = leads_to.and_then(|address| TcpStream::connect(address).ok());
                if let (Ok(client), Some(server)) = (client, server) {
                    forward(&client, &server);
                    forward(&server, &client);
                }
            }
        });
        balancer
    }

    /// Leads new connections there.
    fn lead_to(&self, address: SocketAddr) {
        *self.target.lock().unwrap() = Some(address);
    }
}

fn forward(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        // A connection that breaks breaks on the other side as well.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
