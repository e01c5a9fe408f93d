//! Unfinished updates as an operator sees them, without their payload.

use std::collections::HashMap;

use actogram_actors::Lane;
use rusqlite::{Connection, Row};

use super::{
    columns::{self, header_columns},
    entry::{Checked, Damage, DamagedRow, IndexEntry, RowId},
    error::JournalError,
    history, recover,
    schema::mark_matches,
    time::Timestamp,
};

/// Which rows to list; the default is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only those of this bot.
    pub(crate) bot: Option<u64>,
    /// Only those of this lane.
    pub(crate) lane: Option<Lane>,
}

/// An unfinished update without its payload.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// What the index knows.
    pub(crate) entry: IndexEntry,
    /// Wire name of its kind.
    pub(crate) kind: String,
    /// When it was pushed.
    pub(crate) received_at: Timestamp,
    /// Whether an attempt is running, or was when the owner died.
    pub(crate) started: bool,
    /// What went wrong so far, oldest first.
    pub(crate) errors: Vec<String>,
}

/// Returns up to `limit` unfinished updates behind a place, in order of arrival.
pub(crate) fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<RowId>,
    limit: u32,
) -> Result<Vec<Checked<Listed>>, JournalError> {
    let mut lanes = HashMap::new();
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        header_columns!(),
        ", state, attempt, waits, crashes, retry_at, ",
        mark_matches!(),
        ", errors FROM updates WHERE seq > ?1 AND (?2 IS NULL OR bot = ?2) AND (?3 IS NULL OR lane = ?3)
         ORDER BY seq LIMIT ?4"
    ))?;
    let mut rows = statement.query((
        after.map_or(i64::MIN, |row| row.0),
        filter.bot.map(u64::cast_signed),
        filter.lane.as_ref().map(Lane::as_str),
        limit,
    ))?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let place = RowId(row.get(0)?);
        listed.push(read(row, &mut lanes).map_err(|damage| DamagedRow { row: place, damage }));
    }
    Ok(listed)
}

fn read(row: &Row<'_>, lanes: &mut HashMap<String, Lane>) -> Result<Listed, Damage> {
    let (entry, started) = recover::entry(row, lanes)?;
    Ok(Listed {
        entry,
        kind: columns::text(row, 3)?.to_owned(),
        received_at: Timestamp(columns::integer(row, 5)?),
        started,
        errors: columns::any_text(row, columns::HEADER + 6)
            .map(|stored| history::read(&stored))
            .unwrap_or_default(),
    })
}
