use super::*;

const PATIENT: Duration = Duration::from_secs(60);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn to_chat(id: i64) -> Terms {
    Terms {
        target: Target::Chat(Chat::of_id(id)),
        takes_turns: true,
        pacing: None,
        max_flood_wait: PATIENT,
    }
}

/// A call that names a chat and does not write into it.
fn about_chat(id: i64) -> Terms {
    Terms {
        takes_turns: false,
        ..to_chat(id)
    }
}

fn method(name: &str) -> Terms {
    Terms {
        target: Target::Method(name.to_owned()),
        ..about_chat(0)
    }
}

impl Schedule {
    /// Everything that may go now.
    fn starts(&mut self, now: Instant) -> Vec<Ticket> {
        std::iter::from_fn(|| match self.next(now) {
            Step::Start(ticket) => Some(ticket),
            Step::AskAt(_) | Step::Rest => None,
        })
        .collect()
    }

    fn assert_forgotten(&self) {
        assert!(self.lines.is_empty(), "{:?}", self.lines);
        assert!(self.whereabouts.is_empty() && self.running.is_empty());
        assert!(self.ready.is_empty() && self.paced.is_empty() && self.later.is_empty());
    }
}

fn schedule() -> (Schedule, Instant) {
    (Schedule::new(100, 1_000), Instant::now())
}

#[test]
fn calls_to_one_chat_go_one_at_a_time_in_order_and_others_go_on() {
    let (mut schedule, now) = schedule();
    let first = schedule.enter(to_chat(1), now).unwrap();
    let second = schedule.enter(to_chat(1), now).unwrap();
    let other = schedule.enter(to_chat(2), now).unwrap();

    assert_eq!(schedule.starts(now), [first, other]);
    schedule.leave(other, now);
    assert_eq!(schedule.starts(now), []);
    schedule.leave(first, now);
    assert_eq!(schedule.starts(now), [second]);
}

#[test]
fn reading_about_a_chat_and_calls_without_one_wait_for_nobody() {
    let (mut schedule, now) = schedule();
    let writing = schedule.enter(to_chat(1), now).unwrap();
    let tickets: Vec<_> = [about_chat(1), about_chat(1), method("getMe"), method("getMe")]
        .into_iter()
        .map(|terms| schedule.enter(terms, now).unwrap())
        .collect();

    let started = schedule.starts(now);

    assert_eq!(started[0], writing);
    assert_eq!(started[1..], tickets);
}

#[test]
fn the_oldest_that_may_go_gets_the_next_connection() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, 1_000);
    let tickets: Vec<_> = [to_chat(2), method("getMe"), to_chat(1), to_chat(2)]
        .into_iter()
        .map(|terms| schedule.enter(terms, now).unwrap())
        .collect();

    for ticket in tickets {
        assert_eq!(schedule.starts(now), [ticket]);
        schedule.leave(ticket, now);
    }
}

#[test]
fn a_flooded_call_goes_first_after_the_wait() {
    let (mut schedule, now) = schedule();
    let first = schedule.enter(to_chat(1), now).unwrap();
    let second = schedule.enter(to_chat(1), now).unwrap();
    schedule.starts(now);

    assert_eq!(schedule.flooded(first, seconds(10), now), []);

    assert_eq!(schedule.next(now), Step::AskAt(now + seconds(10)));
    assert_eq!(schedule.starts(now + seconds(10)), [first]);
    schedule.leave(first, now + seconds(10));
    assert_eq!(schedule.starts(now + seconds(10)), [second]);
}

#[test]
fn one_flooded_chat_delays_no_other() {
    let (mut schedule, now) = schedule();
    let flooded = schedule.enter(to_chat(0), now).unwrap();
    schedule.starts(now);
    schedule.flooded(flooded, seconds(50), now);

    let others: Vec<_> = (1..=100)
        .map(|id| schedule.enter(to_chat(id), now).unwrap())
        .collect();

    assert_eq!(schedule.starts(now), others);
}

#[test]
fn a_flooded_chat_holds_reading_about_it_as_well() {
    let (mut schedule, now) = schedule();
    let flooded = schedule.enter(to_chat(1), now).unwrap();
    schedule.starts(now);
    schedule.flooded(flooded, seconds(5), now);

    let reading = schedule.enter(about_chat(1), now).unwrap();

    assert_eq!(schedule.starts(now), []);
    assert_eq!(schedule.starts(now + seconds(5)), [flooded, reading]);
}

#[test]
fn a_flooded_bot_holds_everything_until_its_wait_has_passed() {
    let (mut schedule, now) = schedule();
    let flooded = schedule.enter(method("getMe"), now).unwrap();
    schedule.starts(now);
    schedule.flooded(flooded, seconds(5), now);

    let waiting = schedule.enter(to_chat(1), now).unwrap();

    assert_eq!(schedule.next(now), Step::AskAt(now + seconds(5)));
    assert_eq!(schedule.census(now).bot_held_until, Some(now + seconds(5)));
    assert_eq!(schedule.starts(now + seconds(5)), [flooded, waiting]);
}

#[test]
fn a_call_that_would_wait_too_long_is_refused_at_once() {
    let (mut schedule, now) = schedule();
    let flooded = schedule.enter(to_chat(1), now).unwrap();
    schedule.starts(now);

    assert_eq!(
        schedule.flooded(flooded, seconds(61), now),
        [(flooded, seconds(61))]
    );

    assert_eq!(schedule.enter(to_chat(1), now), Err(Refusal::Flood(seconds(61))));
    assert!(schedule.enter(to_chat(1), now + seconds(1)).is_ok());
}

#[test]
fn calls_that_wait_already_leave_when_a_wait_becomes_too_long_for_them() {
    let (mut schedule, now) = schedule();
    let flooded = schedule.enter(to_chat(1), now).unwrap();
    let behind = schedule.enter(to_chat(1), now).unwrap();
    let impatient = Terms {
        max_flood_wait: seconds(5),
        ..to_chat(1)
    };
    let impatient = schedule.enter(impatient, now).unwrap();
    schedule.starts(now);

    assert_eq!(
        schedule.flooded(flooded, seconds(6), now),
        [(impatient, seconds(6))]
    );

    let later = now + seconds(6);
    assert_eq!(schedule.starts(later), [flooded]);
    schedule.leave(flooded, later);
    assert_eq!(schedule.starts(later), [behind]);
}

#[test]
fn waits_for_flood_control_add_up_without_counting_twice() {
    let (mut schedule, now) = schedule();
    let first = schedule.enter(to_chat(1), now).unwrap();
    let behind = schedule.enter(to_chat(1), now).unwrap();

    assert_eq!(schedule.starts(now), [first]);
    assert_eq!(schedule.flooded(first, seconds(30), now), []);
    let later = now + seconds(30);
    assert_eq!(schedule.starts(later), [first]);
    assert_eq!(schedule.flooded(first, seconds(30), later), []);
    let last = later + seconds(30);
    assert_eq!(schedule.starts(last), [first]);

    assert_eq!(
        schedule.flooded(first, seconds(1), last),
        [(first, seconds(1)), (behind, seconds(1))]
    );
    schedule.assert_forgotten();
}

#[test]
fn a_caller_who_goes_away_frees_its_place_at_once() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, 2);
    let tickets: Vec<_> = (0..2).map(|_| schedule.enter(to_chat(1), now).unwrap()).collect();
    assert_eq!(schedule.enter(to_chat(1), now), Err(Refusal::LineFull));

    schedule.leave(tickets[0], now);
    let third = schedule.enter(to_chat(1), now).unwrap();

    assert_eq!(schedule.starts(now), [tickets[1]]);
    schedule.leave(tickets[1], now);
    assert_eq!(schedule.starts(now), [third]);
    schedule.leave(third, now);
    schedule.leave(third, now);
    schedule.assert_forgotten();
}

#[test]
fn a_full_line_is_full_for_its_chat_only() {
    let now = Instant::now();
    let mut schedule = Schedule::new(100, 3);
    for _ in 0..3 {
        schedule.enter(to_chat(1), now).unwrap();
    }

    assert_eq!(schedule.enter(to_chat(1), now), Err(Refusal::LineFull));
    schedule.enter(to_chat(2), now).unwrap();
    assert_eq!(schedule.starts(now).len(), 2);
    schedule.enter(to_chat(1), now).unwrap();
}

#[test]
fn a_paced_call_waits_for_its_budget_and_the_others_do_not() {
    let (mut schedule, now) = schedule();
    let paced = |id| Terms {
        pacing: Some(Pacing::bulk().per_second(2)),
        ..to_chat(id)
    };
    let bulk: Vec<_> = (1..=4)
        .map(|id| schedule.enter(paced(id), now).unwrap())
        .collect();

    assert_eq!(schedule.starts(now), bulk[..2]);
    let reply = schedule.enter(to_chat(9), now).unwrap();
    assert_eq!(schedule.starts(now), [reply]);
    assert_eq!(schedule.next(now), Step::AskAt(now + Duration::from_millis(500)));
    assert_eq!(schedule.starts(now + Duration::from_millis(500)), [bulk[2]]);
    let reply = schedule
        .enter(to_chat(10), now + Duration::from_millis(999))
        .unwrap();
    assert_eq!(schedule.starts(now + Duration::from_millis(999)), [reply]);
    assert_eq!(schedule.starts(now + seconds(1)), [], "the reply took the token");
}

#[test]
fn a_paced_chat_waits_alone() {
    let (mut schedule, now) = schedule();
    let paced = |id| Terms {
        pacing: Some(Pacing::bulk().chat_burst(1)),
        ..to_chat(id)
    };
    let first = schedule.enter(paced(1), now).unwrap();
    let second = schedule.enter(paced(1), now).unwrap();
    let other = schedule.enter(paced(2), now).unwrap();

    assert_eq!(schedule.starts(now), [first, other]);
    schedule.leave(first, now);
    assert_eq!(schedule.next(now), Step::AskAt(now + seconds(1)));
    assert_eq!(schedule.starts(now + seconds(1)), [second]);
}

#[test]
fn nothing_is_remembered_of_chats_that_are_idle() {
    let (mut schedule, now) = schedule();
    let pacing = Some(Pacing::bulk());
    let tickets: Vec<_> = (0..10)
        .map(|id| {
            schedule
                .enter(
                    Terms {
                        pacing,
                        ..to_chat(id)
                    },
                    now,
                )
                .unwrap()
        })
        .collect();
    assert_eq!(schedule.starts(now), tickets);

    for ticket in tickets {
        schedule.leave(ticket, now);
    }

    schedule.assert_forgotten();
    let Step::AskAt(full) = schedule.next(now) else {
        panic!("the budgets are still in use")
    };
    assert_eq!(schedule.next(full), Step::Rest);
    assert!(schedule.pacers.is_empty());
}

#[test]
fn the_census_counts_what_waits_runs_and_is_held() {
    let now = Instant::now();
    let mut schedule = Schedule::new(2, 1_000);
    let flooded = schedule.enter(to_chat(1), now).unwrap();
    for id in [1, 1, 2, 3, 4] {
        schedule.enter(to_chat(id), now).unwrap();
    }
    schedule.starts(now);
    schedule.flooded(flooded, seconds(5), now);
    schedule.starts(now);

    let expected = Census {
        waiting: 4,
        running: 2,
        longest_line: 3,
        held_chats: 1,
        bot_held_until: None,
    };
    assert_eq!(schedule.census(now), expected);
    assert_eq!(schedule.census(now + seconds(5)).held_chats, 0);
}

/// Plays random calls, answers, waits and callers who go away, and checks the promises after each step.
#[test]
fn random_histories_keep_order_bounds_and_waits_and_end_empty() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        random_history(&mut random);
    }
}

fn random_history(random: &mut fastrand::Rng) {
    let connections = random.usize(1..6);
    let mut now = Instant::now();
    let mut schedule = Schedule::new(connections, 20);
    let mut waiting: BTreeMap<Ticket, LineKey> = BTreeMap::new();
    let mut running: BTreeMap<Ticket, LineKey> = BTreeMap::new();
    let mut held: HashMap<Target, Instant> = HashMap::new();
    let chat_of = |ticket: &Ticket, all: &BTreeMap<Ticket, LineKey>| all.get(ticket).cloned();
    let mut left_to_make = 300;
    loop {
        match random.u8(..) {
            0..90 if left_to_make > 0 => {
                left_to_make -= 1;
                let id = random.i64(-2..4);
                let mut terms = match random.u8(0..10) {
                    0 => method("getMe"),
                    1..3 => about_chat(id),
                    _ => to_chat(id),
                };
                terms.pacing = (random.u8(0..4) == 0).then(|| Pacing::bulk().per_second(5).chat_burst(2));
                let key = LineKey {
                    target: terms.target.clone(),
                    takes_turns: terms.takes_turns,
                };
                if let Ok(ticket) = schedule.enter(terms, now) {
                    waiting.insert(ticket, key);
                }
            }
            90..150 => {
                if let Some(&ticket) = random.choice(running.keys().collect::<Vec<_>>()) {
                    let key = chat_of(&ticket, &running).unwrap();
                    running.remove(&ticket);
                    if random.u8(0..5) == 0 {
                        let wait = seconds(random.u64(1..30));
                        let until = held.entry(key.target.clone()).or_insert(now);
                        *until = (*until).max(now + wait);
                        waiting.insert(ticket, key);
                        for (gone, remaining) in schedule.flooded(ticket, wait, now) {
                            assert!(remaining > Duration::ZERO);
                            waiting.remove(&gone).expect("only those that wait are sent away");
                        }
                    } else {
                        schedule.leave(ticket, now);
                    }
                }
            }
            150..170 => {
                if let Some(&ticket) = random.choice(waiting.keys().collect::<Vec<_>>()) {
                    waiting.remove(&ticket);
                    schedule.leave(ticket, now);
                }
            }
            170..200 => now += Duration::from_millis(random.u64(1..3_000)),
            _ => {}
        }
        loop {
            match schedule.next(now) {
                Step::Start(ticket) => {
                    let key = waiting.remove(&ticket).expect("a call that waits");
                    let hold = held.get(&key.target).filter(|until| **until > now);
                    assert_eq!(hold, None, "{key:?} goes before its wait is over");
                    if key.takes_turns {
                        let earlier = waiting
                            .iter()
                            .find(|(other, line)| **line == key && **other < ticket);
                        assert_eq!(earlier, None, "{ticket:?} goes before");
                        assert!(!running.values().any(|line| *line == key), "{key:?} runs already");
                    }
                    running.insert(ticket, key);
                    assert!(running.len() <= connections);
                }
                Step::AskAt(at) => {
                    assert!(at > now, "asks for the past");
                    if left_to_make == 0 && running.is_empty() {
                        now = at;
                    } else {
                        break;
                    }
                }
                Step::Rest => {
                    assert!(
                        waiting.is_empty() || !running.is_empty(),
                        "{waiting:?} wait for ever"
                    );
                    break;
                }
            }
        }
        let census = schedule.census(now);
        assert_eq!((census.waiting, census.running), (waiting.len(), running.len()));
        if left_to_make == 0 && waiting.is_empty() && running.is_empty() {
            break;
        }
    }
    schedule.assert_forgotten();
}
