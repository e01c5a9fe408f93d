//! With a journal a batch is confirmed when it is on disk: a slow handler holds nothing but its own chat, and what a stop
//! leaves waits in the file.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use actogram::{Bot, BotHandle, BotReport, Context, Fate, HandlerError, HandlerResult, RetryPolicy};
use support::{Gate, Log, Stage, on_actix, sharing, until_snapshot};
use tempfile::TempDir;

fn journal() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    (folder, path)
}

/// Notes each update it handles; `stuck` waits at the gate first.
fn noting(stage: &Stage, path: &PathBuf, handled: &Log<(i64, String)>, gate: &Gate) -> Bot {
    stage.actogram().journal(path).handlers(sharing(
        (handled.clone(), gate.clone()),
        |(handled, gate): (Log<(i64, String)>, Gate), ctx: Context| async move {
            let text = ctx.text().unwrap_or_default().to_owned();
            if text.starts_with("stuck") {
                gate.pass().await;
            }
            handled.add((ctx.chat_id().unwrap(), text));
        },
    ))
}

/// Peer failures 9 and 11, across batches.
#[test]
fn a_stuck_chat_holds_neither_other_chats_nor_the_next_batches() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, handled, gate) = (Stage::new(), Log::new(), Gate::closed());
        let (stuck, others) = (stage.bot.user("stuck"), stage.bot.user("others"));
        for n in 0..150 {
            stuck.say(&format!("stuck {n}"));
        }
        let bot = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        stage
            .until("the first batches are confirmed", |view| {
                view.pending_count() == 0
            })
            .await;

        others.say_all((0..120).map(|n| format!("text {n}")));
        support::until("the others are served", || handled.len() == 120).await;

        until_snapshot(&bot, "what waits, waits in the journal", |snapshot| {
            (snapshot.engine.running, snapshot.engine.waiting) == (1, 0)
        })
        .await;
        gate.open();
        support::until("the stuck chat is served", || handled.len() == 270).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        let of_stuck: Vec<_> = handled
            .all()
            .into_iter()
            .filter(|(chat, _)| *chat == stuck.chat_id())
            .collect();
        assert!(
            of_stuck
                .iter()
                .enumerate()
                .all(|(n, (_, text))| *text == format!("stuck {n}")),
            "in order"
        );
    });
}

#[test]
fn a_stop_finishes_what_runs_and_leaves_the_rest_for_the_next_start() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, handled, gate) = (Stage::new(), Log::new(), Gate::closed());
        let ann = stage.bot.user("Ann");
        ann.say_all(["stuck", "second", "third"]);
        let first = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        until_snapshot(&first, "the first one runs", |snapshot| {
            snapshot.engine.running == 1
        })
        .await;

        let stopped = first.shutdown();
        gate.open();
        let report = stopped.await.unwrap();

        assert!(report.is_clean(), "{report}");
        assert_eq!(stage.bot.pending(), [] as [i64; 0], "everything is confirmed");
        let done = handled.len();
        assert!((1..=3).contains(&done));
        assert_eq!(report.left, Some(3 - done as u64), "{report}");
        let second = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        support::until("the rest is handled", || handled.len() == 3).await;
        assert!(second.shutdown().await.unwrap().is_clean());
        let texts: Vec<_> = handled.all().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["stuck", "second", "third"], "each once, in order");
    });
}

#[test]
fn attempts_are_remembered_across_a_restart() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, attempts) = (Stage::new(), Log::new());
        let failing = |stage: &Stage| {
            stage
                .actogram()
                .journal(&path)
                .retry(RetryPolicy::new([
                    Duration::from_millis(1),
                    Duration::from_millis(1),
                ]))
                .handlers(sharing(
                    attempts.clone(),
                    |attempts: Log<u32>, ctx: Context| async move {
                        attempts.add(ctx.attempt());
                        HandlerResult::Err(HandlerError::retry("not yet"))
                    },
                ))
        };
        stage.bot.user("Ann").say("hello");
        let first = failing(&stage).start().await.unwrap();
        support::until("it has failed", || attempts.len() >= 1).await;
        first.shutdown().await.unwrap();

        let second = failing(&stage).start().await.unwrap();
        support::until("all attempts are made", || attempts.len() == 3).await;
        second.shutdown().await.unwrap();

        assert_eq!(attempts.all(), [1, 2, 3]);
    });
}

/// Peer failure 27, the other way round: a second delivery of the same update is noticed.
#[test]
fn an_update_that_the_server_offers_again_is_not_handled_twice() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, handled, gate) = (Stage::new(), Log::new(), Gate::closed());
        gate.open();
        let ann = stage.bot.user("Ann");
        // The batch is journaled, but its confirmation never reaches the server.
        ann.say("hello");
        let first = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        support::until("it is handled", || handled.len() == 1).await;
        assert!(first.shutdown().await.unwrap().is_clean());
        stage
            .simulator
            .restart(actogram_simulator::Restart::LoseConfirmationsSince(
                Duration::from_secs(600),
            ));
        assert_eq!(
            stage.bot.pending().len(),
            1,
            "the server has forgotten the confirmation"
        );

        let second = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        ann.say("again");
        support::until("the new one is handled", || handled.len() == 2).await;
        assert!(second.shutdown().await.unwrap().is_clean());

        let texts: Vec<_> = handled.all().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["hello", "again"]);
    });
}

/// Starts a bot whose stop empties the journal, with five updates of each of three chats in it, of which none can end.
async fn with_a_backlog(
    stage: &Stage,
    path: &PathBuf,
    handled: &Log<(i64, String)>,
    gate: &Gate,
    deadline: Duration,
) -> BotHandle {
    for name in ["Ann", "Bob", "Eve"] {
        stage.bot.user(name).say_all((0..5).map(|n| format!("stuck {n}")));
    }
    let bot = noting(stage, path, handled, gate)
        .drain_journal()
        .drain_deadline(deadline);
    let bot = bot.start().await.unwrap();
    until_snapshot(&bot, "one of each chat runs", |snapshot| {
        snapshot.engine.running == 3
    })
    .await;
    stage
        .until("all are journaled", |view| view.pending_count() == 0)
        .await;
    bot
}

#[test]
fn a_stop_that_drains_the_journal_leaves_nothing_in_it() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, handled, gate) = (Stage::lenient(), Log::new(), Gate::closed());
        let bot = with_a_backlog(&stage, &path, &handled, &gate, Duration::from_secs(60)).await;

        let stopped = bot.shutdown();
        gate.open();
        let report = stopped.await.unwrap();

        assert!(report.is_clean(), "{report}");
        // A handler may end before the stop begins to count.
        assert_eq!((handled.len(), report.left), (15, Some(0)), "{report}");
        for chat in handled.all().into_iter().map(|(chat, _)| chat) {
            let of_chat = handled.all().into_iter().filter(|(other, _)| *other == chat);
            let texts: Vec<_> = of_chat.map(|(_, text)| text).collect();
            assert_eq!(texts, ["stuck 0", "stuck 1", "stuck 2", "stuck 3", "stuck 4"]);
        }
        let next = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        assert_eq!(next.journal_stats().await.unwrap().unfinished, 0);
        next.shutdown().await.unwrap();
    });
}

#[test]
fn what_does_not_fit_into_the_deadline_is_left_told_and_handled_by_the_next_start() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, handled, gate) = (Stage::lenient(), Log::new(), Gate::closed());
        let bot = with_a_backlog(&stage, &path, &handled, &gate, Duration::from_millis(100)).await;

        let report = bot.shutdown().await.unwrap();

        assert_eq!((report.abandoned.len(), report.left), (3, Some(15)), "{report}");
        assert!(
            report
                .abandoned
                .iter()
                .all(|abandoned| abandoned.fate == Fate::RunsAgain)
        );
        assert!(!report.is_clean());
        assert_eq!(
            format!("{:?}", report.exit_code()),
            format!("{:?}", ExitCode::from(BotReport::EXIT_UNFINISHED))
        );
        let told = "15 left in the journal for the next start";
        assert!(report.to_string().contains(told), "{report}");
        gate.open();
        let next = noting(&stage, &path, &handled, &gate).start().await.unwrap();
        support::until("the rest is handled", || handled.len() == 15).await;
        assert_eq!(next.shutdown().await.unwrap().left, Some(0));
    });
}

/// Nothing failed and nothing was cut off, but it is not what was asked for.
#[test]
fn a_repetition_that_is_due_after_the_deadline_makes_a_stop_that_drains_unclean() {
    on_actix(async {
        let (_folder, path) = journal();
        let (stage, attempts) = (Stage::lenient(), Log::new());
        stage.bot.user("Ann").say("hello");
        let failing = stage
            .actogram()
            .journal(&path)
            .retry(RetryPolicy::new([Duration::from_secs(600)]))
            .handlers(sharing(
                attempts.clone(),
                |attempts: Log<u32>, ctx: Context| async move {
                    attempts.add(ctx.attempt());
                    HandlerResult::Err(HandlerError::retry("not yet"))
                },
            ));
        let bot = failing.drain_journal().start().await.unwrap();
        support::until("it has failed", || attempts.len() == 1).await;

        let report = bot.shutdown().await.unwrap();

        assert!(report.abandoned.is_empty(), "{report}");
        assert_eq!((report.left, report.is_clean()), (Some(1), false), "{report}");
        assert!(report.took < Bot::DEFAULT_DRAIN_DEADLINE / 2, "{report}");
    });
}
