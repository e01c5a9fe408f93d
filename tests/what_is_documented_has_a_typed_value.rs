//! Promise: what the Bot API documents has a typed value that holds all of it; what it does not document costs the typed
//! value at most, and the error says why without repeating anybody's words.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod corpus;

use std::thread;

use actogram::update::{DecodeError, Update, UpdateContent, UpdateKind};
use corpus::{DOCUMENTED, Entry};
use serde_json::Value;

/// Members that the typed model leaves out although the server sends them, by the end of their path.
const NOT_IN_THE_TYPED_MODEL: &[&str] = &[
    ".invite_link.subscription_period",
    ".invite_link.subscription_price",
    ".paid_star_count",
    // Not documented, but sent for every basic group.
    ".chat.all_members_are_administrators",
    // There, as an object with a type instead of a string.
    ".suggested_post_info.state",
    ".suggested_post_refunded.reason",
];

/// Files with updates that the typed model refuses although they are documented. We decode them all the same.
const REFUSED_BY_THE_TYPED_MODEL: &[&str] = &[
    // It expects an object with a tag where the Bot API has a string.
    "messages/suggested_post_info",
    "messages/suggested_post_refunded",
];

fn documented() -> Vec<Entry> {
    let mut entries = corpus::updates();
    entries.retain(|entry| entry.is_in(&DOCUMENTED));
    assert!(entries.len() > 200, "the manifest names too few");
    entries
}

fn update_in(file: &str) -> Update {
    let entries = corpus::updates();
    let entry = entries.iter().find(|entry| entry.file == file).unwrap();
    Update::from_json(&entry.text).unwrap()
}

#[test]
fn every_documented_update_decodes_to_what_the_typed_model_reads_from_the_whole() {
    let mut wrong = Vec::new();
    for entry in documented() {
        let file = &entry.file;
        let update = Update::from_json(&entry.text).unwrap();
        let content = update.content();

        let whole = whole_of(&entry.text);

        let refused = REFUSED_BY_THE_TYPED_MODEL.contains(&file.as_str());
        if whole.is_none() != refused
            || !refused && content.as_ref().ok() != whole.as_ref()
            || content.is_ok() != entry.is_typed
        {
            wrong.push(format!("{file}: {:?}", content.err()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_documented_member_arrives_in_the_typed_value() {
    let mut lost = Vec::new();
    for entry in documented().iter().filter(|entry| entry.is_typed) {
        let update = Update::from_json(&entry.text).unwrap();
        let written: Value = serde_json::from_str(update.payload()).unwrap();
        let read = serde_json::to_value(update.content().unwrap()).unwrap();

        collect_lost(&written, &read[&entry.kind], &entry.file, &mut lost);
    }

    for known in NOT_IN_THE_TYPED_MODEL {
        let before = lost.len();
        lost.retain(|path| !path.ends_with(known));
        assert!(lost.len() < before, "{known} is in the typed model now");
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Collects the paths of what is in `written` and not the same in `read`.
fn collect_lost(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(members), Value::Object(_)) => {
            for (name, value) in members {
                collect_lost(value, &read[name], &format!("{path}.{name}"), lost);
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (n, (written, read)) in written.iter().zip(read).enumerate() {
                collect_lost(written, read, &format!("{path}[{n}]"), lost);
            }
        }
        (Value::Number(written), Value::Number(read)) if written.as_f64() == read.as_f64() => {}
        _ if written == read => {}
        _ => lost.push(path.to_owned()),
    }
}

/// What the typed model reads from a whole update; on a thread of its own, since it takes 100 KiB of stack per reply.
fn whole_of(text: &str) -> Option<UpdateContent> {
    let read = || serde_json::from_str::<frankenstein::updates::Update>(text).ok();
    let whole = thread::scope(|scope| {
        let reader = thread::Builder::new().stack_size(64 * 1024 * 1024);
        reader.spawn_scoped(scope, read).unwrap().join().unwrap()
    });
    whole.map(|whole| whole.content)
}

#[test]
fn a_hostile_update_decodes_as_the_manifest_says_and_wherever_the_typed_model_reads_the_whole() {
    let entries = corpus::updates();
    for entry in entries.iter().filter(|entry| entry.is_in(&["hostile"])) {
        let file = &entry.file;
        let update = Update::from_json(&entry.text).unwrap();

        let content = update.content();

        assert_eq!(content.is_ok(), entry.is_typed, "{file}: {content:?}");
        if let Some(whole) = whole_of(&entry.text) {
            assert_eq!(content, Ok(whole), "{file}");
        }
    }
}

#[test]
fn an_update_that_does_not_decode_says_where_and_why_without_its_text() {
    let update = update_in("hostile/unknown_chat_type");

    let error = update.content().unwrap_err();

    let DecodeError::Mismatch {
        update_id,
        kind,
        line,
        column,
        ref reason,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((update_id, kind), (update.id(), UpdateKind::Message));
    assert!(line > 0 && column > 0, "{error}");
    assert!(reason.starts_with("unknown variant `galaxy`"), "{error}");
    for text in ["M31", "hello", "Ada", "Okafor"] {
        assert!(!error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_string_where_a_number_belongs_is_not_repeated_in_the_error() {
    let update = Update::from_json(r#"{"update_id":1,"message":{"message_id":"my \"secret"}}"#).unwrap();

    let error = update.content().unwrap_err();

    assert!(error.to_string().contains("expected i32"), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[test]
fn an_unknown_kind_decodes_to_an_error_that_names_it() {
    let update = update_in("hostile/unknown_kind_in_a_chat");

    assert_eq!(
        update.content(),
        Err(DecodeError::UnknownKind {
            update_id: update.id(),
            kind_name: "moon_phase".to_owned()
        })
    );
    assert!(update.payload().contains("0.25"));
}

#[test]
fn message_and_callback_query_are_given_for_their_kinds_only() {
    for entry in documented().iter().filter(|entry| entry.is_typed) {
        let (file, kind) = (&entry.file, &entry.kind);
        let update = Update::from_json(&entry.text).unwrap();

        let message = update.message().unwrap();
        let query = update.callback_query().unwrap();

        let is_message = kind.ends_with("message") || kind.ends_with("channel_post");
        assert_eq!(message.is_some(), is_message, "{file}");
        assert_eq!(query.is_some(), *kind == "callback_query", "{file}");
        if let (Some(message), Ok(UpdateContent::Message(same))) = (message, update.content()) {
            assert_eq!(message, same);
        }
    }
}
