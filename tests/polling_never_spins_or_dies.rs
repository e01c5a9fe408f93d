//! Polling backs off when it fails, waits when it is answered too soon, gives up a poll that hangs, and ends only when
//! the server refuses the token.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{Backoff, Bot, Context, Error, StopReason};
use actogram_simulator::{Fault, FaultRule, PollRecord, Restart};
use support::{Log, Stage, on_actix, sharing, until_snapshot};

const JITTER: f64 = 0.2;

fn noting(stage: &Stage, handled: &Log<i64>) -> Bot {
    stage.actogram().handlers(sharing(
        handled.clone(),
        |handled: Log<i64>, ctx: Context| async move {
            handled.add(ctx.update().id());
        },
    ))
}

fn gaps(polls: &[PollRecord]) -> Vec<Duration> {
    polls
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at))
        .collect()
}

/// Breaks every poll, lets the bot fail nine times, and checks that it never came back before its backoff said so.
async fn polls_keep_their_distance(fault: FaultRule) {
    let (first, cap) = (Duration::from_millis(20), Duration::from_millis(300));
    let stage = Stage::new();
    let (ann, handled) = (stage.bot.user("Ann"), Log::new());
    let issued = ann.say("hello");
    stage.bot.fault(fault.forever());
    let bot = noting(&stage, &handled)
        .poll_backoff(Backoff::new(first, cap, JITTER))
        .start()
        .await
        .unwrap();

    stage
        .until("nine polls have failed", |view| view.polls().len() >= 9)
        .await;
    let polls = stage.bot.polls();
    stage.bot.clear_faults();
    stage
        .until("the update is confirmed", |view| view.pending_count() == 0)
        .await;

    assert!(bot.shutdown().await.unwrap().is_clean());
    assert_eq!(handled.all(), [issued]);
    for (failures, gap) in gaps(&polls).into_iter().enumerate() {
        let doubled = first * 2_u32.pow(u32::try_from(failures).unwrap());
        let shortest = doubled.min(cap).mul_f64(1.0 - JITTER);
        assert!(
            gap >= shortest,
            "{gap:?} after {} failures, expected {shortest:?}",
            failures + 1
        );
    }
}

/// Peer failure 36.
#[test]
fn a_server_that_is_broken_for_long_is_asked_less_and_less() {
    on_actix(polls_keep_their_distance(
        Fault::GatewayHtml(502).on("getUpdates"),
    ));
}

/// Peer failure 36.
#[test]
fn connections_that_end_at_once_are_opened_less_and_less() {
    on_actix(polls_keep_their_distance(
        Fault::DropBeforeProcessing.on("getUpdates"),
    ));
}

/// Peer failure 36: a refusal that nobody has thought of.
#[test]
fn an_error_without_a_meaning_is_no_reason_to_hurry() {
    let fault = Fault::Error {
        code: 418,
        description: "I am a teapot".to_owned(),
    };
    on_actix(polls_keep_their_distance(fault.on("getUpdates")));
}

/// Peer failure 36: a server that is shutting down answers every poll at once, with nothing.
#[test]
fn empty_answers_that_come_at_once_do_not_make_it_spin() {
    on_actix(async {
        const EMPTY: u32 = 3;
        let stage = Stage::lenient();
        let handled = Log::new();
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(50))
            .start()
            .await
            .unwrap();

        for waiting in 1..=EMPTY {
            stage
                .until("a poll waits", |view| {
                    // The first one of a run does not wait.
                    view.is_polling() && view.polls().len() == 1 + waiting as usize
                })
                .await;
            stage.simulator.restart(Restart::KeepConfirmations);
        }
        stage
            .until("the last poll waits", |view| {
                view.polls().len() > 1 + EMPTY as usize
            })
            .await;

        let polls = stage.bot.polls();
        let all: Duration = gaps(&polls[1..]).into_iter().sum();
        // One second each, counted from when the client began; the first request may have taken a while to arrive.
        let shortest = Duration::from_secs(1) * EMPTY - Duration::from_secs(1);
        assert!(all >= shortest, "{EMPTY} empty answers within {all:?}");
        assert_eq!(bot.snapshot().await.unwrap().engine.polling.failures, 0);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Nobody who waits for a quiet bot to be ready waits for a long poll.
#[test]
fn polls_do_not_wait_until_one_has_succeeded() {
    on_actix(async {
        let stage = Stage::new();
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        for fault in [
            Fault::DropBeforeProcessing,
            Fault::GatewayHtml(502),
            Fault::NotJson,
        ] {
            stage.bot.fault(fault.on("getUpdates"));
        }
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(50))
            .start()
            .await
            .unwrap();

        stage.until("a poll waits", |view| view.polls().len() == 5).await;
        let issued = ann.say("hello");
        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;

        let polls = stage.bot.polls();
        let asked: Vec<_> = polls
            .iter()
            .map(|poll| poll.raw_timeout.as_deref().unwrap())
            .collect();
        assert_eq!(asked, ["0", "0", "0", "0", "50", "50"]);
        let told: Vec<_> = polls.iter().map(|poll| poll.raw_offset.clone()).collect();
        assert_eq!(told[..5], [None, None, None, None, None]);
        assert_eq!(told[5], Some((issued + 1).to_string()));
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued]);
    });
}

/// Nor is a quiet bot that has lost one long poll taken for cut off until the next one has passed.
#[test]
fn the_poll_after_a_failure_does_not_wait() {
    on_actix(async {
        let stage = Stage::lenient();
        let handled = Log::new();
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(50))
            .start()
            .await
            .unwrap();
        stage
            .until("a long poll waits", |view| {
                view.is_polling() && view.polls().len() == 2
            })
            .await;
        stage.bot.fault(Fault::DropBeforeProcessing.on("getUpdates"));

        // The long poll is answered, and the next one lost.
        stage.simulator.restart(Restart::KeepConfirmations);
        until_snapshot(&bot, "it has been heard again", |snapshot| {
            snapshot.engine.polling.failures == 1 && snapshot.engine.polling.failures_in_a_row == 0
        })
        .await;
        stage.until("a long poll waits", |view| view.is_polling()).await;

        let asked: Vec<_> = stage
            .bot
            .polls()
            .iter()
            .map(|poll| poll.raw_timeout.clone().unwrap())
            .collect();
        assert_eq!(asked, ["0", "50", "50", "0", "50"]);
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Peer failure 24.
#[test]
fn a_poll_that_is_never_answered_is_given_up() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        let issued = ann.say("hello");
        stage.bot.fault(Fault::Stall.on("getUpdates"));
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(1))
            .start()
            .await
            .unwrap();

        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;

        let polling = bot.snapshot().await.unwrap().engine.polling;
        assert_eq!((polling.failures, polling.failures_in_a_row), (1, 0));
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued]);
    });
}

/// Lets the server refuse the token after a first update, and checks how the bot ends.
async fn ends_with_advice(fault: Fault) {
    let stage = Stage::lenient();
    let (ann, handled) = (stage.bot.user("Ann"), Log::new());
    let bot = noting(&stage, &handled).start().await.unwrap();
    stage.until("the bot polls", |view| view.is_polling()).await;
    stage.bot.fault(fault.on("getUpdates").forever());
    let issued = ann.say("hello");

    let error = bot.wait().await.unwrap_err();

    assert_eq!(handled.all(), [issued], "what was fetched is handled");
    let advice = error.to_string();
    assert!(advice.contains("check TELEGRAM_BOT_TOKEN"), "{advice}");
    assert!(advice.contains("@BotFather"), "{advice}");
    let Error::PollingFailed { report, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(report.reason, StopReason::SourceFailed);
    assert!(report.abandoned.is_empty());
    assert!(
        report.commit_error.is_some(),
        "the server did not take the offset"
    );
    assert!(bot.snapshot().await.is_err(), "the bot is gone");
}

#[test]
fn a_token_that_was_revoked_ends_the_bot_with_advice() {
    on_actix(ends_with_advice(Fault::Unauthorized));
}

#[test]
fn a_server_that_does_not_know_the_bot_ends_it_with_advice() {
    on_actix(ends_with_advice(Fault::Error {
        code: 404,
        description: "Not Found".to_owned(),
    }));
}

/// The error of a start that never worked says the same.
#[test]
fn a_token_that_was_never_known_ends_the_bot_with_advice() {
    on_actix(async {
        let stage = Stage::lenient();
        let bot = Bot::new("999999:AAF-n0t_kn0wn_t0_any_server_at_all")
            .direct()
            .server(actogram::api::Server::parse(&stage.simulator.url()).unwrap())
            .handlers(|| async |_: Context| {})
            .start()
            .await
            .unwrap();

        let error = bot.wait().await.unwrap_err().to_string();

        assert!(error.contains("401"), "{error}");
        assert!(error.contains("@BotFather"), "{error}");
    });
}

/// Peer failure 24: the state of polling can be seen from outside while it fails.
#[test]
fn a_bot_that_cannot_poll_says_so() {
    on_actix(async {
        let stage = Stage::lenient();
        let handled = Log::new();
        stage.simulator.go_down();
        let bot = noting(&stage, &handled).start().await.unwrap();

        let snapshot = until_snapshot(&bot, "several polls have failed", |snapshot| {
            snapshot.engine.polling.failures_in_a_row >= 3
        })
        .await;

        assert!(snapshot.engine.polling.last_error.is_some());
        assert_eq!(snapshot.engine.polling.last_success_age, None);
        stage.simulator.go_up();
        until_snapshot(&bot, "polling has recovered", |snapshot| {
            snapshot.engine.polling.failures_in_a_row == 0
                && snapshot.engine.polling.last_success_age.is_some()
        })
        .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
    });
}

/// Peer failures 24 and 25: after too long without an answer the connections are replaced, and nothing else happens to
/// the bot. Takes as long as the shortest watchdog.
#[test]
fn polling_that_was_silent_for_too_long_starts_over_with_fresh_connections() {
    on_actix(async {
        let stage = Stage::new();
        let (ann, handled) = (stage.bot.user("Ann"), Log::new());
        stage.simulator.go_down();
        let bot = noting(&stage, &handled)
            .poll_timeout(Duration::from_secs(1))
            .poll_watchdog(Duration::from_secs(11))
            .start()
            .await
            .unwrap();

        until_snapshot(&bot, "the connections are replaced", |snapshot| {
            snapshot.polling.reconnects > 0
        })
        .await;
        stage.simulator.go_up();
        let issued = ann.say("hello");
        stage
            .until("the update is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(handled.all(), [issued]);
    });
}
