//! Whatever the network or the server does to a poll, every update is handled, once, in the order of its chat.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use actogram::{Bot, Context, HandlerResult};
use actogram_simulator::{Fault, Restart};
use support::{Log, Stage, on_actix};

type Handled = Log<(i64, i64)>;

/// Returns a bot that notes the chat and the id of each update it handles.
fn noting(stage: &Stage, handled: &Handled) -> Bot {
    let log = handled.clone();
    stage.actogram().handlers(move || {
        let log = log.clone();
        move |ctx: Context| {
            let log = log.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(ctx.update().id().unsigned_abs() % 5)).await;
                log.add((ctx.chat_id().unwrap(), ctx.update().id()));
                HandlerResult::Ok(())
            }
        }
    })
}

/// Lets ten users speak, breaks polls as `faults` says, and checks that everything arrives.
async fn everything_arrives_despite(faults: Vec<actogram_simulator::FaultRule>) {
    let stage = Stage::new();
    let handled = Handled::new();
    for fault in faults {
        stage.bot.fault(fault);
    }
    let users: Vec<_> = (0..10).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let mut issued = Vec::new();
    for round in 0..15 {
        for user in &users {
            issued.push((user.chat_id(), user.say(&format!("text {round}"))));
        }
    }
    let bot = noting(&stage, &handled).start().await.unwrap();

    stage
        .until("all are confirmed", |view| {
            view.pending_count() == 0 && view.faults_left() == 0
        })
        .await;
    let report = bot.shutdown().await.unwrap();

    assert!(report.is_clean(), "{report}");
    let mut seen = handled.all();
    for user in &users {
        let of_chat = |all: &[(i64, i64)]| -> Vec<i64> {
            all.iter()
                .filter(|(chat, _)| *chat == user.chat_id())
                .map(|(_, id)| *id)
                .collect()
        };
        assert_eq!(of_chat(&seen), of_chat(&issued), "each once, in order");
    }
    seen.sort_unstable();
    issued.sort_unstable();
    assert_eq!(seen, issued);
}

#[test]
fn connections_that_end_before_during_and_after_the_answer() {
    on_actix(everything_arrives_despite(vec![
        Fault::DropBeforeProcessing.on("getUpdates").times(2),
        Fault::DropAfterProcessing.on("getUpdates").times(2),
        Fault::CutBody.on("getUpdates").times(2),
    ]));
}

#[test]
fn answers_that_are_no_answers() {
    on_actix(everything_arrives_despite(vec![
        Fault::TruncatedJson.on("getUpdates"),
        Fault::NotJson.on("getUpdates"),
        Fault::EmptyBody(200).on("getUpdates"),
        Fault::GatewayHtml(502).on("getUpdates"),
    ]));
}

#[test]
fn errors_of_the_server() {
    on_actix(everything_arrives_despite(vec![
        Fault::Restart.on("getUpdates"),
        Fault::GatewayJson(503).on("getUpdates"),
        Fault::EmptyBody(500).on("getUpdates"),
        Fault::Error {
            code: 400,
            description: "Bad Request: odd".to_owned(),
        }
        .on("getUpdates"),
    ]));
}

#[test]
fn a_server_that_is_away_for_a_while_and_one_that_restarts() {
    on_actix(async {
        let stage = Stage::new();
        let handled = Handled::new();
        let ann = stage.bot.user("Ann");
        let bot = noting(&stage, &handled).start().await.unwrap();
        let mut issued = vec![ann.say("before")];
        stage
            .until("the first is confirmed", |view| view.pending_count() == 0)
            .await;

        stage.simulator.go_down();
        issued.push(ann.say("while it is away"));
        let polling = async || bot.snapshot().await.unwrap().engine.polling;
        while polling().await.failures < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stage.simulator.go_up();
        stage
            .until("the second is confirmed", |view| view.pending_count() == 0)
            .await;
        stage.simulator.restart(Restart::KeepConfirmations);
        issued.push(ann.say("after the restart"));
        stage
            .until("the third is confirmed", |view| view.pending_count() == 0)
            .await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(
            handled.all().into_iter().map(|(_, id)| id).collect::<Vec<_>>(),
            issued
        );
    });
}
