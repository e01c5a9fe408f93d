//! A handler is told the number of its attempt, and an attempt that `kill -9` cut off is counted: the handler knows that
//! effects may be there.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram_simulator::Fault;
use support::Stage;

#[test]
fn each_kill_raises_the_number_of_what_was_running_and_of_nothing_else() {
    let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
    let ann = stage.bot.user("Ann");
    ann.say_all(["attempt", "attempt"]);
    let start = || {
        stage.run_example_with("crash_test", |command| {
            command.env("ACTOGRAM_JOURNAL", folder.path().join("bot.db"));
        })
    };
    for _ in 0..2 {
        stage.bot.fault(Fault::Stall.on("sendMessage").times(1));
        let bot = start();
        stage.until_blocking("it answers", |view| {
            view.faults_left() == 0 && view.pending_count() == 0
        });
        bot.kill();
    }

    let bot = start();
    stage.until_blocking("both are answered", |view| view.sent().len() == 2);
    bot.kill();

    assert_eq!(ann.heard(), ["attempt 3", "attempt 1"]);
}
