//! A handler that hangs is dropped at its deadline, really: nothing of it runs on. What stands behind it in its chat is
//! then handled, in order, and no other chat waits at all.
//!
//! Excludes two failures: a stuck handler that strands its chat for ever, and a time limit that drops what waits behind
//! it, or lets the handler run on beside the next one.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{future::pending, path::PathBuf, time::Duration};

use actogram::{Bot, BotHandle, Context, DeadLetterFilter, HandlerResult, RetryPolicy};
use support::{Log, Stage, on_actix, sharing, until};
use tempfile::TempDir;

type Events = Log<String>;

/// Tells when the future that holds it is dropped.
struct Held(Events, String);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(format!("{} is dropped", self.1));
    }
}

/// "stuck …" hangs for ever, "stuck once …" only in its first attempt.
async fn obey(events: Events, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    let hangs = text.starts_with("stuck") && (ctx.attempt() == 1 || !text.starts_with("stuck once"));
    if hangs {
        let _held = Held(events.clone(), format!("{text} {}", ctx.attempt()));
        pending::<()>().await;
    }
    events.add(text);
    Ok(())
}

struct Scene {
    stage: Stage,
    folder: TempDir,
    events: Events,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            events: Events::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    fn bot(&self, policy: RetryPolicy, deadline: Duration) -> Bot {
        self.stage
            .actogram()
            .journal(self.path())
            .retry(policy)
            .handler_timeout(deadline)
            .handlers(sharing(self.events.clone(), obey))
    }

    fn has(&self, text: &str) -> bool {
        self.events.all().iter().any(|event| event == text)
    }

    /// Returns the events of one chat, whose texts all end in the name of its user.
    fn of(&self, name: &str) -> Vec<String> {
        let events = self.events.all().into_iter();
        events.filter(|event| event.contains(name)).collect()
    }
}

async fn until_dead(bot: &BotHandle, count: u64) {
    while bot.journal_stats().await.unwrap().dead_letters < count {}
}

#[test]
fn it_is_dropped_at_its_deadline_and_those_behind_it_run_afterwards() {
    on_actix(async {
        let scene = Scene::new();
        let ann = scene.stage.bot.user("Ann");
        ann.say_all(["stuck of Ann", "behind 1 of Ann", "behind 2 of Ann"]);
        let deadline = Duration::from_millis(200);
        let bot = scene.bot(RetryPolicy::never(), deadline).start().await.unwrap();

        until("those behind are handled", || scene.has("behind 2 of Ann")).await;

        assert_eq!(
            scene.of("Ann"),
            ["stuck of Ann 1 is dropped", "behind 1 of Ann", "behind 2 of Ann"],
            "in order, and nothing beside the stuck one"
        );
        until_dead(&bot, 1).await;
        assert!(bot.shutdown().await.unwrap().is_clean());

        // It is on record: the next process has it, and has nothing else to do.
        let bot = scene.bot(RetryPolicy::never(), deadline).start().await.unwrap();
        let page = bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        assert_eq!(page.letters.len(), 1);
        let errors = &page.letters[0].errors;
        assert!(errors[0].contains("deadline"), "{errors:?}");
        assert_eq!(bot.journal_stats().await.unwrap().unfinished, 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.events.len(), 3);
    });
}

#[test]
fn it_is_repeated_in_front_of_those_behind_it() {
    on_actix(async {
        let scene = Scene::new();
        let ann = scene.stage.bot.user("Ann");
        ann.say_all(["stuck once of Ann", "stuck of Ann", "behind of Ann"]);
        let policy = RetryPolicy::new([Duration::from_millis(1)]);
        let bot = scene
            .bot(policy, Duration::from_millis(200))
            .start()
            .await
            .unwrap();

        until("the one behind is handled", || scene.has("behind of Ann")).await;

        assert_eq!(
            scene.of("Ann"),
            [
                "stuck once of Ann 1 is dropped",
                "stuck once of Ann",
                "stuck of Ann 1 is dropped",
                "stuck of Ann 2 is dropped",
                "behind of Ann"
            ]
        );
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn other_chats_do_not_wait_even_for_the_deadline() {
    on_actix(async {
        let scene = Scene::new();
        let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
        ann.say_all(["stuck of Ann", "behind of Ann"]);
        let day = Duration::from_secs(24 * 3600);
        let bot = scene.bot(RetryPolicy::never(), day).start().await.unwrap();

        let texts: Vec<_> = (0..150).map(|n| format!("{n} of Bob")).collect();
        bob.say_all(&texts);
        until("the other chat is served", || scene.of("Bob").len() == 150).await;

        assert_eq!(scene.of("Bob"), texts);
        assert_eq!(scene.of("Ann"), [] as [String; 0]);
        bot.shutdown_now().await.unwrap();
        until("its handler is dropped with the bot", || {
            scene.of("Ann").len() == 1
        })
        .await;

        // What was cut off, and what stood behind it, is in the file.
        let bot = scene
            .bot(RetryPolicy::never(), Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        until("the one behind is handled", || scene.has("behind of Ann")).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
