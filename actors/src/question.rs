//! Whether a handler actor still takes messages.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::Recipient;

use crate::handler::Greet;

/// The one question to a handler actor that may be open. A task of its own waits for the answer, so a handler that blocks its
/// thread holds nobody.
#[derive(Debug, Default)]
pub(crate) struct Question {
    open_since: Rc<Cell<Option<Instant>>>,
}

impl Question {
    /// Asks, unless the last question is still open; returns for how long it has been.
    pub(crate) fn ask(&self, actor: &Recipient<Greet>, now: Instant) -> Duration {
        if let Some(since) = self.open_since.get() {
            return now.saturating_duration_since(since);
        }
        self.open_since.set(Some(now));
        let (answer, open_since) = (actor.send(Greet), Rc::clone(&self.open_since));
        actix_rt::spawn(async move {
            // One that has ended blocks nothing: it is replaced when there is something to do.
            let _ = answer.await;
            open_since.set(None);
        });
        Duration::ZERO
    }
}
