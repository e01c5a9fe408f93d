use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

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

/// Two lanes: `a` has 1 and 3, `b` has 2 and 4.
fn two_lanes() -> Lanes<u32> {
    let mut lanes = Lanes::default();
    for job in 1..=4 {
        lanes.push(&lane(if job % 2 == 1 { "a" } else { "b" }), job);
    }
    lanes
}

fn merge(lanes: &mut Lanes<u32>) -> bool {
    lanes.merge(&lane("a"), &lane("b"), |one, other| one < other)
}

/// Takes and ends everything that is left, in the order in which it comes.
fn drain(lanes: &mut Lanes<u32>) -> Vec<u32> {
    std::iter::from_fn(|| {
        let (lane, job) = lanes.take().map(|(lane, job)| (lane, *job))?;
        assert_eq!(lanes.finish(&lane), Some(job));
        Some(job)
    })
    .collect()
}

#[test]
fn two_lanes_that_become_one_are_sorted_into_each_other() {
    let mut lanes = two_lanes();

    assert!(merge(&mut lanes));

    assert_eq!(lanes.counts().lanes, 1);
    assert_eq!(lanes.peek(), Some(&1));
    assert_eq!(take(&mut lanes), Some(1));
    assert_eq!(take(&mut lanes), None, "one at a time");
    assert_eq!(lanes.finish(&lane("b")), Some(1));
    assert_eq!(drain(&mut lanes), [2, 3, 4]);
    assert!(lanes.is_empty());
}

#[test]
fn a_lane_becomes_one_that_was_empty_or_does_not_exist() {
    let mut lanes = Lanes::default();
    assert!(!merge(&mut lanes));
    lanes.push(&lane("b"), 1);
    assert!(!merge(&mut lanes), "there is nothing to move");
    assert!(!lanes.merge(&lane("b"), &lane("b"), |_, _| true));
    lanes.push(&lane("c"), 2);
    lanes.push(&lane("c"), 3);

    assert!(lanes.merge(&lane("c"), &lane("d"), |one, other| one < other));

    assert_eq!(take(&mut lanes), Some(1));
    assert_eq!(take(&mut lanes), Some(2));
    assert_eq!(take(&mut lanes), None);
    assert_eq!(lanes.finish(&lane("c")), None, "the lane is gone");
    assert_eq!(lanes.finish(&lane("d")), Some(2));
}

#[test]
fn what_runs_in_either_lane_ends_before_anything_of_both_runs() {
    for running in ["a", "b"] {
        let mut lanes = two_lanes();
        while lanes
            .take()
            .map(|(lane, _)| lane)
            .is_some_and(|taken| taken != lane(running))
        {
            let other = lane(if running == "a" { "b" } else { "a" });
            assert!(lanes.sleep(&other, Instant::now()));
        }
        lanes.wake(Instant::now());

        merge(&mut lanes);

        assert_eq!(take(&mut lanes), None, "{running} runs");
        let ended = lanes.finish(&lane("b")).unwrap();
        let left: Vec<_> = (1..=4).filter(|job| *job != ended).collect();
        assert_eq!(drain(&mut lanes), left, "{running} ran");
    }
}

#[test]
fn when_both_lanes_run_both_end_before_anything_of_them_runs() {
    for first in [1, 2] {
        let mut lanes = two_lanes();
        take(&mut lanes);
        take(&mut lanes);

        merge(&mut lanes);

        assert_eq!((lanes.running(), lanes.counts().waiting), (2, 2));
        assert_eq!(lanes.finish_one(&lane("b"), |job| *job == first), Some(first));
        assert_eq!(lanes.finish_one(&lane("b"), |job| *job == first), None);
        assert_eq!(take(&mut lanes), None, "the other one still runs");
        let second = 3 - first;
        assert_eq!(lanes.running_one(&lane("b"), |job| *job == second), Some(&second));
        assert_eq!(lanes.finish(&lane("b")), Some(second));
        assert_eq!(drain(&mut lanes), [3, 4]);
    }
}

#[test]
fn when_both_ran_and_are_to_be_repeated_each_keeps_its_place_and_its_time() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let mut lanes = two_lanes();
    take(&mut lanes);
    take(&mut lanes);
    merge(&mut lanes);

    assert!(lanes.sleep_one(&lane("b"), now + 9 * second, |job| *job == 2));
    assert_eq!(lanes.next_wake(), None, "the other one still runs");
    assert!(lanes.sleep_one(&lane("b"), now + 5 * second, |job| *job == 1));

    assert_eq!(lanes.next_wake(), Some(now + 5 * second));
    lanes.wake(now + 5 * second);
    assert_eq!(drain(&mut lanes), [1]);
    assert_eq!(lanes.next_wake(), Some(now + 9 * second));
    lanes.wake(now + 9 * second);
    assert_eq!(drain(&mut lanes), [2, 3, 4]);
}

#[test]
fn when_both_lanes_sleep_the_first_job_says_until_when() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    for (first, other) in [(5, 9), (9, 5)] {
        let mut lanes = two_lanes();
        take(&mut lanes);
        take(&mut lanes);
        lanes.sleep(&lane("a"), now + first * second);
        lanes.sleep(&lane("b"), now + other * second);

        merge(&mut lanes);

        assert_eq!(lanes.next_wake(), Some(now + first * second));
        lanes.wake(now + first * second - Duration::from_millis(1));
        assert_eq!(take(&mut lanes), None);
        lanes.wake(now + first * second);
        assert_eq!(drain(&mut lanes), [1]);
        lanes.wake(now + 9 * second);
        assert_eq!(drain(&mut lanes), [2, 3, 4]);
    }
}

#[test]
fn a_lane_that_waits_for_its_turn_waits_with_a_sleeping_one_it_joins() {
    let now = Instant::now();
    let mut lanes = two_lanes();
    take(&mut lanes);
    lanes.sleep(&lane("a"), now + Duration::from_secs(5));

    merge(&mut lanes);

    assert_eq!(take(&mut lanes), None);
    lanes.wake(now + Duration::from_secs(5));
    assert_eq!(drain(&mut lanes), [1, 2, 3, 4]);
}

/// As above, with lanes that become one: within a lane the jobs come in order of their tickets, none before its time and
/// none while another runs.
#[test]
fn order_and_exclusion_hold_when_lanes_become_one() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..50 {
        let mut now = Instant::now();
        let mut lanes: Lanes<u32> = Lanes::default();
        // Of each ticket the lane in which it is now, whether it runs, and until when it sleeps.
        let mut jobs: BTreeMap<u32, (u8, bool, Option<Instant>)> = BTreeMap::new();
        let name = |key: u8| lane(&key.to_string());
        for step in 0.. {
            let draining = step > 400;
            match random.u8(0..8) {
                0..=2 if !draining => {
                    let key = random.u8(0..6);
                    lanes.push(&name(key), step);
                    jobs.insert(step, (key, false, None));
                }
                3 | 4 => {
                    let Some((taken, ticket)) = lanes.take().map(|(lane, job)| (lane, *job)) else {
                        continue;
                    };
                    let (key, ..) = jobs[&ticket];
                    assert_eq!(taken, name(key));
                    let (first, (_, _, until)) = jobs.iter().find(|(_, job)| job.0 == key).unwrap();
                    assert_eq!(*first, ticket, "lane {key} out of order");
                    assert!(until.is_none_or(|until| until <= now), "{ticket} ran too early");
                    let busy = jobs.values().any(|(lane, runs, _)| *lane == key && *runs);
                    assert!(!busy, "two jobs of lane {key} ran at once");
                    jobs.insert(ticket, (key, true, None));
                }
                5 => {
                    let running: Vec<_> = jobs
                        .iter()
                        .filter(|(_, job)| job.1)
                        .map(|(ticket, _)| *ticket)
                        .collect();
                    if running.is_empty() {
                        continue;
                    }
                    let ticket = running[random.usize(..running.len())];
                    let (key, ..) = jobs[&ticket];
                    if random.bool() {
                        assert_eq!(lanes.finish_one(&name(key), |job| *job == ticket), Some(ticket));
                        jobs.remove(&ticket);
                    } else {
                        let until = now + Duration::from_secs(random.u64(0..9));
                        assert!(lanes.sleep_one(&name(key), until, |job| *job == ticket));
                        jobs.insert(ticket, (key, false, Some(until)));
                    }
                }
                6 if !draining && random.u8(0..5) == 0 => {
                    let (from, to) = (random.u8(0..6), random.u8(0..6));
                    let any = jobs.values().any(|job| job.0 == from);
                    let merged = lanes.merge(&name(from), &name(to), |one, other| one < other);
                    assert_eq!(merged, any && from != to);
                    for job in jobs.values_mut().filter(|job| job.0 == from) {
                        job.0 = to;
                    }
                }
                _ => {
                    now += Duration::from_secs(1);
                    lanes.wake(now);
                }
            }
            let counts = lanes.counts();
            assert_eq!(counts.running, jobs.values().filter(|job| job.1).count());
            assert_eq!(counts.running + counts.waiting + counts.retrying, jobs.len());
            assert_eq!((lanes.jobs().count(), lanes.len()), (jobs.len(), jobs.len()));
            if draining && lanes.is_empty() {
                break;
            }
            assert!(step < 200_000, "jobs were stranded: {counts:?}");
        }
    }
}
