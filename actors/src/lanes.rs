//! Which delivery may run next: one at a time per lane, lanes take turns. Pure: `now` is an argument.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    time::Instant,
};

use crate::delivery::Lane;

/// Queues of jobs by lane.
///
/// A lane is in one of four states: *ready* (its head may be taken), *running* (a job of it is out), *asleep* (its head
/// waits for a repetition) or gone (nothing is left in it). Only a ready lane stands in the turn queue, once, so a lane
/// with a long backlog gets one turn per round like every other, and a waiting job occupies nothing but memory.
///
/// At most one job of a lane runs, with one exception: when two lanes [become one](Self::merge) and each has a running
/// job, both go on, and nothing else of the lane runs before both have ended.
///
/// ```
/// use actogram_actors::{Lane, Lanes};
///
/// let (ann, bob) = (Lane::new("ann"), Lane::new("bob"));
/// let mut lanes = Lanes::default();
/// lanes.push(&ann, "first");
/// lanes.push(&ann, "second");
/// lanes.push(&bob, "other");
///
/// assert_eq!(lanes.take().map(|(_, job)| *job), Some("first"));
/// assert_eq!(lanes.take().map(|(_, job)| *job), Some("other"));
/// assert!(lanes.take().is_none(), "ann's second job waits for her first");
/// lanes.finish(&ann);
/// assert_eq!(lanes.take().map(|(_, job)| *job), Some("second"));
/// ```
#[derive(Debug)]
pub struct Lanes<J> {
    lanes: HashMap<Lane, LaneQueue<J>>,
    turns: VecDeque<Lane>,
    asleep: BTreeMap<(Instant, u64), Lane>,
    sleepers: u64,
    running: usize,
    jobs: usize,
}

#[derive(Debug)]
struct LaneQueue<J> {
    jobs: VecDeque<Entry<J>>,
    running: usize,
    stand: Stand,
}

#[derive(Debug)]
struct Entry<J> {
    job: J,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    /// Waits for this time once it is the head.
    Until(Instant),
}

/// Where a lane stands: while a job of it runs nowhere, else where its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Nowhere,
    Turns,
    Asleep((Instant, u64)),
}

impl<J> Default for LaneQueue<J> {
    fn default() -> Self {
        Self {
            jobs: VecDeque::new(),
            running: 0,
            stand: Stand::Nowhere,
        }
    }
}

impl<J> LaneQueue<J> {
    /// Returns the place of the first running job that `is` chooses.
    fn running(&self, is: impl Fn(&J) -> bool) -> Option<usize> {
        let chosen = |entry: &Entry<J>| entry.phase == Phase::Running && is(&entry.job);
        self.jobs.iter().position(chosen)
    }
}

/// How many lanes and jobs there are, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneCounts {
    /// Lanes with at least one job.
    pub lanes: usize,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// Jobs that sleep until their repetition.
    pub retrying: usize,
}

/// A lane and how long its queue is, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneLoad {
    /// The lane.
    pub lane: Lane,
    /// Jobs in it, its head included.
    pub jobs: usize,
    /// Whether a job of it runs.
    pub running: bool,
    /// Whether its head sleeps until its repetition.
    pub retrying: bool,
}

impl<J> Default for Lanes<J> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            asleep: BTreeMap::new(),
            sleepers: 0,
            running: 0,
            jobs: 0,
        }
    }
}

impl<J> Lanes<J> {
    /// Puts a job at the end of its lane.
    pub fn push(&mut self, lane: &Lane, job: J) {
        self.push_entry(lane, job, Phase::Waiting);
    }

    /// Puts a job at the end of its lane; once it is the head, the lane sleeps until `until`.
    pub fn push_asleep(&mut self, lane: &Lane, job: J, until: Instant) {
        self.push_entry(lane, job, Phase::Until(until));
    }

    fn push_entry(&mut self, lane: &Lane, job: J, phase: Phase) {
        self.jobs += 1;
        let entry = Entry { job, phase };
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.jobs.push_back(entry);
            return;
        }
        let queue = LaneQueue {
            jobs: VecDeque::from([entry]),
            ..LaneQueue::default()
        };
        self.lanes.insert(lane.clone(), queue);
        self.line_up(lane);
    }

    /// Makes two lanes one: everything of `from` moves into `to`, sorted in among what is there by `before`, which says
    /// whether its first argument comes first. Both lanes have to be in that order. What is running goes on, what
    /// sleeps keeps its time. Returns whether there was anything to move.
    pub fn merge(&mut self, from: &Lane, to: &Lane, before: impl Fn(&J, &J) -> bool) -> bool {
        if from == to {
            return false;
        }
        let Some(moved) = self.lanes.remove(from) else {
            return false;
        };
        self.step_out(from, moved.stand);
        let mut queue = self.lanes.remove(to).unwrap_or_default();
        self.step_out(to, queue.stand);
        let mut jobs = VecDeque::with_capacity(queue.jobs.len() + moved.jobs.len());
        for entry in moved.jobs {
            while queue
                .jobs
                .front()
                .is_some_and(|other| before(&other.job, &entry.job))
            {
                jobs.extend(queue.jobs.pop_front());
            }
            jobs.push_back(entry);
        }
        jobs.append(&mut queue.jobs);
        let queue = LaneQueue {
            jobs,
            running: queue.running + moved.running,
            stand: Stand::Nowhere,
        };
        self.lanes.insert(to.clone(), queue);
        self.line_up(to);
        true
    }

    /// Puts a lane that stands nowhere where it belongs, or forgets it when it is empty.
    fn line_up(&mut self, lane: &Lane) {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return;
        };
        if queue.running > 0 {
            return;
        }
        match queue.jobs.front().map(|entry| entry.phase) {
            None => {
                self.lanes.remove(lane);
            }
            Some(Phase::Until(until)) => {
                self.sleepers += 1;
                let key = (until, self.sleepers);
                queue.stand = Stand::Asleep(key);
                self.asleep.insert(key, lane.clone());
            }
            Some(Phase::Waiting | Phase::Running) => {
                queue.stand = Stand::Turns;
                self.turns.push_back(lane.clone());
            }
        }
    }

    /// Takes a lane away from where it stands.
    fn step_out(&mut self, lane: &Lane, stand: Stand) {
        match stand {
            Stand::Nowhere => {}
            Stand::Turns => self.turns.retain(|other| other != lane),
            Stand::Asleep(key) => {
                self.asleep.remove(&key);
            }
        }
    }

    /// Returns the job that [`take`](Self::take) would give out.
    pub fn peek(&self) -> Option<&J> {
        let queue = self.lanes.get(self.turns.front()?)?;
        queue.jobs.front().map(|entry| &entry.job)
    }

    /// Takes the turn of the next ready lane: its head now runs. The head stays in the lane until
    /// [`finish`](Self::finish).
    pub fn take(&mut self) -> Option<(Lane, &mut J)> {
        let lane = self.turns.pop_front()?;
        let queue = self.lanes.get_mut(&lane)?;
        debug_assert_eq!(
            (queue.stand, queue.running),
            (Stand::Turns, 0),
            "only ready lanes stand in the turn queue"
        );
        let entry = queue.jobs.front_mut()?;
        entry.phase = Phase::Running;
        queue.stand = Stand::Nowhere;
        queue.running = 1;
        self.running += 1;
        Some((lane, &mut entry.job))
    }

    /// Returns the running job of a lane, the first one if there are two.
    pub fn running_head(&mut self, lane: &Lane) -> Option<&mut J> {
        self.running_one_mut(lane, |_| true)
    }

    /// Returns the running job of a lane that `is` chooses.
    pub fn running_one(&self, lane: &Lane, is: impl Fn(&J) -> bool) -> Option<&J> {
        let queue = self.lanes.get(lane)?;
        let place = queue.running(is)?;
        queue.jobs.get(place).map(|entry| &entry.job)
    }

    /// As [`running_one`](Self::running_one), to change it.
    pub fn running_one_mut(&mut self, lane: &Lane, is: impl Fn(&J) -> bool) -> Option<&mut J> {
        let queue = self.lanes.get_mut(lane)?;
        let place = queue.running(is)?;
        queue.jobs.get_mut(place).map(|entry| &mut entry.job)
    }

    /// Ends the running job of a lane, the first one if there are two, and returns it; the next job of the lane gets in
    /// line.
    pub fn finish(&mut self, lane: &Lane) -> Option<J> {
        self.finish_one(lane, |_| true)
    }

    /// Ends the running job of a lane that `is` chooses and returns it.
    pub fn finish_one(&mut self, lane: &Lane, is: impl Fn(&J) -> bool) -> Option<J> {
        let queue = self.lanes.get_mut(lane)?;
        let place = queue.running(is)?;
        let entry = queue.jobs.remove(place)?;
        queue.running -= 1;
        self.running -= 1;
        self.jobs -= 1;
        self.line_up(lane);
        Some(entry.job)
    }

    /// Sends the running job of a lane to sleep until `until`; the lane waits with it. Returns whether one was running.
    pub fn sleep(&mut self, lane: &Lane, until: Instant) -> bool {
        self.sleep_one(lane, until, |_| true)
    }

    /// As [`sleep`](Self::sleep), for the running job that `is` chooses. It keeps its place: what comes before it in a
    /// lane that was [merged](Self::merge) runs first.
    pub fn sleep_one(&mut self, lane: &Lane, until: Instant, is: impl Fn(&J) -> bool) -> bool {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return false;
        };
        let Some(entry) = queue.running(is).and_then(|place| queue.jobs.get_mut(place)) else {
            return false;
        };
        entry.phase = Phase::Until(until);
        queue.running -= 1;
        self.running -= 1;
        self.line_up(lane);
        true
    }

    /// Wakes the lanes whose time has come.
    pub fn wake(&mut self, now: Instant) {
        while let Some(sleeper) = self.asleep.first_entry() {
            if sleeper.key().0 > now {
                return;
            }
            let lane = sleeper.remove();
            if let Some(entry) = self.lanes.get_mut(&lane).and_then(|queue| queue.jobs.front_mut()) {
                entry.phase = Phase::Waiting;
                self.line_up(&lane);
            }
        }
    }

    /// Returns when the next lane wants to be woken.
    pub fn next_wake(&self) -> Option<Instant> {
        self.asleep.first_key_value().map(|((until, _), _)| *until)
    }

    /// Empties all lanes and returns every job, with `true` when it was running.
    pub fn abandon(&mut self) -> Vec<(J, bool)> {
        let jobs = self
            .lanes
            .drain()
            .flat_map(|(_, queue)| queue.jobs)
            .map(|entry| (entry.job, entry.phase == Phase::Running))
            .collect();
        *self = Self::default();
        jobs
    }

    /// Returns every job, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = &J> {
        self.lanes
            .values()
            .flat_map(|queue| queue.jobs.iter().map(|entry| &entry.job))
    }

    /// Returns how many jobs there are in all.
    pub fn len(&self) -> usize {
        self.jobs
    }

    /// Returns whether there is no job at all.
    pub fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    /// Returns how many jobs are running.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns the lanes with the most jobs, at most `limit`, longest first; of equally long ones the one whose key sorts
    /// first. Looks at every lane.
    pub fn longest(&self, limit: usize) -> Vec<LaneLoad> {
        // The top of the heap is the lane that gives way first.
        let mut heap = BinaryHeap::with_capacity(limit.saturating_add(1).min(self.lanes.len() + 1));
        for (lane, queue) in &self.lanes {
            heap.push((Reverse(queue.jobs.len()), lane));
            if heap.len() > limit {
                heap.pop();
            }
        }
        heap.into_sorted_vec()
            .into_iter()
            .filter_map(|(Reverse(jobs), lane)| {
                let queue = self.lanes.get(lane)?;
                Some(LaneLoad {
                    lane: lane.clone(),
                    jobs,
                    running: queue.running > 0,
                    retrying: matches!(queue.stand, Stand::Asleep(_)),
                })
            })
            .collect()
    }

    /// Returns the numbers for a snapshot.
    pub fn counts(&self) -> LaneCounts {
        LaneCounts {
            lanes: self.lanes.len(),
            running: self.running,
            waiting: self.jobs - self.running - self.asleep.len(),
            retrying: self.asleep.len(),
        }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
