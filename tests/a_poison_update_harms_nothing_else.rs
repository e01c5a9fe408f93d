//! An update that cannot be decoded is nobody's problem but its own: the batch, its chat and polling go on.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram::{BotHandle, Context, DeadUpdate, HandlerResult};
use serde_json::json;
use support::{Log, Stage, collecting, on_actix, sharing};

/// A stage with one batch, in which good updates of Ann stand between poisonous ones, most of them hers as well.
struct Scene {
    stage: Stage,
    ann: actogram_simulator::User,
    good: Vec<i64>,
    poison: Vec<Poison>,
}

/// An update that does not fit the typed model.
struct Poison {
    id: i64,
    /// A part of its text, by which it can be told from the others.
    mark: &'static str,
    /// Whether it pretends to be a message.
    is_message: bool,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let chat = json!({"id": ann.chat_id(), "type": "private", "first_name": "Ann"}).to_string();
        let message = |id: &str, rest: &str| {
            let text = format!(r#""message":{{"message_id":{id},"date":1,"chat":{chat},{rest}}}"#);
            stage.bot.push_raw_text(&text)
        };
        let levels = 10_000;
        let nested = format!(
            r#""text":"bottomless",{}{{}}{}"#,
            r#""reply_to_message":{"#.repeat(levels).trim_end_matches('{'),
            "}".repeat(levels - 1)
        );
        let mut good = Vec::new();
        let mut poison = Vec::new();
        let mut add = |id: i64, mark: &'static str, is_message: bool| {
            assert_ne!(id, 0, "{mark} was queued");
            poison.push(Poison { id, mark, is_message });
            good.push(ann.say(&format!("behind {mark}")));
        };
        add(
            stage.bot.push_kind(
                "telepathy",
                &json!({"chat": {"id": ann.chat_id()}, "thought": "hm"}),
            ),
            "telepathy",
            false,
        );
        add(stage.bot.push_unknown_enum_value(), "galaxy", true);
        // The id once more is nothing but an id, since the first one counts.
        add(
            stage.bot.push_raw_text(r#""update_id":0"#),
            r#""update_id":0"#,
            false,
        );
        add(message("1", r#""text":"half \ud83d""#), r"\ud83d", true);
        add(message("1", r#""text":"late","edit_date":1e999"#), "1e999", true);
        add(
            message("123456789012345678901234567890", r#""text":"big""#),
            "1234567890123",
            true,
        );
        add(message("1", &nested), "bottomless", true);
        Self {
            stage,
            ann,
            good,
            poison,
        }
    }

    fn poison_ids(&self, which: impl Fn(&Poison) -> bool) -> Vec<i64> {
        self.poison
            .iter()
            .filter(|poison| which(poison))
            .map(|poison| poison.id)
            .collect()
    }

    /// Checks that all came in one batch, that the next update is handled, and that everything is confirmed.
    async fn ends_well(&self, bot: BotHandle) -> i64 {
        self.stage
            .until("the batch is confirmed", |view| view.pending_count() == 0)
            .await;
        let all = self.good.len() + self.poison.len();
        assert_eq!(self.stage.bot.polls()[0].returned.len(), all, "one batch");
        let next = self.ann.say("life goes on");
        self.stage
            .until("the next update is confirmed", |view| view.pending_count() == 0)
            .await;
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(self.stage.bot.confirmed().len(), all + 1);
        next
    }
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

/// Peer failures 13 and 14.
#[test]
fn a_handler_that_decodes_makes_it_a_dead_letter_with_its_raw_text() {
    on_actix(async {
        let scene = Scene::new();
        let (handled, dead) = (Log::new(), Log::<DeadUpdate>::new());
        let bot = scene
            .stage
            .actogram()
            .handlers(sharing(
                handled.clone(),
                |handled: Log<i64>, ctx: Context| async move {
                    ctx.content()?;
                    handled.add(ctx.update().id());
                    HandlerResult::Ok(())
                },
            ))
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        let next = scene.ends_well(bot).await;

        let mut expected = scene.good.clone();
        expected.push(next);
        assert_eq!(handled.all(), expected, "the good ones of one chat, in order");
        let dead = dead.all();
        assert_eq!(
            sorted(dead.iter().map(|letter| letter.update.id()).collect()),
            scene.poison_ids(|_| true)
        );
        for poison in &scene.poison {
            let letter = dead
                .iter()
                .find(|letter| letter.update.id() == poison.id)
                .unwrap();
            let raw = letter.update.raw();
            assert!(
                raw.contains(poison.mark),
                "{} reaches the hook whole",
                poison.mark
            );
            assert!(
                raw.contains(&format!(r#""update_id":{}"#, poison.id)),
                "{}",
                poison.mark
            );
            assert_eq!((letter.attempt, letter.history.len()), (1, 0), "{}", poison.mark);
            assert!(
                letter.error.contains(&poison.id.to_string()),
                "the error names the update: {}",
                letter.error
            );
        }
    });
}

/// Peer failure 14: what a handler cannot see because it cannot be decoded is not "handled".
#[test]
fn a_handler_that_asks_for_the_text_does_not_pass_over_messages_it_cannot_see() {
    on_actix(async {
        let scene = Scene::new();
        let (texts, dead) = (Log::new(), Log::<DeadUpdate>::new());
        let bot = scene
            .stage
            .actogram()
            .handlers(sharing(
                texts.clone(),
                |texts: Log<String>, ctx: Context| async move {
                    if let Some(text) = ctx.text() {
                        texts.add(text.to_owned());
                    }
                },
            ))
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        scene.ends_well(bot).await;

        let mut expected: Vec<_> = scene
            .poison
            .iter()
            .map(|poison| format!("behind {}", poison.mark))
            .collect();
        expected.push("life goes on".to_owned());
        assert_eq!(texts.all(), expected);
        assert_eq!(
            sorted(dead.all().iter().map(|letter| letter.update.id()).collect()),
            scene.poison_ids(|poison| poison.is_message)
        );
    });
}

/// Peer failures 13 and 14.
#[test]
fn a_handler_that_works_on_the_raw_text_handles_it() {
    on_actix(async {
        let scene = Scene::new();
        let (raws, dead) = (Log::new(), Log::<DeadUpdate>::new());
        let bot = scene
            .stage
            .actogram()
            .handlers(sharing(
                raws.clone(),
                |raws: Log<(i64, String)>, ctx: Context| async move {
                    raws.add((ctx.update().id(), ctx.raw().to_owned()));
                },
            ))
            .on_error(collecting(&dead))
            .start()
            .await
            .unwrap();

        scene.ends_well(bot).await;

        assert_eq!(dead.len(), 0);
        let raws = raws.all();
        assert_eq!(raws.len(), scene.good.len() + scene.poison.len() + 1);
        for poison in &scene.poison {
            let (_, raw) = raws.iter().find(|(id, _)| *id == poison.id).unwrap();
            assert!(raw.contains(poison.mark), "{}", poison.mark);
        }
    });
}
