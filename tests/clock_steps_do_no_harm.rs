//! The wall clock is set forward and back by an hour, while the bot runs and between two runs: nothing is lost, repeated
//! or held up.

#![cfg(all(feature = "journal", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use actogram_simulator::{Fault, View};
use oracle::{History, Keeping, all_answered};
use rusqlite::{Connection, OpenFlags};
use support::{Program, Stage};

struct Scene {
    stage: Stage,
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Scene {
    /// Returns `None` on a machine without libfaketime, which must be excused explicitly.
    fn new() -> Option<Self> {
        let Some(library) = library() else {
            let excused = std::env::var("ACTOGRAM_WITHOUT_FAKETIME").is_ok_and(|value| value == "1");
            assert!(
                excused,
                "libfaketime is missing, install faketime (or set ACTOGRAM_WITHOUT_FAKETIME=1 to do without this test)"
            );
            println!("skipped: ACTOGRAM_WITHOUT_FAKETIME=1 and no libfaketime");
            return None;
        };
        Some(Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            library,
        })
    }

    fn clock(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// Sets the wall clock of the program, in seconds from the real one. Its monotonic clock goes on.
    fn set_clock(&self, seconds: i64) {
        let draft = self.folder.path().join("clock.new");
        fs::write(&draft, format!("{seconds:+}\n")).unwrap();
        fs::rename(draft, self.clock()).unwrap();
    }

    fn echo(&self) -> Program {
        self.stage.run_example_with("echo", |command| {
            command
                .env("ACTOGRAM_JOURNAL", self.folder.path().join("bot.db"))
                .env("LD_PRELOAD", &self.library)
                .env("FAKETIME_TIMESTAMP_FILE", self.clock())
                .env("FAKETIME_NO_CACHE", "1")
                .env("DONT_FAKE_MONOTONIC", "1");
        })
    }

    /// Returns between which times by the program's clock updates were kept.
    fn span_of_times(&self) -> Duration {
        let journal = self.folder.path().join("bot.db");
        let millis: i64 = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap()
            .query_row("SELECT max(at) - min(at) FROM seen", [], |row| row.get(0))
            .unwrap();
        Duration::from_millis(millis.unsigned_abs())
    }

    fn all_is_well(&self, kills: usize) {
        self.stage
            .until_blocking("all are answered and confirmed", answered_and_confirmed);
        let history = History::of_echo(&self.stage.bot, Keeping::Journal, kills, kills);
        assert_eq!(history.broken_laws(), [] as [String; 0]);
    }
}

fn library() -> Option<PathBuf> {
    let name = Path::new("faketime/libfaketimeMT.so.1");
    let folders = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|folder| folder.path());
    folders.map(|folder| folder.join(name)).find(|path| path.exists())
}

fn answered_and_confirmed(view: &View<'_>) -> bool {
    all_answered(view) && view.pending_count() == 0
}

#[test]
fn the_clock_is_set_while_the_bot_runs() {
    let Some(scene) = Scene::new() else { return };
    scene.set_clock(0);
    let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
    let echo = scene.echo();

    for (round, seconds) in [3600, -3600, 0].into_iter().enumerate() {
        for user in [&ann, &bob] {
            user.say(&format!("before {round}"));
        }
        scene.set_clock(seconds);
        for user in [&ann, &bob] {
            user.say(&format!("after {round}"));
        }
        scene.all_is_well(0);
    }
    echo.kill();
    assert!(
        scene.span_of_times() > Duration::from_secs(3600),
        "the run is void: the clock of the program did not move"
    );
}

#[test]
fn the_clock_is_set_between_a_kill_and_the_next_start() {
    let Some(scene) = Scene::new() else { return };
    let users: Vec<_> = (0..5)
        .map(|n| scene.stage.bot.user(&format!("user {n}")))
        .collect();
    for (round, seconds) in [3600, -3600, 0].into_iter().enumerate() {
        scene.set_clock(seconds);
        for user in &users {
            user.say_all([format!("one {round}"), format!("two {round}")]);
        }
        scene
            .stage
            .bot
            .fault(Fault::Stall.on("sendMessage").times(users.len()));
        let echo = scene.echo();
        scene
            .stage
            .until_blocking("a handler runs in each chat and all is kept", |view| {
                view.faults_left() == 0 && view.pending_count() == 0
            });
        echo.kill();

        scene.set_clock(-seconds);
        let echo = scene.echo();
        scene.all_is_well(2 * round + 1);
        echo.kill();
    }
    assert!(
        scene.span_of_times() > Duration::from_secs(3600),
        "the run is void: the clock of the program did not move"
    );
}
