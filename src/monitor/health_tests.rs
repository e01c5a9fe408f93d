//! Tests of [`super`]: what makes a bot not alive, or not ready.

use super::*;

const LIMIT: Duration = Duration::from_secs(90);

fn intake() -> Intake {
    Intake {
        received: 1,
        by_webhook: false,
        unregistered: false,
        heard_age: Some(Duration::from_secs(1)),
        overdue: Some(Duration::from_secs(1)),
        paused: false,
        last_error: None,
    }
}

#[test]
fn a_bot_is_ready_once_a_poll_was_completed() {
    let before = Intake {
        heard_age: None,
        ..intake()
    };

    assert_eq!(closed(&before, LIMIT), Some(STARTING));
    assert_eq!(closed(&intake(), LIMIT), None);
}

#[test]
fn a_webhook_is_ready_before_the_first_update_but_not_before_it_is_registered() {
    let quiet = Intake {
        by_webhook: true,
        heard_age: None,
        overdue: None,
        ..intake()
    };

    assert_eq!(closed(&quiet, LIMIT), None);
    let unregistered = Intake {
        unregistered: true,
        ..quiet
    };
    assert_eq!(closed(&unregistered, LIMIT), Some(UNREGISTERED));
}

#[test]
fn a_poll_that_is_tried_for_too_long_makes_a_bot_not_ready() {
    let after = |overdue| Intake {
        overdue: Some(overdue),
        ..intake()
    };

    assert_eq!(closed(&after(LIMIT), LIMIT), None);
    assert_eq!(
        closed(&after(LIMIT + Duration::from_millis(1)), LIMIT),
        Some(OVERDUE)
    );
}

/// With direct delivery a batch is handled before the next poll, and a handler may take five minutes.
#[test]
fn a_bot_that_has_enough_to_do_is_ready_however_old_its_last_poll_is() {
    let busy = Intake {
        heard_age: Some(10 * LIMIT),
        overdue: None,
        ..intake()
    };

    assert_eq!(closed(&busy, LIMIT), None);
}

#[test]
fn a_paused_bot_is_not_ready() {
    let paused = Intake {
        paused: true,
        overdue: None,
        ..intake()
    };

    assert_eq!(closed(&paused, LIMIT), Some(PAUSED));
}

#[cfg(feature = "journal")]
#[test]
fn a_journal_that_cannot_be_written_or_is_full_makes_a_bot_not_ready() {
    let judged = |writable, full| {
        let stats = crate::JournalStats {
            writable,
            full,
            ..crate::JournalStats::default()
        };
        broken(&JournalVitals::Open(Box::new(stats)))
    };

    assert_eq!(judged(true, false), None);
    assert_eq!(judged(false, false), Some(JOURNAL_BLOCKED));
    assert_eq!(judged(true, true), Some(JOURNAL_FULL));
}

#[test]
fn a_journal_that_failed_or_hangs_makes_a_bot_not_ready() {
    assert_eq!(broken(&JournalVitals::None), None);
    assert_eq!(
        broken(&JournalVitals::Failed(String::new())),
        Some(JOURNAL_FAILED)
    );
    assert_eq!(broken(&JournalVitals::Silent), Some(JOURNAL_SILENT));
}

const WELL: Signs = Signs {
    stage: Stage::Running,
    answers: true,
    blocked: false,
    late: false,
};

#[test]
fn a_bot_is_alive_as_long_as_it_answers_and_its_workers_do() {
    assert_eq!(unhealthy(WELL), None);
    let silent = Signs {
        answers: false,
        ..WELL
    };
    assert_eq!(unhealthy(silent), Some(SILENT));
    let blocked = Signs {
        blocked: true,
        ..WELL
    };
    assert_eq!(unhealthy(blocked), Some(WORKERS_SILENT));
}

#[test]
fn a_bot_that_stops_as_it_was_told_is_alive_unless_it_hangs() {
    let stopping = |answers, blocked, late| {
        unhealthy(Signs {
            stage: Stage::Stopping,
            answers,
            blocked,
            late,
        })
    };

    assert_eq!(stopping(false, false, false), None);
    assert_eq!(stopping(true, true, true), None, "the drain has its own deadline");
    assert_eq!(stopping(false, false, true), Some(SILENT));
}

#[test]
fn a_bot_that_has_stopped_is_alive_if_it_was_told_to() {
    let stopped = |stage| {
        unhealthy(Signs {
            stage,
            answers: false,
            blocked: false,
            late: true,
        })
    };

    assert_eq!(stopped(Stage::Stopped(StopReason::Requested)), None);
    assert_eq!(stopped(Stage::Stopped(StopReason::Signal(15))), None);
    assert_eq!(stopped(Stage::Stopped(StopReason::SourceFailed)), Some(FAILED));
    assert_eq!(stopped(Stage::Stopped(StopReason::Lost)), Some(FAILED));
    assert_eq!(stopped(Stage::Lost), Some(LOST));
}
