//! What the writer knows in memory: which updates wait, which are on lease, which may be leased next. Pure.
//!
//! The order of lanes is kept here: only the head of a lane is ever on lease. Of each waiting update there is a small
//! entry; the update itself is kept as long as the cache has room and read back from the file otherwise.

use std::{
    collections::{HashMap, HashSet},
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
    /// Whether it is suspected of ending the process; set by [`Shelf::restore`].
    pub(super) suspect: bool,
    pub(super) update: Option<Update>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Shelf {
    lanes: Lanes<Slot>,
    on_lease: HashMap<Ticket, Lane>,
    /// Those on lease whose end is on disk already.
    acknowledged: HashSet<Ticket>,
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
            acknowledged: HashSet::new(),
            suspect_on_lease: false,
            bytes: 0,
            cached: 0,
            cache,
        }
    }

    /// Puts back what an earlier process left, in order of arrival, each with the time until its next attempt.
    pub(super) fn restore(&mut self, slots: Vec<(Lane, Slot, Duration)>, now: Instant) {
        // Lanes take turns in the order in which they come; those whose heads are suspects come first.
        let (mut heads, mut first) = (HashSet::new(), HashSet::new());
        for (lane, slot, _) in &slots {
            if heads.insert(lane.clone()) && slot.crashes >= SUSPECT {
                first.insert(lane.clone());
            }
        }
        let (suspects, others): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|(lane, ..)| first.contains(lane));
        for (lane, mut slot, delay) in suspects.into_iter().chain(others) {
            slot.suspect = slot.crashes >= SUSPECT;
            let slot = self.count(slot);
            if delay.is_zero() {
                self.lanes.push(&lane, slot);
            } else {
                self.lanes.push_asleep(&lane, slot, now + delay);
            }
        }
    }

    /// Puts an update at the end of its lane.
    pub(super) fn push(&mut self, lane: &Lane, slot: Slot) {
        let slot = self.count(slot);
        self.lanes.push(lane, slot);
    }

    /// Counts the bytes of an update, and leaves it to the file if the cache is full.
    fn count(&mut self, mut slot: Slot) -> Slot {
        self.bytes += slot.bytes;
        if slot.update.is_some() {
            if self.cached + slot.bytes > self.cache {
                slot.update = None;
            } else {
                self.cached += slot.bytes;
            }
        }
        slot
    }

    /// Takes up to `limit` updates on lease.
    pub(super) fn lease(&mut self, limit: usize, now: Instant) -> Vec<Lease> {
        self.lanes.wake(now);
        let mut leases = Vec::new();
        while leases.len() < limit && !self.suspect_on_lease {
            // A suspect runs alone: it waits for all that run, and until it has ended nothing else begins.
            let next = self.lanes.peek();
            if next.is_some_and(|slot| slot.suspect) && self.lanes.running() > 0 {
                break;
            }
            let Some((lane, slot)) = self.lanes.take() else {
                break;
            };
            self.suspect_on_lease = slot.suspect;
            if slot.update.is_some() {
                self.cached -= slot.bytes;
            }
            leases.push(Lease {
                ticket: slot.ticket,
                lane: lane.clone(),
                attempt: slot.attempt,
                crashes: slot.crashes,
                waits: slot.waits,
                update: slot.update.take(),
            });
            self.on_lease.insert(slot.ticket, lane);
        }
        leases
    }

    /// Moves everything of a lane into another one, in order of arrival; what is on lease stays so. Nothing of the two is
    /// leased before everything of them that is on lease has ended.
    pub(super) fn move_lane(&mut self, from: &Lane, to: &Lane) {
        if self.lanes.merge(from, to, |one, other| one.ticket < other.ticket) {
            for lane in self.on_lease.values_mut().filter(|lane| *lane == from) {
                *lane = to.clone();
            }
        }
    }

    /// Returns what is known of an update that is on lease.
    pub(super) fn slot(&self, ticket: Ticket) -> Option<&Slot> {
        let lane = self.on_lease.get(&ticket)?;
        self.lanes.running_one(lane, |slot| slot.ticket == ticket)
    }

    /// As [`slot`](Self::slot), to change it.
    pub(super) fn slot_mut(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let lane = self.on_lease.get(&ticket)?;
        self.lanes.running_one_mut(lane, |slot| slot.ticket == ticket)
    }

    /// Takes note that the end of a lease is on disk already.
    pub(super) fn acknowledge(&mut self, ticket: Ticket) {
        if self.on_lease.contains_key(&ticket) {
            self.acknowledged.insert(ticket);
        }
    }

    /// Ends a lease for good.
    pub(super) fn finish(&mut self, ticket: Ticket) -> bool {
        let Some(lane) = self.on_lease.remove(&ticket) else {
            return false;
        };
        self.acknowledged.remove(&ticket);
        self.suspect_on_lease = false;
        if let Some(slot) = self.lanes.finish_one(&lane, |slot| slot.ticket == ticket) {
            self.bytes -= slot.bytes;
        }
        true
    }

    /// Ends a lease until a later attempt; its lane waits. A suspect that did not end the process is none any more.
    pub(super) fn retry(&mut self, ticket: Ticket, until: Instant) -> bool {
        if let Some(slot) = self.slot_mut(ticket) {
            slot.suspect = false;
        }
        self.give_back(ticket, until)
    }

    /// Ends a lease whose attempt has not begun.
    pub(super) fn give_back(&mut self, ticket: Ticket, until: Instant) -> bool {
        let Some(lane) = self.on_lease.remove(&ticket) else {
            return false;
        };
        self.acknowledged.remove(&ticket);
        self.suspect_on_lease = false;
        self.lanes.sleep_one(&lane, until, |slot| slot.ticket == ticket)
    }

    /// Returns every update that is on lease.
    pub(super) fn on_lease(&self) -> Vec<Ticket> {
        self.on_lease.keys().copied().collect()
    }

    /// Returns when a lease may become possible by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.lanes.next_wake()
    }

    /// Returns whether nothing is on lease and nothing can be leased by then (`None` is never).
    pub(super) fn is_exhausted(&self, by: Option<Instant>) -> bool {
        let wakes_in_time = |at| by.is_none_or(|by| at <= by);
        self.on_lease.is_empty()
            && self.lanes.peek().is_none()
            && !self.next_wake().is_some_and(wakes_in_time)
    }

    /// Returns how many updates are unfinished.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Returns how many updates a later start would handle, if nothing more happened: all but those whose end is on disk
    /// already and, if what has begun is never repeated, those on lease.
    pub(super) fn left(&self, never_again: bool) -> usize {
        let ended = if never_again {
            self.on_lease.len()
        } else {
            self.acknowledged.len()
        };
        self.len() - ended
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
    pub(super) crashes: u32,
    pub(super) waits: u32,
    /// The update, when it was in memory.
    pub(super) update: Option<Update>,
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
