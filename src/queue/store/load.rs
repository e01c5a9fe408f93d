//! Payloads are read back, checked and decoded.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::{
    checksum::payload_hash,
    columns::{self, header_columns},
    entry::{Damage, DamagedRow, Loaded, RowId, Stored},
    error::JournalError,
    history, recover,
    schema::mark_matches,
    time::Timestamp,
};
use crate::update::Update;

/// Returns the updates at these places, in the same order.
pub(crate) fn load(conn: &Connection, rows: &[RowId]) -> Result<Vec<Loaded>, JournalError> {
    let mut lanes = HashMap::new();
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        header_columns!(),
        ", state, attempt, waits, crashes, retry_at, ",
        mark_matches!(),
        ", errors, raw FROM updates WHERE seq = ?1"
    ))?;
    rows.iter()
        .map(|place| {
            let mut found = statement.query([place.0])?;
            Ok(match found.next()? {
                None => {
                    assure_absent(conn, "SELECT 1 FROM updates WHERE +seq = ?1", *place)?;
                    Loaded::Missing(*place)
                }
                Some(row) => match stored(row, &mut lanes) {
                    Ok(stored) => Loaded::Intact(stored),
                    Err(damage) => Loaded::Damaged(DamagedRow { row: *place, damage }),
                },
            })
        })
        .collect()
}

/// Assures that a row that was not found is not there, by reading all of them: a damaged inner page hides rows from
/// everybody who looks for their place, and not finding a row means that its update was finished.
pub(super) fn assure_absent(conn: &Connection, scan: &str, place: RowId) -> Result<(), JournalError> {
    if conn.prepare_cached(scan)?.exists([place.0])? {
        return Err(JournalError::contents(
            "a row is there, but not where its place leads",
        ));
    }
    Ok(())
}

/// Returns what a row holds: the columns of [`recover::entry`], then `errors` and `raw`.
pub(super) fn stored(
    row: &Row<'_>,
    lanes: &mut HashMap<String, actogram_actors::Lane>,
) -> Result<Stored, Damage> {
    const ERRORS: usize = columns::HEADER + 6;
    let (entry, started) = recover::entry(row, lanes)?;
    let update = payload(row, ERRORS + 1)?;
    if update.id() != entry.update_id {
        return Err(Damage::NotAnUpdate);
    }
    Ok(Stored {
        entry,
        update,
        received_at: Timestamp(columns::integer(row, 5)?),
        started,
        errors: columns::any_text(row, ERRORS)
            .map(|stored| history::read(&stored))
            .unwrap_or_default(),
    })
}

/// Returns the update in column `raw` of a row whose header was found intact.
pub(super) fn payload(row: &Row<'_>, raw: usize) -> Result<Update, Damage> {
    let bytes = columns::bytes(row, raw)?;
    if payload_hash(bytes) != columns::integer(row, 7)? {
        return Err(Damage::Payload);
    }
    let text = str::from_utf8(bytes).map_err(|_| Damage::NotAnUpdate)?;
    Update::from_json(text).map_err(|_| Damage::NotAnUpdate)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BOT, NOW, Place, update, updates};
    use super::*;

    #[test]
    fn updates_come_in_the_order_they_were_asked_for() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(3));
        let asked = [rows[2], RowId(99), rows[0]];

        let found: Vec<_> = store
            .load(&asked)
            .unwrap()
            .into_iter()
            .map(|loaded| match loaded {
                Loaded::Intact(stored) => Some(stored.entry.row),
                Loaded::Missing(RowId(99)) => None,
                other => panic!("{other:?}"),
            })
            .collect();

        assert_eq!(found, [Some(rows[2]), None, Some(rows[0])]);
    }

    #[test]
    fn a_payload_that_is_another_update_or_none_is_not_handed_out() {
        let place = Place::new();
        let mut store = place.open();
        let other = update(8, 1);

        for raw in [other.raw(), "no json", "[]"] {
            let hash = payload_hash(raw.as_bytes());
            let row = store.run(|work| work.append(BOT, 7, "message", "chat:1", NOW, hash, raw, None));

            let Loaded::Damaged(damaged) = store.load_one(row) else {
                panic!("{raw} was handed out as update 7")
            };
            assert_eq!(damaged.damage, Damage::NotAnUpdate);
        }
    }
}
