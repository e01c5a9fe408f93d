//! One lane is handled strictly in order, one delivery at a time, whatever its handlers do.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{collections::HashMap, time::Duration};

use actogram_actors::{CreditPolicy, Failure, Outcome, RetryPolicy};
use support::{Feed, Log, engine, until, virtual_time};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Started(u64),
    Ended(u64),
}

/// Handlers take random times, fail, panic and overrun; the seed is printed.
#[test]
fn order_holds_under_jitter_failures_and_panics() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    silence_panics();
    for round in 0..20 {
        virtual_time(one_round(seed.wrapping_add(round)));
    }
}

async fn one_round(seed: u64) {
    const LANES: u64 = 9;
    const DELIVERIES: u64 = 400;
    let mut random = fastrand::Rng::with_seed(seed);
    let feed = Feed::new();
    let log = Log::new();
    let lane_of: Vec<u64> = (0..DELIVERIES).map(|_| random.u64(..LANES)).collect();
    let chance = fastrand::Rng::with_seed(seed);
    let (seen, lanes) = (log.clone(), lane_of.clone());
    let engine = engine(&feed, move |delivery| {
        let (seen, lane) = (seen.clone(), lanes[usize::try_from(*delivery.payload).unwrap()]);
        let mut random = chance.clone();
        random.seed(seed ^ *delivery.payload ^ (u64::from(delivery.attempt) << 32));
        async move {
            seen.add((lane, Event::Started(*delivery.payload)));
            tokio::time::sleep(Duration::from_millis(random.u64(..50))).await;
            let fate = if delivery.attempt < 4 { random.u8(..10) } else { 9 };
            if fate == 0 {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            seen.add((lane, Event::Ended(*delivery.payload)));
            match fate {
                1 => panic!("scripted panic"),
                2 => Outcome::Failed(Failure::transient("scripted failure")),
                3 => Outcome::Expired,
                _ => Outcome::Done,
            }
        }
    })
    .credit(CreditPolicy::Window(64))
    .concurrency(6)
    .handler_deadline(Duration::from_secs(30))
    .retry(RetryPolicy::new([1, 1, 1].map(Duration::from_secs)));

    let running = engine.start().await.unwrap();
    for chunk in 0..DELIVERIES / 40 {
        let names: Vec<_> = (0..40).map(|n| chunk * 40 + n).collect();
        let lanes: Vec<String> = names
            .iter()
            .map(|n| format!("lane:{}", lane_of[usize::try_from(*n).unwrap()]))
            .collect();
        feed.offer(lanes.iter().map(String::as_str).zip(names));
    }
    until("all are settled", || feed.settled_count() as u64 == DELIVERIES).await;
    let report = running.shutdown().await.unwrap();

    assert!(report.is_clean(), "{report:?}");
    let mut of_lane: HashMap<u64, Vec<Event>> = HashMap::new();
    for (lane, event) in log.all() {
        of_lane.entry(lane).or_default().push(event);
    }
    for (lane, events) in of_lane {
        let mut expected = (0..DELIVERIES).filter(|n| lane_of[usize::try_from(*n).unwrap()] == lane);
        let mut current = expected.next();
        for event in events {
            let (Event::Started(payload) | Event::Ended(payload)) = event;
            if Some(payload) != current && matches!(event, Event::Started(_)) {
                current = expected.next();
            }
            assert_eq!(Some(payload), current, "lane {lane} ran {event:?} out of order");
        }
        assert_eq!(expected.next(), None, "lane {lane} was not finished");
    }
    // The reports follow the order inside each lane as well.
    let reported = feed.settled();
    assert_eq!(reported.len() as u64, DELIVERIES);
    assert!(feed.most_unfinished() <= 64);
}

fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload().downcast_ref::<&str>().copied().unwrap_or_default();
        if text != "scripted panic" {
            eprintln!("{info}");
        }
    }));
}
