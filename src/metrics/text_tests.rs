//! The text that Prometheus reads, whole, with a number of its own for everything.

use std::time::{Duration, SystemTime};

use actogram_actors::Snapshot;

use super::*;
use crate::{
    JournalStats,
    api::{ApiStats, CallCounts},
    handle::BotSnapshot,
    metrics::{JournalVitals, Stage},
    source::PollingCounts,
    timings::{Stopwatch, Timings},
    webhook::WebhookCounts,
};

/// What the text has to be, without the lines for people.
const GOLDEN: &str = include_str!("golden.txt");

fn timings(millis: &[u64]) -> Timings {
    let stopwatch = Stopwatch::default();
    for millis in millis {
        stopwatch.record(Duration::from_millis(*millis));
    }
    stopwatch.read()
}

fn engine() -> Snapshot {
    let mut engine = Snapshot::default();
    engine.running = 101;
    engine.waiting = 102;
    engine.retrying = 103;
    engine.lanes = 104;
    engine.oldest_age = Some(Duration::from_secs(105));
    engine.workers_silent = Duration::from_millis(106_500);
    engine.totals.done = 111;
    engine.totals.expired = 112;
    engine.totals.dead = 113;
    engine.totals.retried = 114;
    engine.totals.panicked = 115;
    engine.totals.overdue = 116;
    engine.polling.fetches = 121;
    engine.polling.failures = 122;
    engine.polling.last_success_age = Some(Duration::from_secs(123));
    engine.polling.trying_for = Some(Duration::from_secs(124));
    engine
}

fn snapshot(bot_id: u64) -> BotSnapshot {
    BotSnapshot {
        bot_id,
        engine: engine(),
        polling: PollingCounts {
            received: 131,
            conflicts: 132,
            flood_waits: 133,
            reconnects: 134,
            id_jumps: 135,
            unreadable: 136,
        },
        unrouted: 137,
        webhook: None,
        calls: CallCounts {
            sent: 141,
            refused: 142,
            flooded: 143,
            not_sent: 144,
            unknown: 145,
            invalid: 146,
            cancelled: 147,
            flood_waits: 148,
        },
        lines: Some(ApiStats {
            waiting: 151,
            running: 152,
            longest_line: 153,
            held_chats: 154,
            bot_held_for: None,
        }),
        attempts: timings(&[1, 2, 2, 700, 400_000]),
    }
}

fn journal(at: SystemTime) -> JournalStats {
    JournalStats {
        unfinished: 1_000,
        unfinished_bytes: 162,
        running: 163,
        waiting: 164,
        retrying: 165,
        lanes: 166,
        oldest_received_at: Some(at - Duration::from_secs(167)),
        dead_letters: 168,
        dead_letters_dropped: 169,
        set_aside: 170,
        set_aside_dropped: 171,
        remembered: 172,
        file_bytes: 173,
        wal_bytes: 174,
        journaled: 175,
        duplicates: 176,
        syncs: timings(&[3, 20]),
        writable: true,
        full: false,
    }
}

fn vitals(snapshot: Option<BotSnapshot>, journal: JournalVitals, at: SystemTime) -> Vitals {
    Vitals {
        bot_id: snapshot.as_ref().map_or(9, |snapshot| snapshot.bot_id),
        at,
        stage: Stage::Running,
        snapshot,
        journal,
        longest: Vec::new(),
    }
}

#[test]
fn every_number_is_under_its_name() {
    let at = SystemTime::now();
    let polls = vitals(Some(snapshot(7)), JournalVitals::Open(Box::new(journal(at))), at);
    let mut webhook = WebhookCounts {
        accepted: 200,
        duplicates: 30,
        last_update_age: Some(Duration::from_secs(181)),
        ..WebhookCounts::default()
    };
    webhook.refused.wrong_secret = 182;
    webhook.refused.too_large = 183;
    let posted = BotSnapshot {
        webhook: Some(webhook),
        lines: None,
        attempts: Timings::default(),
        ..snapshot(8)
    };
    let posted = vitals(Some(posted), JournalVitals::None, at);
    let hangs = vitals(None, JournalVitals::Silent, at);

    let text = render(&[polls, posted, hangs]);

    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP ")).collect();
    let golden: Vec<&str> = GOLDEN.lines().collect();
    for (line, golden) in lines.iter().zip(&golden) {
        assert_eq!(line, golden);
    }
    assert_eq!(lines.len(), golden.len());
}

#[test]
fn nothing_is_said_of_nobody() {
    assert_eq!(render(&[]), "");
}
