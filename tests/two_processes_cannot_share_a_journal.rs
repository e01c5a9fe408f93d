//! One journal has one owner: a second process ends at once and says who the first is; `kill -9` frees the file.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::Path;

use actogram_simulator::User;
use support::{Program, Stage};

fn echo(stage: &Stage, journal: &Path) -> Program {
    stage.run_example_with("echo", |command| {
        command.env("ACTOGRAM_JOURNAL", journal);
    })
}

fn answers(stage: &Stage, user: &User, text: &str) {
    user.say(text);
    stage.until_blocking("the text is answered", |view| {
        view.texts_to(user.chat_id()).last() == Some(&text)
    });
}

#[test]
fn the_second_process_ends_at_once_and_names_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.db");
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let mut first = echo(&stage, &journal);
    answers(&stage, &ann, "one");

    let other = Stage::new();
    let (status, printed) = echo(&other, &journal).wait();

    assert!(status.code().is_some_and(|code| code != 0), "{status}: {printed}");
    assert!(
        printed.contains("bot.db is in use by")
            && printed.contains(&format!("process {} ", first.id()))
            && printed.contains("stop it, or give this bot a journal of its own"),
        "{printed}"
    );
    assert_eq!(other.bot.polls().len(), 0, "the second one fetched nothing");
    assert!(first.runs());
    answers(&stage, &ann, "two");
    first.kill();
    assert_eq!(ann.heard(), ["one", "two"]);
}

#[test]
fn a_link_to_the_journal_is_the_same_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, link) = (folder.path().join("bot.db"), folder.path().join("link.db"));
    let stage = Stage::new();
    let first = echo(&stage, &journal);
    answers(&stage, &stage.bot.user("Ann"), "one");
    std::os::unix::fs::symlink(&journal, &link).unwrap();

    let (status, printed) = echo(&Stage::new(), &link).wait();

    assert!(!status.success());
    assert!(printed.contains(&format!("process {} ", first.id())), "{printed}");
    first.kill();
}

#[test]
fn the_journal_is_free_as_soon_as_its_owner_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.db");
    let stage = Stage::new();
    let ann = stage.bot.user("Ann");
    let first = echo(&stage, &journal);
    answers(&stage, &ann, "one");

    first.kill();
    let second = echo(&stage, &journal);

    answers(&stage, &ann, "two");
    second.kill();
    let mut heard = ann.heard();
    // The kill may have come before it was on record that the first answer was sent.
    heard.dedup();
    assert_eq!(heard, ["one", "two"]);
}
