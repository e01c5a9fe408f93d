//! `dead retry` and `dead drop`.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    DONE, NOTHING,
    arguments::Chosen,
    dropping::{CHUNK, Dropped},
    failure::Failure,
    output::Output,
};
use crate::queue::store::{DeadFilter, DeadRetry, JournalError, Operator, RowId};

/// Letters whose places are read in one go.
const PAGE: u32 = 1_000;

#[derive(Serialize)]
struct Retried {
    journal: String,
    retried: Vec<Requeued>,
    damaged: Vec<i64>,
    missing: Vec<i64>,
}

/// A letter that is an unfinished update again, at another place.
#[derive(Serialize)]
struct Requeued {
    place: i64,
    new_place: i64,
    update_id: i64,
    lane: String,
}

pub(super) fn retry(asked: &Chosen, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut operator = Operator::open(&asked.journal.path, asked.journal.options())?;
    let places = places(asked, &operator)?;
    let mut document = Retried {
        journal: asked.journal.name(),
        retried: Vec::new(),
        damaged: Vec::new(),
        missing: Vec::new(),
    };
    for chunk in places.chunks(CHUNK) {
        let results = operator.transaction(|work| {
            let results = chunk.iter().map(|row| work.retry_dead(*row));
            results.collect::<Result<Vec<_>, _>>()
        })?;
        for (row, result) in chunk.iter().zip(results) {
            match result {
                DeadRetry::Queued(entry) => document.retried.push(Requeued {
                    place: row.0,
                    new_place: entry.row.0,
                    update_id: entry.update_id,
                    lane: entry.lane.to_string(),
                }),
                DeadRetry::Damaged(_) => document.damaged.push(row.0),
                DeadRetry::Missing => document.missing.push(row.0),
            }
        }
    }

    output.print(&document, |out| {
        writeln!(out, "{} put back", letters(document.retried.len()))?;
        for place in &document.damaged {
            writeln!(out, "{place} is damaged and was left")?;
        }
        for place in &document.missing {
            writeln!(out, "{place} is no dead letter")?;
        }
        Ok(())
    })?;
    let all = document.damaged.is_empty() && document.missing.is_empty();
    Ok(if all && !document.retried.is_empty() {
        DONE
    } else {
        NOTHING
    })
}

pub(super) fn drop(asked: &Chosen, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut operator = Operator::open(&asked.journal.path, asked.journal.options())?;
    let places: Vec<i64> = places(asked, &operator)?.into_iter().map(|row| row.0).collect();
    let document = Dropped::by(asked.journal.name(), &places, |chunk| {
        operator.transaction(|work| chunk.iter().map(|place| work.drop_dead(RowId(*place))).collect())
    })?;
    output.print(&document, |out| {
        writeln!(out, "{} dropped", letters(document.dropped.len()))?;
        for place in &document.missing {
            writeln!(out, "{place} is no dead letter")?;
        }
        Ok(())
    })?;
    Ok(document.exit_code())
}

/// Returns the places that were named, each once, or those of all letters that are dead now. A letter that dies again
/// meanwhile is not taken twice.
fn places(asked: &Chosen, operator: &Operator) -> Result<Vec<RowId>, JournalError> {
    if asked.all {
        return chosen(operator, &asked.only.filter());
    }
    let mut taken = HashSet::new();
    let places = asked.places.iter().copied().map(RowId);
    Ok(places.filter(|place| taken.insert(*place)).collect())
}

fn chosen(operator: &Operator, filter: &DeadFilter) -> Result<Vec<RowId>, JournalError> {
    let mut places: Vec<RowId> = Vec::new();
    loop {
        let page = operator.list_dead(filter, places.last().copied(), PAGE)?;
        let end = page.len() < PAGE as usize;
        places.extend(page.into_iter().map(|letter| match letter {
            Ok(letter) => letter.row,
            Err(damaged) => damaged.row,
        }));
        if end {
            return Ok(places);
        }
    }
}

fn letters(count: usize) -> String {
    match count {
        1 => "1 dead letter".to_owned(),
        count => format!("{count} dead letters"),
    }
}
