//! An update that does not fit the typed model is kept like every other one: a handler that works on the raw text gets
//! it, else it is a dead letter with all its bytes, across restarts.
//!
//! Excludes the failure of libraries that decode before they hand over: they confirm such an update and leave a line in
//! the log.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::PathBuf;

use actogram::{Bot, BotHandle, Context, DeadLetter, DeadLetterFilter, HandlerResult};
use serde_json::json;
use support::{Gate, Log, Stage, on_actix, sharing, until, until_snapshot};
use tempfile::TempDir;

struct Scene {
    stage: Stage,
    folder: TempDir,
    decoded: Log<i64>,
    gate: Gate,
}

impl Scene {
    fn new() -> Self {
        Self {
            stage: Stage::lenient(),
            folder: tempfile::tempdir().unwrap(),
            decoded: Log::new(),
            gate: Gate::closed(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    /// Returns a bot whose handler needs the typed value, once the gate is open.
    fn decoding(&self) -> Bot {
        let shared = (self.decoded.clone(), self.gate.clone());
        self.stage.actogram().journal(self.path()).handlers(sharing(
            shared,
            |(decoded, gate): (Log<i64>, Gate), ctx: Context| async move {
                gate.pass().await;
                ctx.content()?;
                decoded.add(ctx.update().id());
                HandlerResult::Ok(())
            },
        ))
    }

    /// Queues updates that nobody can decode, each with what its text holds, and a good one behind them.
    fn say_the_undecodable(&self) -> (Vec<(i64, String)>, i64) {
        let ann = self.stage.bot.user("Ann");
        let chat = json!({"id": ann.chat_id(), "type": "private", "first_name": "Ann"});
        let texts = [
            format!(r#""message":{{"message_id":1,"date":1,"chat":{chat},"text":"half \ud83d"}}"#),
            format!(r#""message":{{"message_id":123456789012345678901234567890,"date":1,"chat":{chat}}}"#),
            format!(r#""message":{{"message_id":1,"date":1e999,"chat":{chat},  "text" : "space" }}"#),
            format!(r#""telepathy":{{"chat":{chat},"thought":"\u0000 hm"}}"#),
            r#""message":"not even an object""#.to_owned(),
        ];
        let poison = texts.map(|text| (self.stage.bot.push_raw_text(&text), text));
        assert!(poison.iter().all(|(id, _)| *id != 0), "all were queued");
        (poison.into(), ann.say("good"))
    }

    async fn until_confirmed(&self) {
        self.stage
            .until("all are confirmed", |view| view.pending_count() == 0)
            .await;
    }
}

/// Waits for so many dead letters; returns each with its raw text.
async fn letters(bot: &BotHandle, count: usize) -> Vec<(DeadLetter, String)> {
    let found = loop {
        let page = bot.dead_letters(DeadLetterFilter::new()).await.unwrap();
        if page.letters.len() >= count {
            break page.letters;
        }
    };
    let mut opened = Vec::new();
    for letter in found {
        let (letter, update) = bot.dead_letter(letter.id).await.unwrap().unwrap();
        opened.push((letter, update.raw().to_owned()));
    }
    opened.sort_by_key(|(letter, _)| letter.update_id);
    opened
}

fn each_is_there_with_its_bytes(letters: &[(DeadLetter, String)], poison: &[(i64, String)]) {
    assert_eq!(letters.len(), poison.len());
    for ((letter, raw), (id, text)) in letters.iter().zip(poison) {
        assert_eq!(letter.update_id, *id);
        assert!(raw.contains(text.as_str()), "{raw} does not hold {text}");
        assert_eq!(letter.bytes, raw.len() as u64);
        assert!(letter.errors[0].contains(&id.to_string()), "{:?}", letter.errors);
    }
}

#[test]
fn it_is_a_dead_letter_with_its_bytes_until_a_raw_handler_takes_it_in_a_later_life() {
    on_actix(async {
        let scene = Scene::new();
        let (poison, good) = scene.say_the_undecodable();
        scene.gate.open();
        let bot = scene.decoding().start().await.unwrap();
        scene.until_confirmed().await;
        let before = letters(&bot, poison.len()).await;
        each_is_there_with_its_bytes(&before, &poison);
        until("the good one is handled", || scene.decoded.len() == 1).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.decoded.all(), [good]);

        let raws = Log::new();
        let raw_handler = sharing(
            raws.clone(),
            |raws: Log<(i64, String)>, ctx: Context| async move {
                raws.add((ctx.update().id(), ctx.raw().to_owned()));
            },
        );
        let bot = scene
            .stage
            .actogram()
            .journal(scene.path())
            .handlers(raw_handler)
            .start()
            .await
            .unwrap();
        let after = letters(&bot, poison.len()).await;
        assert_eq!(after, before, "a restart changes nothing");
        for (letter, _) in &after {
            assert!(bot.retry_dead_letter(letter.id).await.unwrap());
        }

        until("the raw handler has them all", || raws.len() == poison.len()).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        let mut taken = raws.all();
        taken.sort();
        let expected: Vec<_> = before
            .into_iter()
            .map(|(letter, raw)| (letter.update_id, raw))
            .collect();
        assert_eq!(taken, expected, "byte by byte");
    });
}

#[test]
fn one_that_was_only_journaled_when_the_process_ended_is_a_dead_letter_of_the_next_one() {
    on_actix(async {
        let scene = Scene::new();
        let (poison, good) = scene.say_the_undecodable();
        let bot = scene.decoding().start().await.unwrap();
        scene.until_confirmed().await;
        until_snapshot(&bot, "handlers have begun", |snapshot| {
            snapshot.engine.running > 0
        })
        .await;
        bot.shutdown_now().await.unwrap();
        assert_eq!(scene.decoded.len(), 0);

        scene.gate.open();
        let bot = scene.decoding().start().await.unwrap();
        let found = letters(&bot, poison.len()).await;

        each_is_there_with_its_bytes(&found, &poison);
        until("the good one is handled", || scene.decoded.len() == 1).await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(scene.decoded.all(), [good]);
    });
}
