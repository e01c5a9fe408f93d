//! From what is known about a bot to numbers under names.

use super::{
    family::{self, Family},
    outside::Intake,
    vitals::{JournalVitals, Stage, Vitals},
};
use crate::timings::Timings;

/// A number under its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) family: Family,
    /// Value of the family's label.
    pub(super) label: Option<&'static str>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Counts from the start of the bot.
    Counter(u64),
    /// Counts from an earlier moment, and is the same number after a restart.
    #[cfg_attr(
        not(feature = "journal"),
        expect(dead_code, reason = "only a journal outlives a start")
    )]
    Total(u64),
    Gauge(f64),
    Histogram(Timings),
}

/// Collects samples.
#[derive(Default)]
struct Sheet(Vec<Sample>);

impl Sheet {
    fn put(&mut self, family: Family, label: Option<&'static str>, value: Value) {
        debug_assert_eq!(family.label.is_some(), label.is_some(), "{}", family.name);
        self.0.push(Sample { family, label, value });
    }

    fn count(&mut self, family: Family, number: u64) {
        self.put(family, None, Value::Counter(number));
    }

    fn counts<const N: usize>(&mut self, family: Family, numbers: [(&'static str, u64); N]) {
        for (label, number) in numbers {
            self.put(family, Some(label), Value::Counter(number));
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge of more than 2^53 may be off by one"
    )]
    fn level(&mut self, family: Family, number: u64) {
        self.put(family, None, Value::Gauge(number as f64));
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge of more than 2^53 may be off by one"
    )]
    fn levels<const N: usize>(&mut self, family: Family, numbers: [(&'static str, u64); N]) {
        for (label, number) in numbers {
            self.put(family, Some(label), Value::Gauge(number as f64));
        }
    }
}

/// Returns every number that is known, the samples of one family next to each other.
pub(super) fn samples(vitals: &Vitals) -> Vec<Sample> {
    let mut sheet = Sheet::default();
    let running = vitals.stage == Stage::Running && vitals.snapshot.is_some();
    sheet.level(family::UP, u64::from(running));
    if let Some(snapshot) = &vitals.snapshot {
        let totals = snapshot.engine.totals;
        sheet.counts(
            family::HANDLED,
            [
                ("done", totals.done),
                ("expired", totals.expired),
                ("dead", totals.dead),
            ],
        );
        sheet.count(family::RETRIED, totals.retried);
        sheet.count(family::PANICKED, totals.panicked);
        sheet.count(family::OVERDUE, totals.overdue);
        sheet.put(family::ATTEMPT_SECONDS, None, Value::Histogram(snapshot.attempts));
        let polling = snapshot.polling;
        // What a webhook takes in is no answer to a poll.
        if !Intake::of(snapshot).by_webhook {
            let calls = &snapshot.engine.polling;
            sheet.counts(
                family::POLLS,
                [("succeeded", calls.fetches), ("failed", calls.failures)],
            );
            sheet.count(family::POLL_CONFLICTS, polling.conflicts);
            sheet.count(family::POLL_FLOOD_WAITS, polling.flood_waits);
            sheet.count(family::POLL_RECONNECTS, polling.reconnects);
        }
        sheet.count(family::UPDATE_ID_JUMPS, polling.id_jumps);
        sheet.count(family::UNREADABLE, polling.unreadable);
    }
    workload(vitals, &mut sheet);
    doors(vitals, &mut sheet);
    journal(vitals, &mut sheet);
    sheet.0
}

fn workload(vitals: &Vitals, sheet: &mut Sheet) {
    let Some(load) = vitals.workload() else { return };
    sheet.levels(
        family::UNFINISHED,
        [
            ("running", load.running),
            ("waiting", load.waiting),
            ("retrying", load.retrying),
        ],
    );
    sheet.level(family::LANES, load.lanes);
    let oldest = load.oldest_age.unwrap_or_default().as_secs_f64();
    sheet.put(family::OLDEST_AGE, None, Value::Gauge(oldest));
    if let Some(snapshot) = &vitals.snapshot {
        let silent = snapshot.engine.workers_silent.as_secs_f64();
        sheet.put(family::WORKERS_SILENT, None, Value::Gauge(silent));
    }
}

fn doors(vitals: &Vitals, sheet: &mut Sheet) {
    if let Some(intake) = vitals.intake() {
        sheet.count(family::RECEIVED, intake.received);
    }
    if let Some(calls) = vitals.calls() {
        let outcomes = calls.outcomes;
        sheet.counts(
            family::API_CALLS,
            [
                ("sent", outcomes.sent),
                ("refused", outcomes.refused),
                ("flooded", outcomes.flooded),
                ("not_sent", outcomes.not_sent),
                ("unknown", outcomes.unknown),
                ("invalid", outcomes.invalid),
                ("cancelled", outcomes.cancelled),
            ],
        );
        sheet.count(family::API_FLOOD_WAITS, outcomes.flood_waits);
        if let Some(lines) = calls.lines {
            let states = [
                ("running", lines.running as u64),
                ("waiting", lines.waiting as u64),
            ];
            sheet.levels(family::API_UNFINISHED, states);
            sheet.level(family::API_LONGEST_LINE, lines.longest_line as u64);
            sheet.level(family::API_HELD_CHATS, lines.held_chats as u64);
        }
    }
    if let Some(intake) = vitals.intake() {
        if let Some(age) = intake.heard_age {
            let family = if intake.by_webhook {
                family::WEBHOOK_AGE
            } else {
                family::POLL_AGE
            };
            sheet.put(family, None, Value::Gauge(age.as_secs_f64()));
        }
        if !intake.by_webhook {
            // A bot that stops wants no updates, whatever its last try came to.
            let wanted = vitals.stage == Stage::Running;
            let overdue = intake.overdue.filter(|_| wanted).unwrap_or_default();
            sheet.put(family::POLL_OVERDUE, None, Value::Gauge(overdue.as_secs_f64()));
        }
    }
    #[cfg(feature = "webhook")]
    if let Some(webhook) = vitals
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.webhook.as_ref())
    {
        sheet.counts(family::WEBHOOK_REFUSED, webhook.refused.by_reason());
    }
}

fn journal(vitals: &Vitals, sheet: &mut Sheet) {
    match &vitals.journal {
        JournalVitals::None => {}
        // It is closed, which is no failure.
        JournalVitals::Failed(_) if matches!(vitals.stage, Stage::Stopped(_)) => {}
        JournalVitals::Failed(_) | JournalVitals::Silent => sheet.level(family::JOURNAL_WRITABLE, 0),
        #[cfg(feature = "journal")]
        JournalVitals::Open(stats) => {
            sheet.count(family::DUPLICATED, stats.duplicates);
            sheet.count(family::JOURNALED, stats.journaled);
            sheet.level(family::DEAD_LETTERS, stats.dead_letters);
            let dropped = Value::Total(stats.dead_letters_dropped);
            sheet.put(family::DEAD_LETTERS_DROPPED, None, dropped);
            sheet.level(family::JOURNAL_ROWS, stats.unfinished);
            sheet.level(family::JOURNAL_BYTES, stats.unfinished_bytes);
            sheet.levels(
                family::JOURNAL_FILE_BYTES,
                [("database", stats.file_bytes), ("log", stats.wal_bytes)],
            );
            sheet.level(family::JOURNAL_SET_ASIDE, stats.set_aside);
            let dropped = Value::Total(stats.set_aside_dropped);
            sheet.put(family::JOURNAL_SET_ASIDE_DROPPED, None, dropped);
            sheet.level(family::JOURNAL_WRITABLE, u64::from(stats.writable));
            sheet.put(family::JOURNAL_SYNC_SECONDS, None, Value::Histogram(stats.syncs));
        }
    }
}
