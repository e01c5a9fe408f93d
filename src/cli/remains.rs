//! `set-aside list`, `set-aside show` and `set-aside drop`: what is left of damaged rows.

use serde::Serialize;

use super::{
    DONE, NOTHING,
    arguments::{SetAsideChosen, SetAsideList, SetAsideShow},
    dropping::Dropped,
    failure::Failure,
    listing::{self, Item},
    output::{self, Output},
    table,
};
use crate::queue::store::{JournalError, Operator, Remains, Timestamp};

/// Rows whose numbers are read in one go.
const PAGE: u32 = 1_000;

/// A damaged row. The text is there only when it was asked for.
#[derive(Serialize)]
struct Row {
    id: i64,
    set_aside_at: String,
    damage: String,
    place: Option<i64>,
    bot: Option<i64>,
    update_id: Option<i64>,
    lane: Option<String>,
    kind: Option<String>,
    bytes: u64,
    received_at: Option<String>,
    attempt: Option<i64>,
    errors: Vec<String>,
    #[serde(flatten)]
    payload: Option<Payload>,
}

/// What is left of the text: nobody vouches for it, so it is no JSON.
#[derive(Serialize)]
enum Payload {
    #[serde(rename = "raw")]
    Text(String),
    /// Bytes that are no UTF-8, two digits each.
    #[serde(rename = "raw_hex")]
    Bytes(String),
}

impl Payload {
    fn of(raw: Vec<u8>) -> Self {
        String::from_utf8(raw).map_or_else(
            |error| {
                let bytes = error.as_bytes().iter();
                Self::Bytes(bytes.map(|byte| format!("{byte:02x}")).collect())
            },
            Self::Text,
        )
    }
}

impl From<Remains> for Row {
    fn from(remains: Remains) -> Self {
        Self {
            id: remains.id,
            set_aside_at: remains.at.to_string(),
            damage: remains.damage,
            place: remains.place,
            bot: remains.bot,
            update_id: remains.update_id,
            lane: remains.lane,
            kind: remains.kind,
            bytes: remains.bytes,
            received_at: remains.received_at.as_ref().map(Timestamp::to_string),
            attempt: remains.attempt,
            errors: remains.errors,
            payload: None,
        }
    }
}

/// Shows a value that may be missing.
fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

impl Item for Row {
    const MEMBER: &'static str = "set_aside";
    const HEAD: &'static [&'static str] = &[
        "ID",
        "SET ASIDE AT",
        "PLACE",
        "BOT",
        "UPDATE",
        "LANE",
        "SIZE",
        "DAMAGE",
    ];
    const NOTHING: &'static str = "nothing was set aside";
    // All of them are.
    const MAY_BE_DAMAGED: bool = false;

    fn place(&self) -> i64 {
        self.id
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.set_aside_at.clone(),
            shown(self.place),
            shown(self.bot),
            shown(self.update_id),
            shown(self.lane.as_ref()),
            output::size(self.bytes),
            self.damage.clone(),
        ]
    }
}

impl Row {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("id", self.id.to_string()),
            ("set aside at", self.set_aside_at.clone()),
            ("damage", self.damage.clone()),
            ("place", shown(self.place)),
            ("bot", shown(self.bot)),
            ("update", shown(self.update_id)),
            ("lane", shown(self.lane.as_ref())),
            ("kind", shown(self.kind.as_ref())),
            ("size", output::size(self.bytes)),
            ("received at", shown(self.received_at.as_ref())),
            ("attempt", shown(self.attempt)),
        ];
        pairs.extend(self.errors.iter().map(|error| ("error", error.clone())));
        pairs
    }
}

pub(super) fn list(asked: &SetAsideList, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let found = operator.list_set_aside(asked.page.after, listing::wanted(&asked.page))?;
    let rows = found.into_iter().map(|remains| Ok(Row::from(remains)));
    listing::print(&asked.journal, &asked.page, rows.collect(), output)
}

pub(super) fn show(asked: &SetAsideShow, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let Some((remains, raw)) = operator.show_set_aside(asked.id)? else {
        let nothing = serde_json::json!({ "id": asked.id, "state": "missing" });
        output.print(&nothing, |out| {
            writeln!(out, "nothing was set aside as {}", asked.id)
        })?;
        return Ok(NOTHING);
    };
    if asked.raw && !output.is_json() {
        output.raw(&raw)?;
        return Ok(DONE);
    }
    let mut row = Row::from(remains);
    row.payload = asked.raw.then(|| Payload::of(raw));
    output.print(&row, |out| table::pairs(out, &row.pairs()))?;
    Ok(DONE)
}

pub(super) fn drop(asked: &SetAsideChosen, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut operator = Operator::open(&asked.journal.path, asked.journal.options())?;
    let mut ids = if asked.all {
        every_id(&operator)?
    } else {
        asked.ids.clone()
    };
    ids.sort_unstable();
    ids.dedup();
    let document = Dropped::by(asked.journal.name(), &ids, |chunk| {
        operator.transaction(|work| chunk.iter().map(|id| work.drop_set_aside(*id)).collect())
    })?;
    output.print(&document, |out| {
        match document.dropped.len() {
            1 => writeln!(out, "1 damaged row dropped")?,
            count => writeln!(out, "{count} damaged rows dropped")?,
        }
        for id in &document.missing {
            writeln!(out, "nothing was set aside as {id}")?;
        }
        Ok(())
    })?;
    Ok(document.exit_code())
}

/// Returns the numbers of all rows that are set aside now.
fn every_id(operator: &Operator) -> Result<Vec<i64>, JournalError> {
    let mut ids: Vec<i64> = Vec::new();
    loop {
        let page = operator.list_set_aside(ids.last().copied(), PAGE)?;
        let end = page.len() < PAGE as usize;
        ids.extend(page.into_iter().map(|remains| remains.id));
        if end {
            return Ok(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Payload;

    #[test]
    fn bytes_that_are_no_text_are_shown_as_digits() {
        let json = |raw: &[u8]| serde_json::to_string(&Payload::of(raw.to_owned())).unwrap();

        assert_eq!(json("{\"é".as_bytes()), r#"{"raw":"{\"é"}"#);
        assert_eq!(json(&[0x7b, 0xff, 0]), r#"{"raw_hex":"7bff00"}"#);
    }
}
