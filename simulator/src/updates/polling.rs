//! Who waits for updates, how long, and who is turned away: everything about `getUpdates` but the queue.

use std::time::Duration;

use crate::Moment;
use crate::params::Params;
use crate::request::Ticket;

/// A waiting poll is answered this long after the latest update ...
const WINDOW_AFTER_LATEST: Duration = Duration::from_millis(1);
/// ... but at most this long after the first one.
const WINDOW_AFTER_FIRST: Duration = Duration::from_millis(2);
/// The same offset within this time makes a short poll wait.
const REPEAT_WAITS_WITHIN: Duration = Duration::from_secs(3);
/// The shortest timeout of such a poll, in seconds.
const REPEAT_TIMEOUT: i32 = 3;
/// The same offset within this time yields one update only.
const REPEAT_STARVES_WITHIN: Duration = Duration::from_millis(500);
/// Conflict errors closer together than this are held back by as much.
const CONFLICT_PACE: Duration = Duration::from_secs(3);
/// The longest timeout the server grants, in seconds.
const MAX_TIMEOUT: i32 = 50;
/// The default and largest number of updates of one answer.
const MAX_LIMIT: i32 = 100;

/// The numbers of a `getUpdates` call after parsing and clamping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollNumbers {
    pub(crate) offset: i32,
    pub(crate) limit: i32,
    pub(crate) timeout: i32,
}

impl PollNumbers {
    pub(crate) fn from_params(params: &Params) -> Self {
        Self {
            offset: params.int("offset").unwrap_or(0),
            limit: params.int("limit").unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT),
            timeout: params.int("timeout").unwrap_or(0).clamp(0, MAX_TIMEOUT),
        }
    }
}

/// A poll that waits for the first update.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    /// The offset it is answered with, which may lie above the tail.
    pub(crate) offset: i64,
    pub(crate) limit: usize,
    /// When it is answered with nothing.
    pub(crate) deadline: Moment,
    /// Index of the call in the ledger.
    pub(crate) record: usize,
    /// Whether the answer will reach the client, as far as the faults say.
    pub(crate) arrives: bool,
    /// Whether the connection is known to be closed. The server it imitates does not notice; the ledger does.
    pub(crate) client_gone: bool,
    first_arrival: Option<Moment>,
    wake_at: Option<Moment>,
}

impl Waiting {
    pub(crate) fn new(ticket: Ticket, offset: i64, limit: usize, deadline: Moment, record: usize) -> Self {
        Self {
            ticket,
            offset,
            limit,
            deadline,
            record,
            arrives: true,
            client_gone: false,
            first_arrival: None,
            wake_at: None,
        }
    }

    /// Returns the poll with `arrives` set.
    pub(crate) fn arriving(mut self, arrives: bool) -> Self {
        self.arrives = arrives;
        self
    }

    fn due_at(&self) -> Moment {
        self.wake_at.map_or(self.deadline, |wake| wake.min(self.deadline))
    }
}

/// The polling state of one bot. Lost when the server restarts.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    previous: Option<(i32, Moment)>,
    waiting: Option<Waiting>,
    free_conflict_at: Option<Moment>,
}

impl Polling {
    /// Applies the repeated-offset penalty to an accepted call and remembers the call.
    pub(crate) fn penalise(&mut self, now: Moment, asked: PollNumbers) -> PollNumbers {
        let mut granted = asked;
        if let Some((offset, started)) = self.previous
            && offset == asked.offset
        {
            if now.since(started) < REPEAT_WAITS_WITHIN {
                granted.timeout = granted.timeout.max(REPEAT_TIMEOUT);
            }
            if now.since(started) < REPEAT_STARVES_WITHIN {
                granted.limit = 1;
            }
        }
        self.previous = Some((asked.offset, now));
        granted
    }

    /// Lets `poll` wait and returns the one that waited before.
    pub(crate) fn wait(&mut self, poll: Waiting) -> Option<Waiting> {
        self.waiting.replace(poll)
    }

    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    pub(crate) fn waiting_mut(&mut self) -> Option<&mut Waiting> {
        self.waiting.as_mut()
    }

    pub(crate) fn take_waiting(&mut self) -> Option<Waiting> {
        self.waiting.take()
    }

    /// Opens or extends the batch window of the waiting poll.
    pub(crate) fn update_arrived(&mut self, now: Moment) {
        if let Some(poll) = &mut self.waiting {
            let first = *poll.first_arrival.get_or_insert(now);
            poll.wake_at = Some((now + WINDOW_AFTER_LATEST).min(first + WINDOW_AFTER_FIRST));
        }
    }

    /// Takes the waiting poll when its window has closed or its timeout has passed.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<Waiting> {
        self.waiting.take_if(|poll| poll.due_at() <= now)
    }

    /// Returns when [`take_due`](Self::take_due) has something next.
    pub(crate) fn due_at(&self) -> Option<Moment> {
        self.waiting.as_ref().map(Waiting::due_at)
    }

    /// Returns when a conflict error that arises now is sent: at once when the last free one is long enough ago,
    /// three seconds later otherwise.
    pub(crate) fn pace_conflict(&mut self, now: Moment) -> Moment {
        if self.free_conflict_at.is_some_and(|free| now < free) {
            return now + CONFLICT_PACE;
        }
        self.free_conflict_at = Some(now + CONFLICT_PACE);
        now
    }

    /// Forgets what a restarted server does not know.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));

    fn at(millis: u64) -> Moment {
        START + Duration::from_millis(millis)
    }

    fn asked(offset: i32, limit: i32, timeout: i32) -> PollNumbers {
        PollNumbers {
            offset,
            limit,
            timeout,
        }
    }

    fn numbers(pairs: &[(&str, &str)]) -> PollNumbers {
        PollNumbers::from_params(&Params::from_pairs(pairs))
    }

    #[test]
    fn numbers_have_their_defaults_and_are_clamped_silently() {
        assert_eq!(numbers(&[]), asked(0, 100, 0));
        assert_eq!(
            numbers(&[("limit", ""), ("timeout", ""), ("offset", "")]),
            asked(0, 100, 0)
        );
        assert_eq!(numbers(&[("limit", "0"), ("timeout", "51")]), asked(0, 1, 50));
        assert_eq!(numbers(&[("limit", "101"), ("timeout", "-1")]), asked(0, 100, 0));
        assert_eq!(numbers(&[("limit", "many"), ("offset", "-7x")]), asked(-7, 1, 0));
    }

    #[test]
    fn the_same_offset_within_three_seconds_waits_three_seconds() {
        let mut polling = Polling::default();
        polling.penalise(at(0), asked(7, 100, 0));

        assert_eq!(polling.penalise(at(2_999), asked(7, 100, 0)), asked(7, 100, 3));
        assert_eq!(
            polling.penalise(at(2_999 + 2_999), asked(7, 100, 30)),
            asked(7, 100, 30)
        );
        assert_eq!(
            polling.penalise(at(2_999 + 2_999 + 3_000), asked(7, 100, 0)),
            asked(7, 100, 0)
        );
    }

    #[test]
    fn the_same_offset_within_half_a_second_yields_one_update() {
        let mut polling = Polling::default();
        polling.penalise(at(0), asked(7, 100, 30));

        assert_eq!(polling.penalise(at(499), asked(7, 100, 30)), asked(7, 1, 30));
        assert_eq!(
            polling.penalise(at(499 + 500), asked(7, 100, 30)),
            asked(7, 100, 30)
        );
    }

    #[test]
    fn a_penalised_call_extends_the_penalty() {
        let mut polling = Polling::default();
        for call in 0..10 {
            let granted = polling.penalise(at(call * 400), asked(0, 100, 30));
            assert_eq!(granted.limit, if call == 0 { 100 } else { 1 });
        }
    }

    #[test]
    fn a_different_offset_is_never_penalised() {
        let mut polling = Polling::default();
        polling.penalise(at(0), asked(7, 100, 0));

        assert_eq!(polling.penalise(at(1), asked(8, 100, 0)), asked(8, 100, 0));
        assert_eq!(polling.penalise(at(2), asked(7, 100, 0)), asked(7, 100, 0));
    }

    #[test]
    fn the_batch_window_closes_a_millisecond_after_the_latest_update_and_two_after_the_first() {
        let mut polling = Polling::default();
        polling.wait(Waiting::new(Ticket::new(1), 0, 100, at(50_000), 0));
        assert_eq!(polling.due_at(), Some(at(50_000)));

        polling.update_arrived(at(10));
        assert_eq!(polling.due_at(), Some(at(11)));
        polling.update_arrived(at(11));
        assert_eq!(polling.due_at(), Some(at(12)));
        polling.update_arrived(at(12));
        assert_eq!(polling.due_at(), Some(at(12)));

        assert!(polling.take_due(at(11)).is_none());
        assert!(polling.take_due(at(12)).is_some());
        assert!(polling.take_due(at(12)).is_none());
    }

    #[test]
    fn the_window_never_outlasts_the_timeout() {
        let mut polling = Polling::default();
        polling.wait(Waiting::new(Ticket::new(1), 0, 100, at(1_000), 0));

        polling.update_arrived(at(1_000));

        assert_eq!(polling.due_at(), Some(at(1_000)));
    }

    #[test]
    fn conflicts_within_three_seconds_of_a_free_one_are_each_held_back_three_seconds() {
        let mut polling = Polling::default();

        assert_eq!(polling.pace_conflict(at(0)), at(0));
        assert_eq!(polling.pace_conflict(at(1_000)), at(4_000));
        assert_eq!(polling.pace_conflict(at(2_999)), at(5_999));
        assert_eq!(polling.pace_conflict(at(3_000)), at(3_000));
    }
}
