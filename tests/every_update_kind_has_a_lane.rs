//! Promise: every update has an id and a lane, whatever its kind and however strange it is.
//!
//! Walks `tests/corpus`: `kinds` holds updates as the Bot API documents them, at least one of every kind; `hostile`
//! holds what a future server, a proxy or a bad day might send.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use actogram::update::{DecodeError, EnvelopeError, Update, UpdateContent, UpdateKind};

/// File, kind on the wire, lane, chat, user.
type Row = (&'static str, &'static str, &'static str, Option<i64>, Option<i64>);

const ADA: i64 = 5_208_471_933;
const BEN: i64 = 88_123_456;
const ANONYMOUS: i64 = 1_087_968_824;
const GROUP: i64 = -1_001_872_345_678;
const CHANNEL: i64 = -1_001_555_000_111;
const POLL: &str = "poll:5442000123456789012";
const CONNECTION: &str = "business:Ku8sBQAAAQADfJk-2bx";
const BUSINESS: &str = "business:Ku8sBQAAAQADfJk-2bx:88123456";

#[rustfmt::skip]
const KINDS: &[Row] = &[
    ("message", "message", "chat:5208471933", Some(ADA), Some(ADA)),
    ("message_in_topic_by_anonymous_admin", "message", "chat:-1001872345678", Some(GROUP), Some(ANONYMOUS)),
    ("edited_message", "edited_message", "chat:5208471933", Some(ADA), Some(ADA)),
    ("channel_post", "channel_post", "chat:-1001555000111", Some(CHANNEL), None),
    ("edited_channel_post", "edited_channel_post", "chat:-1001555000111", Some(CHANNEL), None),
    ("business_connection", "business_connection", CONNECTION, None, Some(ADA)),
    ("business_message", "business_message", BUSINESS, Some(BEN), Some(BEN)),
    ("edited_business_message", "edited_business_message", BUSINESS, Some(BEN), Some(BEN)),
    ("deleted_business_messages", "deleted_business_messages", BUSINESS, Some(BEN), None),
    ("guest_message", "guest_message", "guest:-1001872345678", Some(GROUP), Some(BEN)),
    ("message_reaction", "message_reaction", "chat:-1001872345678", Some(GROUP), Some(BEN)),
    ("message_reaction_by_chat", "message_reaction", "chat:-1001872345678", Some(GROUP), None),
    ("message_reaction_count", "message_reaction_count", "chat:-1001555000111", Some(CHANNEL), None),
    ("inline_query", "inline_query", "user:5208471933", None, Some(ADA)),
    ("chosen_inline_result", "chosen_inline_result", "user:5208471933", None, Some(ADA)),
    ("callback_query", "callback_query", "chat:-1001872345678", Some(GROUP), Some(BEN)),
    ("callback_query_of_inline_message", "callback_query", "user:88123456", None, Some(BEN)),
    ("callback_query_of_inaccessible_message", "callback_query", "chat:-1001872345678", Some(GROUP), Some(BEN)),
    ("callback_query_of_business_message", "callback_query", BUSINESS, Some(BEN), Some(BEN)),
    ("shipping_query", "shipping_query", "user:5208471933", None, Some(ADA)),
    ("pre_checkout_query", "pre_checkout_query", "user:5208471933", None, Some(ADA)),
    ("purchased_paid_media", "purchased_paid_media", "user:88123456", None, Some(BEN)),
    ("poll", "poll", POLL, None, None),
    ("poll_answer", "poll_answer", POLL, None, Some(ADA)),
    ("poll_answer_by_chat", "poll_answer", POLL, Some(CHANNEL), None),
    ("my_chat_member", "my_chat_member", "chat:-1001872345678", Some(GROUP), Some(ADA)),
    ("chat_member", "chat_member", "chat:-1001872345678", Some(GROUP), Some(ADA)),
    ("chat_join_request", "chat_join_request", "chat:-1001872345678", Some(GROUP), Some(BEN)),
    ("chat_boost", "chat_boost", "chat:-1001555000111", Some(CHANNEL), Some(ADA)),
    ("removed_chat_boost", "removed_chat_boost", "chat:-1001555000111", Some(CHANNEL), Some(ADA)),
    ("removed_chat_boost_without_user", "removed_chat_boost", "chat:-1001555000111", Some(CHANNEL), None),
    ("managed_bot", "managed_bot", "user:5208471933", None, Some(ADA)),
    ("subscription", "subscription", "user:5208471933", None, Some(ADA)),
    ("stopped_message_generation", "stopped_message_generation", "chat:5208471933", Some(ADA), None),
];

#[rustfmt::skip]
const HOSTILE: &[Row] = &[
    ("decoys_in_text", "message", "chat:-1009", Some(-1009), None),
    ("duplicate_keys", "message", "chat:-1009", Some(-1009), None),
    ("escaped_keys", "message", "chat:-1009", Some(-1009), None),
    ("extra_top_level_keys", "message", "chat:-1009", Some(-1009), None),
    ("huge_numbers", "message", "chat:-1009", Some(-1009), None),
    ("nothing_but_an_id", "unknown", "unknown", None, None),
    ("numbers_as_payload", "unknown", "unknown", None, None),
    ("odd_types_in_keys", "message", "chat:-1009", Some(-1009), None),
    ("unknown_chat_type", "message", "chat:-1009", Some(-1009), Some(ADA)),
    ("unknown_kind_in_a_chat", "moon_phase", "chat:-1001872345678", Some(GROUP), Some(ADA)),
    ("unknown_kind_of_a_guest_query", "guest_sticker", "guest:-1001872345678", Some(GROUP), Some(BEN)),
    ("unknown_kind_of_a_user", "wallet_event", "user:5208471933", None, Some(ADA)),
    ("unknown_kind_of_nobody", "server_notice", "unknown", None, None),
    ("unknown_reaction_type", "message_reaction", "chat:-1001872345678", Some(GROUP), Some(BEN)),
    ("unpaired_surrogate", "message", "chat:-1009", Some(-1009), Some(BEN)),
    ("update_id_as_string", "message", "chat:5208471933", Some(ADA), None),
    ("white_space_everywhere", "message", "chat:-1009", Some(-1009), None),
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(name)
}

fn read(folder_name: &str, file: &str) -> (String, Update) {
    let text = fs::read_to_string(folder(folder_name).join(file).with_extension("json")).unwrap();
    let update = Update::from_json(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    (text, update)
}

fn check(folder_name: &str, rows: &[Row]) {
    for (file, kind_name, lane, chat, user) in rows {
        let (text, update) = read(folder_name, file);

        assert_eq!(update.kind_name(), *kind_name, "{file}: kind");
        assert_eq!(update.kind(), UpdateKind::from_wire(kind_name), "{file}: kind");
        assert_eq!(update.lane().as_str(), *lane, "{file}: lane");
        assert_eq!(update.chat_id(), *chat, "{file}: chat");
        assert_eq!(update.user_id(), *user, "{file}: user");
        assert_eq!(update.raw(), text.trim(), "{file}: raw");
    }
}

#[test]
fn every_documented_update_has_the_lane_of_its_kind() {
    check("kinds", KINDS);
}

#[test]
fn every_hostile_update_still_has_an_id_and_a_lane() {
    check("hostile", HOSTILE);
}

#[test]
fn every_file_of_the_corpus_has_a_row_and_every_kind_has_a_file() {
    for (folder_name, rows) in [("kinds", KINDS), ("hostile", HOSTILE)] {
        let files: BTreeSet<String> = fs::read_dir(folder(folder_name))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(files, rows.iter().map(|row| row.0.to_owned()).collect());
    }

    let covered: BTreeSet<&str> = KINDS.iter().map(|row| row.1).collect();
    assert_eq!(
        covered,
        UpdateKind::ALL.iter().map(|kind| kind.as_str()).collect()
    );
}

#[test]
fn every_documented_update_decodes_to_what_the_typed_model_reads_from_the_whole() {
    for (file, ..) in KINDS {
        let (text, update) = read("kinds", file);

        let whole: frankenstein::updates::Update =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));

        assert_eq!(update.id(), i64::from(whole.update_id), "{file}");
        assert_eq!(update.content(), Ok(whole.content), "{file}");
    }
}

#[test]
fn a_hostile_update_decodes_at_least_where_the_typed_model_reads_the_whole() {
    let mut decoded = BTreeSet::new();
    for (file, ..) in HOSTILE {
        let (text, update) = read("hostile", file);
        let content = update.content();
        if let Ok(whole) = serde_json::from_str::<frankenstein::updates::Update>(&text) {
            assert_eq!(content.as_ref(), Ok(&whole.content), "{file}");
        }
        if content.is_ok() {
            decoded.insert(*file);
        }
    }

    let expected = [
        "decoys_in_text",
        "escaped_keys",
        "extra_top_level_keys",
        "update_id_as_string",
        "white_space_everywhere",
    ];
    assert_eq!(decoded, BTreeSet::from(expected));
}

#[test]
fn an_update_that_does_not_decode_says_where_and_why_without_its_text() {
    let (_, update) = read("hostile", "unknown_chat_type");

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
    let (_, update) = read("hostile", "unknown_kind_in_a_chat");

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
    for (file, kind, ..) in KINDS {
        let (_, update) = read("kinds", file);

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
fn what_has_no_usable_id_is_an_error() {
    for (text, expected) in [
        ("[]", "NotObject"),
        ("7", "NotObject"),
        ("null", "NotObject"),
        (r#""{\"update_id\":1}""#, "NotObject"),
        ("{}", "NoUpdateId"),
        (r#"{"update_id":null}"#, "NoUpdateId"),
        (r#"{"update_id":1.5}"#, "NoUpdateId"),
        (r#"{"update_id":"one"}"#, "NoUpdateId"),
        (r#"{"update_id":{"update_id":1}}"#, "NoUpdateId"),
        (r#"{"update_id":9223372036854775808}"#, "NoUpdateId"),
        (r#"{"message":{"update_id":1}}"#, "NoUpdateId"),
        ("", "NotJson"),
        (r#"{"update_id":1"#, "NotJson"),
        (r#"{"update_id":1}}"#, "NotJson"),
        (r#"{"update_id":01}"#, "NotJson"),
        ("{'update_id':1}", "NotJson"),
    ] {
        let found = match Update::from_json(text).unwrap_err() {
            EnvelopeError::NotObject => "NotObject",
            EnvelopeError::NoUpdateId => "NoUpdateId",
            EnvelopeError::NotJson { .. } => "NotJson",
            _ => "something new",
        };
        assert_eq!(found, expected, "{text}");
    }
}
