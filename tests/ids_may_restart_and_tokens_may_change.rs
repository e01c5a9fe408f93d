//! Update ids may start anew at any number, a bot may get a new token, and another bot may be started on the same file:
//! nobody turns deaf, and no bot handles what belongs to another one.
//!
//! Excludes the failure of libraries that persist an offset, or drop every id below the last one seen: after a change of
//! the token or of the ids they ignore all updates.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::PathBuf;

use actogram::{Bot, Context, HandlerError, HandlerResult};
use actogram_simulator::Bot as SimulatedBot;
use support::{Gate, Log, Stage, on_actix, sharing, until, until_snapshot};
use tempfile::TempDir;

type Handled = Log<(i64, String)>;

struct Scene {
    stage: Stage,
    folder: TempDir,
    handled: Handled,
    gate: Gate,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            handled: Handled::new(),
            gate: Gate::closed(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    /// Returns a bot on the one journal. It notes what it handles; "wait …" waits at the gate first, "bad …" fails for
    /// good.
    fn actogram(&self, bot: &SimulatedBot, handled: &Handled) -> Bot {
        let shared = (handled.clone(), self.gate.clone());
        self.stage
            .actogram_for(bot)
            .journal(self.path())
            .handlers(sharing(
                shared,
                |(handled, gate): (Handled, Gate), ctx: Context| async move {
                    let text = ctx.text().unwrap_or_default().to_owned();
                    if text.starts_with("wait") {
                        gate.pass().await;
                    }
                    handled.add((ctx.update().id(), text.clone()));
                    if text.starts_with("bad") {
                        return Err(HandlerError::give_up("it is bad"));
                    }
                    HandlerResult::Ok(())
                },
            ))
    }

    async fn until_handled(&self, count: usize) {
        until("all are handled", || self.handled.len() >= count).await;
        self.stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
    }
}

fn texts(handled: &Handled) -> Vec<String> {
    handled.all().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn ids_that_start_anew_are_handled_once_each_also_after_a_restart() {
    on_actix(async {
        let scene = Scene::new();
        let ann = scene.stage.bot.user("Ann");
        let mut issued = Vec::new();
        for start in [900_000_000, 5_000, 1_999_999_000, 1] {
            let bot = scene
                .actogram(&scene.stage.bot, &scene.handled)
                .start()
                .await
                .unwrap();
            scene.stage.bot.jump_ids_to(start).unwrap();
            issued.extend(ann.say_all(["one", "two"]));
            scene.until_handled(issued.len()).await;
            // And once more while it runs, to ids between those that it has seen.
            scene.stage.bot.jump_ids_to(start + 700).unwrap();
            issued.extend(ann.say_all(["three"]));
            scene.until_handled(issued.len()).await;
            assert!(bot.shutdown().await.unwrap().is_clean());
        }

        let ids: Vec<_> = scene.handled.all().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, issued);
        assert_eq!(scene.stage.bot.confirmed(), issued);
    });
}

/// The server has forgotten everything and gives the same ids again.
#[test]
fn an_id_that_comes_again_with_other_content_is_another_update_also_after_a_restart() {
    on_actix(async {
        let mut scene = Scene::new();
        for (count, text) in (1..).zip(["first life", "second life", "third life"]) {
            scene.stage = Stage::lenient();
            scene.stage.bot.jump_ids_to(4_000).unwrap();
            assert_eq!(scene.stage.bot.user("Ann").say(text), 4_000);
            let bot = scene
                .actogram(&scene.stage.bot, &scene.handled)
                .start()
                .await
                .unwrap();
            scene.until_handled(count).await;
            assert!(bot.shutdown().await.unwrap().is_clean());
        }

        assert_eq!(texts(&scene.handled), ["first life", "second life", "third life"]);
    });
}

#[test]
fn a_new_token_of_the_same_bot_goes_on_with_what_the_old_one_left() {
    on_actix(async {
        let scene = Scene::new();
        let old = &scene.stage.bot;
        old.jump_ids_to(800_000_000).unwrap();
        let ids = old.user("Ann").say_all(["wait 1", "wait 2"]);
        let first = scene.actogram(old, &scene.handled).start().await.unwrap();
        scene
            .stage
            .until("both are journaled", |view| view.pending_count() == 0)
            .await;
        first.shutdown_now().await.unwrap();
        assert_eq!(scene.handled.len(), 0);

        let token = format!("{}:AnotherSecretOfTheSameBot-abcdefghi", old.id());
        let new = scene.stage.simulator.bot_with_token(&token).unwrap();
        assert_eq!(new.id(), old.id());
        new.jump_ids_to(100).unwrap();
        let low = new.user("Bob").say("after the change");
        scene.gate.open();
        let second = scene.actogram(&new, &scene.handled).start().await.unwrap();
        until("all are handled", || scene.handled.len() == 3).await;

        assert!(second.shutdown().await.unwrap().is_clean());
        assert_eq!(new.confirmed(), [low]);
        let mut all: Vec<_> = scene.handled.all().into_iter().map(|(id, _)| id).collect();
        all.sort_unstable();
        assert_eq!(all, [low, ids[0], ids[1]]);
    });
}

#[test]
fn another_bot_on_the_same_file_leaves_alone_what_it_finds_there() {
    on_actix(async {
        let scene = Scene::new();
        let first = &scene.stage.bot;
        let second = scene
            .stage
            .simulator
            .bot_with_token("987654321:AnotherBotAltogether-abcdefghijklmno")
            .unwrap();
        first.jump_ids_to(7_000).unwrap();
        second.jump_ids_to(7_000).unwrap();
        let ann = first.user("Ann");
        ann.say_all(["bad", "wait 1", "wait 2"]);
        let bot = scene.actogram(first, &scene.handled).start().await.unwrap();
        scene
            .stage
            .until("all are journaled", |view| view.pending_count() == 0)
            .await;
        until_snapshot(&bot, "one is dead and one runs", |snapshot| {
            snapshot.engine.totals.dead == 1 && snapshot.engine.running == 1
        })
        .await;
        while bot.journal_stats().await.unwrap().dead_letters < 1 {}
        bot.shutdown_now().await.unwrap();

        // The ids are the same, the texts as well; only the bot tells them apart.
        scene.gate.open();
        let of_second = Handled::new();
        second.user("Ann").say_all(["bad", "wait 1", "wait 2"]);
        let bot = scene.actogram(&second, &of_second).start().await.unwrap();
        until("the second bot has handled its own", || of_second.len() == 3).await;
        let letters = loop {
            let page = bot.dead_letters(actogram::DeadLetterFilter::new()).await.unwrap();
            if page.letters.len() == 2 {
                break page.letters;
            }
        };
        assert!(
            bot.retry_dead_letter(letters[0].id).await.unwrap(),
            "it goes back to the bot that received it"
        );
        second.user("Ann").say("life goes on");
        until("the second bot goes on", || of_second.len() == 4).await;
        let left = async || {
            let stats = bot.journal_stats().await.unwrap();
            (stats.unfinished, stats.dead_letters)
        };
        // What is handled has ended in the journal a little later.
        while left().await == (4, 1) {}
        assert_eq!(left().await, (3, 1), "those of the first bot wait");
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(texts(&of_second), ["bad", "wait 1", "wait 2", "life goes on"]);

        let bot = scene.actogram(first, &scene.handled).start().await.unwrap();
        until("the first bot has handled its own", || scene.handled.len() == 4).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(
            texts(&scene.handled),
            ["bad", "wait 1", "wait 2", "bad"],
            "in order, and nothing of the other one"
        );
    });
}
