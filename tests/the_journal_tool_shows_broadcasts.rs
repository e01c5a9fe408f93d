//! The command line tool lists broadcasts, shows what became of their chats, and drops them.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "support/made_journal.rs"]
mod made_journal;
mod support;
#[path = "support/tool.rs"]
mod tool;

use made_journal::{Made, NOBODY};
use rusqlite::Connection;
use serde_json::{Value, json};

#[test]
fn list_counts_the_outcomes_of_each_broadcast() {
    let made = Made::new();

    let human = made.tool("broadcasts list", "");
    let script = made.tool("broadcasts list", "--json").json();
    let others = made.tool("broadcasts list", "--bot 1");

    assert_eq!(human.code, 0, "{human:?}");
    assert_eq!(human.out.lines().count(), 2, "{human:?}");
    assert!(
        human.out.starts_with("NAME") && human.out.contains("news"),
        "{human:?}"
    );
    let news = &script["broadcasts"][0];
    assert_eq!(
        (&news["name"], &news["state"]),
        (&json!("news"), &json!("completed"))
    );
    assert_eq!(
        (&news["sent"], &news["failed"], &news["unknown"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(news["bot"], made.bot_id);
    assert!(news["ended_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((others.code, others.out.as_str()), (1, "no broadcasts\n"));
}

#[test]
fn show_lists_the_chats_page_by_page_and_outcome_by_outcome() {
    let made = Made::new();

    let all = made.tool("broadcasts show", "news --json").json();
    let first = made.tool("broadcasts show", "news --limit 1 --json").json();
    let after = format!("news --after {} --json", first["next"]);
    let second = made.tool("broadcasts show", &after).json();
    let failed = made.tool("broadcasts show", "news --outcome failed");
    let blocked = made.tool("broadcasts show", "news --outcome blocked");
    let missing = made.tool("broadcasts show", "olds");

    assert_eq!(all["chats"].as_array().unwrap().len(), 2);
    assert_eq!(all["next"], Value::Null);
    assert_eq!(first["chats"][0], all["chats"][0]);
    assert_eq!(second["chats"][0], all["chats"][1]);
    assert_eq!(second["next"], Value::Null);
    assert!(failed.out.contains(&NOBODY.to_string()), "{failed:?}");
    assert!(failed.out.contains("Bad Request: chat not found"), "{failed:?}");
    assert_eq!(failed.out.lines().count(), 2, "{failed:?}");
    assert_eq!((blocked.code, blocked.out.as_str()), (1, "no chats\n"));
    assert_eq!((missing.code, missing.out.as_str()), (1, "no broadcast olds\n"));
}

#[test]
fn drop_forgets_the_name() {
    let made = Made::new();

    let dropped = made.tool("broadcasts drop", "news");
    let again = made.tool("broadcasts drop", "news --json");

    assert_eq!(dropped.code, 0, "{dropped:?}");
    assert!(dropped.out.starts_with("broadcast news dropped"), "{dropped:?}");
    assert_eq!(again.code, 1, "{again:?}");
    assert_eq!(again.json()["state"], "missing");
    assert_eq!(made.tool("broadcasts list", "").code, 1);
}

#[test]
fn a_name_that_several_bots_have_needs_the_bot() {
    let made = Made::new();
    let conn = Connection::open(made.path()).unwrap();
    conn.execute_batch(
        "INSERT INTO broadcasts SELECT NULL, 1, name, started_at, state, ended_at, swept, sent, blocked, unknown, failed,
           moved, sum FROM broadcasts",
    )
    .unwrap();
    drop(conn);

    let unclear = made.tool("broadcasts drop", "news");
    let clear = made.tool("broadcasts drop", &format!("news --bot {}", made.bot_id));

    assert_eq!(unclear.code, 2, "{unclear:?}");
    assert!(unclear.err.contains("choose one of [1, "), "{unclear:?}");
    assert_eq!(clear.code, 0, "{clear:?}");
    let left = made.tool("broadcasts list", "--json").json();
    assert_eq!(left["broadcasts"][0]["bot"], 1);
}
