//! The updates in this folder, and what the manifest beside them says about each.
//!
//! | folder | what it holds |
//! |---|---|
//! | `kinds` | updates as they come, at least one of every kind |
//! | `minimal` | every kind with nothing but what is required |
//! | `full` | every kind with every documented member, and every variant of what it holds |
//! | `messages` | a message with each member that a message can have |
//! | `hostile` | what a future server, a proxy or a bad day might send, and still is an update |
//! | `refused` | what is no update |

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{fs, path::PathBuf};

/// The folders with updates as the Bot API documents them.
pub(crate) const DOCUMENTED: [&str; 4] = ["kinds", "minimal", "full", "messages"];

/// An update and what it has to be read as.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) id: i64,
    /// Written with the escapes of Rust.
    pub(crate) kind: String,
    pub(crate) lane: String,
    pub(crate) chat: Option<i64>,
    pub(crate) user: Option<i64>,
    pub(crate) is_typed: bool,
}

impl Entry {
    pub(crate) fn is_in(&self, folders: &[&str]) -> bool {
        folders.contains(&folder_of(&self.file))
    }
}

pub(crate) fn folder_of(file: &str) -> &str {
    file.split_once('/').map_or("", |(folder, _)| folder)
}

/// Returns every update of the manifest, in its order.
pub(crate) fn updates() -> Vec<Entry> {
    let mut entries = Vec::new();
    for row in rows() {
        let [file, id, kind, lane, chat, user, value] = &*row else {
            assert!(folder_of(&row[0]) == "refused", "{row:?}");
            continue;
        };
        let number = |word: &str| (word != "-").then(|| word.parse().unwrap());
        assert!(["typed", "raw"].contains(&value.as_str()), "{row:?}");
        entries.push(Entry {
            file: file.clone(),
            text: text_of(file),
            id: id.parse().unwrap(),
            kind: if kind == "\"\"" {
                String::new()
            } else {
                kind.clone()
            },
            lane: lane.clone(),
            chat: number(chat),
            user: number(user),
            is_typed: value == "typed",
        });
    }
    entries
}

/// Returns every text that is no update, with its file and the reason.
pub(crate) fn refused() -> Vec<(String, String, String)> {
    let rows = rows().into_iter().filter(|row| folder_of(&row[0]) == "refused");
    rows.map(|row| (row[0].clone(), text_of(&row[0]), row[1].clone()))
        .collect()
}

/// Returns the files that are there, without their extension, sorted.
pub(crate) fn files() -> Vec<String> {
    let mut files = Vec::new();
    for folder in DOCUMENTED.iter().chain(&["hostile", "refused"]) {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.push(format!(
                "{folder}/{}",
                path.file_stem().unwrap().to_str().unwrap()
            ));
        }
    }
    files.sort();
    files
}

/// Returns the files that the manifest names, in its order.
pub(crate) fn named_files() -> Vec<String> {
    rows().into_iter().map(|row| row[0].clone()).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// What is not UTF-8 is replaced, as in a response.
fn text_of(file: &str) -> String {
    let bytes = fs::read(root().join(format!("{file}.json"))).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rows() -> Vec<Vec<String>> {
    let manifest = fs::read_to_string(root().join("manifest.txt")).unwrap();
    let lines = manifest
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect()
}
