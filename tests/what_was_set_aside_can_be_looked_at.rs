//! A damaged row is set aside, not thrown away: the command line tool lists it, shows every byte that is left of it, and
//! drops it when somebody says so.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "support/made_journal.rs"]
mod made_journal;
mod support;
#[path = "support/tool.rs"]
mod tool;

use std::path::Path;

use actogram::{Bot, BotHandle, Context, api::Server};
use made_journal::{Made, simulator};
use rusqlite::Connection;
use serde_json::json;
use support::{on_actix, until};
use tool::Ran;

/// Starts a bot on the journal, which finds the damage; returns it.
async fn owner(simulator: &actogram_simulator::Simulator, path: &Path) -> BotHandle {
    Bot::new(simulator.bot().token())
        .server(Server::parse(&simulator.url()).unwrap())
        .workers(1)
        .journal(path)
        .handlers(|| |_: Context| async {})
        .start()
        .await
        .unwrap()
}

/// A journal of which the header of one row (place 3) and the text of another one (place 4) were damaged, and whose owner
/// has found both.
fn damaged() -> Made {
    let made = Made::new();
    let conn = Connection::open(made.path()).unwrap();
    conn.execute("UPDATE updates SET lane = 'chat:7' WHERE seq = 3", [])
        .unwrap();
    let flipped =
        "UPDATE updates SET raw = CAST(replace(raw, 'wait 2', x'ff61697420') AS TEXT) || '!' WHERE seq = 4";
    conn.execute(flipped, []).unwrap();
    drop(conn);
    on_actix(async {
        let simulator = simulator();
        let bot = owner(&simulator, &made.path()).await;
        // A damaged text is noticed when the update is due.
        while bot.journal_stats().await.unwrap().set_aside < 2 {}
        assert_eq!(bot.journal_stats().await.unwrap().unfinished, 0);
        bot.shutdown().await.unwrap();
    });
    made
}

fn is_quiet(ran: &Ran, code: i32) {
    assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{ran:?}");
}

#[test]
fn damaged_rows_are_listed_page_by_page_with_what_is_known_of_them() {
    let made = damaged();

    let human = made.tool("set-aside list", "");
    let all = made.tool("set-aside list", "--json").json();
    let first = made.tool("set-aside list", "--limit 1 --json").json();
    let second = made.tool("set-aside list", "--after 1 --json").json();

    is_quiet(&human, 0);
    assert!(human.out.starts_with("ID"), "{human:?}");
    assert!(human.out.contains("does not match its checksum"), "{human:?}");
    let rows = all["set_aside"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["id"], &rows[0]["place"], &rows[0]["lane"]),
        (&json!(1), &json!(3), &json!("chat:7"))
    );
    assert_eq!(
        (&rows[1]["place"], &rows[1]["bot"]),
        (&json!(4), &json!(made.bot_id))
    );
    assert!(
        rows.iter().all(|row| row["bytes"].as_u64().unwrap() > 100),
        "{all}"
    );
    assert!(rows.iter().all(|row| row.get("raw").is_none()), "{all}");
    assert_eq!((&first["next"], &second["next"]), (&json!(1), &json!(null)));
    assert_eq!(second["set_aside"], json!([rows[1]]));
}

#[test]
fn every_byte_that_is_left_is_shown_when_it_is_asked_for() {
    let made = damaged();
    let left: Vec<u8> = Connection::open(made.path())
        .unwrap()
        .query_row(
            "SELECT CAST(raw AS BLOB) FROM set_aside WHERE id = 2",
            [],
            |row| row.get(0),
        )
        .unwrap();

    let human = made.tool("set-aside show", "1");
    let raw = made.tool("set-aside show", "1 --raw");
    let text = made.tool("set-aside show", "1 --raw --json").json();
    let bytes = made.tool("set-aside show", "2 --raw --json").json();
    let missing = made.tool("set-aside show", "9");

    is_quiet(&human, 0);
    assert!(
        human.out.contains("set aside at") && !human.out.contains("wait 1"),
        "{human:?}"
    );
    assert_eq!(raw.json()["message"]["text"], "wait 1");
    assert_eq!(text["raw"], raw.out.trim_end());
    let hex: String = left.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.contains("ff61697420") && hex.ends_with("21"), "{hex}");
    assert_eq!(bytes["raw_hex"], hex);
    assert_eq!(bytes["bytes"], left.len());
    assert_eq!(
        (missing.code, missing.out.as_str()),
        (1, "nothing was set aside as 9\n")
    );
}

#[test]
fn only_what_was_chosen_is_dropped() {
    let made = damaged();

    let one = made.tool("set-aside drop", "1 9 1 --json");
    let left = made.tool("set-aside list", "--json").json();
    let all = made.tool("set-aside drop", "--all");
    let nothing = made.tool("set-aside drop", "--all");

    assert_eq!(one.code, 1, "9 is missing");
    assert_eq!(
        (&one.json()["dropped"], &one.json()["missing"]),
        (&json!([1]), &json!([9]))
    );
    assert_eq!(left["set_aside"][0]["id"], 2);
    is_quiet(&all, 0);
    assert_eq!(all.out, "1 damaged row dropped\n");
    assert_eq!(
        (nothing.code, nothing.out.as_str()),
        (1, "0 damaged rows dropped\n")
    );
    let listed = made.tool("set-aside list", "");
    assert_eq!((listed.code, listed.out.as_str()), (1, "nothing was set aside\n"));
    assert_eq!(made.tool("stats", "--json").json()["set_aside"], 0);
    assert_eq!(made.tool("verify", "").code, 0);
}

#[test]
fn the_running_owner_sees_what_the_tool_has_dropped() {
    let made = damaged();
    on_actix(async {
        let simulator = simulator();
        let bot = owner(&simulator, &made.path()).await;

        let path = made.path();
        let ran = tokio::task::spawn_blocking(move || tool::journal("set-aside drop", &path, "--all"))
            .await
            .unwrap();

        is_quiet(&ran, 0);
        let stats = bot.journal_stats().await.unwrap();
        assert_eq!((stats.set_aside, stats.set_aside_dropped), (0, 0));
        bot.shutdown().await.unwrap();
    });
}

/// They are kept as dead letters are: for a time, in a number, and what goes is counted.
#[test]
fn the_owner_keeps_as_many_as_it_was_told_to() {
    let made = damaged();
    on_actix(async {
        let simulator = simulator();
        let bot = Bot::new(simulator.bot().token())
            .server(Server::parse(&simulator.url()).unwrap())
            .workers(1)
            .journal(made.path())
            .journal_config(|config| config.keep_dead_letters(1))
            .handlers(|| |_: Context| async {})
            .start()
            .await
            .unwrap();
        let path = made.path();

        until("all but one are dropped", || {
            tool::journal("stats", &path, "--json").json()["set_aside"] == 1
        })
        .await;

        let stats = bot.journal_stats().await.unwrap();
        assert_eq!((stats.set_aside, stats.set_aside_dropped), (1, 1));
        assert_eq!((stats.dead_letters, stats.dead_letters_dropped), (1, 1));
        bot.shutdown().await.unwrap();
    });
    let left = made.tool("set-aside list", "--json").json();
    assert_eq!(left["set_aside"][0]["id"], 2, "the newest is kept");
    let stats = made.tool("stats", "--json").json();
    assert_eq!(
        (&stats["dead_letters_dropped"], &stats["set_aside_dropped"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn arguments_are_checked_and_explained() {
    for (words, rest) in [("list", ""), ("show", "1"), ("drop", "1")] {
        let folder = tempfile::tempdir().unwrap();
        let ran = tool::journal(
            &format!("set-aside {words}"),
            &folder.path().join("none.db"),
            rest,
        );
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words}: {ran:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{words}");

        let ran = tool::actogram(["journal", "set-aside", words, "--help"]);
        let example = format!("actogram journal set-aside {words} bot.db");
        assert!(ran.code == 0 && ran.out.contains(&example), "{ran:?}");
    }
    for wrong in [&["bot.db"][..], &["bot.db", "1", "--all"], &["bot.db", "one"]] {
        let words = ["journal", "set-aside", "drop"].iter().chain(wrong);
        assert_eq!(tool::actogram(words).code, 2, "{wrong:?}");
    }
}
