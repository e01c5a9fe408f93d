//! Update ids are names, not numbers: they may jump up and down at any time, and no update is lost or repeated for it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::HashSet;

use actogram::{Bot, Context};
use actogram_simulator::Queued;
use support::{Gate, Log, Stage, on_actix, sharing, until};

type Handled = Log<(i64, String)>;

/// Returns a bot that notes the id and the text of what it handles; a text that ends in `…` waits for the gate.
fn noting(stage: &Stage, handled: &Handled, gate: &Gate) -> Bot {
    stage.actogram().handlers(sharing(
        (handled.clone(), gate.clone()),
        |(handled, gate): (Handled, Gate), ctx: Context| async move {
            let text = ctx.text().unwrap().to_owned();
            let waits = text.ends_with('…');
            handled.add((ctx.update().id(), text));
            if waits {
                gate.pass().await;
            }
        },
    ))
}

fn ids(handled: &Handled) -> Vec<i64> {
    handled.all().into_iter().map(|(id, _)| id).collect()
}

fn texts(handled: &Handled) -> Vec<String> {
    handled.all().into_iter().map(|(_, text)| text).collect()
}

async fn all_confirmed(stage: &Stage) {
    stage
        .until("all are confirmed", |view| view.pending_count() == 0)
        .await;
}

/// Peer failure 27.
#[test]
fn ids_that_jump_between_batches_deafen_nobody() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
        let bot = noting(&stage, &handled, &Gate::closed()).start().await.unwrap();
        let mut issued = Vec::new();

        for start in [
            727_334_708,
            117_314_199,
            1_999_999_000,
            1,
            500_000_000,
            499_000_000,
            7_000,
        ] {
            stage.bot.jump_ids_to(start).unwrap();
            let batch = ann.say_all(["one", "two", "three"]);
            assert_eq!(batch[0], start);
            issued.extend(batch);
            all_confirmed(&stage).await;
        }

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(ids(&handled), issued);
        assert_eq!(stage.bot.confirmed(), issued);
    });
}

#[test]
fn ids_that_jump_up_while_updates_are_handled_and_queued_repeat_nothing() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled, gate) = (stage.bot.user("Ann"), Handled::new(), Gate::closed());
        let bot = noting(&stage, &handled, &gate).start().await.unwrap();
        let mut issued = vec![ann.say("running…")];
        until("the first is being handled", || handled.len() == 1).await;

        issued.extend(ann.say_all(["queued", "before the jump"]));
        stage.bot.jump_ids(issued[0] + 1_000_000, Queued::Kept).unwrap();
        issued.push(ann.say("behind the jump"));
        gate.open();
        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(ids(&handled), issued);
    });
}

/// The server hands out what is queued once more under new ids, with it what is being handled: that is repeated, since
/// nothing tells that it is the same, and nothing is lost.
#[test]
fn ids_that_jump_down_while_updates_are_handled_and_queued_lose_nothing() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled, gate) = (stage.bot.user("Ann"), Handled::new(), Gate::closed());
        stage.bot.jump_ids_to(900_000_000).unwrap();
        let bot = noting(&stage, &handled, &gate).start().await.unwrap();
        ann.say("running…");
        until("the first is being handled", || handled.len() == 1).await;

        ann.say_all(["queued", "before the jump"]);
        stage.bot.jump_ids(100_000, Queued::Kept).unwrap();
        let last = ann.say("behind the jump");
        gate.open();
        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(
            texts(&handled),
            [
                "running…",
                "running…",
                "queued",
                "before the jump",
                "behind the jump"
            ]
        );
        assert_eq!(ids(&handled), [900_000_000, last - 3, last - 2, last - 1, last]);
    });
}

/// The queue is lost together with its ids: what was being handled is finished, and polling goes on from the new ones.
#[test]
fn a_queue_that_is_lost_with_its_ids_leaves_polling_at_work() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled, gate) = (stage.bot.user("Ann"), Handled::new(), Gate::closed());
        stage.bot.jump_ids_to(900_000_000).unwrap();
        let bot = noting(&stage, &handled, &gate).start().await.unwrap();
        ann.say("running…");
        until("the first is being handled", || handled.len() == 1).await;

        stage.bot.jump_ids(50_000_000, Queued::Dropped).unwrap();
        ann.say("new");
        gate.open();
        all_confirmed(&stage).await;
        ann.say("newer");
        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(texts(&handled), ["running…", "new", "newer"]);
    });
}

#[test]
fn the_same_content_under_a_new_id_is_another_update() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, handled) = (stage.bot.user("Ann"), Handled::new());
        let mut issued = vec![ann.say("once more")];
        for _ in 0..3 {
            issued.push(stage.bot.duplicate_last().unwrap());
        }
        let bot = noting(&stage, &handled, &Gate::closed()).start().await.unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(ids(&handled), issued);
        assert_eq!(texts(&handled).into_iter().collect::<HashSet<_>>().len(), 1);
    });
}
