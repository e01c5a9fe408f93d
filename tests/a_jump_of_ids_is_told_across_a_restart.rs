//! Ids that jump while the bot is down are told at the next start, and only they.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{path::Path, time::Instant};

use actogram::{BotHandle, Context};
use actogram_simulator::Queued;
use serde_json::json;
use support::{PATIENCE, Stage, on_actix};

async fn start(stage: &Stage, journal: &Path) -> BotHandle {
    stage
        .actogram()
        .journal(journal)
        .handlers(|| |_: Context| async {})
        .start()
        .await
        .unwrap()
}

/// Runs the bot until everything is journaled and returns the jumps that it has counted.
async fn jumps_of_a_run(stage: &Stage, journal: &Path) -> u64 {
    let bot = start(stage, journal).await;
    let journaled = |view: &actogram_simulator::View<'_>| view.pending_count() == 0;
    stage.until("all are journaled", journaled).await;
    let jumps = bot.snapshot().await.unwrap().polling.id_jumps;
    assert!(bot.shutdown().await.unwrap().is_clean());
    jumps
}

#[test]
fn a_jump_in_either_direction_while_the_bot_is_down_is_counted_once() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let (ann, journal) = (stage.bot.user("Ann"), folder.path().join("bot.db"));
        stage.bot.jump_ids_to(500_000_000).unwrap();
        let mut jumps = Vec::new();

        for start in [None, None, Some(700_000_000), None, Some(300_000_000), None] {
            if let Some(start) = start {
                stage.bot.jump_ids(start, Queued::Dropped).unwrap();
            }
            ann.say_all(["one", "two"]);
            jumps.push(jumps_of_a_run(&stage, &journal).await);
        }

        assert_eq!(jumps, [0, 0, 1, 0, 1, 0]);
    });
}

/// As after a kill between the fsync of a batch and its confirmation.
#[test]
fn a_batch_that_is_offered_again_to_the_next_run_is_no_jump() {
    on_actix(async {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let journal = folder.path().join("bot.db");
        let offer = || {
            stage.bot.jump_ids_to(500_000_000).unwrap();
            for n in 0..50 {
                let message =
                    json!({"message_id": n, "date": 1_700_000_000, "chat": {"id": 7, "type": "private"}});
                stage.bot.push(&json!({"message": message}));
            }
        };
        offer();
        jumps_of_a_run(&stage, &journal).await;

        offer();
        let ann = stage.bot.user("Ann");
        ann.say("in the same batch");
        let bot = start(&stage, &journal).await;
        let kept = async |ids| {
            let started = Instant::now();
            while bot.journal_stats().await.unwrap().remembered < ids {
                assert!(
                    started.elapsed() < PATIENCE,
                    "waited too long until {ids} are kept"
                );
            }
        };
        kept(51).await;
        // It is fetched after the intake has looked at what came before.
        ann.say("in the next batch");
        kept(52).await;

        assert_eq!(
            bot.journal_stats().await.unwrap().remembered,
            52,
            "it was the same batch"
        );
        assert_eq!(bot.snapshot().await.unwrap().polling.id_jumps, 0);
        bot.shutdown().await.unwrap();
    });
}
