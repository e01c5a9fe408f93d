//! Any text is read as an update, or refused for one reason that is true; what is read depends on what the text means, not
//! on how it is written; and no text spoils the batch around it.

use actogram::update::{BatchError, EnvelopeError, Update, UpdateKind, split};

use super::{
    json::{Members, is_json},
    update_id::{integer, update_id},
    writing::written_anew,
};

/// Longer texts are not decoded: that tests serde more than us.
const DECODED_LEN: usize = 2_000;

pub(crate) fn check(bytes: &[u8]) {
    // As the body of a response is read.
    let text = String::from_utf8_lossy(bytes);
    let is_json = is_json(&text);
    check_update(&text, is_json);
    check_batch(&text, is_json);
}

fn check_update(text: &str, is_json: bool) {
    let update = match Update::from_json(text) {
        Ok(update) => update,
        Err(EnvelopeError::NotJson { .. }) => return assert!(!is_json, "json was refused"),
        Err(EnvelopeError::NotObject) => {
            return assert!(
                is_json && !text.trim_start().starts_with('{'),
                "an object was refused"
            );
        }
        Err(EnvelopeError::NoUpdateId) => {
            let id = Members::of(text).and_then(|members| members.all("update_id").find_map(integer));
            return assert!(is_json && id.is_none(), "an id was overlooked");
        }
        Err(other) => panic!("a new error: {other}"),
    };
    assert!(
        is_json && text.trim_start().starts_with('{'),
        "no object was accepted"
    );
    assert_eq!(update.raw(), text.trim(), "the text is not kept");
    assert!(update.payload() == "null" || text.contains(update.payload()));
    assert!(!update.lane().as_str().is_empty() && update.lane().as_str().is_ascii());

    if let Some((id, chat)) = read_slowly(text) {
        assert_eq!(Some(update.id()), id);
        assert!(update.kind() != UpdateKind::Message || update.chat_id() == chat);
    }

    let anew = written_anew(text);
    let same = Update::from_json(&anew).expect("what was read can be read when it is written anew");
    let facts = |update: &Update| (update.id(), update.kind(), update.date());
    assert_eq!(facts(&same), facts(&update), "{anew}");
    assert_eq!(same.kind_name(), update.kind_name(), "{anew}");
    assert_eq!(same.lane(), update.lane(), "{anew}");
    assert_eq!(same.keys(), update.keys(), "{anew}");
    assert_eq!(same.moves_lane(), update.moves_lane(), "{anew}");

    if text.len() <= DECODED_LEN {
        // What it says is compared by the tests of the corpus; here only that it returns, and that the error can be shown.
        if let Err(error) = update.content() {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// The update id, and the chat of the first message, as far as a slow reader can tell.
fn read_slowly(text: &str) -> Option<(Option<i64>, Option<i64>)> {
    let top = Members::of(text)?;
    let id = update_id(&top);

    let Some(message) = top.all("message").find(|json| json.starts_with('{')) else {
        return Some((id, None));
    };
    let mut chat = None;
    for json in Members::of(message)?
        .all("chat")
        .filter(|json| json.starts_with('{'))
    {
        // What the slow reader cannot read says nothing about the quick one.
        let members = Members::of(json)?;
        chat = chat.or_else(|| members.all("id").find_map(integer));
    }
    Some((id, chat))
}

fn check_batch(text: &str, is_json: bool) {
    match split(text) {
        Ok(parts) => {
            assert!(is_json && text.trim_start().starts_with('['));
            for part in parts {
                let id = |update: Result<Update, EnvelopeError>| update.ok().map(|update| update.id());
                assert_eq!(id(Update::from_raw(part)), id(Update::from_json(part.get())));
            }
        }
        Err(BatchError::NotArray) => assert!(is_json && !text.trim_start().starts_with('[')),
        Err(BatchError::NotJson { .. }) => assert!(!is_json, "json was refused"),
        Err(other) => panic!("a new error: {other}"),
    }
    if is_json {
        let batch = format!(r#"[{{"update_id":1}},{text},{{"update_id":2}}]"#);
        let parts = split(&batch).expect("an element cannot spoil its batch");
        assert_eq!((parts.len(), parts[1].get()), (3, text.trim()));
        assert_eq!(Update::from_raw(parts[2]).map(|update| update.id()).ok(), Some(2));
    }
}
