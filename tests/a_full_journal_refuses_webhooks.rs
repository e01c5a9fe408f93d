//! What a full journal has no room for is answered 503 and stays with the server, which sends it again; nothing that was
//! answered 200 is lost, and each chat stays in order.

#![cfg(feature = "journal")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
mod webhook_poster;

use actogram::{Context, Webhook};
use support::{Gate, Log, Stage, sharing, until_blocking};
use webhook_poster::{
    SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Wire, post},
};

#[test]
fn a_full_journal_answers_503_until_there_is_room_again() {
    let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
    let (gate, handled) = (Gate::closed(), Log::<i64>::new());
    let (bot, route) = stage
        .actogram()
        .journal(folder.path().join("bot.db"))
        .journal_config(|config| config.max_updates(2))
        .handlers(sharing(
            (gate.clone(), handled.clone()),
            |(gate, handled): (Gate, Log<i64>), ctx: Context| async move {
                gate.pass().await;
                handled.add(ctx.update().id());
            },
        ))
        .spawn_webhook(Webhook::new(SECRET))
        .unwrap();
    let host = Host::start(mounting(route));
    let send = |id| {
        let update = text_update(id, 7, "hello");
        Wire::once(host.address, &post("/telegram", SECRET, update.as_bytes()))
    };
    assert_eq!((send(1).status, send(2).status), (200, 200));

    let refused = send(3);

    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    let counts = wait_blocking(bot.snapshot()).unwrap().webhook.unwrap();
    assert_eq!((counts.accepted, counts.refused.full), (2, 1));
    assert_eq!(handled.len(), 0);

    gate.open();
    until_blocking("what was kept is handled", || handled.len() == 2);
    until_blocking("the third is let in", || send(3).status == 200);
    until_blocking("the third is handled", || handled.len() == 3);
    assert_eq!(handled.all(), [1, 2, 3]);
    host.stop();
    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());
}
