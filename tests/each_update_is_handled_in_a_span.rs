//! Each update is handled in a span that names it, its lane and the attempt; the hook of `on_error` as well.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use actogram::{Context, DeadUpdate, HandlerError, HandlerResult, RetryPolicy};
use support::{Stage, on_actix, until_snapshot};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn fail(_: Context) -> HandlerResult {
    tracing::info!("in the handler");
    Err(HandlerError::retry("not now"))
}

async fn look(_: DeadUpdate) {
    tracing::info!("in the hook");
}

#[test]
fn what_handlers_and_the_hook_log_carries_the_update() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    on_actix(async {
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let id = ann.say("hello");
        let bot = stage
            .actogram()
            .retry(RetryPolicy::new([Duration::from_millis(5)]))
            .handlers(|| fail)
            .on_error(look)
            .start()
            .await
            .unwrap();

        until_snapshot(&bot, "it is given up", |snapshot| {
            snapshot.engine.totals.dead == 1
        })
        .await;
        assert!(bot.shutdown().await.unwrap().is_clean());

        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lane = format!("chat:{}", ann.chat_id());
        for (attempt, place) in [(1, "in the handler"), (2, "in the handler"), (2, "in the hook")] {
            let span = format!("update{{update_id={id} lane={lane} attempt={attempt}}}");
            let found = logged
                .lines()
                .any(|line| line.contains(&span) && line.contains(place));
            assert!(found, "no line {place:?} in {span}: {logged}");
        }
    });
}
