//! The real echo program is killed with SIGKILL, at any instant: every update is answered; in direct mode at most one
//! batch runs twice, with a journal at most what was running.
//!
//! `ACTOGRAM_KILLS` sets how often the storm kills (default 12); its seed is printed, and `ACTOGRAM_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use actogram_simulator::Fault;
use oracle::{Answer, History, IssuedText, Keeping, all_answered, wait_for_all_answers};
use support::{Program, Stage};

/// Starts the echo program with or without a journal.
fn echo(stage: &Stage, journal: Option<&Path>) -> Program {
    stage.run_example_with("echo", |command| {
        command.env("ACTOGRAM_JOURNAL", journal.unwrap_or(Path::new("off")));
    })
}

/// Kills the program while a hundred handlers run and starts it again.
fn a_hundred_running_handlers_are_killed(journal: Option<&Path>) {
    let stage = Stage::new();
    let users: Vec<_> = (0..100).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    for user in &users {
        user.say("hello");
    }
    stage.bot.fault(Fault::Stall.on("sendMessage").times(100));
    let first = echo(&stage, journal);
    stage.until_blocking("all handlers are in their send", |view| view.faults_left() == 0);

    first.kill();
    if journal.is_none() {
        assert_eq!(stage.bot.pending().len(), 100, "nothing was confirmed");
    }
    let second = echo(&stage, journal);
    stage.until_blocking("all are answered", all_answered);
    second.kill();

    for user in &users {
        assert_eq!(user.heard(), ["hello"]);
    }
}

/// Peer failures 1 and 2: grammY runner and teloxide lose 100 of 100 here.
#[test]
fn a_hundred_running_handlers_are_killed_and_all_hundred_are_answered_after_the_restart() {
    a_hundred_running_handlers_are_killed(None);
}

/// Peer failures 1 and 2, with a journal.
#[test]
fn a_hundred_running_handlers_are_killed_and_the_journal_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();

    a_hundred_running_handlers_are_killed(Some(&folder.path().join("bot.db")));
}

#[test]
fn a_storm_of_kills_loses_nothing_and_keeps_every_chat_in_order() {
    storm(None);
}

#[test]
fn a_storm_of_kills_with_a_journal_loses_nothing_and_keeps_every_chat_in_order() {
    let folder = tempfile::tempdir().unwrap();

    storm(Some(&folder.path().join("bot.db")));
}

fn storm(journal: Option<&Path>) {
    let kills: usize = setting("ACTOGRAM_KILLS").unwrap_or(12);
    let seed: u64 = setting("ACTOGRAM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = Stage::new();
    stage.bot.fault(
        Fault::DelayResponse(Duration::from_millis(3))
            .on("sendMessage")
            .forever(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let speakers = thread::spawn({
        let (bot, stop) = (stage.bot.clone(), Arc::clone(&stop));
        let mut random = random.fork();
        move || {
            let users: Vec<_> = (0..25).map(|n| bot.user(&format!("user {n}"))).collect();
            let mut said = 0;
            while !stop.load(Ordering::Relaxed) {
                // The backlog is bounded, so that the storm ends soon after its last kill.
                if bot.view(|view| view.issued().len()) < bot.view(|view| view.sent().len()) + 400 {
                    for _ in 0..20 {
                        users[random.usize(..users.len())].say(&format!("text {said}"));
                        said += 1;
                    }
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
    });

    let mut kills_with_work = 0;
    for _ in 0..kills {
        let echo = echo(&stage, journal);
        thread::sleep(Duration::from_millis(random.u64(5..400)));
        echo.kill();
        kills_with_work += usize::from(!stage.bot.view(all_answered));
    }
    stop.store(true, Ordering::Relaxed);
    speakers.join().unwrap();
    let last = echo(&stage, journal);
    wait_for_all_answers(&stage.bot);
    last.kill();

    let keeping = if journal.is_some() {
        Keeping::Journal
    } else {
        Keeping::Direct
    };
    let history = History::of_echo(&stage.bot, keeping, kills, kills_with_work);
    println!(
        "{} updates, {} copies, {kills_with_work} kills with work",
        history.issued.len(),
        history.copies()
    );
    assert_eq!(history.broken_laws(), [] as [String; 0]);
    assert!(
        history.issued.len() > 20 * kills,
        "the run is void: too few updates"
    );
    assert!(
        history.kills_with_work * 2 > kills,
        "the run is void: too few kills met work"
    );
    assert!(
        kills < 10 || history.copies() > 0,
        "the run is void: no kill met a running handler"
    );
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

/// Red controls: each law of the oracle finds the crime it is there for.
mod the_oracle {
    use super::{Answer, History, IssuedText, Keeping};

    /// Two chats, three texts each, all answered in order and confirmed afterwards.
    fn honest() -> History {
        let issued = |chat, n: usize| IssuedText {
            chat,
            text: n.to_string(),
            confirmed_at: Some(100),
        };
        let answer = |chat, n: usize| Answer {
            chat,
            text: n.to_string(),
            at: 10 + n as u128,
        };
        History {
            issued: (0..3).flat_map(|n| [issued(1, n), issued(2, n)]).collect(),
            answers: (0..3).flat_map(|n| [answer(1, n), answer(2, n)]).collect(),
            kills: 0,
            kills_with_work: 0,
            keeping: Keeping::Direct,
        }
    }

    fn finds(history: &History, crime: &str) {
        let broken = history.broken_laws();
        assert!(
            broken.iter().any(|law| law.starts_with(crime)),
            "{crime} was not found: {broken:?}"
        );
    }

    #[test]
    fn lets_an_honest_history_pass() {
        assert_eq!(honest().broken_laws(), [] as [String; 0]);
    }

    #[test]
    fn lets_a_repeated_tail_pass_after_a_kill_and_only_then() {
        let mut history = honest();
        let tail = history.answers[2..].to_vec();
        history.answers.extend(tail);

        finds(&history, "repeated without a kill");
        history.kills = 1;
        assert_eq!(history.broken_laws(), [] as [String; 0]);
    }

    #[test]
    fn finds_a_lost_update() {
        let mut history = honest();
        history
            .answers
            .retain(|answer| (answer.chat, answer.text.as_str()) != (2, "2"));

        finds(&history, "lost");
    }

    #[test]
    fn finds_an_update_that_was_confirmed_before_it_was_handled() {
        let mut history = honest();
        history.issued[0].confirmed_at = Some(1);

        finds(&history, "confirmed before it was handled");
        history.keeping = Keeping::Journal;
        assert_eq!(
            history.broken_laws(),
            [] as [String; 0],
            "a journal may confirm what it has"
        );
    }

    #[test]
    fn finds_answers_out_of_order() {
        let mut history = honest();
        history.answers.swap(0, 2);

        finds(&history, "out of order");
    }

    #[test]
    fn finds_an_invented_answer() {
        let mut history = honest();
        history.answers[0].text = "never said".to_owned();

        finds(&history, "invented");
    }

    #[test]
    fn finds_more_copies_than_a_batch_per_kill() {
        let mut history = honest();
        history.kills = 1;
        let all = history.answers.clone();
        for _ in 0..40 {
            history.answers.extend(all.clone());
        }

        finds(&history, "too many copies");
    }
}
