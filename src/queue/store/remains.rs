//! What is left of damaged rows, for an operator to look at. Nothing in them may be trusted.

use rusqlite::{Connection, OptionalExtension, Row, types::ValueRef};

use super::{columns, error::JournalError, history, time::Timestamp, transaction::Work};

/// A damaged row that was set aside, without its payload. A value that is missing, or is of another type than it should
/// be, is `None`; one that is there may be wrong all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Number of the row among those that were set aside; never used twice.
    pub(crate) id: i64,
    /// When it was set aside.
    pub(crate) at: Timestamp,
    /// How it was found to be damaged.
    pub(crate) damage: String,
    /// The place it had.
    pub(crate) place: Option<i64>,
    /// Bot that received the update.
    pub(crate) bot: Option<i64>,
    /// Its `update_id`.
    pub(crate) update_id: Option<i64>,
    /// Wire name of its kind.
    pub(crate) kind: Option<String>,
    /// Its lane.
    pub(crate) lane: Option<String>,
    /// When it was pushed.
    pub(crate) received_at: Option<Timestamp>,
    /// Number of its attempt.
    pub(crate) attempt: Option<i64>,
    /// What went wrong before, oldest first.
    pub(crate) errors: Vec<String>,
    /// Bytes that are left of its payload.
    pub(crate) bytes: u64,
}

/// The columns of [`Remains`], in this order.
macro_rules! remains_columns {
    () => {
        "id, at, why, seq, bot, update_id, kind, lane, received_at, attempt, errors, octet_length(raw)"
    };
}

const COLUMNS: usize = 12;

/// Returns up to `limit` rows behind one of them, in the order in which they were set aside.
pub(super) fn list(conn: &Connection, after: Option<i64>, limit: u32) -> Result<Vec<Remains>, JournalError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        remains_columns!(),
        " FROM set_aside WHERE id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows = statement.query_map((after.unwrap_or(i64::MIN), limit), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns a row with the bytes that are left of its payload.
pub(super) fn show(conn: &Connection, id: i64) -> Result<Option<(Remains, Vec<u8>)>, JournalError> {
    Ok(conn
        .prepare_cached(concat!(
            "SELECT ",
            remains_columns!(),
            ", raw FROM set_aside WHERE id = ?1"
        ))?
        .query_row([id], |row| {
            let raw = match row.get_ref(COLUMNS)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_owned(),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
            };
            Ok((read(row)?, raw))
        })
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Remains> {
    let number = |column| columns::integer(row, column).ok();
    Ok(Remains {
        id: row.get(0)?,
        at: Timestamp(number(1).unwrap_or(0)),
        damage: columns::any_text(row, 2).unwrap_or_default(),
        place: number(3),
        bot: number(4),
        update_id: number(5),
        kind: columns::any_text(row, 6),
        lane: columns::any_text(row, 7),
        received_at: number(8).map(Timestamp),
        attempt: number(9),
        errors: columns::any_text(row, 10)
            .map(|stored| history::read(&stored))
            .unwrap_or_default(),
        bytes: number(11)
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(0),
    })
}

impl Work<'_> {
    /// Forgets a row that was set aside. Returns false if there is none.
    pub(crate) fn drop_set_aside(&mut self, id: i64) -> Result<bool, JournalError> {
        let removed = self
            .conn
            .prepare_cached("DELETE FROM set_aside WHERE id = ?1")?
            .execute([id])?;
        Ok(removed == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Damage, DamagedRow, RowId, Store,
        testing::{BOT, NOW, Place, updates},
    };
    use super::*;

    fn three_set_aside() -> (Place, Store) {
        let place = Place::new();
        let mut store = place.open();
        for row in store.push_new(&updates(3)) {
            let damage = Damage::Payload;
            store.run(|work| work.set_aside(DamagedRow { row, damage }, NOW));
        }
        (place, store)
    }

    #[test]
    fn everything_that_is_left_of_a_row_can_be_read() {
        let (_place, store) = three_set_aside();
        let lost = updates(2).remove(1);

        let (remains, raw) = show(store.connection(), 2).unwrap().unwrap();

        assert_eq!(raw, lost.raw().as_bytes());
        let expected = Remains {
            id: 2,
            at: NOW,
            damage: Damage::Payload.as_str().to_owned(),
            place: Some(2),
            bot: Some(BOT.cast_signed()),
            update_id: Some(2),
            kind: Some("message".to_owned()),
            lane: Some(lost.lane().to_string()),
            received_at: Some(NOW),
            attempt: Some(1),
            errors: Vec::new(),
            bytes: raw.len() as u64,
        };
        assert_eq!(remains, expected);
        assert_eq!(list(store.connection(), Some(1), 1).unwrap(), [expected]);
        assert_eq!(show(store.connection(), 9).unwrap(), None);
    }

    #[test]
    fn values_of_any_type_do_not_stop_anybody_from_looking() {
        let place = Place::new();
        let store = place.open();
        place.meddle(
            "INSERT INTO set_aside (at, why, seq, bot, update_id, kind, lane, received_at, attempt, errors, raw)
             VALUES (5, 'x', 'text', 1.5, x'00', 7, x'ff61', NULL, 'n', '[1', x'ff00fe');
             INSERT INTO set_aside (at, why, raw) VALUES (6, 'y', 17)",
        );

        let (remains, raw) = show(store.connection(), 1).unwrap().unwrap();

        assert_eq!(raw, [0xff, 0, 0xfe]);
        assert_eq!(
            (remains.place, remains.bot, remains.update_id),
            (None, None, None)
        );
        assert_eq!((remains.kind, remains.lane.as_deref()), (None, Some("\u{fffd}a")));
        assert_eq!((remains.errors, remains.bytes), (vec!["[1".to_owned()], 3));
        let (_, raw) = show(store.connection(), 2).unwrap().unwrap();
        assert_eq!(raw, [0; 0]);
    }

    #[test]
    fn only_what_was_named_is_dropped_and_its_number_is_not_given_again() {
        let (_place, mut store) = three_set_aside();

        assert!(store.run(|work| work.drop_set_aside(3)));
        assert!(!store.run(|work| work.drop_set_aside(3)));

        let row = store.push_new(&updates(4)[3..])[0];
        let damage = Damage::Header;
        store.run(|work| work.set_aside(DamagedRow { row, damage }, NOW));
        let ids: Vec<_> = list(store.connection(), None, 9)
            .unwrap()
            .into_iter()
            .map(|remains| remains.id)
            .collect();
        assert_eq!(ids, [1, 2, 4]);
        assert_eq!(row, RowId(4));
        assert_eq!(store.totals().unwrap().set_aside, 3);
    }
}
