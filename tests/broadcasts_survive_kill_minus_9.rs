//! The real broadcast program is killed with SIGKILL, at any instant, and started again until it is complete: nobody is
//! skipped, and nobody gets the message twice.
//!
//! `ACTOGRAM_KILLS` sets how often the storm kills (default 12); its seed is printed, and `ACTOGRAM_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::Duration,
};

use actogram_simulator::Fault;
use rustix::process::Signal;
use support::{Program, Stage};
use tempfile::TempDir;

/// Chats for each kill, more than a life can serve.
const CHATS_PER_KILL: usize = 40;

/// Chats that are served at the same time, by default.
const AT_ONCE: usize = actogram::Broadcast::DEFAULT_CONCURRENCY;

/// The simulator, chats in a file, and a place for the journal.
struct Campaign {
    stage: Stage,
    folder: TempDir,
    chats: Vec<i64>,
}

impl Campaign {
    fn new(chats: usize) -> Self {
        let stage = Stage::new();
        let users = (0..chats).map(|n| stage.bot.user(&format!("user {n}")));
        let chats: Vec<_> = users.map(|user| user.chat_id()).collect();
        let folder = tempfile::tempdir().unwrap();
        // Each chat is named a second time, at the end.
        let lines: Vec<_> = chats.iter().chain(&chats).map(ToString::to_string).collect();
        fs::write(folder.path().join("chats.txt"), lines.join("\n")).unwrap();
        Self { stage, folder, chats }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, rate: u32) -> Program {
        let journal: &Path = &self.path("bot.db");
        self.stage.run_example_with("broadcast", |command| {
            command
                .env("ACTOGRAM_JOURNAL", journal)
                .env("RATE", rate.to_string())
                .arg("news")
                .arg(self.path("chats.txt"))
                .arg("The news");
        })
    }

    /// Returns how often each chat got the message.
    fn messages(&self) -> BTreeMap<i64, usize> {
        let mut messages: BTreeMap<_, _> = self.chats.iter().map(|chat| (*chat, 0)).collect();
        for sent in self.stage.bot.sent() {
            *messages.get_mut(&sent.chat_id.unwrap()).unwrap() += 1;
        }
        messages
    }
}

/// Returns the chats that the program lists with this outcome.
fn listed(printed: &str, outcome: &str) -> BTreeSet<i64> {
    let lines = printed
        .lines()
        .filter_map(|line| line.strip_prefix(outcome)?.strip_prefix(' '));
    lines
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

/// Returns what is wrong with the end of a broadcast.
fn crimes(messages: &BTreeMap<i64, usize>, unknown: &BTreeSet<i64>, most_unknown: usize) -> Vec<String> {
    let mut crimes = Vec::new();
    for (chat, count) in messages {
        match count {
            0 if !unknown.contains(chat) => crimes.push(format!("skipped: {chat}")),
            0 | 1 => {}
            _ => crimes.push(format!("sent {count} times: {chat}")),
        }
    }
    if unknown.len() > most_unknown {
        crimes.push(format!(
            "{} are unknown, at most {most_unknown} may be",
            unknown.len()
        ));
    }
    crimes
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

#[test]
fn a_storm_of_kills_skips_nobody_and_sends_nothing_twice() {
    let kills: usize = setting("ACTOGRAM_KILLS").unwrap_or(12);
    let seed: u64 = setting("ACTOGRAM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let campaign = Campaign::new(CHATS_PER_KILL * (kills + 2));
    campaign.stage.bot.fault(
        Fault::DelayResponse(Duration::from_millis(20))
            .on("sendMessage")
            .forever(),
    );

    let mut kills_with_work = 0;
    for _ in 0..kills {
        let before = campaign.stage.bot.sent().len();
        let program = campaign.start(random.u32(5..20));
        // Some kills come at any instant of a start, the others after a few messages.
        if random.bool() {
            let enough = before + random.usize(1..20);
            campaign
                .stage
                .until_blocking("some have it", |view| view.sent().len() >= enough);
            thread::sleep(Duration::from_millis(random.u64(0..60)));
        } else {
            thread::sleep(Duration::from_millis(random.u64(0..200)));
        }
        program.kill();
        kills_with_work += usize::from(campaign.stage.bot.sent().len() > before);
    }
    let (status, printed) = campaign.start(200).wait();

    println!("{printed}");
    assert!(status.success(), "{printed}");
    let unknown = listed(&printed, "unknown");
    let messages = campaign.messages();
    let arrived = unknown.iter().filter(|chat| messages[chat] == 1).count();
    println!(
        "{} unknown, of which {arrived} arrived; {kills_with_work} kills with work",
        unknown.len()
    );
    assert_eq!(
        crimes(&messages, &unknown, kills * AT_ONCE),
        [] as [String; 0],
        "seed {seed}"
    );
    assert!(
        printed.contains("0 blocked") && printed.contains("0 failed"),
        "{printed}"
    );
    assert!(
        kills_with_work * 3 > kills,
        "the run is void: too few kills met work"
    );
    assert!(
        kills < 10 || !unknown.is_empty(),
        "the run is void: no kill met a running send"
    );
}

/// All that run are killed between the message and the record of its outcome.
#[test]
fn what_was_sent_when_the_process_died_is_unknown_and_not_sent_again() {
    let campaign = Campaign::new(50);
    campaign
        .stage
        .bot
        .fault(Fault::Stall.on("sendMessage").after_processing().times(AT_ONCE));
    let first = campaign.start(1000);
    campaign
        .stage
        .until_blocking("all are on the wire", |view| view.faults_left() == 0);

    first.kill();
    let (status, printed) = campaign.start(1000).wait();

    assert!(status.success(), "{printed}");
    let unknown = listed(&printed, "unknown");
    assert_eq!(unknown.len(), AT_ONCE, "{printed}");
    assert!(printed.contains("the process ended during the send"), "{printed}");
    let expected: BTreeMap<_, _> = campaign.chats.iter().map(|chat| (*chat, 1)).collect();
    assert_eq!(campaign.messages(), expected);
}

#[test]
fn a_signal_stops_it_between_two_chats_and_a_name_is_used_once() {
    let campaign = Campaign::new(30);
    let first = campaign.start(5);
    campaign
        .stage
        .until_blocking("some have it", |view| view.sent().len() >= 5);

    first.signal(Signal::INT);
    let (status, stopped) = first.wait();
    let (second, completed) = campaign.start(1000).wait();
    let (third, refused) = campaign.start(1000).wait();

    assert_eq!(status.code(), Some(75), "{stopped}");
    assert!(stopped.contains("stopped, start it again"), "{stopped}");
    assert!(second.success(), "{completed}");
    assert!(
        completed.contains("30 sent, 0 blocked, 0 unknown, 0 failed"),
        "{completed}"
    );
    assert!(
        completed.contains("[##############################] 60/60"),
        "{completed}"
    );
    assert!(!third.success() && refused.contains("Ended"), "{refused}");
    assert!(campaign.messages().values().all(|count| *count == 1));
}

/// Red controls: each crime is found.
mod the_judge {
    use super::{BTreeMap, BTreeSet, crimes};

    #[test]
    fn lets_an_honest_broadcast_pass() {
        let messages = BTreeMap::from([(1, 1), (2, 0), (3, 1)]);

        assert_eq!(crimes(&messages, &BTreeSet::from([2, 3]), 2), [] as [String; 0]);
    }

    #[test]
    fn finds_who_was_skipped_who_got_it_twice_and_too_many_that_are_unknown() {
        let messages = BTreeMap::from([(1, 2), (2, 0), (3, 1), (4, 2)]);

        let found = crimes(&messages, &BTreeSet::from([3, 4]), 1);

        assert_eq!(
            found,
            [
                "sent 2 times: 1",
                "skipped: 2",
                "sent 2 times: 4",
                "2 are unknown, at most 1 may be"
            ]
        );
    }
}
