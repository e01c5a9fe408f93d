//! A failing update becomes a dead letter with everything that is known about it; it is retried or dropped from code or
//! with the command line tool, while the bot runs.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/tool.rs"]
mod tool;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use actogram::{
    BotHandle, Context, DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, Error, HandlerError,
    HandlerResult, Lane, RetryPolicy,
};
use actogram_simulator::User;
use support::{Gate, Log, Stage, on_actix, sharing, until};
use tempfile::TempDir;
use tool::Ran;

/// What the handlers share.
#[derive(Clone)]
struct World {
    handled: Log<(String, u32)>,
    gate: Gate,
    /// What made updates fail is mended.
    mended: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        Self {
            handled: Log::new(),
            gate: Gate::closed(),
            mended: Arc::default(),
        }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }

    fn texts(&self) -> Vec<String> {
        self.handled.all().into_iter().map(|(text, _)| text).collect()
    }
}

/// "bad …" fails until it is mended, "wait …" waits at the gate.
async fn obey(world: World, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    if text.starts_with("bad") && !world.mended.load(Ordering::SeqCst) {
        let attempt = ctx.attempt();
        return Err(HandlerError::retry(format!("broken at attempt {attempt}")));
    }
    if text.starts_with("wait") {
        world.gate.pass().await;
    }
    world.handled.add((text, ctx.attempt()));
    Ok(())
}

struct Scene {
    stage: Stage,
    world: World,
    bot: BotHandle,
    ann: User,
    bob: User,
    folder: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let stage = Stage::lenient();
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .retry(RetryPolicy::new([Duration::from_millis(5)]))
            .handlers(sharing(world.clone(), obey))
            .start()
            .await
            .unwrap();
        Self {
            ann: stage.bot.user("Ann"),
            bob: stage.bot.user("Bob"),
            stage,
            world,
            bot,
            folder,
        }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    /// Lets people say things that fail, and returns the dead letters they become, in order.
    async fn dead_letters(&self, said: &[(&User, &str)]) -> Vec<DeadLetter> {
        for (user, text) in said {
            user.say(text);
        }
        self.until_stats("all are dead", said.len() as u64).await;
        self.bot
            .dead_letters(DeadLetterFilter::new())
            .await
            .unwrap()
            .letters
    }

    async fn until_stats(&self, what: &str, dead: u64) {
        let started = std::time::Instant::now();
        while self.bot.journal_stats().await.unwrap().dead_letters != dead {
            assert!(
                started.elapsed() < support::PATIENCE,
                "waited too long until {what}"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn until_handled(&self, count: usize) {
        until("all are handled", || self.world.handled.len() >= count).await;
    }

    /// Runs the tool beside the bot.
    async fn tool(&self, words: &'static str, rest: String) -> Ran {
        let path = self.journal();
        tokio::task::spawn_blocking(move || tool::journal(words, &path, &rest))
            .await
            .unwrap()
    }
}

fn says(letter: &DeadLetter, path: &Path) -> String {
    tool::journal("dead show", path, &format!("{} --raw", letter.id)).out
}

#[test]
fn a_failing_update_becomes_a_dead_letter_with_its_reason_its_history_and_its_bytes() {
    on_actix(async {
        let before = SystemTime::now() - Duration::from_secs(1);
        let scene = Scene::start().await;

        let letters = scene.dead_letters(&[(&scene.ann, "bad \u{1f4a5}")]).await;

        let letter = &letters[0];
        assert_eq!(letter.reason, DeadLetterReason::Failed);
        assert_eq!((letter.attempt, letter.waits, letter.crashes), (2, 0, 0));
        assert_eq!(letter.errors.len(), 2, "{:?}", letter.errors);
        for (error, attempt) in letter.errors.iter().zip(1..) {
            assert!(error.contains(&format!("broken at attempt {attempt}")), "{error}");
        }
        assert_eq!((letter.kind.as_str(), letters.len()), ("message", 1));
        assert!(letter.received_at >= before && letter.died_at >= letter.received_at);
        let (again, update) = scene.bot.dead_letter(letter.id).await.unwrap().unwrap();
        assert_eq!(&again, letter);
        assert_eq!(update.id(), letter.update_id);
        assert_eq!(update.lane(), &letter.lane);
        assert_eq!(update.raw().len() as u64, letter.bytes);
        let text = serde_json::from_str::<serde_json::Value>(update.raw()).unwrap();
        assert_eq!(text["message"]["text"], "bad \u{1f4a5}");
        assert_eq!(says(letter, &scene.journal()).trim_end(), update.raw());
        let stats = scene.bot.journal_stats().await.unwrap();
        assert_eq!(
            (stats.dead_letters, stats.unfinished, stats.remembered),
            (1, 0, 1)
        );
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn dead_letters_are_chosen_by_lane_and_reason_and_come_in_pages() {
    on_actix(async {
        let scene = Scene::start().await;
        let said = [
            (&scene.ann, "bad 1"),
            (&scene.bob, "bad 2"),
            (&scene.ann, "bad 3"),
        ];
        let letters = scene.dead_letters(&said).await;
        let ids = |letters: &[DeadLetter]| -> Vec<_> { letters.iter().map(|letter| letter.id).collect() };
        let ask = async |filter| scene.bot.dead_letters(filter).await.unwrap();

        let first = ask(DeadLetterFilter::new().limit(2)).await;
        let second = ask(DeadLetterFilter::new().limit(2).after(first.next.unwrap())).await;
        let of_ann = ask(DeadLetterFilter::new().lane(letters[0].lane.clone())).await;
        let crashed = ask(DeadLetterFilter::new().reason(DeadLetterReason::Crashed)).await;

        assert_eq!(ids(&first.letters), ids(&letters[..2]));
        assert_eq!(ids(&second.letters), ids(&letters[2..]));
        assert_eq!(second.next, None);
        let by_ann: Vec<_> = letters
            .iter()
            .filter(|letter| letter.lane == letters[0].lane)
            .collect();
        assert_eq!(of_ann.letters.iter().collect::<Vec<_>>(), by_ann);
        assert!(by_ann.len() < 3);
        assert_eq!(crashed.letters, []);
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
    });
}

/// Lets a letter be put back while its lane is busy: it is handled last.
async fn put_back_behind_what_waits(put_back: impl AsyncFn(&Scene, DeadLetterId)) {
    let scene = Scene::start().await;
    let letters = scene.dead_letters(&[(&scene.ann, "bad")]).await;
    scene.world.mend();
    scene.ann.say_all(["wait 1", "wait 2"]);
    scene
        .stage
        .until("both are journaled", |view| view.pending_count() == 0)
        .await;

    put_back(&scene, letters[0].id).await;
    scene.until_stats("the letter is put back", 0).await;
    let stats = scene.bot.journal_stats().await.unwrap();
    assert_eq!(stats.unfinished, 3);
    scene.world.gate.open();
    scene.until_handled(3).await;

    assert_eq!(scene.world.texts(), ["wait 1", "wait 2", "bad"]);
    assert_eq!(scene.world.handled.all()[2].1, 1, "it begins anew");
    assert!(scene.bot.shutdown().await.unwrap().is_clean());
    assert_eq!(scene.world.handled.len(), 3, "it ran once");
    let stats = tool::journal("stats", &scene.journal(), "--json").json();
    assert_eq!(stats["unfinished"]["updates"], 0);
}

#[test]
fn a_letter_retried_from_code_is_handled_in_its_lane_after_what_waits_there() {
    on_actix(put_back_behind_what_waits(async |scene, id| {
        assert!(scene.bot.retry_dead_letter(id).await.unwrap());
    }));
}

#[test]
fn a_letter_retried_with_the_tool_is_handled_in_its_lane_after_what_waits_there() {
    on_actix(put_back_behind_what_waits(async |scene, id| {
        let ran = scene.tool("dead retry", id.to_string()).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }));
}

#[test]
fn an_idle_bot_notices_a_letter_that_the_tool_has_retried() {
    on_actix(async {
        let scene = Scene::start().await;
        let letters = scene
            .dead_letters(&[(&scene.ann, "bad 1"), (&scene.bob, "bad 2")])
            .await;
        scene.world.mend();

        let ran = scene.tool("dead retry", "--all".to_owned()).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        scene.until_handled(2).await;
        let mut texts = scene.world.texts();
        texts.sort();
        assert_eq!(texts, ["bad 1", "bad 2"]);
        assert_eq!(letters.len(), 2);
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_letter_that_fails_again_is_a_new_letter_with_the_whole_history() {
    on_actix(async {
        let scene = Scene::start().await;
        let first = scene.dead_letters(&[(&scene.ann, "bad")]).await.remove(0);

        assert!(scene.bot.retry_dead_letter(first.id).await.unwrap());
        let second = loop {
            let page = scene.bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
            if let Some(letter) = page.letters.into_iter().next() {
                break letter;
            }
            tokio::task::yield_now().await;
        };

        assert!(second.id > first.id);
        assert_eq!((second.update_id, second.attempt), (first.update_id, 2));
        assert_eq!(second.errors.len(), 4);
        assert_eq!(second.errors[..2], first.errors);
        assert!(
            !scene.bot.retry_dead_letter(first.id).await.unwrap(),
            "the old id is gone"
        );
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_dropped_letter_is_gone_whoever_dropped_it() {
    on_actix(async {
        let scene = Scene::start().await;
        let letters = scene
            .dead_letters(&[(&scene.ann, "bad 1"), (&scene.bob, "bad 2")])
            .await;
        scene.world.mend();

        assert!(scene.bot.drop_dead_letter(letters[0].id).await.unwrap());
        let ran = scene.tool("dead drop", letters[1].id.to_string()).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!scene.bot.drop_dead_letter(letters[0].id).await.unwrap());
        for letter in &letters {
            assert!(scene.bot.dead_letter(letter.id).await.unwrap().is_none());
            assert!(!scene.bot.retry_dead_letter(letter.id).await.unwrap());
        }
        assert_eq!(scene.bot.journal_stats().await.unwrap().dead_letters, 0);
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.world.handled.len(), 0);
    });
}

#[test]
fn the_stats_show_what_runs_and_what_waits() {
    on_actix(async {
        let scene = Scene::start().await;
        scene.ann.say_all(["wait 1", "wait 2", "wait 3"]);
        scene.bob.say("wait 4");
        scene
            .stage
            .until("all are journaled", |view| view.pending_count() == 0)
            .await;
        support::until_snapshot(&scene.bot, "two run", |snapshot| snapshot.engine.running == 2).await;

        let stats = scene.bot.journal_stats().await.unwrap();

        assert_eq!((stats.unfinished, stats.lanes), (4, 2));
        assert_eq!((stats.running, stats.waiting, stats.retrying), (2, 2, 0));
        assert!(stats.unfinished_bytes > 0 && stats.file_bytes > 0 && stats.wal_bytes > 0);
        assert!(stats.oldest_received_at.unwrap() <= SystemTime::now());
        scene.world.gate.open();
        scene.until_handled(4).await;
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn without_a_journal_or_after_the_end_there_is_an_error_and_no_panic() {
    on_actix(async {
        let stage = Stage::lenient();
        let direct = stage
            .actogram()
            .handlers(|| |_: Context| async {})
            .start()
            .await
            .unwrap();
        let asked = direct.dead_letters(DeadLetterFilter::new()).await;
        assert!(matches!(asked, Err(Error::NoJournal)));
        assert!(matches!(direct.journal_stats().await, Err(Error::NoJournal)));
        assert!(direct.shutdown().await.unwrap().is_clean());

        let scene = Scene::start().await;
        assert!(scene.bot.shutdown().await.unwrap().is_clean());

        let asked = scene
            .bot
            .dead_letters(DeadLetterFilter::new().lane(Lane::new("a")))
            .await;
        assert!(matches!(&asked, Err(Error::Journal(_))), "{asked:?}");
        let refused = scene
            .bot
            .drop_dead_letter("1".parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!(refused.to_string(), "the journal failed: it is closed");
    });
}

#[test]
fn a_damaged_letter_is_named_and_can_only_be_dropped() {
    on_actix(async {
        let scene = Scene::start().await;
        let said = [(&scene.ann, "bad 1"), (&scene.bob, "bad 2")];
        let letters = scene.dead_letters(&said).await;
        scene.world.mend();
        let (intact, damaged) = (&letters[0], &letters[1]);
        rusqlite::Connection::open(scene.journal())
            .unwrap()
            .execute(
                "UPDATE dead SET lane = 'chat:1' WHERE update_id = ?1",
                [damaged.update_id],
            )
            .unwrap();

        let page = scene.bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        let refused = scene.bot.retry_dead_letter(damaged.id).await.unwrap_err();

        assert_eq!(
            (&page.letters[..], &page.damaged[..]),
            (&[intact.clone()][..], &[damaged.id][..])
        );
        let first = scene
            .bot
            .dead_letters(DeadLetterFilter::new().limit(1))
            .await
            .unwrap();
        assert_eq!(first.next, Some(intact.id));
        assert!(refused.to_string().contains("is damaged"), "{refused}");
        assert!(scene.bot.dead_letter(damaged.id).await.is_err());
        assert!(scene.bot.drop_dead_letter(damaged.id).await.unwrap());
        assert_eq!(scene.bot.journal_stats().await.unwrap().dead_letters, 1);
        assert!(scene.bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.world.handled.len(), 0);
    });
}
