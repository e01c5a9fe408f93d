//! `Delivery::AtMostOnce`: an attempt that has begun is never repeated, and nothing vanishes silently.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram::{Context, DeadLetterFilter, Delivery, Fate, HandlerError, HandlerResult};
use support::{Log, Stage, collecting, on_actix, sharing, until_snapshot};

#[test]
fn what_was_running_at_the_end_is_not_repeated_and_what_waited_runs() {
    on_actix(async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, begun) = (Stage::new(), Log::new());
        let bot = || {
            stage
                .actogram()
                .journal(folder.path().join("bot.db"))
                .delivery(Delivery::AtMostOnce)
                .handlers(sharing(
                    begun.clone(),
                    |begun: Log<String>, ctx: Context| async move {
                        let text = ctx.text().unwrap_or_default().to_owned();
                        begun.add(text.clone());
                        if text == "hangs" {
                            std::future::pending::<()>().await;
                        }
                    },
                ))
        };
        stage.bot.user("Ann").say_all(["hangs", "waits"]);
        let first = bot().start().await.unwrap();
        until_snapshot(&first, "the first one runs", |snapshot| {
            snapshot.engine.running == 1
        })
        .await;

        let report = first.shutdown_now().await.unwrap();
        let fates: Vec<_> = report.abandoned.iter().map(|abandoned| abandoned.fate).collect();
        assert_eq!(fates, [Fate::DeadLetter]);
        assert_eq!(report.left, Some(1), "what has begun is never repeated: {report}");
        let second = bot().start().await.unwrap();
        support::until("the second one ran", || begun.len() == 2).await;
        let dead = second
            .dead_letters(DeadLetterFilter::new())
            .await
            .unwrap()
            .letters;
        assert_eq!(
            dead.iter()
                .map(|letter| Some(letter.update_id))
                .collect::<Vec<_>>(),
            [report.abandoned[0].update_id],
            "as the report said"
        );
        second.shutdown().await.unwrap();

        assert_eq!(begun.all(), ["hangs", "waits"]);
    });
}

#[test]
fn what_failed_is_not_repeated_but_reported() {
    on_actix(async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, attempts, dead) = (Stage::new(), Log::new(), Log::new());
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .delivery(Delivery::AtMostOnce)
            .on_error(collecting(&dead))
            .handlers(sharing(
                attempts.clone(),
                |attempts: Log<u32>, ctx: Context| async move {
                    attempts.add(ctx.attempt());
                    HandlerResult::Err(HandlerError::retry("please again"))
                },
            ))
            .start()
            .await
            .unwrap();

        stage.bot.user("Ann").say("hello");
        support::until("it is given up", || dead.len() == 1).await;

        bot.shutdown().await.unwrap();
        assert_eq!(attempts.all(), [1]);
    });
}

#[test]
fn without_a_journal_it_is_refused() {
    on_actix(async {
        let stage = Stage::new();
        let bot = stage
            .actogram()
            .delivery(Delivery::AtMostOnce)
            .handlers(|| |_: Context| async {});

        let error = bot.start().await.unwrap_err();

        assert!(error.to_string().contains("needs a journal"), "{error}");
    });
}
