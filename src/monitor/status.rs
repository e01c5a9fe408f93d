//! Everything that is known about a bot, as JSON and for Prometheus.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{HttpResponse, http::header::CONTENT_TYPE, web::Data};
use serde::Serialize;

use super::{
    health::{self, Reason},
    scope::Settings,
};
use crate::{
    metrics::{self, JournalVitals, Vitals},
    timings::Timings,
};

/// The JSON of `/status` and of the events. Times are in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    bot: u64,
    /// Unix time.
    at: f64,
    stage: &'static str,
    ready: bool,
    reasons: Vec<Reason>,
    intake: Option<IntakeStatus>,
    work: Option<WorkStatus>,
    calls: Option<CallStatus>,
    journal: JournalStatus,
    longest: Vec<LaneStatus>,
}

#[derive(Debug, Serialize)]
struct IntakeStatus {
    received: u64,
    by_webhook: bool,
    unregistered: bool,
    webhook_refused: Option<BTreeMap<&'static str, u64>>,
    heard_age: Option<f64>,
    overdue: Option<f64>,
    paused: bool,
    last_error: Option<String>,
    polls: u64,
    failed_polls: u64,
    failed_in_a_row: u32,
    conflicts: u64,
    flood_waits: u64,
    reconnects: u64,
    id_jumps: u64,
    unreadable: u64,
}

#[derive(Debug, Serialize)]
struct WorkStatus {
    running: u64,
    waiting: u64,
    retrying: u64,
    lanes: u64,
    oldest_age: Option<f64>,
    workers_silent: f64,
    done: u64,
    expired: u64,
    dead: u64,
    retried: u64,
    panicked: u64,
    overdue: u64,
    attempts: TimeStatus,
}

#[derive(Debug, Serialize)]
struct CallStatus {
    sent: u64,
    refused: u64,
    flooded: u64,
    not_sent: u64,
    unknown: u64,
    invalid: u64,
    cancelled: u64,
    flood_waits: u64,
    lines: Option<LineStatus>,
}

#[derive(Debug, Serialize)]
struct LineStatus {
    waiting: usize,
    running: usize,
    longest: usize,
    held_chats: usize,
    bot_held_for: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum JournalStatus {
    None,
    #[cfg(feature = "journal")]
    Open {
        unfinished: u64,
        unfinished_bytes: u64,
        dead_letters: u64,
        dead_letters_dropped: u64,
        set_aside: u64,
        set_aside_dropped: u64,
        remembered: u64,
        file_bytes: u64,
        log_bytes: u64,
        journaled: u64,
        duplicates: u64,
        writable: bool,
        full: bool,
        syncs: TimeStatus,
    },
    Failed {
        error: String,
    },
    Silent,
}

#[derive(Debug, Serialize)]
struct TimeStatus {
    count: u64,
    total: f64,
    mean: Option<f64>,
}

#[derive(Debug, Serialize)]
struct LaneStatus {
    lane: String,
    updates: usize,
    state: &'static str,
}

pub(super) async fn status(settings: Data<Settings>) -> HttpResponse {
    let vitals = settings.bot.lookout().look(&settings.bot).await;
    HttpResponse::Ok().json(Status::of(&vitals, settings.max_silence))
}

pub(super) async fn metrics(settings: Data<Settings>) -> HttpResponse {
    let vitals = settings.bot.lookout().look(&settings.bot).await;
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
        .body(metrics::render(std::slice::from_ref(&*vitals)))
}

impl Status {
    pub(super) fn of(vitals: &Vitals, max_silence: Duration) -> Self {
        let reasons = health::not_ready(vitals, max_silence);
        Self {
            bot: vitals.bot_id,
            at: unix(vitals.at),
            stage: vitals.stage.as_str(),
            ready: reasons.is_empty(),
            reasons,
            intake: IntakeStatus::of(vitals),
            work: WorkStatus::of(vitals),
            calls: CallStatus::of(vitals),
            journal: JournalStatus::of(&vitals.journal),
            longest: vitals
                .longest
                .iter()
                .map(|load| LaneStatus {
                    lane: load.lane.to_string(),
                    updates: load.jobs,
                    state: match (load.running, load.retrying) {
                        (true, _) => "running",
                        (false, true) => "retrying",
                        (false, false) => "waiting",
                    },
                })
                .collect(),
        }
    }
}

impl IntakeStatus {
    fn of(vitals: &Vitals) -> Option<Self> {
        let (snapshot, intake) = (vitals.snapshot.as_ref()?, vitals.intake()?);
        let (polling, counts) = (&snapshot.engine.polling, snapshot.polling);
        Some(Self {
            received: intake.received,
            by_webhook: intake.by_webhook,
            unregistered: intake.unregistered,
            webhook_refused: webhook_refused(vitals),
            heard_age: intake.heard_age.map(seconds),
            overdue: intake.overdue.map(seconds),
            paused: intake.paused,
            last_error: intake.last_error,
            polls: polling.fetches,
            failed_polls: polling.failures,
            failed_in_a_row: polling.failures_in_a_row,
            conflicts: counts.conflicts,
            flood_waits: counts.flood_waits,
            reconnects: counts.reconnects,
            id_jumps: counts.id_jumps,
            unreadable: counts.unreadable,
        })
    }
}

#[cfg(feature = "webhook")]
fn webhook_refused(vitals: &Vitals) -> Option<BTreeMap<&'static str, u64>> {
    let webhook = vitals.snapshot.as_ref()?.webhook.as_ref()?;
    Some(webhook.refused.by_reason().into_iter().collect())
}

#[cfg(not(feature = "webhook"))]
fn webhook_refused(_: &Vitals) -> Option<BTreeMap<&'static str, u64>> {
    None
}

impl WorkStatus {
    fn of(vitals: &Vitals) -> Option<Self> {
        let (snapshot, load) = (vitals.snapshot.as_ref()?, vitals.workload()?);
        let totals = snapshot.engine.totals;
        Some(Self {
            running: load.running,
            waiting: load.waiting,
            retrying: load.retrying,
            lanes: load.lanes,
            oldest_age: load.oldest_age.map(seconds),
            workers_silent: seconds(snapshot.engine.workers_silent),
            done: totals.done,
            expired: totals.expired,
            dead: totals.dead,
            retried: totals.retried,
            panicked: totals.panicked,
            overdue: totals.overdue,
            attempts: TimeStatus::of(&snapshot.attempts),
        })
    }
}

impl CallStatus {
    fn of(vitals: &Vitals) -> Option<Self> {
        let calls = vitals.calls()?;
        let outcomes = calls.outcomes;
        Some(Self {
            sent: outcomes.sent,
            refused: outcomes.refused,
            flooded: outcomes.flooded,
            not_sent: outcomes.not_sent,
            unknown: outcomes.unknown,
            invalid: outcomes.invalid,
            cancelled: outcomes.cancelled,
            flood_waits: outcomes.flood_waits,
            lines: calls.lines.map(|lines| LineStatus {
                waiting: lines.waiting,
                running: lines.running,
                longest: lines.longest_line,
                held_chats: lines.held_chats,
                bot_held_for: lines.bot_held_for.map(seconds),
            }),
        })
    }
}

impl JournalStatus {
    fn of(journal: &JournalVitals) -> Self {
        match journal {
            JournalVitals::None => Self::None,
            JournalVitals::Failed(error) => Self::Failed { error: error.clone() },
            JournalVitals::Silent => Self::Silent,
            #[cfg(feature = "journal")]
            JournalVitals::Open(stats) => Self::Open {
                unfinished: stats.unfinished,
                unfinished_bytes: stats.unfinished_bytes,
                dead_letters: stats.dead_letters,
                dead_letters_dropped: stats.dead_letters_dropped,
                set_aside: stats.set_aside,
                set_aside_dropped: stats.set_aside_dropped,
                remembered: stats.remembered,
                file_bytes: stats.file_bytes,
                log_bytes: stats.wal_bytes,
                journaled: stats.journaled,
                duplicates: stats.duplicates,
                writable: stats.writable,
                full: stats.full,
                syncs: TimeStatus::of(&stats.syncs),
            },
        }
    }
}

impl TimeStatus {
    fn of(timings: &Timings) -> Self {
        Self {
            count: timings.count(),
            total: timings.total().as_secs_f64(),
            mean: timings.mean().map(|mean| mean.as_secs_f64()),
        }
    }
}

/// Returns a time in seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

/// Returns a time of day as seconds since 1970, to the millisecond.
pub(super) fn unix(at: SystemTime) -> f64 {
    seconds(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
