//! The bounds of the journal hold: at them polling pauses and the server keeps the rest, below them it goes on by itself;
//! what need not be kept for longer goes, and is counted.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{path::PathBuf, time::Duration};

use actogram::{
    Bot, BotHandle, ConfigError, Context, DeadLetterFilter, Error, HandlerError, HandlerResult,
    JournalConfig, JournalStats,
};
use support::{Gate, Log, Stage, on_actix, sharing, until};
use tempfile::TempDir;

struct Scene {
    stage: Stage,
    folder: TempDir,
    handled: Log<String>,
    gate: Gate,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            handled: Log::new(),
            gate: Gate::closed(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    /// Returns a bot that handles nothing before the gate is open; "bad …" fails for good at once.
    fn bot(&self, change: impl FnOnce(JournalConfig) -> JournalConfig) -> Bot {
        let shared = (self.handled.clone(), self.gate.clone());
        self.stage
            .actogram()
            .journal(self.path())
            .journal_config(change)
            .handlers(sharing(
                shared,
                |(handled, gate): (Log<String>, Gate), ctx: Context| async move {
                    let text = ctx.text().unwrap_or_default().to_owned();
                    if text.starts_with("bad") {
                        return Err(HandlerError::give_up("it is bad"));
                    }
                    gate.pass().await;
                    handled.add(text);
                    HandlerResult::Ok(())
                },
            ))
    }

    /// Waits until the journal holds what the server has handed over and no poll is under way, and looks so often
    /// whether it stays like this that a next poll would have been seen.
    async fn until_paused(&self, bot: &BotHandle) -> JournalStats {
        const LOOKS: u32 = 300;
        let mut in_a_row = 0;
        loop {
            let polling = bot.snapshot().await.unwrap().engine.polling;
            let stats = bot.journal_stats().await.unwrap();
            let handed_over = self.handed_over() as u64;
            let paused = handed_over > 0 && stats.unfinished == handed_over && !polling.fetching;
            in_a_row = if paused { in_a_row + 1 } else { 0 };
            if in_a_row == LOOKS {
                return stats;
            }
        }
    }

    fn handed_over(&self) -> usize {
        let polls = self.stage.bot.polls();
        polls.iter().map(|poll| poll.returned.len()).sum()
    }

    async fn all_are_handled_in_order(&self, count: usize) {
        self.gate.open();
        until("all are handled", || self.handled.len() >= count).await;
        self.stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
        let expected: Vec<_> = (0..count).map(|n| format!("text {n}")).collect();
        assert_eq!(self.handled.all(), expected, "each once, in order");
    }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("text {n}")).collect()
}

#[test]
fn polling_pauses_at_the_bound_of_updates_and_goes_on_below_it() {
    on_actix(async {
        let scene = Scene::new();
        scene.stage.bot.user("Ann").say_all(texts(30));
        let bot = scene.bot(|config| config.max_updates(7)).start().await.unwrap();

        let stats = scene.until_paused(&bot).await;

        assert_eq!(stats.unfinished, 7);
        assert_eq!(
            scene.stage.bot.pending().len(),
            30 - scene.stage.bot.confirmed().len()
        );
        assert!(scene.stage.bot.pending().len() >= 23, "the server keeps the rest");
        scene.all_are_handled_in_order(30).await;
        let largest = scene.stage.bot.polls().iter().map(|poll| poll.limit).max();
        assert_eq!(largest, Some(7), "never more is asked for than there is room");
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn polling_pauses_at_the_bound_of_bytes_and_goes_on_below_it() {
    on_actix(async {
        let scene = Scene::new();
        let ann = scene.stage.bot.user("Ann");
        ann.say_all(texts(150));
        // The first batch of 100 passes the bound.
        let bot = scene.bot(|config| config.max_bytes(5_000)).start().await.unwrap();

        let stats = scene.until_paused(&bot).await;

        assert_eq!(stats.unfinished, 100);
        assert!(stats.unfinished_bytes > 5_000);
        assert!(scene.stage.bot.pending().len() >= 50, "the server keeps the rest");
        scene.all_are_handled_in_order(150).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn without_memory_for_them_updates_are_handled_all_the_same() {
    on_actix(async {
        let scene = Scene::new();
        scene.stage.bot.user("Ann").say_all(texts(120));
        let bot = scene.bot(|config| config.memory(0)).start().await.unwrap();

        scene.all_are_handled_in_order(120).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

async fn until_stats(bot: &BotHandle, holds: impl Fn(&JournalStats) -> bool) -> JournalStats {
    loop {
        let stats = bot.journal_stats().await.unwrap();
        if holds(&stats) {
            return stats;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn only_so_many_dead_letters_are_kept_as_was_asked_for_and_the_others_are_counted() {
    on_actix(async {
        let scene = Scene::new();
        let ann = scene.stage.bot.user("Ann");
        let ids = ann.say_all(["bad 1", "bad 2", "bad 3", "bad 4", "bad 5"]);
        let bot = scene
            .bot(|config| config.keep_dead_letters(2))
            .start()
            .await
            .unwrap();

        let stats = until_stats(&bot, |stats| stats.dead_letters_dropped == 3).await;

        assert_eq!((stats.dead_letters, stats.unfinished), (2, 0));
        let page = bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        let left: Vec<_> = page.letters.iter().map(|letter| letter.update_id).collect();
        assert_eq!(left, ids[3..], "the newest");
        assert!(bot.shutdown().await.unwrap().is_clean());

        let unbounded = |config: JournalConfig| config.keep_dead_letters(None).keep_dead_letters_for(None);
        let bot = scene.bot(unbounded).start().await.unwrap();
        ann.say_all(["bad 6", "bad 7"]);
        let stats = until_stats(&bot, |stats| stats.dead_letters == 4).await;
        assert_eq!(stats.dead_letters_dropped, 3, "the count outlives the process");
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn dead_letters_are_kept_for_as_long_as_was_asked_for() {
    on_actix(async {
        let scene = Scene::new();
        scene.stage.bot.user("Ann").say_all(["bad 1", "bad 2"]);
        let bot = scene.bot(|config| config).start().await.unwrap();
        until_stats(&bot, |stats| stats.dead_letters == 2).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        // Of the time of death no checksum is kept, so that it can be set back here.
        rusqlite::Connection::open(scene.path())
            .unwrap()
            .execute("UPDATE dead SET died_at = died_at - 3600000 WHERE seq = 1", [])
            .unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);

        let bot = scene
            .bot(|config| config.keep_dead_letters_for(hours(2)).keep_dead_letters(1000))
            .start()
            .await
            .unwrap();
        let stats = bot.journal_stats().await.unwrap();
        assert_eq!((stats.dead_letters, stats.dead_letters_dropped), (2, 0));
        assert!(bot.shutdown().await.unwrap().is_clean());
        let minute = Duration::from_secs(60);
        let bot = scene
            .bot(|config| config.keep_dead_letters_for(hours(1) - minute))
            .start()
            .await
            .unwrap();
        let stats = until_stats(&bot, |stats| stats.dead_letters_dropped > 0).await;

        assert_eq!((stats.dead_letters, stats.dead_letters_dropped), (1, 1));
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn only_so_many_ids_are_remembered_as_was_asked_for() {
    on_actix(async {
        let scene = Scene::new();
        scene.gate.open();
        scene.stage.bot.user("Ann").say_all(texts(1_050));
        let bot = scene.bot(|config| config.keep_ids(1_000)).start().await.unwrap();

        until("all are handled", || scene.handled.len() == 1_050).await;
        let stats = until_stats(&bot, |stats| stats.remembered <= 1_000).await;

        assert_eq!(stats.remembered, 1_000);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn ids_are_remembered_for_as_long_as_was_asked_for() {
    on_actix(async {
        let scene = Scene::new();
        scene.gate.open();
        scene.stage.bot.user("Ann").say_all(texts(3));
        let bot = scene.bot(|config| config).start().await.unwrap();
        until("all are handled", || scene.handled.len() == 3).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        rusqlite::Connection::open(scene.path())
            .unwrap()
            .execute("UPDATE seen SET at = at - 7200000", [])
            .unwrap();

        let hour = Duration::from_secs(3600);
        let bot = scene
            .bot(|config| config.keep_ids_for(hour))
            .start()
            .await
            .unwrap();
        let stats = until_stats(&bot, |stats| stats.remembered == 0).await;

        assert_eq!(stats.unfinished, 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_setting_out_of_its_bounds_starts_nothing() {
    on_actix(async {
        let scene = Scene::new();

        let refused = scene
            .bot(|config| config.max_updates(0))
            .start()
            .await
            .unwrap_err();

        assert!(matches!(&refused, Error::Config(ConfigError::Setting { .. })));
        assert_eq!(
            refused.to_string(),
            "journal_config.max_updates must be at least 1"
        );
        assert!(!scene.path().exists(), "nothing was touched");
        assert_eq!(scene.stage.bot.polls().len(), 0);
    });
}
