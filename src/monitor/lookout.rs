//! What all monitors of a bot share, however many workers the server has.

use std::{
    sync::{Arc, OnceLock, PoisonError},
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
    viewers: std::sync::Mutex<Places>,
    drain_deadline: Duration,
    /// When it was first seen that the bot stops.
    stopping: OnceLock<Instant>,
}

impl Lookout {
    pub(crate) fn new(drain_deadline: Duration) -> Self {
        Self {
            latest: Mutex::default(),
            viewers: std::sync::Mutex::default(),
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

    /// Takes a place among at most `limit` viewers, until what is returned is dropped, or for this time: nobody takes
    /// events from the stream of a viewer that has vanished, so it does not end by itself.
    pub(super) fn enter(self: &Arc<Self>, limit: usize, time: Duration) -> Option<Viewer> {
        self.change(|places| {
            let now = Instant::now();
            places.taken.retain(|(_, until)| !is_past(*until, now));
            if places.taken.len() >= limit {
                return None;
            }
            let (number, until) = (places.next, now.checked_add(time));
            places.next += 1;
            places.taken.push((number, until));
            Some(Viewer {
                lookout: Arc::clone(self),
                number,
                until,
            })
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut Places) -> R) -> R {
        // Nothing in there is left half done by a panic.
        change(&mut self.viewers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The places of viewers.
#[derive(Debug, Default)]
struct Places {
    /// Which are taken, and until when, if that is ever.
    taken: Vec<(u64, Option<Instant>)>,
    next: u64,
}

/// A place among the viewers.
#[derive(Debug)]
pub(super) struct Viewer {
    lookout: Arc<Lookout>,
    number: u64,
    until: Option<Instant>,
}

impl Viewer {
    /// Returns whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        is_past(self.until, Instant::now())
    }
}

fn is_past(until: Option<Instant>, now: Instant) -> bool {
    until.is_some_and(|until| now >= until)
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.lookout
            .change(|places| places.taken.retain(|(number, _)| *number != self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_viewer_has_gone() {
        let lookout = Arc::new(Lookout::new(Duration::ZERO));
        let enter = || lookout.enter(2, Duration::from_secs(600));
        let first = enter();
        let second = enter();

        assert!(first.is_some() && second.is_some());
        assert!(enter().is_none());
        drop(first);
        let third = enter();
        assert!(third.is_some() && enter().is_none());
    }

    #[test]
    fn a_place_may_be_kept_for_ever() {
        let lookout = Arc::new(Lookout::new(Duration::ZERO));

        let first = lookout.enter(1, Duration::MAX);

        assert!(first.as_ref().is_some_and(|first| !first.is_over()));
        assert!(lookout.enter(1, Duration::MAX).is_none());
    }

    #[test]
    fn a_place_is_free_again_when_its_time_is_over() {
        let lookout = Arc::new(Lookout::new(Duration::ZERO));
        let vanished = lookout.enter(1, Duration::ZERO);

        let next = lookout.enter(1, Duration::from_secs(600));

        assert!(vanished.as_ref().is_some_and(Viewer::is_over));
        assert!(next.as_ref().is_some_and(|next| !next.is_over()));
        drop(vanished);
        assert!(
            lookout.enter(1, Duration::ZERO).is_none(),
            "the place is somebody else's now"
        );
    }
}
