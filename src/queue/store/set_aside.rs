//! Damaged rows are moved to the side with what is left of them: never handled, and kept as dead letters are.

use super::{entry::DamagedRow, error::JournalError, time::Timestamp, transaction::Work};

impl Work<'_> {
    /// Moves a damaged row to the table `set_aside`. Returns false if there is no such row.
    pub(crate) fn set_aside(
        &mut self,
        DamagedRow { row, damage }: DamagedRow,
        now: Timestamp,
    ) -> Result<bool, JournalError> {
        let whole = self
            .conn
            .prepare_cached(
                "INSERT INTO set_aside (at, why, seq, bot, update_id, kind, lane, received_at, state, attempt, waits,
                        crashes, retry_at, mark, errors, sum, hash, raw)
                 SELECT ?2, ?3, seq, bot, update_id, kind, lane, received_at, state, attempt, waits,
                        crashes, retry_at, mark, errors, sum, hash, raw
                 FROM updates WHERE seq = ?1",
            )?
            .execute((row.0, now.0, damage.as_str()));
        match whole.map_err(JournalError::from) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            // The pages of the payload cannot be followed; the place and the reason are what is left.
            Err(JournalError::Corrupt { .. }) => {
                self.conn
                    .prepare_cached("INSERT INTO set_aside (at, why, seq) VALUES (?2, ?3, ?1)")?
                    .execute((row.0, now.0, damage.as_str()))?;
            }
            Err(error) => return Err(error),
        }
        self.finish(row)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::{
        Damage, Loaded, RowId, Store,
        testing::{NOW, Place, updates},
    };
    use super::*;

    /// Returns what was set aside: place, reason, and payload.
    fn aside(store: &Store) -> Vec<(i64, String, Option<String>)> {
        let mut statement = store
            .connection()
            .prepare("SELECT seq, why, CAST(raw AS TEXT) FROM set_aside WHERE at = ?1 ORDER BY id")
            .unwrap();
        let rows = statement
            .query_map([NOW.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// A journal with four updates, of which the second was changed by `sql`.
    fn damaged(sql: &str) -> Place {
        let place = Place::new();
        place.open().push_new(&updates(4));
        place.meddle(sql);
        place
    }

    #[test]
    fn damage_outside_the_payload_is_found_and_set_aside_when_the_journal_is_opened() {
        for (sql, damage) in [
            ("UPDATE updates SET lane = 'chat:3' WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET bot = bot + 1 WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET update_id = 7 WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET kind = 'x' WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET received_at = 0 WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET hash = 0 WHERE seq = 2", Damage::Header),
            ("UPDATE updates SET sum = 0 WHERE seq = 2", Damage::Header),
            (
                "UPDATE updates SET raw = raw || ' ' WHERE seq = 2",
                Damage::Header,
            ),
            ("UPDATE updates SET state = 1 WHERE seq = 2", Damage::Marks),
            ("UPDATE updates SET attempt = 5 WHERE seq = 2", Damage::Marks),
            ("UPDATE updates SET waits = 5 WHERE seq = 2", Damage::Marks),
            ("UPDATE updates SET crashes = 5 WHERE seq = 2", Damage::Marks),
            ("UPDATE updates SET retry_at = 5 WHERE seq = 2", Damage::Marks),
            ("UPDATE updates SET mark = 5 WHERE seq = 2", Damage::Marks),
        ] {
            let place = damaged(sql);

            let (store, recovered) = place.recover();

            let row = RowId(2);
            assert_eq!(recovered.set_aside, [DamagedRow { row, damage }], "{sql}");
            assert_eq!(store.ids(), [1, 3, 4], "{sql}");
            assert_eq!(store.totals().unwrap().rows, 3, "{sql}");
            let (place, why, raw) = aside(&store).remove(0);
            assert_eq!((place, why.as_str()), (2, damage.as_str()), "{sql}");
            assert_eq!(raw.unwrap().trim_end(), updates(2)[1].raw(), "{sql}");
            assert_eq!(recovered.missing, 0, "{sql}");
        }
    }

    #[test]
    fn a_place_that_changed_is_damage() {
        let place = damaged("UPDATE updates SET seq = 9 WHERE seq = 2");

        let (store, recovered) = place.recover();

        assert_eq!(recovered.set_aside[0].row, RowId(9));
        assert_eq!(store.ids(), [1, 3, 4]);
    }

    #[test]
    fn a_flipped_byte_in_a_payload_is_found_when_it_is_read_and_can_be_set_aside() {
        let place = damaged("UPDATE updates SET raw = replace(raw, 'text 2', 'text 3') WHERE seq = 2");
        let (mut store, recovered) = place.recover();
        assert!(recovered.set_aside.is_empty(), "opening reads no payloads");

        let Loaded::Damaged(row) = store.load_one(RowId(2)) else {
            panic!("a wrong payload was handed out")
        };
        assert_eq!(row.damage, Damage::Payload);
        assert!(store.run(|work| work.set_aside(row, NOW)));

        assert_eq!(store.ids(), [1, 3, 4]);
        assert!(aside(&store)[0].2.as_ref().unwrap().contains("text 3"));
        assert_eq!(store.totals().unwrap().set_aside, 1);
        assert!(!store.run(|work| work.set_aside(row, NOW)), "it is gone");
        assert_eq!(store.totals().unwrap().set_aside, 1);
    }

    #[test]
    fn a_payload_that_is_no_text_any_more_is_set_aside_as_it_is() {
        let place = Place::new();
        place.open().push_new(&updates(1));
        let conn = Connection::open(place.path()).unwrap();
        conn.execute("UPDATE updates SET raw = CAST(x'ff00fe' AS TEXT)", [])
            .unwrap();
        drop(conn);

        let (store, recovered) = place.recover();

        assert_eq!(recovered.set_aside.len(), 1);
        let raw: Vec<u8> = store
            .connection()
            .query_row("SELECT CAST(raw AS BLOB) FROM set_aside", [], |row| row.get(0))
            .unwrap();
        assert_eq!(raw, [0xff, 0, 0xfe]);
    }
}
