//! Whoever watches the log of a stop that empties the source sees how far it is.
//!
//! Alone in its program: which events are of interest is decided for all threads when the first one meets them, and a
//! thread of another test that nobody listens to would decide that they are not.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use actogram_actors::{Backoff, CreditPolicy, Outcome, RetryPlace, RetryPolicy};
use support::{
    Feed, Gate, Graveyard, engine_of,
    store::{Keeper, Store},
    until, virtual_time,
};

#[test]
fn the_log_tells_how_much_is_left_at_the_start_meanwhile_and_at_the_end() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    virtual_time(async {
        let (store, feed) = (Store::new(), Feed::new());
        (0..100).for_each(|n| store.keep("a", n));
        let one_second_each = |_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Outcome::Done
        };
        let engine = engine_of(store.source(), &Graveyard::default(), one_second_each)
            .credit(CreditPolicy::Window(1))
            .concurrency(1)
            .retry(RetryPolicy::never())
            .retry_place(RetryPlace::Source)
            .drain_deadline(Duration::from_secs(25))
            .fed_by(
                feed.source(),
                Keeper::start(&store, &Gate::opened()),
                Backoff::default(),
            )
            .drain_source()
            .start()
            .await
            .unwrap();
        until("the first one is given out", || store.given_out() == 1).await;

        let report = engine.shutdown().await.unwrap();

        let left = report.left.unwrap();
        assert_eq!(lines.with("INFO", "emptying the source left=100"), 1);
        assert_eq!(lines.with("INFO", "still emptying the source left="), 3);
        let last = format!("the source is not empty, the next start goes on with it left={left}");
        assert_eq!(lines.with("WARN", &last), 1);
    });
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Returns how many lines of this level hold the text; it follows the name of the module.
    fn with(&self, level: &str, text: &str) -> usize {
        let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fits = |line: &&str| line.contains(level) && line.contains(&format!(": {text}"));
        written.lines().filter(fits).count()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
