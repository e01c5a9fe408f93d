//! Which chat is next, and when. Pure; the caller brings the time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use actogram_actors::Backoff;

use crate::api::{Chat, Pacer, Pacing};

/// Chats that wait for their time; above that no further ones are begun with. So many in flood control at once mean that
/// the bot itself is.
const MOST_WAITING: usize = 100;

/// Unknown outcomes in a row after which the server is taken to be in trouble: one chat at a time is tried then, with pauses,
/// so that an outage costs a few chats and not all of them.
const TROUBLE: u32 = 3;

/// A time that is never reached.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send to this chat.
    Start(i64),
    /// Ask for more chats, and look again at this time at the latest.
    Read(Option<Instant>),
    /// Wait for what runs, and look again at this time at the latest.
    Wait(Option<Instant>),
    /// Everything is done.
    Complete,
}

/// The chats that are known and not done.
#[derive(Debug)]
pub(super) struct Agenda {
    ready: VecDeque<i64>,
    waiting: BinaryHeap<Reverse<(Instant, i64)>>,
    exhausted: bool,
    running: usize,
    concurrency: usize,
    pacer: Option<Pacer>,
    hold_until: Option<Instant>,
    /// Outcomes in a row that are unknown.
    unknown: u32,
    backoff: Backoff,
}

impl Agenda {
    pub(super) fn new(pacing: Option<Pacing>, concurrency: usize, now: Instant) -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: BinaryHeap::new(),
            exhausted: false,
            running: 0,
            concurrency,
            pacer: pacing.map(|pacing| Pacer::new(pacing, now)),
            hold_until: None,
            unknown: 0,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0.2),
        }
    }

    /// Returns what to do now. A chat that it names counts as running.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        let at_once = if self.unknown < TROUBLE {
            self.concurrency
        } else {
            1
        };
        if self.running >= at_once {
            return Step::Wait(None);
        }
        if let Some(until) = self.hold_until.filter(|until| *until > now) {
            return Step::Wait(Some(until));
        }
        let next_due = self.waiting.peek().map(|Reverse((at, _))| *at);
        let due = next_due.is_some_and(|at| at <= now);
        if !due && self.ready.is_empty() {
            return if !self.exhausted && self.waiting.len() < MOST_WAITING {
                Step::Read(next_due)
            } else if self.exhausted && self.running == 0 && self.waiting.is_empty() {
                Step::Complete
            } else {
                Step::Wait(next_due)
            };
        }
        if let Some(at) = self.pacer.as_ref().and_then(|pacer| pacer.next_call(now)) {
            return Step::Wait(Some(at));
        }
        let chat = if due {
            self.waiting.pop().map(|Reverse((_, chat))| chat)
        } else {
            self.ready.pop_front()
        };
        let Some(chat) = chat else {
            return Step::Wait(None);
        };
        if let Some(pacer) = &mut self.pacer {
            pacer.count(&Chat::of_id(chat), now);
        }
        self.running += 1;
        Step::Start(chat)
    }

    /// Adds chats of the source.
    pub(super) fn add(&mut self, chats: Vec<i64>) {
        self.ready.extend(chats);
    }

    /// Notes that the source has no more.
    pub(super) fn exhaust(&mut self) {
        self.exhausted = true;
    }

    /// Notes that a chat is done.
    pub(super) fn done(&mut self) {
        self.running -= 1;
        self.unknown = 0;
        self.backoff.reset();
    }

    /// Notes that a chat is done and nobody knows how; returns how long everything is held when there are too many of them.
    pub(super) fn done_unknown(&mut self, now: Instant, random: f64) -> Option<Duration> {
        self.running -= 1;
        self.unknown = self.unknown.saturating_add(1);
        if self.unknown < TROUBLE {
            return None;
        }
        self.pause(now, random)
    }

    /// Notes that a chat is to be tried again after a time.
    pub(super) fn later(&mut self, chat: i64, now: Instant, wait: Duration) {
        self.running -= 1;
        let at = now.checked_add(wait).unwrap_or(now + FOREVER);
        self.waiting.push(Reverse((at, chat)));
    }

    /// Notes that no call can be made for a while, with the chat that met it; returns how long that is when this is news.
    pub(super) fn hold(&mut self, chat: i64, now: Instant, random: f64) -> Option<Duration> {
        self.running -= 1;
        self.ready.push_front(chat);
        self.pause(now, random)
    }

    fn pause(&mut self, now: Instant, random: f64) -> Option<Duration> {
        // The others that run meet the same.
        if self.hold_until.is_some_and(|until| until > now) {
            return None;
        }
        let pause = self.backoff.next_delay(random);
        self.hold_until = Some(now + pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn agenda(pacing: Option<Pacing>, concurrency: usize) -> (Agenda, Instant) {
        let now = Instant::now();
        (Agenda::new(pacing, concurrency, now), now)
    }

    #[test]
    fn a_broadcast_keeps_to_its_pace_whatever_the_number_of_chats() {
        let (mut agenda, start) = agenda(Some(Pacing::bulk()), 1000);
        agenda.add((1..=90).collect());
        agenda.exhaust();
        let (mut now, mut times) = (start, Vec::new());

        loop {
            match agenda.step(now) {
                Step::Start(_) => {
                    times.push((now - start).as_millis());
                    agenda.done();
                }
                Step::Wait(Some(at)) => now = at,
                Step::Complete => break,
                other => panic!("{other:?}"),
            }
        }

        assert_eq!(times.len(), 90);
        assert_eq!(times[..30], [0; 30]);
        assert!((1_980..=2_000).contains(&times[89]), "{}", times[89]);
    }

    #[test]
    fn no_more_run_than_may() {
        let (mut agenda, now) = agenda(None, 2);
        agenda.add(vec![1, 2, 3]);
        agenda.exhaust();

        assert_eq!(agenda.step(now), Step::Start(1));
        assert_eq!(agenda.step(now), Step::Start(2));
        assert_eq!(agenda.step(now), Step::Wait(None));
        agenda.done();
        assert_eq!(agenda.step(now), Step::Start(3));
        agenda.done();
        assert_eq!(agenda.step(now), Step::Wait(None), "one runs");
        agenda.done();
        assert_eq!(agenda.step(now), Step::Complete);
    }

    #[test]
    fn a_chat_that_waits_holds_up_no_other_and_is_not_forgotten() {
        let (mut agenda, now) = agenda(None, 1);
        agenda.add(vec![1, 2]);
        agenda.exhaust();
        assert_eq!(agenda.step(now), Step::Start(1));
        agenda.later(1, now, 5 * SECOND);

        assert_eq!(agenda.step(now), Step::Start(2));
        agenda.done();
        assert_eq!(agenda.step(now), Step::Wait(Some(now + 5 * SECOND)));
        assert_eq!(agenda.step(now + 5 * SECOND), Step::Start(1));
        agenda.later(1, now, Duration::MAX);
        assert!(matches!(agenda.step(now), Step::Wait(Some(_))));
    }

    #[test]
    fn so_many_chats_that_wait_stop_the_reading() {
        let (mut agenda, now) = agenda(None, 1);
        for chat in 0..MOST_WAITING as i64 {
            assert_eq!(agenda.step(now), Step::Read((chat > 0).then(|| now + 5 * SECOND)));
            agenda.add(vec![chat]);
            assert_eq!(agenda.step(now), Step::Start(chat));
            agenda.later(chat, now, 5 * SECOND);
        }

        assert_eq!(agenda.step(now), Step::Wait(Some(now + 5 * SECOND)));
    }

    #[test]
    fn an_outage_costs_a_few_chats_and_not_all_of_them() {
        let (mut agenda, start) = agenda(None, 4);
        agenda.add((1..=1000).collect());
        let (mut now, mut lost) = (start, 0);

        // Ten minutes without one answer.
        while now < start + 600 * SECOND {
            let mut begun = 0;
            let wake = loop {
                match agenda.step(now) {
                    Step::Start(_) => begun += 1,
                    Step::Wait(at) => break at,
                    other => panic!("{other:?}"),
                }
            };
            for _ in 0..begun {
                agenda.done_unknown(now, 0.5);
            }
            lost += begun;
            now = wake.unwrap_or(now);
        }

        assert!((10..=25).contains(&lost), "{lost}");
        let mut begun = 0;
        while matches!(agenda.step(now), Step::Start(_)) {
            begun += 1;
        }
        assert_eq!(begun, 1, "one is tried");
        agenda.done();
        for _ in 0..4 {
            assert!(matches!(agenda.step(now), Step::Start(_)), "all goes on");
        }
    }

    #[test]
    fn a_network_that_is_gone_holds_everything_for_longer_and_longer() {
        let (mut agenda, now) = agenda(None, 2);
        agenda.add(vec![1, 2, 3]);
        assert_eq!(
            (agenda.step(now), agenda.step(now)),
            (Step::Start(1), Step::Start(2))
        );

        assert_eq!(agenda.hold(1, now, 0.5), Some(SECOND));
        assert_eq!(agenda.hold(2, now, 0.5), None, "the same trouble");

        assert_eq!(agenda.step(now), Step::Wait(Some(now + SECOND)));
        let then = now + SECOND;
        assert_eq!(agenda.step(then), Step::Start(2));
        assert_eq!(agenda.hold(2, then, 0.5), Some(2 * SECOND));
        let then = then + 2 * SECOND;
        assert_eq!(agenda.step(then), Step::Start(2));
        agenda.done();
        assert_eq!(agenda.step(then), Step::Start(1));
        assert_eq!(agenda.hold(1, then, 0.5), Some(SECOND), "it had worked");
    }
}
