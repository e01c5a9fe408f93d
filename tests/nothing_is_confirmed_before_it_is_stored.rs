//! The server forgets an update when it is told an offset above it. That happens only after the update is in the journal:
//! while the journal cannot be written, nothing is confirmed, and whatever becomes of the process, the server has it.
//!
//! Excludes the failure of programs that acknowledge first and store later: a deploy in between loses the update.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::PathBuf;

use actogram::{Bot, BotHandle, Context};
use rusqlite::{Connection, OpenFlags};
use support::{Log, Stage, on_actix, sharing, until};
use tempfile::TempDir;

struct Scene {
    stage: Stage,
    folder: TempDir,
    handled: Log<String>,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            handled: Log::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    fn bot(&self) -> Bot {
        self.stage.actogram().journal(self.path()).handlers(sharing(
            self.handled.clone(),
            |handled: Log<String>, ctx: Context| async move {
                handled.add(ctx.text().unwrap_or_default().to_owned());
            },
        ))
    }

    fn fetched(&self) -> usize {
        let polls = self.stage.bot.polls();
        polls.iter().map(|poll| poll.returned.len()).sum()
    }

    /// Takes the journal's write lock, lets Ann say three things, and waits until the bot has them and has tried in vain
    /// to keep them.
    async fn with_three_that_cannot_be_stored(&self, bot: &BotHandle) -> Connection {
        let ann = self.stage.bot.user("Ann");
        ann.say("stored");
        until("the first one is handled", || self.handled.len() == 1).await;
        self.stage
            .until("the first one is confirmed", |view| view.pending_count() == 0)
            .await;
        // Its end is on record as well: it would run again after a stop otherwise.
        while bot.journal_stats().await.unwrap().unfinished > 0 {}
        let lock = Connection::open(self.path()).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        ann.say_all(["one", "two", "three"]);
        until("they are fetched", || self.fetched() == 4).await;
        // The journal takes what it is asked for in turn: that this was refused means that the batch was tried before.
        let refused = bot.drop_dead_letter("1".parse().unwrap()).await.unwrap_err();
        assert!(
            refused.to_string().contains("another program is writing"),
            "{refused}"
        );
        for _ in 0..300 {
            bot.snapshot().await.unwrap();
        }
        lock
    }

    fn nothing_more_is_confirmed(&self) {
        assert_eq!(self.stage.bot.pending().len(), 3, "the server keeps all three");
        assert_eq!(self.stage.bot.confirmed().len(), 1);
        assert_eq!(self.fetched(), 4, "nobody asked for more");
        assert_eq!(self.handled.len(), 1, "nothing is handled that is not stored");
    }
}

#[test]
fn while_the_journal_cannot_be_written_the_offset_stands_still_and_moves_when_it_can() {
    on_actix(async {
        let scene = Scene::new();
        let bot = scene.bot().start().await.unwrap();

        let lock = scene.with_three_that_cannot_be_stored(&bot).await;

        scene.nothing_more_is_confirmed();
        lock.execute_batch("ROLLBACK").unwrap();
        until("all are handled", || scene.handled.len() >= 4).await;
        scene
            .stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.handled.all(), ["stored", "one", "two", "three"]);
    });
}

#[test]
fn a_stop_while_the_journal_cannot_be_written_leaves_everything_with_the_server() {
    on_actix(async {
        let scene = Scene::new();
        let bot = scene.bot().start().await.unwrap();
        let lock = scene.with_three_that_cannot_be_stored(&bot).await;

        bot.shutdown_now().await.unwrap();

        scene.nothing_more_is_confirmed();
        drop(lock);
        let bot = scene.bot().start().await.unwrap();
        until("all are handled", || scene.handled.len() >= 4).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.handled.all(), ["stored", "one", "two", "three"]);
    });
}

/// The server stands still while it is looked at.
#[test]
fn whenever_the_server_is_looked_at_what_it_has_forgotten_is_in_the_file() {
    on_actix(async {
        let scene = Scene::new();
        let bot = scene.bot().start().await.unwrap();
        let file = Connection::open_with_flags(scene.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let users: Vec<_> = (0..10)
            .map(|n| scene.stage.bot.user(&format!("user {n}")))
            .collect();
        let mut looks = 0;
        for round in 1..=30 {
            for user in &users {
                user.say("text");
            }
            scene
                .stage
                .until("the round is confirmed", |view| {
                    looks += 1;
                    for id in view.confirmed() {
                        let stored = file
                            .prepare_cached("SELECT 1 FROM seen WHERE update_id = ?1")
                            .unwrap()
                            .exists([id])
                            .unwrap();
                        assert!(stored, "{id} is confirmed and not stored");
                    }
                    view.confirmed().len() == round * users.len()
                })
                .await;
        }
        assert!(looks > 60, "the run is void: {looks} looks");
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
