//! Tests of [`super`]: what is kept, what goes, and that it is told.

use std::time::Duration;

use super::{
    super::{
        Damage, DamagedRow, DeadFilter, DeadReason, Store, StoreOptions, dead,
        testing::{BOT, NOW, Place, update, updates},
    },
    *,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn options(dead_letters: u64, days: u32) -> StoreOptions {
    StoreOptions {
        dead_letters,
        dead_age: days * DAY,
        ..StoreOptions::default()
    }
}

/// A journal whose updates died one per day, from [`NOW`] on.
fn one_death_per_day(count: i64, options: StoreOptions) -> (Place, Store) {
    let place = Place::new();
    let (mut store, _) = place.try_open(options).unwrap();
    let rows = store.push_new(&updates(count));
    for (row, day) in rows.into_iter().zip(0..) {
        store.run(|work| work.bury(row, DeadReason::Failed, &[], NOW.plus(day * DAY)));
    }
    (place, store)
}

fn letters(store: &Store) -> Vec<i64> {
    let listed = dead::list(store.connection(), &DeadFilter::default(), None, 999).unwrap();
    listed
        .into_iter()
        .map(|letter| letter.unwrap().update_id)
        .collect()
}

fn told(gone: &[Gone]) -> Vec<(i64, &'static str)> {
    gone.iter()
        .map(|gone| (gone.update_id.unwrap(), gone.bound.as_str()))
        .collect()
}

#[test]
fn letters_go_when_they_are_older_than_they_may_be_and_are_named_and_counted() {
    let (_place, mut store) = one_death_per_day(5, options(100, 30));

    assert_eq!(store.run(|work| work.sweep(NOW.plus(30 * DAY))), Swept::default());
    let swept = store.run(|work| work.sweep(NOW.plus(31 * DAY + Duration::from_millis(1))));

    assert_eq!(told(&swept.letters), [(1, "age"), (2, "age")]);
    assert_eq!(
        (swept.letters[0].row, swept.letters[0].bot),
        (Some(RowId(1)), Some(BOT as i64))
    );
    assert_eq!(letters(&store), [3, 4, 5]);
    let totals = store.totals().unwrap();
    assert_eq!(
        (totals.dead, totals.dead_swept, totals.set_aside_swept),
        (3, 2, 0)
    );
}

#[test]
fn of_too_many_letters_those_go_that_died_first() {
    let place = Place::new();
    let (mut store, _) = place.try_open(options(3, 30)).unwrap();
    let rows = store.push_new(&updates(5));
    // The first to arrive dies last.
    for (row, hours) in rows.into_iter().rev().zip(0..) {
        let at = NOW.plus(hours * Duration::from_secs(3600));
        store.run(|work| work.bury(row, DeadReason::Failed, &[], at));
    }

    let swept = store.run(|work| work.sweep(NOW.plus(DAY)));

    assert_eq!(told(&swept.letters), [(4, "number"), (5, "number")]);
    assert_eq!(letters(&store), [1, 2, 3]);
    assert!(!swept.more);
    assert_eq!(store.totals().unwrap().dead_swept, 2);
}

#[test]
fn what_somebody_drops_or_retries_is_not_counted_as_swept() {
    let (_place, mut store) = one_death_per_day(2, options(100, 30));

    store.run(|work| work.drop_dead(RowId(1)));
    store.run(|work| work.retry_dead(RowId(2)));

    assert_eq!(store.totals().unwrap().dead_swept, 0);
}

#[test]
fn one_call_drops_a_bounded_number_and_says_that_there_is_more() {
    let options = StoreOptions {
        sweep_rows: 4,
        ..options(3, 30)
    };
    let (_place, mut store) = one_death_per_day(12, options);
    let end = NOW.plus(36 * DAY);

    let swept: Vec<_> = (0..4).map(|_| store.run(|work| work.sweep(end))).collect();

    let sizes: Vec<_> = swept
        .iter()
        .map(|swept| (swept.letters.len(), swept.more))
        .collect();
    assert_eq!(sizes, [(4, true), (4, true), (1, false), (0, false)]);
    assert_eq!(
        told(&swept[1].letters),
        [(5, "age"), (6, "age"), (7, "number"), (8, "number")]
    );
    assert_eq!(letters(&store), [10, 11, 12]);
}

#[test]
fn letters_of_a_time_when_the_clock_was_not_set_are_not_taken_for_old() {
    let place = Place::new();
    let (mut store, _) = place.try_open(options(1, 30)).unwrap();
    let rows = store.push_new(&updates(2));
    store.run(|work| work.bury(rows[0], DeadReason::Failed, &[], Timestamp(60_000)));
    assert_eq!(store.run(|work| work.sweep(NOW)), Swept::default());

    store.run(|work| work.bury(rows[1], DeadReason::Failed, &[], NOW));
    let swept = store.run(|work| work.sweep(NOW));

    assert_eq!(told(&swept.letters), [(1, "number")]);
}

#[test]
fn a_bound_that_cannot_be_reached_keeps_everything() {
    let unbounded = StoreOptions {
        dead_letters: u64::MAX,
        dead_age: Duration::MAX,
        ..StoreOptions::default()
    };
    let (_place, mut store) = one_death_per_day(5, unbounded);

    let swept = store.run(|work| work.sweep(NOW.plus(100_000 * DAY)));

    assert_eq!(swept, Swept::default());
}

/// Sets updates aside, one per day.
fn one_damage_per_day(count: i64, options: StoreOptions) -> (Place, Store) {
    let place = Place::new();
    let (mut store, _) = place.try_open(options).unwrap();
    for (row, day) in store.push_new(&updates(count)).into_iter().zip(0..) {
        let damage = Damage::Payload;
        store.run(|work| work.set_aside(DamagedRow { row, damage }, NOW.plus(day * DAY)));
    }
    (place, store)
}

#[test]
fn damaged_rows_go_by_age_and_number_as_well() {
    let (_place, mut store) = one_damage_per_day(6, options(3, 30));

    let swept = store.run(|work| work.sweep(NOW.plus(31 * DAY)));

    assert_eq!(told(&swept.set_aside), [(1, "age"), (2, "number"), (3, "number")]);
    assert_eq!(swept.letters, []);
    let totals = store.totals().unwrap();
    assert_eq!(
        (totals.set_aside, totals.set_aside_swept, totals.dead_swept),
        (3, 3, 0)
    );
}

#[test]
fn gaps_in_the_numbers_of_damaged_rows_do_not_count_as_rows() {
    let (_place, mut store) = one_damage_per_day(6, options(3, 30));
    store
        .connection()
        .execute("DELETE FROM set_aside WHERE id IN (2, 3, 4)", [])
        .unwrap();

    let swept = store.run(|work| work.sweep(NOW.plus(DAY)));

    assert_eq!(swept, Swept::default());
}

#[test]
fn what_is_left_of_a_row_without_any_values_can_be_dropped() {
    let place = Place::new();
    let (mut store, _) = place.try_open(options(0, 30)).unwrap();
    place.meddle("INSERT INTO set_aside (at, why, seq, update_id) VALUES (1, 'x', 'none', x'00')");

    let swept = store.run(|work| work.sweep(NOW));

    let (row, update_id) = (swept.set_aside[0].row, swept.set_aside[0].update_id);
    assert_eq!((row, update_id), (None, None));
}

#[test]
fn sweeping_a_few_does_not_read_all_of_them() {
    let place = Place::new();
    let store = place.open();
    for (sql, bounds) in [
        (OLD_LETTERS, 3),
        (SURPLUS_LETTERS, 1),
        (OLD_REMAINS, 3),
        (SURPLUS_REMAINS, 1),
    ] {
        let mut plan = store
            .connection()
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(vec![0; bounds]), |row| {
                row.get("detail")
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();

        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        let by_index = sql.contains("set_aside") || steps.iter().any(|step| step.contains("dead_died_at"));
        assert!(!sorts && by_index, "{steps:?}");
    }
}

#[test]
fn a_journal_of_an_earlier_version_of_the_counts_is_swept_and_counted_too() {
    let (place, store) = one_death_per_day(2, options(1, 30));
    drop(store);
    place.meddle("DELETE FROM meta WHERE key LIKE '%swept'; DROP INDEX dead_died_at");
    let (mut store, recovered) = place.try_open(options(1, 30)).unwrap();
    assert_eq!(recovered.missing, 0);

    store.run(|work| work.sweep(NOW.plus(DAY)));
    drop(store);

    assert_eq!(place.open().totals().unwrap().dead_swept, 1);
    assert_eq!(place.open().push_new(&[update(9, 1)]), [RowId(3)]);
}
