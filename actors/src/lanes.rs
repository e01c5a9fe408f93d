//! Which delivery may run next: one at a time per lane, lanes take turns. Pure: `now` is an argument.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    time::Instant,
};

use crate::delivery::Lane;

/// Queues of jobs by lane.
///
/// A lane is in one of four states: *ready* (its head may be taken), *running* (its head is out), *asleep* (its head
/// waits for a repetition) or gone (nothing is left in it). Only a ready lane stands in the turn queue, once, so a lane
/// with a long backlog gets one turn per round like every other, and a waiting job occupies nothing but memory.
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
    jobs: VecDeque<J>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Running,
    Asleep((Instant, u64)),
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
    /// Whether its head runs.
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
        self.jobs += 1;
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.jobs.push_back(job);
            return;
        }
        self.lanes.insert(
            lane.clone(),
            LaneQueue {
                jobs: VecDeque::from([job]),
                state: State::Ready,
            },
        );
        self.turns.push_back(lane.clone());
    }

    /// Puts a job at the end of its lane; when it is the head, the lane sleeps until `until`.
    pub fn push_asleep(&mut self, lane: &Lane, job: J, until: Instant) {
        if self.lanes.contains_key(lane) {
            self.push(lane, job);
            return;
        }
        self.sleepers += 1;
        let key = (until, self.sleepers);
        self.jobs += 1;
        self.asleep.insert(key, lane.clone());
        let queue = LaneQueue {
            jobs: VecDeque::from([job]),
            state: State::Asleep(key),
        };
        self.lanes.insert(lane.clone(), queue);
    }

    /// Takes the turn of the next ready lane: its head now runs. The head stays in the lane until
    /// [`finish`](Self::finish).
    pub fn take(&mut self) -> Option<(Lane, &mut J)> {
        let lane = self.turns.pop_front()?;
        let queue = self.lanes.get_mut(&lane)?;
        debug_assert_eq!(
            queue.state,
            State::Ready,
            "only ready lanes stand in the turn queue"
        );
        queue.state = State::Running;
        self.running += 1;
        queue.jobs.front_mut().map(|job| (lane, job))
    }

    /// Returns the running head of a lane.
    pub fn running_head(&mut self, lane: &Lane) -> Option<&mut J> {
        let queue = self.lanes.get_mut(lane)?;
        if queue.state == State::Running {
            queue.jobs.front_mut()
        } else {
            None
        }
    }

    /// Returns the head of a lane, whatever its state.
    pub fn head(&self, lane: &Lane) -> Option<&J> {
        self.lanes.get(lane)?.jobs.front()
    }

    /// Ends the running head of a lane and returns it; the next job of the lane gets in line.
    pub fn finish(&mut self, lane: &Lane) -> Option<J> {
        let queue = self.lanes.get_mut(lane)?;
        if queue.state != State::Running {
            return None;
        }
        let job = queue.jobs.pop_front()?;
        self.running -= 1;
        self.jobs -= 1;
        if queue.jobs.is_empty() {
            self.lanes.remove(lane);
        } else {
            queue.state = State::Ready;
            self.turns.push_back(lane.clone());
        }
        Some(job)
    }

    /// Sends the running head of a lane to sleep until `until`; the lane waits with it. Returns whether it was running.
    pub fn sleep(&mut self, lane: &Lane, until: Instant) -> bool {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return false;
        };
        if queue.state != State::Running {
            return false;
        }
        self.sleepers += 1;
        let key = (until, self.sleepers);
        queue.state = State::Asleep(key);
        self.running -= 1;
        self.asleep.insert(key, lane.clone());
        true
    }

    /// Wakes the lanes whose time has come.
    pub fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.asleep.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let lane = entry.remove();
            if let Some(queue) = self.lanes.get_mut(&lane) {
                queue.state = State::Ready;
                self.turns.push_back(lane);
            }
        }
    }

    /// Returns when the next lane wants to be woken.
    pub fn next_wake(&self) -> Option<Instant> {
        self.asleep.first_key_value().map(|((until, _), _)| *until)
    }

    /// Empties all lanes and returns every job, the head of each lane with `true` when it was running.
    pub fn abandon(&mut self) -> Vec<(J, bool)> {
        let jobs = self
            .lanes
            .drain()
            .flat_map(|(_, queue)| {
                let running = queue.state == State::Running;
                queue
                    .jobs
                    .into_iter()
                    .enumerate()
                    .map(move |(index, job)| (job, running && index == 0))
            })
            .collect();
        *self = Self::default();
        jobs
    }

    /// Returns every job, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = &J> {
        self.lanes.values().flat_map(|queue| queue.jobs.iter())
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
                let state = self.lanes.get(lane)?.state;
                Some(LaneLoad {
                    lane: lane.clone(),
                    jobs,
                    running: state == State::Running,
                    retrying: matches!(state, State::Asleep(_)),
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
mod tests {
    use std::{collections::HashMap, time::Duration};

    use super::*;

    fn lane(key: &str) -> Lane {
        Lane::new(key)
    }

    fn take(lanes: &mut Lanes<u32>) -> Option<u32> {
        lanes.take().map(|(_, job)| *job)
    }

    #[test]
    fn a_lane_gives_one_job_at_a_time_in_order() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("a"), 1);
        lanes.push(&lane("a"), 2);

        assert_eq!(take(&mut lanes), Some(1));
        assert_eq!(take(&mut lanes), None);
        assert_eq!(lanes.finish(&lane("a")), Some(1));
        assert_eq!(take(&mut lanes), Some(2));
    }

    #[test]
    fn lanes_take_turns_whatever_their_backlog() {
        let mut lanes = Lanes::default();
        for job in 0..100 {
            lanes.push(&lane("long"), job);
        }
        lanes.push(&lane("short"), 1000);

        assert_eq!(take(&mut lanes), Some(0));
        lanes.finish(&lane("long"));

        assert_eq!(
            take(&mut lanes),
            Some(1000),
            "the short lane comes before the second job of the long one"
        );
    }

    #[test]
    fn the_longest_lanes_come_first_with_the_state_of_their_heads() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        for (key, jobs) in [("b", 2), ("c", 5), ("a", 2), ("d", 1), ("e", 3)] {
            for job in 0..jobs {
                lanes.push(&lane(key), job);
            }
        }
        take(&mut lanes);
        take(&mut lanes);
        lanes.sleep(&lane("c"), now);

        let longest = lanes.longest(4);

        let seen: Vec<_> = longest
            .iter()
            .map(|load| (load.lane.as_str(), load.jobs, load.running, load.retrying))
            .collect();
        let expected = [
            ("c", 5, false, true),
            ("e", 3, false, false),
            ("a", 2, false, false),
            ("b", 2, true, false),
        ];
        assert_eq!(seen, expected);
        assert_eq!(lanes.longest(0), []);
        assert_eq!(lanes.longest(usize::MAX).len(), 5);
    }

    #[test]
    fn a_sleeping_head_holds_its_lane_and_no_other() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.push(&lane("a"), 1);
        lanes.push(&lane("a"), 2);
        lanes.push(&lane("b"), 3);
        take(&mut lanes);

        assert!(lanes.sleep(&lane("a"), now + Duration::from_secs(5)));

        assert_eq!(take(&mut lanes), Some(3));
        lanes.wake(now + Duration::from_secs(4));
        assert_eq!(take(&mut lanes), None);
        assert_eq!(lanes.next_wake(), Some(now + Duration::from_secs(5)));
        lanes.wake(now + Duration::from_secs(5));
        assert_eq!(
            take(&mut lanes),
            Some(1),
            "the head that slept runs again before those behind it"
        );
        assert_eq!(lanes.next_wake(), None);
    }

    #[test]
    fn a_lane_that_begins_asleep_wakes_like_any_other() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.push_asleep(&lane("a"), 1, now + Duration::from_secs(5));
        lanes.push_asleep(&lane("a"), 2, now);

        lanes.wake(now + Duration::from_secs(4));
        assert_eq!(take(&mut lanes), None, "the second job waits behind the first");
        assert_eq!(
            lanes.counts(),
            LaneCounts {
                lanes: 1,
                running: 0,
                waiting: 1,
                retrying: 1
            }
        );
        lanes.wake(now + Duration::from_secs(5));

        assert_eq!(take(&mut lanes), Some(1));
    }

    #[test]
    fn lanes_that_wake_at_the_same_instant_are_all_woken() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        for key in ["a", "b", "c"] {
            lanes.push(&lane(key), 1);
            take(&mut lanes);
            lanes.sleep(&lane(key), now);
        }

        lanes.wake(now);

        assert_eq!((0..4).filter_map(|_| take(&mut lanes)).count(), 3);
    }

    #[test]
    fn finishing_what_does_not_run_changes_nothing() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("a"), 1);

        assert_eq!(lanes.finish(&lane("a")), None);
        assert_eq!(lanes.finish(&lane("b")), None);
        assert!(!lanes.sleep(&lane("a"), Instant::now()));

        assert_eq!(lanes.len(), 1);
    }

    #[test]
    fn an_empty_lane_is_forgotten() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("a"), 1);
        take(&mut lanes);
        lanes.finish(&lane("a"));

        assert!(lanes.is_empty());
        assert_eq!(lanes.counts(), LaneCounts::default());
    }

    #[test]
    fn abandoning_tells_what_was_running() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("a"), 1);
        lanes.push(&lane("a"), 2);
        take(&mut lanes);

        let mut jobs = lanes.abandon();
        jobs.sort_unstable();

        assert_eq!(jobs, [(1, true), (2, false)]);
        assert!(lanes.is_empty());
        assert_eq!(lanes.running(), 0);
    }

    /// Drives random pushes, turns, finishes, sleeps and wakes, and checks order, exclusion and the counters at each
    /// step against a plain model.
    #[test]
    fn order_and_exclusion_hold_under_any_schedule() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..50 {
            let start = Instant::now();
            let mut now = start;
            let mut lanes: Lanes<(u8, u32)> = Lanes::default();
            let mut pushed: HashMap<u8, u32> = HashMap::new();
            let mut finished: HashMap<u8, u32> = HashMap::new();
            let mut running: Vec<u8> = Vec::new();
            let mut steps = 0;
            loop {
                steps += 1;
                let draining = steps > 400;
                match random.u8(0..6) {
                    0 | 1 if !draining => {
                        let key = random.u8(0..8);
                        let number = pushed.entry(key).or_default();
                        lanes.push(&lane(&key.to_string()), (key, *number));
                        *number += 1;
                    }
                    2 | 3 => {
                        if let Some((key, number)) = lanes.take().map(|(_, job)| *job) {
                            assert!(!running.contains(&key), "two jobs of lane {key} ran at once");
                            assert_eq!(
                                number,
                                *finished.entry(key).or_default(),
                                "lane {key} out of order"
                            );
                            running.push(key);
                        }
                    }
                    4 if !running.is_empty() => {
                        let key = running.swap_remove(random.usize(..running.len()));
                        if random.bool() {
                            assert!(lanes.finish(&lane(&key.to_string())).is_some());
                            *finished.entry(key).or_default() += 1;
                        } else {
                            let until = now + Duration::from_secs(random.u64(0..9));
                            assert!(lanes.sleep(&lane(&key.to_string()), until));
                        }
                    }
                    _ => {
                        now += Duration::from_secs(1);
                        lanes.wake(now);
                    }
                }
                let counts = lanes.counts();
                assert_eq!(counts.running, running.len());
                assert_eq!(counts.running + counts.waiting + counts.retrying, lanes.len());
                assert_eq!(lanes.jobs().count(), lanes.len());
                if draining && lanes.is_empty() {
                    break;
                }
                assert!(steps < 200_000, "jobs were stranded: {counts:?}");
            }
            assert_eq!(
                pushed,
                finished.into_iter().filter(|(_, number)| *number > 0).collect()
            );
        }
    }
}
