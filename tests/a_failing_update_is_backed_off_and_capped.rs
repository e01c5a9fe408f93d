//! A failing update is repeated after growing waits, a bounded number of times, and is then a dead letter; its chat waits
//! for it in order and goes on afterwards, and no other chat notices.
//!
//! Excludes the failure of programs that repeat a failing update twice a second for ever and block its chat with it.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actogram::{
    Bot, BotHandle, Context, DeadLetterFilter, HandlerError, HandlerResult, RetryPolicy, api::ApiError,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use support::{Log, Stage, on_actix, sharing, until};
use tempfile::TempDir;

const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

type Handled = Log<(String, u32)>;

/// "bad …" fails, "flood …" is told by the server to wait, everything else is fine.
async fn obey(handled: Handled, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    handled.add((text.clone(), ctx.attempt()));
    if text.starts_with("bad") {
        return Err(HandlerError::retry(format!("attempt {}", ctx.attempt())));
    }
    if text.starts_with("flood") {
        Err(ApiError::FloodWait {
            method: "sendMessage".to_owned(),
            retry_after: MOMENT,
        })?;
    }
    Ok(())
}

struct Scene {
    stage: Stage,
    folder: TempDir,
    handled: Handled,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            handled: Handled::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    fn bot(&self, policy: RetryPolicy) -> Bot {
        self.stage
            .actogram()
            .journal(self.path())
            .retry(policy)
            .handlers(sharing(self.handled.clone(), obey))
    }

    fn attempts(&self, text: &str) -> Vec<u32> {
        let of_text = self.handled.all().into_iter().filter(|(said, _)| said == text);
        of_text.map(|(_, attempt)| attempt).collect()
    }

    /// Returns the number of the attempt that is planned, and when; none while one runs.
    fn planned(&self) -> Option<(u32, SystemTime)> {
        let (attempt, millis): (u32, i64) =
            Connection::open_with_flags(self.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)
                .unwrap()
                .query_row(
                    "SELECT attempt, retry_at FROM updates WHERE retry_at IS NOT NULL",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()
                .unwrap()?;
        Some((attempt, UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())))
    }
}

async fn until_retrying(bot: &BotHandle) {
    while bot.journal_stats().await.unwrap().retrying == 0 {}
}

async fn until_dead(bot: &BotHandle, count: u64) {
    while bot.journal_stats().await.unwrap().dead_letters < count {}
}

/// Each wait of a schedule is looked at as it is planned in the file: those before it are made short.
#[test]
fn each_attempt_is_planned_after_the_wait_of_its_own_and_the_waits_grow() {
    for (done, wait) in [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR].into_iter().enumerate() {
        on_actix(async {
            let scene = Scene::new();
            let mut waits = vec![MOMENT; done];
            waits.extend([wait, 100 * HOUR]);
            let bot = scene
                .bot(RetryPolicy::new(waits).jitter(0.0))
                .start()
                .await
                .unwrap();
            // The file knows milliseconds.
            let before = SystemTime::now() - MOMENT;

            scene.stage.bot.user("Ann").say("bad");
            let next = u32::try_from(done + 2).unwrap();
            until("it is the wait that was made long", || {
                scene.planned().is_some_and(|(attempt, _)| attempt == next)
            })
            .await;

            let (_, at) = scene.planned().unwrap();
            assert!(at >= before + wait, "it is planned too early");
            assert!(at <= SystemTime::now() + wait, "it is planned too late");
            assert!(bot.shutdown().await.unwrap().is_clean());
            let expected: Vec<u32> = (1..).take(done + 1).collect();
            assert_eq!(scene.attempts("bad"), expected);
        });
    }
}

#[test]
fn while_it_waits_its_chat_waits_in_order_and_others_do_not_also_after_a_restart() {
    on_actix(async {
        let scene = Scene::new();
        let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
        ann.say_all(["bad", "behind"]);
        let policy = || RetryPolicy::new([HOUR]);
        let bot = scene.bot(policy()).start().await.unwrap();
        until_retrying(&bot).await;
        let planned = scene.planned();
        assert!(planned.is_some());

        for life in ["first", "second"] {
            let bot = if life == "first" {
                bot.clone()
            } else {
                scene.bot(policy()).start().await.unwrap()
            };
            let texts: Vec<_> = (0..20).map(|n| format!("{life} life {n}")).collect();
            bob.say_all(&texts);
            until("the other chat is served", || {
                texts.iter().all(|text| scene.attempts(text) == [1])
            })
            .await;

            let stats = bot.journal_stats().await.unwrap();
            assert_eq!((stats.retrying, stats.waiting), (1, 1), "{life}");
            assert!(bot.shutdown().await.unwrap().is_clean());
            assert_eq!(scene.planned(), planned, "{life}");
        }

        assert_eq!(scene.attempts("bad"), [1]);
        assert_eq!(scene.attempts("behind"), [] as [u32; 0]);
    });
}

#[test]
fn after_its_last_attempt_it_is_a_dead_letter_and_its_chat_goes_on() {
    on_actix(async {
        let scene = Scene::new();
        let (ann, bob) = (scene.stage.bot.user("Ann"), scene.stage.bot.user("Bob"));
        ann.say_all(["before", "bad", "behind 1", "behind 2"]);
        bob.say("other");
        let bot = scene.bot(RetryPolicy::new([MOMENT; 4])).start().await.unwrap();

        until("what stands behind is handled", || {
            scene.attempts("behind 2") == [1]
        })
        .await;
        until_dead(&bot, 1).await;

        let page = bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        let errors: Vec<_> = page.letters[0].errors.iter().zip(1..).collect();
        assert_eq!(errors.len(), 5);
        for (error, attempt) in errors {
            assert!(error.contains(&format!("attempt {attempt}")), "{error}");
        }
        assert!(bot.shutdown().await.unwrap().is_clean());
        let of_ann: Vec<_> = scene
            .handled
            .all()
            .into_iter()
            .filter(|(text, _)| text != "other")
            .collect();
        let bad = (1..=5).map(|attempt| ("bad".to_owned(), attempt));
        let mut expected = vec![("before".to_owned(), 1)];
        expected.extend(bad);
        expected.extend(["behind 1", "behind 2"].map(|text| (text.to_owned(), 1)));
        assert_eq!(
            of_ann, expected,
            "in order, and no more attempts than there may be"
        );
        assert_eq!(scene.attempts("other"), [1]);
    });
}

#[test]
fn one_that_is_told_to_wait_again_and_again_is_given_up_too() {
    on_actix(async {
        let scene = Scene::new();
        scene.stage.bot.user("Ann").say_all(["flood", "behind"]);
        let policy = RetryPolicy::new([MOMENT]).max_waits(3);
        let bot = scene.bot(policy).start().await.unwrap();

        until("what stands behind is handled", || {
            scene.attempts("behind") == [1]
        })
        .await;

        until_dead(&bot, 1).await;
        assert_eq!(
            scene.attempts("flood"),
            [1, 1, 1, 1, 2],
            "three waits, then two attempts fail"
        );
        let page = bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        assert_eq!((page.letters[0].attempt, page.letters[0].waits), (2, 3));
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}
