//! The real webhook program is killed with SIGKILL, at any instant, while updates are posted to it as the server does:
//! what it acknowledged is answered, and every chat stays in order.
//!
//! `ACTOGRAM_KILLS` sets how often it is killed (default 12); its seed is printed, and `ACTOGRAM_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod support;
mod webhook_poster;

use std::{
    collections::{HashMap, HashSet},
    net::{SocketAddr, TcpListener},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::Fault;
use oracle::{Answer, History, IssuedText, Keeping};
use support::{PATIENCE, Program, Stage};
use webhook_poster::{Letter, Poster, SECRET};

const CHATS: usize = 25;

/// Returns an address that nobody uses; each start of the program listens there again.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn start(stage: &Stage, address: SocketAddr, journal: &Path) -> Program {
    stage.run_example_with("webhook", |command| {
        command
            .env("TELEGRAM_WEBHOOK_SECRET", SECRET)
            .env("ADDRESS", address.to_string())
            .env("ACTOGRAM_JOURNAL", journal);
    })
}

#[test]
fn a_storm_of_kills_with_a_journal_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();

    storm(&folder.path().join("bot.db"), Keeping::Journal);
}

#[test]
fn a_storm_of_kills_without_a_journal_loses_nothing_that_was_acknowledged() {
    storm(Path::new("off"), Keeping::Direct);
}

fn storm(journal: &Path, keeping: Keeping) {
    let kills: usize = setting("ACTOGRAM_KILLS").unwrap_or(12);
    let seed: u64 = setting("ACTOGRAM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = Stage::new();
    stage.bot.fault(
        Fault::DelayResponse(Duration::from_millis(3))
            .on("sendMessage")
            .forever(),
    );
    let users: Vec<_> = (0..CHATS).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    for user in &users {
        // A bot may not speak first.
        user.say("/start");
    }
    // More than can be posted in the whole storm, which ends with the last kill.
    let letters: Vec<_> = (0..40_000)
        .map(|n| Letter {
            id: i64::try_from(n).unwrap() + 1,
            chat: users[n % CHATS].chat_id(),
            text: format!("text {n}"),
        })
        .collect();
    let address = free_address();
    let poster = Poster::start(address, "/telegram", 40, &letters);

    let mut kills_with_work = 0;
    for _ in 0..kills {
        let program = start(&stage, address, journal);
        thread::sleep(Duration::from_millis(random.u64(5..400)));
        program.kill();
        let (sent, acknowledged) = (
            stage.bot.view(|view| view.sent().len()),
            poster.acknowledged().len(),
        );
        kills_with_work += usize::from(sent < acknowledged);
    }
    let last = start(&stage, address, journal);
    let enough = poster.acknowledged().len() + 500;
    let progress = Instant::now();
    while poster.acknowledged().len() < enough {
        assert!(
            progress.elapsed() < PATIENCE,
            "the last program acknowledges nothing"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let repeats = poster.repeats();
    let acknowledged = poster.finish();
    wait_for_all_answers(&stage, &acknowledged, &letters);
    last.kill();

    let history = history(&stage, keeping, &letters, &acknowledged, (kills, kills_with_work));
    println!(
        "{} acknowledged, {} answers, {} copies, {repeats} requests repeated",
        acknowledged.len(),
        history.answers.len(),
        history.copies()
    );
    assert_eq!(history.broken_laws(), [] as [String; 0]);
    assert!(
        acknowledged.len() > 20 * kills,
        "the run is void: too few updates"
    );
    assert!(
        kills < 10 || history.copies() > 0,
        "the run is void: no kill met a running handler"
    );
    assert!(repeats > kills, "the run is void: no kill met a request");
}

/// Waits until everything that was acknowledged is answered, as long as there is progress.
fn wait_for_all_answers(stage: &Stage, acknowledged: &[(i64, u128)], letters: &[Letter]) {
    let (mut answers, mut progress) = (0, Instant::now());
    loop {
        let sent: HashSet<_> = stage
            .bot
            .view(|view| view.sent().iter().filter_map(|sent| sent.text.clone()).collect());
        let missing = acknowledged
            .iter()
            .filter(|(id, _)| !sent.contains(&letters[usize::try_from(*id).unwrap() - 1].text))
            .count();
        if missing == 0 {
            return;
        }
        if sent.len() > answers {
            (answers, progress) = (sent.len(), Instant::now());
        }
        assert!(
            progress.elapsed() < PATIENCE,
            "no more answers come, {missing} acknowledged updates have none"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Puts together what the poster and the simulator saw.
fn history(
    stage: &Stage,
    keeping: Keeping,
    letters: &[Letter],
    acknowledged: &[(i64, u128)],
    (kills, kills_with_work): (usize, usize),
) -> History {
    let acknowledged: HashMap<i64, u128> = acknowledged.iter().copied().collect();
    let answers: Vec<_> = stage
        .bot
        .sent()
        .iter()
        .map(|sent| Answer {
            chat: sent.chat_id.unwrap(),
            text: sent.text.clone().unwrap_or_default(),
            at: sent.at.since_unix().as_nanos(),
        })
        .collect();
    History {
        issued: letters
            .iter()
            .filter(|letter| acknowledged.contains_key(&letter.id))
            .map(|letter| IssuedText {
                chat: letter.chat,
                text: letter.text.clone(),
                confirmed_at: acknowledged.get(&letter.id).copied(),
            })
            .collect(),
        answers,
        kills,
        kills_with_work,
        keeping,
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}
