//! What all monitors of a bot share, however many workers the server has.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{
    handle::BotHandle,
    metrics::{Stage, Vitals},
};

/// Age up to which what is known is shown again, so that many viewers cost as much as one.
const FRESH: Duration = Duration::from_millis(500);

/// Time after the drain deadline in which every stop ends: its last steps take 4.5 s at most.
const AFTER_DRAIN: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Lookout {
    latest: Mutex<Option<(Instant, Arc<Vitals>)>>,
    viewers: AtomicUsize,
    drain_deadline: Duration,
    /// When it was first seen that the bot stops.
    stopping: OnceLock<Instant>,
}

impl Lookout {
    pub(crate) fn new(drain_deadline: Duration) -> Self {
        Self {
            latest: Mutex::default(),
            viewers: AtomicUsize::default(),
            drain_deadline,
            stopping: OnceLock::new(),
        }
    }

    /// Returns whether a stop has taken longer than one can that goes on.
    pub(super) fn stop_is_late(&self) -> bool {
        let longest = self.drain_deadline.saturating_add(AFTER_DRAIN);
        self.stopping.get().is_some_and(|since| since.elapsed() > longest)
    }

    /// Returns how the bot is, or was half a second ago at most.
    pub(super) async fn look(&self, bot: &BotHandle) -> Arc<Vitals> {
        // Those who come while one asks wait for its answer.
        let mut latest = self.latest.lock().await;
        if let Some((at, vitals)) = &*latest
            && at.elapsed() < FRESH
            && !(vitals.stage == Stage::Running && bot.is_stopping())
            && !(vitals.stage == Stage::Stopping && bot.stop_reason().is_some())
        {
            return Arc::clone(vitals);
        }
        let vitals = Arc::new(Vitals::of(bot).await);
        if vitals.stage == Stage::Stopping {
            self.stopping.get_or_init(Instant::now);
        }
        *latest = Some((Instant::now(), Arc::clone(&vitals)));
        vitals
    }

    /// Takes a place among at most `limit` viewers, until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, limit: usize) -> Option<Viewer> {
        let taken = self.viewers.fetch_update(Relaxed, Relaxed, |viewers| {
            (viewers < limit).then_some(viewers + 1)
        });
        taken.is_ok().then(|| Viewer(Arc::clone(self)))
    }
}

/// A place among the viewers.
#[derive(Debug)]
pub(super) struct Viewer(Arc<Lookout>);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_viewer_has_gone() {
        let lookout = Arc::new(Lookout::new(Duration::ZERO));
        let first = lookout.enter(2);
        let second = lookout.enter(2);

        assert!(first.is_some() && second.is_some());
        assert!(lookout.enter(2).is_none());
        drop(first);
        assert!(lookout.enter(2).is_some());
    }
}
