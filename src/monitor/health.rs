//! Whether a bot is alive, and whether it takes updates.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use actogram_actors::StopReason;
use serde::Serialize;
use serde_json::json;

use super::scope::Settings;
use crate::metrics::{Intake, JournalVitals, Stage, Vitals};

/// Why a bot is not alive, or not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    /// A word that programs may rely on.
    code: &'static str,
    /// The same for people. It holds nothing that is not for everybody.
    text: &'static str,
}

const STARTING: Reason = Reason {
    code: "starting",
    text: "no getUpdates has been completed yet",
};
const STOPPING: Reason = Reason {
    code: "stopping",
    text: "the bot finishes what it has and stops",
};
const STOPPED: Reason = Reason {
    code: "stopped",
    text: "the bot has stopped",
};
const FAILED: Reason = Reason {
    code: "failed",
    text: "the bot has stopped by itself; see its log",
};
const LOST: Reason = Reason {
    code: "lost",
    text: "the thread of the bot has ended",
};
const SILENT: Reason = Reason {
    code: "silent",
    text: "the thread of the bot does not answer",
};
const WORKERS_SILENT: Reason = Reason {
    code: "workers_silent",
    text: "handlers block all worker threads of the bot",
};
const UNREGISTERED: Reason = Reason {
    code: "unregistered",
    text: "the server has not got the webhook yet; see the log",
};
const PAUSED: Reason = Reason {
    code: "paused",
    text: "the bot was told to pause",
};
const OVERDUE: Reason = Reason {
    code: "overdue",
    text: "no getUpdates has been completed for too long",
};
const JOURNAL_FAILED: Reason = Reason {
    code: "journal_failed",
    text: "the journal has failed; see the log",
};
const JOURNAL_SILENT: Reason = Reason {
    code: "journal_silent",
    text: "the journal does not answer",
};
#[cfg(feature = "journal")]
const JOURNAL_BLOCKED: Reason = Reason {
    code: "journal_blocked",
    text: "the journal cannot be written: the disk is full, or another program holds the file",
};
#[cfg(feature = "journal")]
const JOURNAL_FULL: Reason = Reason {
    code: "journal_full",
    text: "the journal has reached its bound",
};

pub(super) async fn healthz(settings: Data<Settings>) -> HttpResponse {
    let lookout = settings.bot.lookout();
    let vitals = lookout.look(&settings.bot).await;
    let signs = Signs {
        stage: vitals.stage,
        answers: vitals.snapshot.is_some(),
        blocked: vitals
            .snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.engine.workers_silent > settings.max_block),
        late: lookout.stop_is_late(),
    };
    match unhealthy(signs) {
        None => HttpResponse::Ok().json(json!({ "healthy": true, "stage": vitals.stage.as_str() })),
        Some(reason) => HttpResponse::ServiceUnavailable().json(json!({
            "healthy": false, "stage": vitals.stage.as_str(), "reason": reason,
        })),
    }
}

pub(super) async fn readyz(settings: Data<Settings>) -> HttpResponse {
    let vitals = settings.bot.lookout().look(&settings.bot).await;
    let reasons = not_ready(&vitals, settings.max_silence);
    let mut answer = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    if let Some(left) = left_while_stopping(&vitals) {
        answer["left"] = left.into();
    }
    if reasons.is_empty() {
        HttpResponse::Ok().json(answer)
    } else {
        HttpResponse::ServiceUnavailable().json(answer)
    }
}

/// What tells whether a bot is alive.
#[derive(Debug, Clone, Copy)]
struct Signs {
    stage: Stage,
    /// Whether its thread answers.
    answers: bool,
    /// Whether no worker thread has taken anything for too long.
    blocked: bool,
    /// Whether it should have stopped by now.
    late: bool,
}

/// Returns why the process should be restarted. That a bot stops as it was told to is no reason.
fn unhealthy(signs: Signs) -> Option<Reason> {
    match signs.stage {
        Stage::Running if !signs.answers => Some(SILENT),
        Stage::Running if signs.blocked => Some(WORKERS_SILENT),
        Stage::Stopping if signs.late && !signs.answers => Some(SILENT),
        Stage::Running | Stage::Stopping | Stage::Stopped(StopReason::Requested | StopReason::Signal(_)) => {
            None
        }
        Stage::Stopped(_) => Some(FAILED),
        Stage::Lost => Some(LOST),
    }
}

/// Returns every reason why updates are not taken now.
pub(super) fn not_ready(vitals: &Vitals, max_silence: Duration) -> Vec<Reason> {
    match vitals.stage {
        Stage::Running => {}
        Stage::Stopping => return vec![STOPPING],
        Stage::Stopped(_) => return vec![STOPPED],
        Stage::Lost => return vec![LOST],
    }
    let intake = match vitals.intake() {
        Some(intake) => closed(&intake, max_silence),
        None => Some(SILENT),
    };
    intake.into_iter().chain(broken(&vitals.journal)).collect()
}

/// Returns how many updates are unfinished in the journal of a bot that stops.
#[cfg_attr(
    not(feature = "journal"),
    expect(unused_variables, reason = "only a journal keeps them")
)]
fn left_while_stopping(vitals: &Vitals) -> Option<u64> {
    #[cfg(feature = "journal")]
    if matches!(vitals.stage, Stage::Stopping) {
        return vitals.journal_stats().map(|stats| stats.unfinished);
    }
    None
}

/// Returns why no updates come in. A bot that does not ask, because it has enough to do, is ready.
fn closed(intake: &Intake, max_silence: Duration) -> Option<Reason> {
    if intake.paused {
        Some(PAUSED)
    } else if intake.overdue.is_some_and(|overdue| overdue > max_silence) {
        Some(OVERDUE)
    } else if intake.unregistered {
        Some(UNREGISTERED)
    } else if intake.heard_age.is_none() && !intake.by_webhook {
        Some(STARTING)
    } else {
        None
    }
}

/// Returns why updates cannot be kept.
fn broken(journal: &JournalVitals) -> Option<Reason> {
    match journal {
        JournalVitals::None => None,
        JournalVitals::Failed(_) => Some(JOURNAL_FAILED),
        JournalVitals::Silent => Some(JOURNAL_SILENT),
        #[cfg(feature = "journal")]
        JournalVitals::Open(stats) if !stats.writable => Some(JOURNAL_BLOCKED),
        #[cfg(feature = "journal")]
        JournalVitals::Open(stats) if stats.full => Some(JOURNAL_FULL),
        #[cfg(feature = "journal")]
        JournalVitals::Open(_) => None,
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
