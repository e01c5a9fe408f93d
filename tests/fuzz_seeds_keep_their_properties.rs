//! Promise: what the fuzz targets look for does not occur among their seeds, also where there is no `cargo fuzz`.
//!
//! Beside the seeds, inputs that once broke a property are kept in `tests/corpus/found`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod properties;

use std::{fs, panic, path::PathBuf};

#[cfg(feature = "webhook")]
use properties::webhook;
use properties::{address, command, envelope, form, response};

/// Checks every file in the folders of the corpus with these names, and that they are not empty.
fn replay(folders: &[&str], check: fn(&[u8])) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for folder in folders {
        let mut files: Vec<PathBuf> = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{folder}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            if let Err(report) = panic::catch_unwind(|| check(&bytes)) {
                println!("this was in {}", file.display());
                panic::resume_unwind(report);
            }
        }
    }
}

#[test]
fn updates_and_batches() {
    replay(&["kinds", "messages", "hostile", "refused"], envelope::check);
}

#[test]
fn responses_of_the_server() {
    replay(&["responses"], response::check);
}

#[test]
fn tokens_servers_and_file_paths() {
    replay(&["addresses"], address::check);
}

#[test]
fn forms() {
    replay(&["forms"], form::check);
}

#[test]
fn commands_and_their_arguments() {
    replay(&["commands"], command::check);
}

#[cfg(feature = "webhook")]
#[test]
fn requests_to_a_webhook() {
    replay(
        &["posts", "kinds", "messages", "hostile", "refused"],
        webhook::check,
    );
}

/// As deep as the largest body can be.
#[cfg(feature = "webhook")]
#[test]
fn a_body_that_nests_as_deep_as_it_may_be_long() {
    const DEPTH: usize = 1 << 19;
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    for body in [
        format!(r#"{{"update_id":1,"message":{open}{close}}}"#),
        format!("{open}{close}"),
        format!(r#"{{"update_id":1,"message":{open}{open}"#),
    ] {
        webhook::check(body.as_bytes());
    }
}
