//! `compact` and `verify`.

use serde::Serialize;

use super::{
    DONE, NOTHING,
    arguments::Journal,
    failure::Failure,
    output::{Output, size},
    table::harmless,
};
use crate::queue::store::{self, CheckpointMode, JournalError, Operator, Report, Timestamp};

/// Pages that are given back in one transaction. The bot waits for it when it wants to write, so it is short.
const STEP: u32 = 500;

#[derive(Serialize)]
struct Compacted {
    journal: String,
    pages: u64,
    bytes_before: u64,
    bytes_after: u64,
    complete: bool,
}

pub(super) fn compact(journal: &Journal, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut operator = Operator::open(&journal.path, journal.options())?;
    let before = operator.stats(Timestamp::now())?.totals;
    let mut pages = 0;
    // A bot that runs frees pages all the time; only those that were free at the beginning are promised.
    let mut complete = true;
    while pages < before.free_pages {
        let step = operator.transaction(|work| work.compact(STEP))?;
        pages += step;
        complete = checkpoint(&mut operator)?;
        if step == 0 {
            break;
        }
    }
    let after = operator.stats(Timestamp::now())?.totals;
    let document = Compacted {
        journal: journal.name(),
        pages,
        bytes_before: before.file_bytes,
        bytes_after: after.file_bytes,
        complete,
    };

    output.print(&document, |out| {
        writeln!(
            out,
            "{} before, {} after, {pages} pages given back",
            size(document.bytes_before),
            size(document.bytes_after),
        )?;
        if !complete {
            writeln!(
                out,
                "the file gets shorter when the programs that read it let go of it"
            )?;
        }
        Ok(())
    })?;
    Ok(DONE)
}

/// Moves the log into the database as far as nobody has to wait for it; returns whether all of it was moved.
fn checkpoint(operator: &mut Operator) -> Result<bool, JournalError> {
    match operator.checkpoint(CheckpointMode::Passive) {
        Ok(done) => Ok(done.complete),
        Err(JournalError::Busy { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[derive(Serialize)]
struct Verified {
    journal: String,
    sound: bool,
    version: i64,
    updates: u64,
    dead_letters: u64,
    set_aside: u64,
    findings: Vec<String>,
    more_findings: u64,
}

pub(super) fn verify(journal: &Journal, output: &mut Output<'_>) -> Result<u8, Failure> {
    let report = store::verify(&journal.path, journal.options().busy_timeout)?;
    let document = Verified {
        journal: journal.name(),
        sound: report.is_sound(),
        version: report.version,
        updates: report.updates,
        dead_letters: report.dead,
        set_aside: report.set_aside,
        findings: report.findings.iter().map(ToString::to_string).collect(),
        more_findings: report.more,
    };

    output.print(&document, |out| {
        let Report {
            updates,
            dead,
            set_aside,
            more,
            ..
        } = report;
        writeln!(
            out,
            "{updates} unfinished updates and {dead} dead letters checked, {set_aside} rows were set aside before"
        )?;
        for finding in &document.findings {
            writeln!(out, "damage: {}", harmless(finding))?;
        }
        if more > 0 {
            writeln!(out, "{more} more findings")?;
        }
        if document.sound {
            writeln!(out, "no damage found")?;
        }
        Ok(())
    })?;
    Ok(if document.sound { DONE } else { NOTHING })
}
