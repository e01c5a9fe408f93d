//! Promise: every update has an id and a lane, whatever its kind and however strange it is.
//!
//! Walks `tests/corpus` and compares with its manifest.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod corpus;

use std::collections::BTreeSet;

use actogram::update::{EnvelopeError, Update, UpdateKind};
use corpus::{DOCUMENTED, Entry};

fn assert_read_as(entry: &Entry) {
    let file = &entry.file;
    let update = Update::from_json(&entry.text).unwrap_or_else(|error| panic!("{file}: {error}"));

    let kind_name: String = update.kind_name().chars().flat_map(escaped).collect();
    assert_eq!(update.id(), entry.id, "{file}: id");
    assert_eq!(kind_name, entry.kind, "{file}: kind");
    assert_eq!(update.kind(), UpdateKind::from_wire(&entry.kind), "{file}: kind");
    assert_eq!(update.lane().as_str(), entry.lane, "{file}: lane");
    assert_eq!(update.chat_id(), entry.chat, "{file}: chat");
    assert_eq!(update.user_id(), entry.user, "{file}: user");
    assert_eq!(update.raw(), entry.text.trim(), "{file}: raw");
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() {
        character.escape_default().collect()
    } else {
        vec![character]
    }
}

#[test]
fn every_documented_update_has_the_lane_of_its_kind() {
    let entries = corpus::updates();
    for entry in entries.iter().filter(|entry| entry.is_in(&DOCUMENTED)) {
        assert_read_as(entry);
    }
}

#[test]
fn every_hostile_update_still_has_an_id_and_a_lane() {
    let entries = corpus::updates();
    for entry in entries.iter().filter(|entry| entry.is_in(&["hostile"])) {
        assert_read_as(entry);
    }
}

#[test]
fn every_file_of_the_corpus_is_in_the_manifest_once() {
    let mut named = corpus::named_files();
    named.sort();

    assert_eq!(named, corpus::files());
}

#[test]
fn every_kind_has_an_update_as_it_comes_and_a_minimal_one() {
    let all: BTreeSet<&str> = UpdateKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let entries = corpus::updates();
    for folder in ["kinds", "minimal"] {
        let covered: BTreeSet<&str> = entries
            .iter()
            .filter(|entry| entry.is_in(&[folder]))
            .map(|entry| entry.kind.as_str())
            .collect();
        assert_eq!(covered, all, "{folder}");
    }
}

#[test]
fn an_update_of_half_a_mebibyte_is_read_and_decoded() {
    let text = "\\u0444".repeat(512 * 1024 / 6);
    let json = format!(
        r#"{{"update_id":9,"message":{{"text":"{text}","message_id":1,"date":1,"chat":{{"id":-1009,"type":"group","title":"x"}}}}}}"#
    );

    let update = Update::from_json(&json).unwrap();

    assert_eq!(update.lane().as_str(), "chat:-1009");
    let message = update.message().unwrap().unwrap();
    assert_eq!(message.text.unwrap().chars().count(), 512 * 1024 / 6);
}

#[test]
fn ten_thousand_levels_in_a_member_nobody_knows_harm_nothing() {
    let deep = format!("{}{}", r#"[{"a":"#.repeat(10_000), "}]".repeat(10_000)).replace(":}", ":0}");
    let json = format!(
        r#"{{"update_id":9,"message":{{"new_thing":{deep},"message_id":1,"date":1,"chat":{{"id":-1009,"type":"group","title":"x"}}}}}}"#
    );

    let update = Update::from_json(&json).unwrap();

    assert_eq!(update.lane().as_str(), "chat:-1009");
    assert!(update.content().is_ok());
}

fn replies_within_replies(levels: usize) -> Update {
    let head = r#"{"message_id":1,"date":1,"chat":{"id":-1009,"type":"group","title":"x"}"#;
    let open = format!(r#"{head},"reply_to_message":"#).repeat(levels);
    let close = "}".repeat(levels);
    Update::from_json(&format!(r#"{{"update_id":9,"message":{open}{head}}}{close}}}"#)).unwrap()
}

#[test]
fn a_hundred_and_twenty_replies_within_replies_do_not_overflow_the_stack() {
    let update = replies_within_replies(120);

    let mut message = update.message().unwrap().unwrap();

    let mut levels = 0;
    while let Some(inner) = message.reply_to_message.take() {
        message = inner;
        levels += 1;
    }
    assert_eq!(levels, 120);
}

#[test]
fn ten_thousand_replies_within_replies_are_a_decode_error_and_nothing_else() {
    let update = replies_within_replies(10_000);

    assert_eq!(update.lane().as_str(), "chat:-1009");
    let error = update.content().unwrap_err();
    assert!(error.to_string().ends_with("recursion limit exceeded"), "{error}");
}

#[test]
fn what_is_no_update_is_refused_for_what_it_lacks() {
    let refused = corpus::refused();
    assert!(refused.len() > 40, "the manifest names too few");
    for (file, text, expected) in refused {
        let found = match Update::from_json(&text) {
            Ok(update) => panic!("{file} was read as {update:?}"),
            Err(EnvelopeError::NotJson { .. }) => "not_json",
            Err(EnvelopeError::NotObject) => "not_object",
            Err(EnvelopeError::NoUpdateId) => "no_update_id",
            Err(_) => "something new",
        };
        assert_eq!(found, expected, "{file}");
    }
}
