use super::*;

fn lane(chat: usize) -> Lane {
    Lane::new(format!("chat:-{chat}"))
}

/// The engine: what it has, by lane, in the order in which it got it. The heads run.
#[derive(Default)]
struct Engine {
    lanes: JoinedLanes<u32>,
    has: HashMap<Lane, VecDeque<u32>>,
}

impl Engine {
    fn enter(&mut self, chat: usize, job: u32) {
        let given = self.lanes.enter(&lane(chat), job);
        self.take(given);
    }

    fn join(&mut self, from: usize, to: usize) {
        self.lanes.join(&lane(from), &lane(to));
    }

    fn take(&mut self, given: impl IntoIterator<Item = (Lane, u32)>) {
        for (lane, job) in given {
            self.has.entry(lane).or_default().push_back(job);
        }
    }

    /// Ends a job that runs.
    fn end(&mut self, job: u32) {
        let found = self.has.iter_mut().find(|(_, jobs)| jobs.front() == Some(&job));
        let (lane, jobs) = found.expect("it runs");
        jobs.pop_front();
        let lane = lane.clone();
        let given = self.lanes.leave(&lane);
        self.take(given);
    }

    fn running(&self) -> Vec<u32> {
        let mut heads: Vec<_> = self
            .has
            .values()
            .filter_map(|jobs| jobs.front().copied())
            .collect();
        heads.sort_unstable();
        heads
    }

    fn is_empty(&self) -> bool {
        self.lanes.in_hand.is_empty() && self.lanes.elsewhere.is_empty()
    }
}

#[test]
fn what_comes_after_a_move_follows_what_is_in_hand_of_the_old_lane() {
    let mut engine = Engine::default();
    engine.enter(1, 1);
    engine.enter(1, 2);

    engine.join(1, 2);
    engine.enter(2, 3);
    engine.enter(1, 4);

    for job in 1..=4 {
        assert_eq!(engine.running(), [job]);
        engine.end(job);
    }
    assert!(engine.is_empty());
}

#[test]
fn what_comes_after_a_move_follows_what_is_in_hand_of_the_new_lane() {
    let mut engine = Engine::default();
    engine.enter(2, 1);

    engine.join(1, 2);
    engine.enter(1, 2);

    assert_eq!(engine.running(), [1]);
    engine.end(1);
    assert_eq!(engine.running(), [2]);
}

#[test]
fn what_comes_after_a_move_is_held_while_there_is_something_in_hand_of_both_lanes() {
    for first in [1, 2] {
        let mut engine = Engine::default();
        engine.enter(1, 1);
        engine.enter(2, 2);
        engine.join(1, 2);
        engine.enter(2, 3);
        engine.enter(1, 4);
        assert_eq!(engine.running(), [1, 2]);

        engine.end(first);
        assert_eq!(engine.running(), [3 - first], "the other one is still there");
        engine.end(3 - first);

        assert_eq!(engine.running(), [3]);
        engine.end(3);
        engine.end(4);
        assert!(engine.is_empty());
    }
}

#[test]
fn a_lane_in_which_nothing_is_in_hand_goes_on_under_its_new_name() {
    let mut lanes = JoinedLanes::default();
    lanes.join(&lane(1), &lane(2));

    assert_eq!(lanes.enter(&lane(1), ()), Some((lane(2), ())));
}

#[test]
fn a_move_that_is_told_again_changes_nothing() {
    let mut engine = Engine::default();
    engine.enter(1, 1);
    engine.join(1, 2);
    engine.enter(2, 2);

    engine.join(1, 2);
    engine.join(2, 1);
    engine.enter(1, 3);

    for job in 1..=3 {
        assert_eq!(engine.running(), [job]);
        engine.end(job);
    }
    assert!(engine.is_empty());
}

#[test]
fn what_is_held_in_two_lanes_of_a_chain_is_given_in_the_order_of_arrival() {
    let mut engine = Engine::default();
    for (chat, job) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        engine.enter(chat, job);
    }
    engine.join(1, 2);
    engine.join(3, 4);
    for (chat, job) in [(4, 5), (2, 6), (3, 7), (1, 8)] {
        engine.enter(chat, job);
    }

    engine.join(2, 4);
    for job in 1..=4 {
        engine.end(job);
    }

    for job in 5..=8 {
        assert_eq!(engine.running(), [job]);
        engine.end(job);
    }
    assert!(engine.is_empty());
}

#[test]
fn lanes_that_were_not_moved_stay_apart() {
    let mut engine = Engine::default();
    engine.join(1, 2);
    for (chat, job) in [(1, 1), (3, 2), (4, 3)] {
        engine.enter(chat, job);
    }

    assert_eq!(engine.running(), [1, 2, 3]);
}

#[test]
fn nothing_is_held_for_ever_however_many_moves_are_forgotten() {
    let mut random = seeded();
    for _ in 0..300 {
        let mut engine = Engine::default();
        engine.lanes.moved = MovedLanes::remembering(random.usize(1..3));
        let mut in_hand = Vec::new();
        for job in 0..60 {
            let (chat, other) = (random.usize(0..5), random.usize(0..5));
            match random.u8(0..10) {
                0..=2 if chat != other => engine.join(chat, other),
                3..=6 => {
                    in_hand.push((job, chat));
                    engine.enter(chat, job);
                }
                _ => end_one(&mut engine, &mut in_hand, &mut random),
            }
        }
        while !in_hand.is_empty() {
            end_one(&mut engine, &mut in_hand, &mut random);
        }
        assert!(engine.is_empty());
    }
}

/// What arrives in a chat waits for all that is in hand of it under any of its ids.
#[test]
fn nothing_begins_before_what_was_in_hand_of_its_chat_has_ended() {
    const CHATS: usize = 5;
    let mut random = seeded();
    for _ in 0..300 {
        let mut engine = Engine::default();
        let mut leads_to = [None; CHATS];
        let mut in_hand: Vec<(u32, usize)> = Vec::new();
        // What each job has to wait for.
        let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
        let end_of = |leads_to: &[Option<usize>; CHATS], mut chat: usize| {
            while let Some(next) = leads_to[chat] {
                chat = next;
            }
            chat
        };
        for job in 0..60 {
            match random.u8(0..10) {
                0 => {
                    let from = random.usize(0..CHATS - 1);
                    let to = random.usize(from + 1..CHATS);
                    leads_to[from].get_or_insert(to);
                    engine.join(from, to);
                }
                1..=5 => {
                    let chat = random.usize(0..CHATS);
                    let end = end_of(&leads_to, chat);
                    let of_chat = in_hand
                        .iter()
                        .filter(|(_, other)| end_of(&leads_to, *other) == end);
                    before.insert(job, of_chat.map(|(job, _)| *job).collect());
                    in_hand.push((job, chat));
                    engine.enter(chat, job);
                }
                _ => end_one(&mut engine, &mut in_hand, &mut random),
            }
            for running in engine.running() {
                let waits_for = before[&running].iter();
                let left: Vec<_> = waits_for
                    .filter(|job| in_hand.iter().any(|(other, _)| other == *job))
                    .collect();
                assert!(left.is_empty(), "{running} runs before {left:?} have ended");
            }
        }
        while !in_hand.is_empty() {
            end_one(&mut engine, &mut in_hand, &mut random);
        }
        assert!(engine.is_empty());
    }
}

fn seeded() -> fastrand::Rng {
    let seed: u64 =
        std::env::var("ACTOGRAM_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

fn end_one(engine: &mut Engine, in_hand: &mut Vec<(u32, usize)>, random: &mut fastrand::Rng) {
    if let Some(job) = random.choice(engine.running()) {
        engine.end(job);
        in_hand.retain(|(other, _)| *other != job);
    } else {
        assert!(in_hand.is_empty(), "{in_hand:?} are stuck");
    }
}
