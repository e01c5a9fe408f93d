//! What the writer knows in memory: which updates wait, which are on lease, which may be leased next. Pure.
//!
//! The order of lanes is kept here: only the head of a lane is ever on lease. Of each waiting update there is a small
//! entry; the update itself is kept as long as the cache has room and read back from the file otherwise.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use actogram_actors::{Lane, LaneCounts, LaneLoad, Lanes};

use super::super::Ticket;
use crate::update::Update;

/// Crashes of the process from which on an update is suspected: it is leased alone, so that the next crash tells
/// whether it was the cause.
const SUSPECT: u32 = 2;

/// An unfinished update.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) ticket: Ticket,
    pub(super) bytes: u64,
    pub(super) attempt: u32,
    pub(super) waits: u32,
    pub(super) crashes: u32,
    pub(super) update: Option<Update>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Shelf {
    lanes: Lanes<Slot>,
    on_lease: HashMap<Ticket, Lane>,
    /// Suspects that have not been leased yet; they stand first in their lanes and their lanes first in turn.
    suspects: usize,
    suspect_on_lease: bool,
    bytes: u64,
    cached: u64,
    cache: u64,
}

impl Shelf {
    /// Returns a shelf that keeps at most `cache` bytes of updates in memory.
    pub(super) fn new(cache: u64) -> Self {
        Self {
            lanes: Lanes::default(),
            on_lease: HashMap::new(),
            suspects: 0,
            suspect_on_lease: false,
            bytes: 0,
            cached: 0,
            cache,
        }
    }

    /// Puts back what an earlier process left, in order of arrival, each with the time until its next attempt.
    pub(super) fn restore(&mut self, slots: Vec<(Lane, Slot, Duration)>, now: Instant) {
        let suspicious = |slot: &Slot| slot.crashes >= SUSPECT;
        // Lanes take turns in the order in which they come; those of suspects, their heads, come first.
        let (suspects, others): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|(_, slot, _)| suspicious(slot));
        self.suspects = suspects.len();
        for (lane, slot, _) in suspects {
            self.push(&lane, slot);
        }
        for (lane, slot, delay) in others {
            if delay.is_zero() {
                self.push(&lane, slot);
            } else {
                self.bytes += slot.bytes;
                self.lanes.push_asleep(&lane, slot, now + delay);
            }
        }
    }

    /// Puts an update at the end of its lane.
    pub(super) fn push(&mut self, lane: &Lane, mut slot: Slot) {
        self.bytes += slot.bytes;
        if slot.update.is_some() {
            if self.cached + slot.bytes > self.cache {
                slot.update = None;
            } else {
                self.cached += slot.bytes;
            }
        }
        self.lanes.push(lane, slot);
    }

    /// Takes up to `limit` updates on lease.
    pub(super) fn lease(&mut self, limit: usize, now: Instant) -> Vec<Lease> {
        self.lanes.wake(now);
        let limit = match (self.suspects, self.suspect_on_lease) {
            (_, true) => 0,
            (0, false) => limit,
            // A suspect runs alone.
            (_, false) => usize::from(self.lanes.running() == 0).min(limit),
        };
        let mut leases = Vec::new();
        while leases.len() < limit {
            let Some((lane, slot)) = self.lanes.take() else {
                break;
            };
            if self.suspects > 0 {
                self.suspects -= 1;
                self.suspect_on_lease = true;
            }
            if slot.update.is_some() {
                self.cached -= slot.bytes;
            }
            leases.push(Lease {
                ticket: slot.ticket,
                lane: lane.clone(),
                attempt: slot.attempt,
                waits: slot.waits,
                update: slot.update.take(),
            });
            self.on_lease.insert(slot.ticket, lane);
        }
        leases
    }

    /// Returns what is known of an update that is on lease.
    pub(super) fn slot(&self, ticket: Ticket) -> Option<&Slot> {
        self.lanes.head(self.on_lease.get(&ticket)?)
    }

    /// As [`slot`](Self::slot), to change it.
    pub(super) fn slot_mut(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let lane = self.on_lease.get(&ticket)?;
        self.lanes.running_head(lane)
    }

    /// Ends a lease for good.
    pub(super) fn finish(&mut self, ticket: Ticket) -> bool {
        let Some(lane) = self.on_lease.remove(&ticket) else {
            return false;
        };
        self.suspect_on_lease = false;
        if let Some(slot) = self.lanes.finish(&lane) {
            self.bytes -= slot.bytes;
        }
        true
    }

    /// Ends a lease until a later attempt; its lane waits.
    pub(super) fn retry(&mut self, ticket: Ticket, until: Instant) -> bool {
        let Some(lane) = self.on_lease.remove(&ticket) else {
            return false;
        };
        self.suspect_on_lease = false;
        self.lanes.sleep(&lane, until)
    }

    /// Returns every update that is on lease.
    pub(super) fn on_lease(&self) -> Vec<Ticket> {
        self.on_lease.keys().copied().collect()
    }

    /// Returns when a lease may become possible by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.lanes.next_wake()
    }

    /// Returns how many updates are unfinished.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Returns how many bytes the unfinished updates have.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the lanes with the most unfinished updates, longest first.
    pub(super) fn longest(&self, limit: usize) -> Vec<LaneLoad> {
        self.lanes.longest(limit)
    }

    pub(super) fn counts(&self) -> LaneCounts {
        self.lanes.counts()
    }
}

/// An update that was taken on lease.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) ticket: Ticket,
    pub(super) lane: Lane,
    pub(super) attempt: u32,
    pub(super) waits: u32,
    /// The update, when it was in memory.
    pub(super) update: Option<Update>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(ticket: i64) -> Slot {
        let raw = format!(r#"{{"update_id":{ticket},"message":{{"chat":{{"id":1}}}}}}"#);
        let update = Update::from_json(&raw).unwrap();
        Slot {
            ticket: Ticket(ticket),
            bytes: 100,
            attempt: 1,
            waits: 0,
            crashes: 0,
            update: Some(update),
        }
    }

    fn crashed(ticket: i64, crashes: u32) -> Slot {
        Slot {
            crashes,
            ..slot(ticket)
        }
    }

    fn tickets(leases: &[Lease]) -> Vec<i64> {
        leases.iter().map(|lease| lease.ticket.0).collect()
    }

    fn lease(shelf: &mut Shelf, limit: usize) -> Vec<i64> {
        tickets(&shelf.lease(limit, Instant::now()))
    }

    #[test]
    fn only_the_head_of_a_lane_is_on_lease() {
        let mut shelf = Shelf::new(10_000);
        shelf.push(&Lane::new("a"), slot(1));
        shelf.push(&Lane::new("a"), slot(2));
        shelf.push(&Lane::new("b"), slot(3));

        assert_eq!(lease(&mut shelf, 10), [1, 3]);
        assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
        assert!(shelf.finish(Ticket(1)));

        assert_eq!(lease(&mut shelf, 10), [2]);
    }

    #[test]
    fn a_lane_waits_for_its_retry_and_no_other_does() {
        let now = Instant::now();
        let mut shelf = Shelf::new(10_000);
        shelf.push(&Lane::new("a"), slot(1));
        shelf.push(&Lane::new("a"), slot(2));
        shelf.push(&Lane::new("b"), slot(3));
        shelf.lease(1, now);

        assert!(shelf.retry(Ticket(1), now + Duration::from_secs(60)));

        assert_eq!(tickets(&shelf.lease(10, now)), [3]);
        assert_eq!(shelf.next_wake(), Some(now + Duration::from_secs(60)));
        assert_eq!(tickets(&shelf.lease(10, now + Duration::from_secs(60))), [1]);
    }

    #[test]
    fn updates_beyond_the_cache_are_left_to_the_file() {
        let mut shelf = Shelf::new(250);
        for ticket in 1..=4 {
            shelf.push(&Lane::new(format!("lane:{ticket}")), slot(ticket));
        }

        let leases = shelf.lease(10, Instant::now());
        let cached: Vec<_> = leases.iter().map(|lease| lease.update.is_some()).collect();
        assert_eq!(cached, [true, true, false, false]);
        assert_eq!(shelf.bytes(), 400);

        shelf.push(&Lane::new("later"), slot(5));
        assert!(
            shelf.lease(1, Instant::now())[0].update.is_some(),
            "leased updates are not cached any more"
        );
    }

    #[test]
    fn what_an_earlier_process_left_comes_back_in_order_with_its_retry_time() {
        let now = Instant::now();
        let mut shelf = Shelf::new(10_000);
        let later = Duration::from_secs(9);
        shelf.restore(
            vec![
                (Lane::new("a"), slot(1), later),
                (Lane::new("b"), slot(2), Duration::ZERO),
                (Lane::new("a"), slot(3), Duration::ZERO),
            ],
            now,
        );

        assert_eq!(tickets(&shelf.lease(10, now)), [2]);
        assert_eq!(tickets(&shelf.lease(10, now + later)), [1]);
        assert_eq!((shelf.len(), shelf.bytes()), (3, 300));
    }

    #[test]
    fn suspects_run_alone_one_after_the_other_before_anything_else() {
        let mut shelf = Shelf::new(10_000);
        shelf.restore(
            vec![
                (Lane::new("a"), slot(1), Duration::ZERO),
                (Lane::new("b"), crashed(2, 2), Duration::ZERO),
                (Lane::new("c"), crashed(3, 1), Duration::ZERO),
                (Lane::new("d"), crashed(4, 5), Duration::ZERO),
            ],
            Instant::now(),
        );

        assert_eq!(lease(&mut shelf, 10), [2]);
        assert_eq!(
            lease(&mut shelf, 10),
            [] as [i64; 0],
            "nothing runs beside a suspect"
        );
        shelf.finish(Ticket(2));
        assert_eq!(lease(&mut shelf, 10), [4]);
        assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
        shelf.retry(Ticket(4), Instant::now() + Duration::from_secs(60));

        assert_eq!(
            lease(&mut shelf, 10),
            [1, 3],
            "a suspect that did not end the process is none any more"
        );
    }

    #[test]
    fn ending_what_is_not_on_lease_changes_nothing() {
        let mut shelf = Shelf::new(10_000);
        shelf.push(&Lane::new("a"), slot(1));

        assert!(!shelf.finish(Ticket(1)));
        assert!(!shelf.retry(Ticket(7), Instant::now()));

        assert_eq!(shelf.len(), 1);
    }
}
