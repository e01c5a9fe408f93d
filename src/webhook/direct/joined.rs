//! A group that becomes a supergroup stays one lane, although part of it is with the engine already. Pure.
//!
//! The server posts what is said in the two chats side by side, so the order between them is that of arrival. From the first
//! of the two service messages on, both are one lane. Whatever of either is in hand goes first, where it is; so what comes
//! next follows in the lane in which there still is something, whichever chat it is from. When there is something in both it
//! is held until one of them is empty.

use std::collections::{HashMap, VecDeque};

use actogram_actors::Lane;

use crate::lane::MovedLanes;

/// In which lane of the engine each update goes.
#[derive(Debug)]
pub(super) struct JoinedLanes<J> {
    moved: MovedLanes,
    /// What is in hand, by the lane as which it goes on.
    in_hand: HashMap<Lane, Joined<J>>,
    /// Lanes of the engine with something in hand that is under another name in there. It does not depend on what is
    /// remembered of moves, so that nothing is held for ever.
    elsewhere: HashMap<Lane, Lane>,
    arrived: u64,
}

/// What is in hand of a lane.
#[derive(Debug)]
struct Joined<J> {
    /// The lanes of the engine that have some of it, and how many. More than one only after a move.
    given: Vec<(Lane, usize)>,
    /// What waits until no more than one of them is left, in the order of arrival.
    held: VecDeque<(u64, J)>,
}

impl<J> Default for JoinedLanes<J> {
    fn default() -> Self {
        Self {
            moved: MovedLanes::default(),
            in_hand: HashMap::new(),
            elsewhere: HashMap::new(),
            arrived: 0,
        }
    }
}

impl<J> Default for Joined<J> {
    fn default() -> Self {
        Self {
            given: Vec::new(),
            held: VecDeque::new(),
        }
    }
}

impl<J> JoinedLanes<J> {
    /// Notes that `from` goes on as `to`. Does nothing when it was moved before, or when `to` leads back to it.
    pub(super) fn join(&mut self, from: &Lane, to: &Lane) {
        let Some(to) = self.moved.note(from, to) else {
            return;
        };
        let to = self.end_of(&to).clone();
        let Some(joining) = self.in_hand.remove(from) else {
            return;
        };
        for (lane, _) in &joining.given {
            self.elsewhere.insert(lane.clone(), to.clone());
        }
        let joined = self.in_hand.entry(to).or_default();
        joined.given.extend(joining.given);
        joined.held.extend(joining.held);
        joined.held.make_contiguous().sort_by_key(|(arrived, _)| *arrived);
    }

    /// Takes what has arrived in a lane in hand. Returns it with the lane in which the engine is to get it now, or keeps it
    /// until [`leave`](Self::leave) returns it.
    pub(super) fn enter(&mut self, lane: &Lane, job: J) -> Option<(Lane, J)> {
        let end = self.end_of(lane).clone();
        let joined = self.in_hand.entry(end.clone()).or_default();
        match &mut joined.given[..] {
            [] => {
                joined.given.push((end.clone(), 1));
                Some((end, job))
            }
            [(lane, count)] => {
                *count += 1;
                Some((lane.clone(), job))
            }
            _ => {
                self.arrived += 1;
                joined.held.push_back((self.arrived, job));
                None
            }
        }
    }

    /// Takes note that something in this lane of the engine has ended. Returns what the engine is to get now.
    pub(super) fn leave(&mut self, lane: &Lane) -> Vec<(Lane, J)> {
        let end = self.elsewhere.get(lane).unwrap_or(lane).clone();
        let Some(joined) = self.in_hand.get_mut(&end) else {
            return Vec::new();
        };
        let Some(place) = joined.given.iter().position(|(given, _)| given == lane) else {
            return Vec::new();
        };
        joined.given[place].1 -= 1;
        if joined.given[place].1 > 0 {
            return Vec::new();
        }
        joined.given.remove(place);
        self.elsewhere.remove(lane);
        match &mut joined.given[..] {
            [] => {
                self.in_hand.remove(&end);
                Vec::new()
            }
            [(last, count)] => {
                *count += joined.held.len();
                let held = joined.held.drain(..);
                held.map(|(_, job)| (last.clone(), job)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the lane as which this one goes on.
    fn end_of<'a>(&'a self, lane: &'a Lane) -> &'a Lane {
        let end = self.moved.find(lane);
        self.elsewhere.get(end).unwrap_or(end)
    }
}

#[cfg(test)]
mod tests;
