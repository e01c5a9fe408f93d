//! The index of unfinished updates, and what a new owner does with what the last one has left.

use std::collections::HashMap;

use actogram_actors::Lane;
use rusqlite::{Connection, Row};

use super::{
    columns::{self, header_columns},
    entry::{Damage, DamagedRow, IndexEntry, RowId},
    error::JournalError,
    moved::Moved,
    schema::mark_matches,
    time::Timestamp,
    transaction::Work,
    wal::LostTail,
};

/// What a new owner finds.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Every unfinished update of the owner's bot, in order of arrival.
    pub(crate) entries: Vec<IndexEntry>,
    /// Number of unfinished updates of other bots; they were left as they are.
    pub(crate) of_others: usize,
    /// Those of the entries whose attempt was running when the last owner died. One crash was added to their record.
    pub(crate) interrupted: Vec<RowId>,
    /// Rows that were damaged and are set aside now.
    pub(crate) set_aside: Vec<DamagedRow>,
    /// Unfinished updates and dead letters that are gone without a trace: damage to the structure of the file.
    pub(crate) missing: u64,
    /// Lanes that go on as others.
    pub(crate) moved: Moved,
    /// What was committed, but lies behind a damaged place of the write-ahead log. Expected after a power cut; anything
    /// else that causes it is damage.
    pub(crate) lost_tail: Option<LostTail>,
}

/// Part of the index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Unfinished updates, in order of arrival.
    pub(crate) entries: Vec<IndexEntry>,
    /// Those of them that are marked as started.
    pub(crate) started: Vec<RowId>,
    /// Rows that cannot be trusted.
    pub(crate) damaged: Vec<DamagedRow>,
}

/// Returns the rows behind a place, at most `limit` of them.
pub(crate) fn index(conn: &Connection, after: RowId, limit: usize) -> Result<Index, JournalError> {
    let mut index = Index::default();
    // Most updates share their lane with others: one text for all of them.
    let mut lanes = HashMap::new();
    let mut last = after.0;
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        header_columns!(),
        ", state, attempt, waits, crashes, retry_at, ",
        mark_matches!(),
        " FROM updates WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    ))?;
    let mut rows = statement.query((after.0, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if seq <= last {
            return Err(JournalError::contents("the rows are not in order"));
        }
        last = seq;
        match entry(row, &mut lanes) {
            Ok((entry, started)) => {
                if started {
                    index.started.push(entry.row);
                }
                index.entries.push(entry);
            }
            Err(damage) => index.damaged.push(DamagedRow {
                row: RowId(seq),
                damage,
            }),
        }
    }
    Ok(index)
}

/// Returns the entry of a row and whether it is started. The columns are the header's, then `state`, `attempt`, `waits`,
/// `crashes`, `retry_at`, and whether the marks match.
pub(super) fn entry(row: &Row<'_>, lanes: &mut HashMap<String, Lane>) -> Result<(IndexEntry, bool), Damage> {
    let header = columns::header(row)?;
    if columns::integer(row, columns::HEADER + 5)? != 1 {
        return Err(Damage::Marks);
    }
    let started = match columns::integer(row, columns::HEADER)? {
        0 => false,
        1 => true,
        _ => return Err(Damage::Marks),
    };
    let lane = str::from_utf8(header.lane).map_err(|_| Damage::Types)?;
    let lane = match lanes.get(lane) {
        Some(lane) => lane.clone(),
        None => lanes.entry(lane.to_owned()).or_insert(Lane::new(lane)).clone(),
    };
    let entry = IndexEntry {
        row: RowId(header.seq),
        bot: header.bot.cast_unsigned(),
        update_id: header.update_id,
        lane,
        bytes: u64::try_from(header.bytes).map_err(|_| Damage::Types)?,
        attempt: columns::counter(row, columns::HEADER + 1)?,
        waits: columns::counter(row, columns::HEADER + 2)?,
        crashes: columns::counter(row, columns::HEADER + 3)?,
        retry_at: columns::optional(row, columns::HEADER + 4)?.map(Timestamp),
    };
    Ok((entry, started))
}

/// Reads the index, gives what was started another chance, and sets aside what is damaged.
pub(super) fn recover(work: &mut Work<'_>, now: Timestamp) -> Result<Recovered, JournalError> {
    let Index {
        mut entries,
        mut started,
        damaged,
    } = index(work.conn, RowId(i64::MIN), usize::MAX)?;
    let found = entries.len() + damaged.len();
    let missing_rows = work.counts.rows.saturating_sub_unsigned(found as u64).max(0);
    let dead: i64 = work
        .conn
        .query_row("SELECT count(*) FROM dead", [], |row| row.get(0))?;
    let missing_dead = work.counts.dead.saturating_sub(dead).max(0);
    // Not what was kept while rows were damaged, but what there is.
    let rows = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let bytes = entries
        .iter()
        .fold(0, |sum: i64, entry| sum.saturating_add_unsigned(entry.bytes));
    let all = entries.len();
    if let Some(bot) = work.options.bot {
        entries.retain(|entry| entry.bot == bot);
        // That an attempt of another bot was cut off is for its own next start.
        started.retain(|row| entries.binary_search_by_key(row, |entry| entry.row).is_ok());
    }
    let of_others = all - entries.len();
    for row in &started {
        work.crashed(*row)?;
        if let Ok(at) = entries.binary_search_by_key(row, |entry| entry.row) {
            entries[at].crashes += 1;
        }
    }
    for entry in entries.iter_mut().filter(|entry| entry.retry_at > Some(now)) {
        if let Some(at) = work.bring_forward(entry.row, now)? {
            entry.retry_at = Some(at);
        }
    }
    for row in &damaged {
        work.set_aside(*row, now)?;
    }
    (work.counts.rows, work.counts.bytes, work.counts.dead) = (rows, bytes, dead);
    Ok(Recovered {
        entries,
        of_others,
        interrupted: started,
        set_aside: damaged,
        missing: missing_rows.unsigned_abs() + missing_dead.unsigned_abs(),
        moved: work.recover_moved(now)?,
        lost_tail: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        DeadReason, StoreOptions,
        testing::{BOT, NOW, Place, updates},
    };
    use super::*;

    #[test]
    fn what_was_started_when_the_owner_died_is_ready_with_a_crash_on_its_record() {
        let before = Place::new();
        let mut store = before.open();
        let rows = store.push_new(&updates(4));
        store.run(|work| work.start(rows[1], 3));
        store.run(|work| work.start(rows[3], 1));

        let place = Place::after_a_kill(store.path());
        let (store, recovered) = place.recover();

        assert_eq!(recovered.interrupted, [rows[1], rows[3]]);
        let records: Vec<_> = recovered
            .entries
            .iter()
            .map(|entry| (entry.update_id, entry.attempt, entry.crashes))
            .collect();
        assert_eq!(records, [(1, 1, 0), (2, 3, 1), (3, 1, 0), (4, 1, 1)]);
        assert_eq!(store.entries(), recovered.entries);
        assert!(!store.intact(rows[1]).started);
    }

    #[test]
    fn crashes_add_up_over_the_lives_of_a_process() {
        let mut place = Place::new();
        let row = place.open().push_new(&updates(1))[0];
        for crashes in 1..=3 {
            let mut store = place.open();
            store.run(|work| work.start(row, 1));
            place = Place::after_a_kill(store.path());

            let (_, recovered) = place.recover();

            assert_eq!(recovered.entries[0].crashes, crashes);
        }
        let (_, recovered) = place.recover();
        assert_eq!(recovered.entries[0].crashes, 3, "a stop without work is no crash");
    }

    #[test]
    fn a_crash_is_on_record_even_if_the_next_owner_dies_at_once() {
        let before = Place::new();
        let mut store = before.open();
        let row = store.push_new(&updates(1))[0];
        store.run(|work| work.start(row, 1));
        let second = Place::after_a_kill(store.path());
        let (store, _) = second.recover();

        let (_, recovered) = Place::after_a_kill(store.path()).recover();

        assert_eq!(recovered.entries[0].crashes, 1);
        assert_eq!(recovered.interrupted, []);
    }

    #[test]
    fn what_belongs_to_another_bot_is_left_as_it_is_and_counted() {
        let before = Place::new();
        let mut store = before.open();
        let own = store.push_new(&updates(2));
        let lanes = updates(3);
        let others = store.run(|work| {
            let other = lanes.iter().map(|update| (update, update.lane()));
            work.push(BOT + 1, other, NOW)
        });
        store.run(|work| work.start(own[0], 1));
        store.run(|work| work.start(others[0].unwrap(), 1));
        let of = |bot| StoreOptions {
            bot: Some(bot),
            ..StoreOptions::default()
        };

        let place = Place::after_a_kill(store.path());
        let (store, recovered) = place.try_open(of(BOT)).unwrap();

        assert_eq!((recovered.entries.len(), recovered.of_others), (2, 3));
        assert_eq!(recovered.interrupted, own[..1]);
        assert_eq!((store.totals().unwrap().rows, recovered.missing), (5, 0));
        drop(store);
        let (_, recovered) = place.try_open(of(BOT + 1)).unwrap();
        assert_eq!(
            recovered.interrupted,
            [others[0].unwrap()],
            "its own start is told"
        );
        assert_eq!((recovered.entries.len(), recovered.of_others), (3, 2));
    }

    #[test]
    fn updates_of_one_lane_share_its_text() {
        let place = Place::new();
        place.open().push_new(&updates(4));

        let (_, recovered) = place.recover();

        let lane = |index: usize| recovered.entries[index].lane.as_str().as_ptr();
        assert_eq!(lane(0), lane(3));
        assert_ne!(lane(0), lane(1));
    }

    #[test]
    fn the_index_can_be_read_in_parts() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(5));

        let part = store.index_after(rows[1], 2).unwrap();

        let places: Vec<_> = part.entries.iter().map(|entry| entry.row).collect();
        assert_eq!(places, rows[2..4]);
    }

    #[test]
    fn rows_that_vanished_are_missed_once() {
        let place = Place::new();
        place.open().push_new(&updates(5));
        let mut store = place.open();
        store.run(|work| work.bury(RowId(5), DeadReason::Failed, &[], NOW));
        drop(store);
        place.meddle("DELETE FROM updates WHERE update_id IN (2, 3); DELETE FROM dead");

        assert_eq!(place.recover().1.missing, 3);
        assert_eq!(place.recover().1.missing, 0);
    }

    #[test]
    fn counts_are_mended_at_the_start() {
        let place = Place::new();
        place.open().push_new(&updates(5));
        place.meddle("UPDATE meta SET value = 1 WHERE key IN ('rows', 'bytes')");

        let (store, recovered) = place.recover();

        let totals = store.totals().unwrap();
        let bytes: u64 = recovered.entries.iter().map(|entry| entry.bytes).sum();
        assert_eq!((totals.rows, totals.bytes, recovered.missing), (5, bytes, 0));
    }

    #[test]
    fn a_table_of_counts_that_is_incomplete_is_damage() {
        let place = Place::new();
        drop(place.open());
        place.meddle("DELETE FROM meta WHERE key = 'rows'");

        let refused = place.try_open(StoreOptions::default()).unwrap_err();

        assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
    }
}
