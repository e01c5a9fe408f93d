//! `list` and `show`: unfinished updates.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    DONE, NOTHING,
    arguments::{List, Show},
    failure::Failure,
    letters,
    listing::{self, Damaged, Item},
    output::{self, Output},
    table,
};
use crate::queue::store::{DamagedRow, IndexEntry, Listed, Loaded, Operator, RowId, Timestamp};

/// An unfinished update. The text is there only when it was asked for.
#[derive(Serialize)]
struct Update {
    place: i64,
    bot: u64,
    update_id: i64,
    lane: String,
    kind: String,
    bytes: u64,
    received_at: String,
    state: &'static str,
    attempt: u32,
    waits: u32,
    crashes: u32,
    retry_at: Option<String>,
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<Box<RawValue>>,
}

impl Update {
    fn new(
        entry: &IndexEntry,
        kind: String,
        received_at: Timestamp,
        started: bool,
        errors: Vec<String>,
        now: Timestamp,
    ) -> Self {
        let retry_at = entry.retry_at.filter(|at| !started && *at > now);
        Self {
            place: entry.row.0,
            bot: entry.bot,
            update_id: entry.update_id,
            lane: entry.lane.to_string(),
            kind,
            bytes: entry.bytes,
            received_at: received_at.to_string(),
            state: match (started, retry_at) {
                (true, _) => "started",
                (false, Some(_)) => "retrying",
                (false, None) => "ready",
            },
            attempt: entry.attempt,
            waits: entry.waits,
            crashes: entry.crashes,
            retry_at: retry_at.map(|at| at.to_string()),
            errors,
            update: None,
        }
    }

    fn listed(listed: Listed, now: Timestamp) -> Self {
        Self::new(
            &listed.entry,
            listed.kind,
            listed.received_at,
            listed.started,
            listed.errors,
            now,
        )
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("place", self.place.to_string()),
            ("bot", self.bot.to_string()),
            ("update", self.update_id.to_string()),
            ("lane", self.lane.clone()),
            ("kind", self.kind.clone()),
            ("size", output::size(self.bytes)),
            ("received at", self.received_at.clone()),
            ("state", self.state.to_owned()),
            ("attempt", self.attempt.to_string()),
            ("waits", self.waits.to_string()),
            ("crashes", self.crashes.to_string()),
        ];
        pairs.extend(self.retry_at.clone().map(|at| ("retry at", at)));
        pairs.extend(self.errors.iter().map(|error| ("error", error.clone())));
        pairs
    }
}

impl Item for Update {
    const MEMBER: &'static str = "updates";
    const HEAD: &'static [&'static str] = &[
        "PLACE",
        "BOT",
        "UPDATE",
        "LANE",
        "KIND",
        "RECEIVED AT",
        "STATE",
        "ATTEMPT",
        "LAST ERROR",
    ];
    const NOTHING: &'static str = "no unfinished updates";

    fn place(&self) -> i64 {
        self.place
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.place.to_string(),
            self.bot.to_string(),
            self.update_id.to_string(),
            self.lane.clone(),
            self.kind.clone(),
            self.received_at.clone(),
            self.state.to_owned(),
            self.attempt.to_string(),
            self.errors.last().cloned().unwrap_or_default(),
        ]
    }
}

pub(super) fn list(asked: &List, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let wanted = listing::wanted(&asked.page);
    let found = operator.list(&asked.only.filter(), asked.page.after(), wanted)?;
    let now = Timestamp::now();
    let listed = found
        .into_iter()
        .map(|row| row.map(|listed| Update::listed(listed, now)));
    listing::print(&asked.journal, &asked.page, listed.collect(), output)
}

pub(super) fn show(asked: &Show, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    match operator.load(&[RowId(asked.place)])?.pop() {
        Some(Loaded::Intact(stored)) => {
            let raw = stored.update.raw();
            let mut update = Update::new(
                &stored.entry,
                stored.update.kind_name().to_owned(),
                stored.received_at,
                stored.started,
                stored.errors.clone(),
                Timestamp::now(),
            );
            if asked.raw && !output.is_json() {
                output.raw(raw)?;
                return Ok(DONE);
            }
            update.update = text_of(raw, asked.raw)?;
            output.print(&update, |out| table::pairs(out, &update.pairs()))?;
            Ok(DONE)
        }
        Some(Loaded::Damaged(row)) => damaged(row, output),
        // A dead letter keeps its place, so it is meant.
        Some(Loaded::Missing(_)) | None => letters::show_with(&operator, asked, output),
    }
}

/// Returns the text for a document, if it is wanted.
pub(super) fn text_of(raw: &str, wanted: bool) -> Result<Option<Box<RawValue>>, Failure> {
    let text = wanted.then(|| RawValue::from_string(raw.to_owned()));
    Ok(text.transpose().map_err(std::io::Error::from)?)
}

/// Shows that a row is damaged; there is nothing else to show.
pub(super) fn damaged(row: DamagedRow, output: &mut Output<'_>) -> Result<u8, Failure> {
    let damaged = Damaged::from(row);
    output.print(&damaged, |out| {
        writeln!(out, "row {} is damaged: {}", damaged.place, damaged.damage)
    })?;
    Ok(NOTHING)
}

#[cfg(test)]
mod tests {
    use actogram_actors::Lane;

    use super::*;

    #[test]
    fn an_update_waits_for_its_retry_only_until_its_time_has_come() {
        let state = |started, retry_at: Option<i64>| {
            let entry = IndexEntry {
                row: RowId(1),
                bot: 2,
                update_id: 3,
                lane: Lane::new("chat:4"),
                bytes: 5,
                attempt: 6,
                waits: 0,
                crashes: 0,
                retry_at: retry_at.map(Timestamp),
            };
            let kind = "message".to_owned();
            let update = Update::new(&entry, kind, Timestamp(0), started, Vec::new(), Timestamp(1000));
            (update.state, update.retry_at)
        };

        assert_eq!(state(false, None), ("ready", None));
        assert_eq!(state(false, Some(1000)), ("ready", None));
        let later = "1970-01-01T00:00:02Z".to_owned();
        assert_eq!(state(false, Some(2000)), ("retrying", Some(later)));
        assert_eq!(state(true, None), ("started", None));
    }
}
