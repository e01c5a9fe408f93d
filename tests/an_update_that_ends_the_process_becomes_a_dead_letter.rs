//! An update whose handler ends the whole process is given up after a bounded number of deaths; nobody else pays for it.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::{Fault, User};
use rusqlite::{Connection, OpenFlags};
use support::{PATIENCE, Program, Stage};

/// Deaths after which an update is given up.
const DEATHS: u32 = 6;

const INNOCENTS: usize = 20;

struct Scene {
    stage: Stage,
    innocents: Vec<User>,
    culprit: User,
    folder: tempfile::TempDir,
}

impl Scene {
    /// Twenty handlers run when the culprit's text comes and ends the process.
    fn after_the_first_death() -> Self {
        let stage = Stage::lenient();
        let scene = Self {
            innocents: (0..INNOCENTS)
                .map(|n| stage.bot.user(&format!("user {n}")))
                .collect(),
            culprit: stage.bot.user("culprit"),
            stage,
            folder: tempfile::tempdir().unwrap(),
        };
        for user in &scene.innocents {
            user.say_all(["first", "second"]);
        }
        scene.hold_answers();
        let bot = scene.start();
        scene
            .stage
            .until_blocking("all innocents are running", |view| view.faults_left() == 0);
        scene.culprit.say_all(["abort", "after"]);
        scene.dies(bot);
        scene
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    fn start(&self) -> Program {
        let journal = self.journal();
        self.stage.run_example_with("crash_test", |command| {
            command.env("ACTOGRAM_JOURNAL", journal);
        })
    }

    /// Keeps the next answers from being sent, so that whoever wants to send one is running until the process ends.
    fn hold_answers(&self) {
        self.stage
            .bot
            .fault(Fault::Stall.on("sendMessage").times(INNOCENTS));
    }

    fn dies(&self, bot: Program) {
        let (status, printed) = bot.wait();
        assert!(
            !status.success() && status.code().is_none(),
            "{status}: {printed}"
        );
        self.stage.bot.clear_faults();
    }

    /// Starts the bot again and again until it stays up, and returns it with how often it died.
    fn restart_until_it_stays_up(&self, deaths: u32) -> (Program, u32) {
        let started = Instant::now();
        let mut deaths = deaths;
        let mut bot = self.start();
        loop {
            if self.culprit.heard() == ["after"] {
                return (bot, deaths);
            }
            if !bot.runs() {
                self.dies(bot);
                deaths += 1;
                assert!(deaths <= DEATHS, "it dies for ever");
                bot = self.start();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it neither dies nor answers: {}",
                bot.printed()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn the_culprit_is_a_dead_letter_in_the_end_and_everybody_else_is_answered() {
    let scene = Scene::after_the_first_death();
    scene.hold_answers();

    let (bot, deaths) = scene.restart_until_it_stays_up(1);
    scene.stage.until_blocking("all innocents are answered", |view| {
        view.sent().len() == 2 * INNOCENTS + 1
    });
    let fresh = scene.stage.bot.user("fresh");
    fresh.say("hello");
    scene.stage.until_blocking("a fresh text is answered", |view| {
        view.texts_to(fresh.chat_id()) == ["hello"]
    });
    bot.kill();

    assert_eq!(deaths, DEATHS);
    for user in &scene.innocents {
        assert_eq!(user.heard(), ["first", "second"]);
    }
    assert_eq!(
        dead(&scene.journal()),
        [(
            format!("chat:{}", scene.culprit.chat_id()),
            "crashed".to_owned(),
            DEATHS
        )]
    );
}

#[test]
fn who_ran_at_two_deaths_runs_alone_and_who_waits_is_not_drawn_in() {
    let scene = Scene::after_the_first_death();
    scene.hold_answers();
    scene.dies(scene.start());
    assert_eq!(
        scene.stage.bot.sent().len(),
        0,
        "nobody was answered before the second death"
    );

    scene.dies(scene.start());

    for user in &scene.innocents {
        assert_eq!(
            user.heard(),
            ["first"],
            "each suspect had its turn alone, and only they"
        );
    }
    let mut left = crashes(&scene.journal());
    left.sort_unstable();
    let mut expected = vec![0; INNOCENTS + 1];
    expected.push(3);
    assert_eq!(left, expected, "only the culprit has deaths on its record");
    assert_eq!(dead(&scene.journal()), []);
}

fn open(journal: &Path) -> Connection {
    Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Returns lane, reason and deaths of every dead letter.
fn dead(journal: &Path) -> Vec<(String, String, u32)> {
    open(journal)
        .prepare("SELECT lane, reason, crashes FROM dead")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Returns the deaths on the record of every unfinished update, with the one that the next start will add.
fn crashes(journal: &Path) -> Vec<u32> {
    open(journal)
        .prepare("SELECT crashes + state FROM updates")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}
