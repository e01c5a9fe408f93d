//! The update queue of one bot: ids, head and tail, what an offset confirms, caps and expiry.
//!
//! Ids are given out in order and never reused within a queue; gaps are normal. With `H` the lowest queued id and
//! `T` the next id to be given out, an offset means:
//!
//! | offset | confirmed | returned from |
//! |---|---|---|
//! | absent, 0 | nothing | H |
//! | H ≤ O ≤ T | ids < O | O |
//! | T < O ≤ T+10 | everything, and what arrives below O while the poll waits | O |
//! | O > T+10 | nothing | H |
//! | 0 < O < H | nothing | H |
//! | O < 0 | all but the newest \|O\| | the new H |

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;

/// The largest number of updates a queue holds; what comes after is discarded.
pub(crate) const MAX_UPDATES: usize = 100_000;
/// The largest sum of update sizes a queue holds, in bytes of JSON.
pub(crate) const MAX_TOTAL_BYTES: usize = 128 << 20;
/// The largest size of one update, in bytes of JSON.
pub(crate) const MAX_UPDATE_BYTES: usize = 512 << 10;
/// Ids stay below this; the queue restarts at a random id when it is reached.
pub(crate) const ID_LIMIT: i64 = 2_000_000_000;
/// The first id of a fresh queue.
const FIRST_IDS: RangeInclusive<i64> = 2_000_001..=1_000_000_000;
/// How far above the next id an offset is still believed.
const FUTURE_TOLERANCE: i64 = 10;
/// An answer stays below this many bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// What an update costs in an answer beside its own bytes.
const ANSWER_OVERHEAD: usize = 50;

/// One queued update.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// The JSON text of the update after its id: `"message":{...}`.
    pub(crate) content: Bytes,
    /// Unix time in seconds after which the update is gone.
    pub(crate) expires_at: i64,
    /// Index of the update in the ledger.
    pub(crate) record: usize,
}

/// Why an update did not enter the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discarded {
    UpdateTooLarge,
    CountExceeded,
    BytesExceeded,
}

/// Why an update left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Confirmed,
    Expired,
    Dropped,
}

/// An update that left the queue.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) id: i64,
    pub(crate) slot: Slot,
    pub(crate) why: Removal,
}

/// What one read returned and took out of the queue.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) updates: Vec<(i64, Bytes)>,
    pub(crate) removed: Vec<Removed>,
    /// The offset a poll keeps when it has to wait.
    pub(crate) kept_offset: i64,
}

/// The queue itself.
#[derive(Debug)]
pub(crate) struct UpdateQueue {
    slots: BTreeMap<i64, Slot>,
    next_id: i64,
    bytes: usize,
    rng: fastrand::Rng,
}

impl UpdateQueue {
    /// Returns an empty queue that starts at a random id.
    pub(crate) fn new(mut rng: fastrand::Rng) -> Self {
        let next_id = rng.i64(FIRST_IDS);
        Self {
            slots: BTreeMap::new(),
            next_id,
            bytes: 0,
            rng,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.slots.keys().copied()
    }

    pub(crate) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.values_mut()
    }

    /// Returns the lowest queued id, or the next id when nothing is queued.
    pub(crate) fn head(&self) -> i64 {
        self.slots.first_key_value().map_or(self.next_id, |(id, _)| *id)
    }

    /// Returns the next id to be given out.
    pub(crate) fn tail(&self) -> i64 {
        self.next_id
    }

    pub(crate) fn last(&self) -> Option<(i64, &Slot)> {
        self.slots.last_key_value().map(|(id, slot)| (*id, slot))
    }

    /// Queues an update and returns its id and what an id overflow pushed out.
    pub(crate) fn push(
        &mut self,
        content: Bytes,
        expires_at: i64,
        record: usize,
    ) -> Result<(i64, Vec<Removed>), Discarded> {
        if content.len() > MAX_UPDATE_BYTES {
            return Err(Discarded::UpdateTooLarge);
        }
        if self.slots.len() >= MAX_UPDATES {
            return Err(Discarded::CountExceeded);
        }
        if self.bytes + content.len() > MAX_TOTAL_BYTES {
            return Err(Discarded::BytesExceeded);
        }
        let mut pushed_out = Vec::new();
        if self.next_id >= ID_LIMIT {
            pushed_out = self.clear();
            self.next_id = self.rng.i64(FIRST_IDS);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.bytes += content.len();
        self.slots.insert(
            id,
            Slot {
                content,
                expires_at,
                record,
            },
        );
        Ok((id, pushed_out))
    }

    /// Confirms what `offset` confirms, then reads up to `limit` updates from there on.
    pub(crate) fn read(&mut self, offset: i64, limit: usize, now: i64) -> Read {
        let mut removed = Vec::new();
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            while self.slots.len() > keep {
                self.remove_first(Removal::Confirmed, &mut removed);
            }
        }
        let kept_offset = if offset <= 0 { self.head() } else { offset };
        // An offset below the head confirms nothing, however far below it is.
        let in_future = kept_offset > self.next_id + FUTURE_TOLERANCE;
        let from = if in_future { self.head() } else { kept_offset };
        while self.slots.first_key_value().is_some_and(|(id, _)| *id < from) {
            self.remove_first(Removal::Confirmed, &mut removed);
        }

        let mut updates = Vec::new();
        let mut expired = Vec::new();
        let mut answer_bytes = 0;
        for (id, slot) in self.slots.range(from..) {
            if updates.len() >= limit {
                break;
            }
            if slot.expires_at < now {
                expired.push(*id);
                continue;
            }
            answer_bytes += slot.content.len() + ANSWER_OVERHEAD;
            if answer_bytes >= MAX_ANSWER_BYTES {
                break;
            }
            updates.push((*id, slot.content.clone()));
        }
        for id in expired {
            self.remove(id, Removal::Expired, &mut removed);
        }
        Read {
            updates,
            removed,
            kept_offset,
        }
    }

    /// Reads up to `limit` updates from the id `from` on, for a webhook; what is expired on the way is taken out.
    pub(crate) fn load(&mut self, from: i64, limit: usize, now: i64) -> (Vec<(i64, Slot)>, Vec<Removed>) {
        let mut updates = Vec::new();
        let mut expired = Vec::new();
        for (id, slot) in self.slots.range(from..) {
            if updates.len() >= limit {
                break;
            }
            if slot.expires_at < now {
                expired.push(*id);
            } else {
                updates.push((*id, slot.clone()));
            }
        }
        let mut removed = Vec::new();
        for id in expired {
            self.remove(id, Removal::Expired, &mut removed);
        }
        (updates, removed)
    }

    /// Takes out one update, wherever it is; `None` when it is not queued any more.
    pub(crate) fn forget(&mut self, id: i64, why: Removal) -> Option<Removed> {
        let mut removed = Vec::new();
        self.remove(id, why, &mut removed);
        removed.pop()
    }

    /// Takes out everything whose time has passed.
    pub(crate) fn sweep(&mut self, now: i64) -> Vec<Removed> {
        let expired: Vec<i64> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.expires_at < now)
            .map(|(id, _)| *id)
            .collect();
        let mut removed = Vec::with_capacity(expired.len());
        for id in expired {
            self.remove(id, Removal::Expired, &mut removed);
        }
        removed
    }

    /// Takes out everything; the next id stays.
    pub(crate) fn clear(&mut self) -> Vec<Removed> {
        self.bytes = 0;
        std::mem::take(&mut self.slots)
            .into_iter()
            .map(|(id, slot)| Removed {
                id,
                slot,
                why: Removal::Dropped,
            })
            .collect()
    }

    /// Makes `id` the next id to be given out.
    ///
    /// What is queued must have been taken out first when `id` is not above all of it.
    pub(crate) fn continue_at(&mut self, id: i64) {
        debug_assert!(self.slots.last_key_value().is_none_or(|(last, _)| *last < id));
        self.next_id = id;
    }

    /// Puts a confirmed update back under its old id, as a server does that lost its last confirmations.
    pub(crate) fn put_back(&mut self, id: i64, slot: Slot) -> bool {
        if id >= self.next_id || self.slots.contains_key(&id) {
            return false;
        }
        self.bytes += slot.content.len();
        self.slots.insert(id, slot);
        true
    }

    fn remove_first(&mut self, why: Removal, removed: &mut Vec<Removed>) {
        if let Some((id, slot)) = self.slots.pop_first() {
            self.bytes -= slot.content.len();
            removed.push(Removed { id, slot, why });
        }
    }

    fn remove(&mut self, id: i64, why: Removal, removed: &mut Vec<Removed>) {
        if let Some(slot) = self.slots.remove(&id) {
            self.bytes -= slot.content.len();
            removed.push(Removed { id, slot, why });
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
