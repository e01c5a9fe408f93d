//! Promise: no text makes the reader of updates panic, and no JSON object with an integer id is refused.
//!
//! Mutates the corpus at random and compares the result with a second, slow reader built on serde alone.
//! Set `ACTOGRAM_TEST_SEED` to repeat a run.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod corpus;

use std::{env, fmt};

use actogram::update::{Update, UpdateKind};
use fastrand::Rng;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

const ROUNDS: usize = 60_000;

/// The members of an object in their order, duplicates included.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Returns the members of an object; `None` for other types and for keys that are not valid Unicode.
fn members(json: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    serde_json::from_str::<Members>(json)
        .ok()
        .map(|members| members.0)
}

fn first<T>(members: &[(String, Box<RawValue>)], name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    members
        .iter()
        .filter(|(key, _)| key == name)
        .find_map(|(_, value)| read(value.get()))
}

fn integer(json: &str) -> Option<i64> {
    // Serde reads this one as a float.
    if json == "-0" {
        Some(0)
    } else {
        serde_json::from_str(json).ok()
    }
}

/// An id counts as a string, too.
fn update_id(json: &str) -> Option<i64> {
    integer(json).or_else(|| serde_json::from_str::<String>(json).ok()?.parse().ok())
}

/// What the slow reader says: id, name of the kind and the chat of a plain message.
fn expected(json: &str) -> Option<(Option<i64>, String, Option<i64>)> {
    let top = members(json)?;
    let objects: Vec<_> = top
        .iter()
        .filter(|(key, value)| key != "update_id" && value.get().starts_with('{'))
        .map(|(key, value)| (key.clone(), value.get()))
        .collect();
    let known = objects
        .iter()
        .find(|(key, _)| UpdateKind::from_wire(key) != UpdateKind::Unknown);
    let (name, chat) = match known.or(objects.first()) {
        Some((name, payload)) => {
            let payload = members(payload)?;
            for (_, value) in &payload {
                // A key that is not Unicode one level below would end the slow reader.
                if value.get().starts_with('{') {
                    members(value.get())?;
                }
            }
            (
                name.clone(),
                first(&payload, "chat", |chat| first(&members(chat)?, "id", integer)),
            )
        }
        None => ("unknown".to_owned(), None),
    };
    Some((first(&top, "update_id", update_id), name, chat))
}

fn mutate(random: &mut Rng, corpus: &[String]) -> Vec<u8> {
    let mut bytes = corpus[random.usize(..corpus.len())].clone().into_bytes();
    for _ in 0..random.usize(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..8) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] = b"{}[]\",:\\0-e "[random.usize(..12)],
            2 => bytes.truncate(at),
            3 => {
                let end = random.usize(at..bytes.len());
                bytes.drain(at..end);
            }
            4 => bytes.insert(at, b"{}[]\",:\\0-e "[random.usize(..12)]),
            5 => swap_words(random, &mut bytes),
            6 => replace_word(random, &mut bytes),
            _ => {
                let other = corpus[random.usize(..corpus.len())].as_bytes();
                let from = random.usize(..other.len());
                let end = random.usize(from..other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
    bytes
}

/// Exchanges two quoted words: keys with keys, keys with values.
fn swap_words(random: &mut Rng, bytes: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut words: Vec<&str> = text.split('"').collect();
    if words.len() > 4 {
        let pick = |random: &mut Rng, count: usize| 1 + 2 * random.usize(..(count - 1) / 2);
        let (one, other) = (pick(random, words.len()), pick(random, words.len()));
        words.swap(one, other);
    }
    *bytes = words.join("\"").into_bytes();
}

/// Puts a name with a meaning in the place of another.
fn replace_word(random: &mut Rng, bytes: &mut Vec<u8>) {
    const NAMES: [&str; 10] = [
        "update_id",
        "message",
        "chat",
        "id",
        "from",
        "poll",
        "new",
        "\\u0069d",
        "callback_query",
        "user",
    ];
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut words: Vec<&str> = text.split('"').collect();
    if words.len() > 4 {
        let at = 1 + 2 * random.usize(..(words.len() - 1) / 2);
        words[at] = NAMES[random.usize(..NAMES.len())];
    }
    *bytes = words.join("\"").into_bytes();
}

#[test]
fn mutated_updates_are_read_as_a_slow_reader_reads_them() {
    let seed =
        env::var("ACTOGRAM_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let corpus: Vec<String> = corpus::updates().into_iter().map(|entry| entry.text).collect();
    let (mut read, mut refused, mut compared) = (0, 0, 0);

    for round in 0..ROUNDS {
        let bytes = mutate(&mut random, &corpus);
        let text = String::from_utf8_lossy(&bytes);
        let context = || format!("seed {seed} round {round}: {text}");

        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let model = expected(&text);
        let Ok(update) = Update::from_json(&text) else {
            assert!(
                !is_json || model.is_none_or(|model| model.0.is_none()),
                "refused {}",
                context()
            );
            refused += 1;
            continue;
        };
        read += 1;

        assert!(is_json, "accepted {}", context());
        // Only that it returns; what it says is compared by the tests of the corpus.
        let _ = update.content();
        if let Some((id, name, chat)) = model {
            assert_eq!(Some(update.id()), id, "{}", context());
            assert_eq!(update.kind_name(), name, "{}", context());
            if update.kind() == UpdateKind::Message {
                assert_eq!(update.chat_id(), chat, "{}", context());
            }
            compared += 1;
        }
    }

    println!("read {read}, refused {refused}, compared {compared}");
    assert!(
        read > ROUNDS / 10 && refused > ROUNDS / 10 && compared > ROUNDS / 10,
        "the run exercised too little"
    );
}
