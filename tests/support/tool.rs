//! The real command line tool.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{ffi::OsStr, path::Path, process::Command};

use serde_json::Value;

/// What the tool printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Returns the one JSON document it printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `actogram` with these arguments.
pub(crate) fn actogram<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_actogram"))
        .args(arguments)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `actogram journal` on a journal: `words` are the command, then `rest` follows the path.
pub(crate) fn journal(words: &str, path: &Path, rest: &str) -> Ran {
    let words = ["journal"].into_iter().chain(words.split_whitespace());
    let arguments = words
        .map(OsStr::new)
        .chain([path.as_os_str()])
        .chain(rest.split_whitespace().map(OsStr::new));
    actogram(arguments)
}
