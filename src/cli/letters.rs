//! `dead list` and `dead show`: dead letters.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    DONE, NOTHING,
    arguments::{DeadList, Show},
    failure::Failure,
    listing::{self, Item},
    output::{self, Output},
    table, updates,
};
use crate::queue::store::{self, Operator, RowId};

/// A dead letter. The text is there only when it was asked for.
#[derive(Serialize)]
struct Letter {
    place: i64,
    bot: u64,
    update_id: i64,
    lane: String,
    kind: String,
    bytes: u64,
    received_at: String,
    state: &'static str,
    died_at: String,
    reason: &'static str,
    attempt: u32,
    waits: u32,
    crashes: u32,
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<Box<RawValue>>,
}

impl From<store::DeadLetter> for Letter {
    fn from(letter: store::DeadLetter) -> Self {
        Self {
            place: letter.row.0,
            bot: letter.bot,
            update_id: letter.update_id,
            lane: letter.lane.to_string(),
            kind: letter.kind,
            bytes: letter.bytes,
            received_at: letter.received_at.to_string(),
            state: "dead",
            died_at: letter.died_at.to_string(),
            reason: letter.reason.as_str(),
            attempt: letter.attempt,
            waits: letter.waits,
            crashes: letter.crashes,
            errors: letter.errors,
            update: None,
        }
    }
}

impl Letter {
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
            ("died at", self.died_at.clone()),
            ("reason", self.reason.to_owned()),
            ("attempts", self.attempt.to_string()),
            ("waits", self.waits.to_string()),
            ("crashes", self.crashes.to_string()),
        ];
        pairs.extend(self.errors.iter().map(|error| ("error", error.clone())));
        pairs
    }
}

impl Item for Letter {
    const MEMBER: &'static str = "dead_letters";
    const HEAD: &'static [&'static str] = &[
        "PLACE",
        "BOT",
        "UPDATE",
        "LANE",
        "KIND",
        "DIED AT",
        "REASON",
        "ATTEMPTS",
        "LAST ERROR",
    ];
    const NOTHING: &'static str = "no dead letters";

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
            self.died_at.clone(),
            self.reason.to_owned(),
            self.attempt.to_string(),
            self.errors.last().cloned().unwrap_or_default(),
        ]
    }
}

pub(super) fn list(asked: &DeadList, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let wanted = listing::wanted(&asked.page);
    let found = operator.list_dead(&asked.only.filter(), asked.page.after(), wanted)?;
    let letters = found.into_iter().map(|row| row.map(Letter::from)).collect();
    listing::print(&asked.journal, &asked.page, letters, output)
}

pub(super) fn show(asked: &Show, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    show_with(&operator, asked, output)
}

/// Shows a dead letter, or that there is nothing at its place.
pub(super) fn show_with(operator: &Operator, asked: &Show, output: &mut Output<'_>) -> Result<u8, Failure> {
    match operator.show_dead(RowId(asked.place))? {
        Some(Ok((letter, update))) => {
            if asked.raw && !output.is_json() {
                output.raw(update.raw())?;
                return Ok(DONE);
            }
            let mut letter = Letter::from(letter);
            letter.update = updates::text_of(update.raw(), asked.raw)?;
            output.print(&letter, |out| table::pairs(out, &letter.pairs()))?;
            Ok(DONE)
        }
        Some(Err(row)) => updates::damaged(row, output),
        None => {
            let nothing = serde_json::json!({ "place": asked.place, "state": "missing" });
            output.print(&nothing, |out| writeln!(out, "nothing at place {}", asked.place))?;
            Ok(NOTHING)
        }
    }
}
