//! SIGTERM and SIGINT to the real programs: what runs is finished, confirmed and never repeated; the second one does not
//! wait; the exit code tells.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{net::TcpListener, time::Duration};

use actogram::BotReport;
use actogram_simulator::{Fault, User};
use rustix::process::Signal;
use support::Stage;

fn speak(bot: &actogram_simulator::Bot, users: usize) -> Vec<User> {
    let users: Vec<_> = (0..users).map(|n| bot.user(&format!("user {n}"))).collect();
    for user in &users {
        user.say("hello");
    }
    users
}

/// Starts the echo program again and lets somebody new speak: only that is answered.
fn nothing_is_repeated_after_a_restart(stage: &Stage) {
    let before = stage.bot.sent().len();
    let fresh = stage.bot.user("fresh");
    fresh.say("still there?");
    let echo = stage.run_example("echo");
    stage.until_blocking("the fresh one is confirmed", |view| view.pending_count() == 0);
    echo.kill();

    assert_eq!(fresh.heard(), ["still there?"]);
    assert_eq!(stage.bot.sent().len(), before + 1);
}

/// Peer failures 3, 4 and 6: aiogram loses ten of ten here, teloxide dies of SIGTERM.
#[test]
fn sigterm_with_200_running_handlers_loses_none_and_repeats_none() {
    let stage = Stage::new();
    let second = stage
        .simulator
        .bot_with_token("7654321:SecondSecondSecondSecondSecondSecon")
        .unwrap();
    let users = [speak(&stage.bot, 100), speak(&second, 100)].concat();
    for bot in [&stage.bot, &second] {
        bot.fault(
            Fault::DelayProcessing(Duration::from_secs(1))
                .on("sendMessage")
                .times(100),
        );
    }
    let mut program = stage.run_example_with("two_bots", |command| {
        command.env("SECOND_BOT_TOKEN", second.token());
    });
    stage.until_blocking("the first bot's handlers run", |view| view.faults_left() == 0);
    assert!(second.wait_for(support::PATIENCE, |view| view.faults_left() == 0));
    assert!(program.runs());

    program.signal(Signal::TERM);
    let (status, printed) = program.wait();

    assert!(status.success(), "{status}: {printed}");
    assert_eq!(printed.matches("stopped cleanly").count(), 2, "{printed}");
    for (index, user) in users.iter().enumerate() {
        assert_eq!(user.heard(), [if index < 100 { "hello" } else { "HELLO" }]);
    }
    assert_eq!(
        (stage.bot.pending().len(), second.pending().len()),
        (0, 0),
        "everything is confirmed"
    );
    nothing_is_repeated_after_a_restart(&stage);
}

#[test]
fn sigint_does_the_same_as_sigterm() {
    let stage = Stage::new();
    let users = speak(&stage.bot, 20);
    stage.bot.fault(
        Fault::DelayProcessing(Duration::from_millis(500))
            .on("sendMessage")
            .times(20),
    );
    let echo = stage.run_example("echo");
    stage.until_blocking("the handlers run", |view| view.faults_left() == 0);

    echo.signal(Signal::INT);
    let (status, printed) = echo.wait();

    assert!(status.success(), "{status}: {printed}");
    assert!(users.iter().all(|user| user.heard() == ["hello"]));
    nothing_is_repeated_after_a_restart(&stage);
}

#[test]
fn a_second_signal_stops_at_once_and_what_it_abandons_runs_after_the_restart() {
    let stage = Stage::new();
    let users = speak(&stage.bot, 5);
    stage.bot.fault(Fault::Stall.on("sendMessage").times(5));
    let echo = stage.run_example("echo");
    stage.until_blocking("the handlers run", |view| view.faults_left() == 0);

    // Two different signals: two equal ones may be merged before they are delivered.
    echo.signal(Signal::TERM);
    echo.signal(Signal::INT);
    let (status, printed) = echo.wait();

    assert_eq!(
        status.code(),
        Some(i32::from(BotReport::EXIT_UNFINISHED)),
        "{printed}"
    );
    for id in stage.bot.pending() {
        assert!(printed.contains(&format!("abandoned update {id} ")), "{printed}");
    }
    assert_eq!(
        stage.bot.pending().len(),
        5,
        "what was abandoned is not confirmed"
    );
    let echo = stage.run_example("echo");
    stage.until_blocking("all are confirmed", |view| view.pending_count() == 0);
    echo.kill();
    assert!(users.iter().all(|user| user.heard() == ["hello"]));
}

#[test]
fn an_idle_bot_stops_cleanly() {
    let stage = Stage::new();
    let echo = stage.run_example("echo");
    stage.until_blocking("it polls", |view| view.is_polling());

    echo.signal(Signal::TERM);
    let (status, printed) = echo.wait();

    assert!(status.success(), "{status}: {printed}");
    assert_eq!(printed, "", "a clean stop is silent");
}

#[test]
fn a_bot_whose_server_fails_stops_cleanly() {
    let stage = Stage::new();
    // Takes every connection and ends it at once.
    let broken = TcpListener::bind("127.0.0.1:0").unwrap();
    let echo = stage.run_example_with("echo", |command| {
        command.env(
            "TELEGRAM_API_URL",
            format!("http://{}", broken.local_addr().unwrap()),
        );
    });
    for _ in 0..2 {
        drop(broken.accept().unwrap());
    }

    echo.signal(Signal::TERM);
    let (status, printed) = echo.wait();

    assert!(status.success(), "{status}: {printed}");
}
