//! Each command of the command line tool, on the journal of a real bot, for people and for scripts.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "support/made_journal.rs"]
mod made_journal;
mod support;
#[path = "support/tool.rs"]
mod tool;

use std::fs;

use made_journal::{Made, SECRET, simulator, start};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::on_actix;

/// Returns one member of every object of a list.
fn each(list: &Value, member: &str) -> Vec<Value> {
    let list = list.as_array().unwrap();
    list.iter().map(|object| object[member].clone()).collect()
}

#[test]
fn stats_counts_every_state() {
    let made = Made::new();

    let human = made.tool("stats", "");
    let script = made.tool("stats", "--json");

    assert_eq!((human.code, script.code), (0, 0), "{human:?} {script:?}");
    for line in ["unfinished updates", "dead letters", "write-ahead log"] {
        assert!(human.out.contains(line), "{human:?}");
    }
    let stats = script.json();
    assert_eq!(stats["journal"], made.path().to_str().unwrap());
    assert_eq!(stats["unfinished"]["updates"], 2);
    assert_eq!(stats["unfinished"]["ready"], 2);
    assert_eq!(stats["unfinished"]["started"], 0);
    assert_eq!(stats["unfinished"]["retrying"], 0);
    assert_eq!(
        (&stats["dead_letters"], &stats["remembered"]),
        (&json!(2), &json!(4))
    );
    assert!(stats["file_bytes"].as_u64().unwrap() > 0);
    let oldest = stats["unfinished"]["oldest_received_at"].as_str().unwrap();
    assert!(oldest.starts_with("20") && oldest.ends_with('Z'), "{oldest}");
}

#[test]
fn list_shows_unfinished_updates_page_by_page_and_lane_by_lane() {
    let made = Made::new();

    let human = made.tool("list", "");
    let all = made.tool("list", "--json").json();
    let first = made.tool("list", "--limit 1 --json").json();
    let second = made.tool("list", "--limit 1 --after 3 --json").json();
    let nothing = made.tool("list", "--lane chat:0");

    assert_eq!(human.code, 0, "{human:?}");
    assert!(human.out.starts_with("PLACE"), "{human:?}");
    assert_eq!(human.out.lines().count(), 3, "{human:?}");
    assert_eq!(each(&all["updates"], "place"), [3, 4]);
    assert_eq!(each(&all["updates"], "state"), ["ready", "ready"]);
    assert_eq!(each(&all["updates"], "kind"), ["message", "message"]);
    assert_eq!(each(&all["updates"], "bot"), [made.bot_id, made.bot_id]);
    assert_eq!(
        (each(&first["updates"], "place"), &first["next"]),
        (vec![json!(3)], &json!(3))
    );
    assert_eq!(
        (each(&second["updates"], "place"), &second["next"]),
        (vec![json!(4)], &Value::Null)
    );
    assert_eq!(
        (nothing.code, nothing.out.as_str()),
        (1, "no unfinished updates\n")
    );
    let lane = all["updates"][0]["lane"].as_str().unwrap();
    assert_eq!(made.tool("list", &format!("--lane {lane}")).code, 0);
    assert_eq!(made.tool("list", "--bot 1").code, 1);
    assert!(
        made.tool("list", "--limit 1")
            .out
            .ends_with("there are more: --after 3\n")
    );
}

#[test]
fn show_prints_what_people_wrote_only_when_it_is_asked_to() {
    let made = Made::new();

    let human = made.tool("show", "3");
    let script = made.tool("show", "3 --json").json();
    let raw = made.tool("show", "3 --raw");
    let both = made.tool("show", "3 --raw --json").json();
    let dead = made.tool("show", "1 --json").json();
    let missing = made.tool("show", "99");

    assert_eq!(human.code, 0, "{human:?}");
    assert!(
        human.out.contains("place") && !human.out.contains("wait 1"),
        "{human:?}"
    );
    assert_eq!((&script["place"], &script["state"]), (&json!(3), &json!("ready")));
    assert_eq!(script["update"], Value::Null);
    assert_eq!(raw.json()["message"]["text"], "wait 1");
    assert_eq!(both["update"], raw.json());
    assert_eq!(dead["state"], "dead");
    assert_eq!((missing.code, missing.out.as_str()), (1, "nothing at place 99\n"));
}

#[test]
fn dead_list_and_dead_show_tell_why() {
    let made = Made::new();

    let human = made.tool("dead list", "");
    let script = made.tool("dead list", "--json").json();
    let crashed = made.tool("dead list", "--reason crashed --json");
    let shown = made.tool("dead show", "1 --json").json();
    let raw = made.tool("dead show", "1 --raw");

    assert_eq!((human.code, human.out.lines().count()), (0, 3), "{human:?}");
    assert!(
        human.out.contains("failed") && !human.out.contains('\u{1b}'),
        "{human:?}"
    );
    assert_eq!(each(&script["dead_letters"], "place"), [1, 2]);
    assert_eq!(each(&script["dead_letters"], "reason"), ["failed", "failed"]);
    assert_eq!((crashed.code, &crashed.json()["dead_letters"]), (1, &json!([])));
    assert_eq!((&shown["attempt"], &shown["crashes"]), (&json!(1), &json!(0)));
    assert!(shown["errors"][0].as_str().unwrap().contains("it is"), "{shown}");
    assert_eq!(raw.json()["message"]["text"], SECRET);
    assert_eq!(made.tool("dead show", "3").code, 1, "it is not dead");
    let human = made.tool("dead show", "1");
    assert!(
        human.out.contains("reason") && !human.out.contains('\u{1b}'),
        "{human:?}"
    );
}

#[test]
fn dead_retry_puts_letters_at_the_end_and_names_what_is_missing() {
    let made = Made::new();

    let script = made.tool("dead retry", "1 1 99 --json");
    let again = made.tool("dead retry", "1");

    assert_eq!(script.code, 1, "99 is missing");
    let retried = script.json();
    assert_eq!(each(&retried["retried"], "place"), [1]);
    assert_eq!(each(&retried["retried"], "new_place"), [5]);
    assert_eq!(retried["missing"], json!([99]));
    assert_eq!(
        (again.code, again.out.as_str()),
        (1, "0 dead letters put back\n1 is no dead letter\n")
    );
    let left = made.tool("list", "--json").json();
    assert_eq!(each(&left["updates"], "place"), [3, 4, 5]);
    let all = made.tool("dead retry", "--all");
    assert_eq!((all.code, all.out.as_str()), (0, "1 dead letter put back\n"));
    assert_eq!(made.tool("dead retry", "--all").code, 1, "nothing is left");
    assert_eq!(made.tool("verify", "").code, 0);
}

#[test]
fn dead_drop_forgets_only_what_was_chosen() {
    let made = Made::new();
    let letters = made.tool("dead list", "--json").json();
    let lane = letters["dead_letters"][1]["lane"].as_str().unwrap().to_owned();

    let of_bob = made.tool("dead drop", &format!("--all --lane {lane} --json"));
    let missing = made.tool("dead drop", "2");

    assert_eq!((of_bob.code, &of_bob.json()["dropped"]), (0, &json!([2])));
    assert_eq!(
        (missing.code, missing.out.as_str()),
        (1, "0 dead letters dropped\n2 is no dead letter\n")
    );
    let left = made.tool("dead list", "--json").json();
    assert_eq!(each(&left["dead_letters"], "place"), [1]);
    assert_eq!(made.tool("dead drop", "1").out, "1 dead letter dropped\n");
}

#[test]
fn compact_gives_unused_space_back_and_keeps_everything_else() {
    let made = Made::new();
    made.free_pages();
    let before = fs::metadata(made.path()).unwrap().len();

    let script = made.tool("compact", "--json");

    assert_eq!(script.code, 0, "{script:?}");
    let done = script.json();
    assert!(done["pages"].as_u64().unwrap() > 1_000, "{done}");
    assert_eq!(
        (&done["complete"], &done["bytes_before"]),
        (&json!(true), &json!(before))
    );
    let after = fs::metadata(made.path()).unwrap().len();
    assert!(
        after < before / 10 && done["bytes_after"] == after,
        "{done}: {after}"
    );
    assert_eq!(made.tool("stats", "--json").json()["free_pages"], 0);
    assert_eq!(made.tool("verify", "").code, 0);
    let human = made.tool("compact", "");
    assert!(human.out.contains(", 0 pages given back"), "{human:?}");
}

#[test]
fn verify_tells_sound_from_damaged() {
    let made = Made::new();

    let sound = made.tool("verify", "--json");
    let conn = Connection::open(made.path()).unwrap();
    conn.execute_batch(
        "UPDATE updates SET lane = 'chat:1' WHERE seq = 3; UPDATE dead SET raw = raw || ' ' WHERE seq = 2",
    )
    .unwrap();
    drop(conn);
    let damaged = made.tool("verify", "--json");
    let human = made.tool("verify", "");

    assert_eq!(sound.code, 0, "{sound:?}");
    let document = sound.json();
    assert_eq!(
        (&document["sound"], &document["findings"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        (&document["updates"], &document["dead_letters"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(damaged.code, 1, "{damaged:?}");
    assert_eq!(damaged.json()["sound"], false);
    assert_eq!(human.code, 1);
    assert!(
        human.out.contains("row 3 of updates") && human.out.contains("row 2 of dead"),
        "{human:?}"
    );
    let listed = made.tool("list", "--json").json();
    assert_eq!(each(&listed["damaged"], "place"), [3]);
    assert!(made.tool("list", "").out.contains("damaged"));
    assert_eq!(made.tool("show", "3").code, 1);
    let retried = made.tool("dead retry", "2 --json");
    assert_eq!((retried.code, &retried.json()["damaged"]), (1, &json!([2])));
}

/// Every command that reads or writes a journal, with arguments that are right.
const EVERY_COMMAND: [(&str, &str); 12] = [
    ("stats", ""),
    ("list", ""),
    ("show", "1"),
    ("dead list", ""),
    ("dead show", "1"),
    ("dead retry", "1"),
    ("dead drop", "1"),
    ("compact", ""),
    ("verify", ""),
    ("broadcasts list", ""),
    ("broadcasts show", "news"),
    ("broadcasts drop", "news"),
];

/// Those of them that only read.
const READING: [(&str, &str); 8] = [
    EVERY_COMMAND[0],
    EVERY_COMMAND[1],
    EVERY_COMMAND[2],
    EVERY_COMMAND[3],
    EVERY_COMMAND[4],
    EVERY_COMMAND[8],
    EVERY_COMMAND[9],
    EVERY_COMMAND[10],
];

#[test]
fn a_missing_file_is_an_error_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");

    for (words, rest) in EVERY_COMMAND {
        let ran = tool::journal(words, &path, &format!("{rest} --json"));

        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words}: {ran:?}");
        assert!(ran.err.starts_with("error: "), "{words}: {ran:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_foreign_file_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a journal ".repeat(100)).unwrap();
    let other = folder.path().join("other.db");
    let conn = Connection::open(&other).unwrap();
    conn.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(conn);

    for path in [text, other] {
        let before = fs::read(&path).unwrap();
        for (words, rest) in EVERY_COMMAND {
            let ran = tool::journal(words, &path, rest);

            assert_eq!(ran.code, 2, "{words}: {ran:?}");
            assert!(ran.err.contains("is not a journal"), "{words}: {ran:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn while_another_program_writes_reading_works_and_writing_says_why_not() {
    let made = Made::new();
    made.free_pages();
    let writer = Connection::open(made.path()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();

    for (words, rest) in EVERY_COMMAND {
        let ran = made.tool(words, &format!("{rest} --wait 0"));

        let writes = ["dead retry", "dead drop", "compact", "broadcasts drop"].contains(&words);
        assert_eq!(ran.code, if writes { 2 } else { 0 }, "{words}: {ran:?}");
        assert_eq!(
            writes,
            ran.err.contains("another program is writing"),
            "{words}: {ran:?}"
        );
    }
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(made.tool("dead retry", "1").code, 0);
}

#[test]
fn every_command_works_beside_a_running_bot_and_disturbs_nothing() {
    on_actix(async {
        let (simulator, folder) = (simulator(), tempfile::tempdir().unwrap());
        let bot = start(&simulator, &folder).await;
        let path = folder.path().join("bot.db");

        let ran = tokio::task::spawn_blocking(move || {
            let run = |(words, rest): (&'static str, &str)| (words, tool::journal(words, &path, rest));
            let stats = tool::journal("stats", &path, "--json").json();
            assert_eq!(stats["unfinished"]["started"], 1);
            let listed = tool::journal("list", &path, "--json").json();
            assert_eq!(each(&listed["updates"], "state"), ["started", "ready"]);
            EVERY_COMMAND.map(run)
        })
        .await
        .unwrap();

        for (words, ran) in ran {
            // The letter that was retried cannot be dropped any more.
            let code = i32::from(words == "dead drop");
            assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{words}: {ran:?}");
        }
        let stats = bot.journal_stats().await.unwrap();
        assert_eq!(stats.dead_letters + stats.unfinished, 4);
        bot.shutdown_now().await.unwrap();
    });
}

#[test]
fn what_a_killed_bot_left_can_be_read_and_is_not_touched() {
    on_actix(async {
        let (simulator, folder) = (simulator(), tempfile::tempdir().unwrap());
        let bot = start(&simulator, &folder).await;
        // What is there while the bot runs is what a kill leaves.
        let left = tempfile::tempdir().unwrap();
        for name in ["bot.db", "bot.db-wal"] {
            fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
        }
        bot.shutdown_now().await.unwrap();

        let path = left.path().join("bot.db");
        let files = || ["bot.db", "bot.db-wal"].map(|name| fs::read(left.path().join(name)).unwrap());
        let before = files();

        let stats = tool::journal("stats", &path, "--json").json();
        for (words, rest) in READING {
            assert_eq!(tool::journal(words, &path, rest).code, 0, "{words}");
        }

        assert_eq!(
            (&stats["unfinished"]["updates"], &stats["dead_letters"]),
            (&json!(2), &json!(2))
        );
        assert!(files() == before, "a file was changed");
    });
}

#[test]
fn bad_arguments_are_explained_and_help_is_no_error() {
    let bad: [&[&str]; 10] = [
        &[],
        &["journal"],
        &["journal", "burn", "bot.db"],
        &["journal", "stats"],
        &["journal", "show", "bot.db"],
        &["journal", "show", "bot.db", "first"],
        &["journal", "list", "bot.db", "--limit", "0"],
        &["journal", "dead", "list", "bot.db", "--reason", "bored"],
        &["journal", "dead", "drop", "bot.db"],
        &["journal", "dead", "retry", "bot.db", "1", "--all"],
    ];
    for arguments in bad {
        let ran = tool::actogram(arguments);

        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    for (words, _) in EVERY_COMMAND {
        let arguments = ["journal"].into_iter().chain(words.split(' ')).chain(["--help"]);

        let ran = tool::actogram(arguments);

        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words}");
        assert!(
            ran.out.contains(&format!("actogram journal {words} bot.db")),
            "{words} has no example"
        );
    }
}

/// A place that is given cannot be narrowed down by accident: it would be dropped whatever its lane.
#[test]
fn places_and_filters_are_not_mixed() {
    for filter in ["--lane=chat:1", "--bot=1", "--reason=failed"] {
        let ran = tool::actogram(["journal", "dead", "drop", "bot.db", "1", filter]);

        assert_eq!(ran.code, 2, "{filter}: {ran:?}");
        assert!(ran.err.contains("cannot be used with"), "{filter}: {ran:?}");
    }
}

/// The way that `docs/journal.md` recommends.
#[test]
fn a_backup_that_was_made_while_the_bot_runs_is_a_sound_journal() {
    on_actix(async {
        let (simulator, folder) = (simulator(), tempfile::tempdir().unwrap());
        let bot = start(&simulator, &folder).await;
        let backup = folder.path().join("backup.db");
        let conn = Connection::open(folder.path().join("bot.db")).unwrap();
        conn.execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
            .unwrap();
        drop(conn);
        bot.shutdown_now().await.unwrap();

        let verified = tool::journal("verify", &backup, "--json").json();
        let retried = tool::journal("dead retry", &backup, "--all");

        assert_eq!(verified["sound"], true, "{verified}");
        assert_eq!(
            (&verified["updates"], &verified["dead_letters"]),
            (&json!(2), &json!(2))
        );
        assert_eq!(retried.code, 0, "{retried:?}");
        assert_eq!(tool::journal("verify", &backup, "").code, 0);
    });
}
