//! Dead letters: buried, listed, retried, dropped.

use actogram_actors::Lane;

use super::{
    Damage, DamagedRow, DeadFilter, DeadLetter, DeadReason, DeadRetry, Filter, Loaded, Operator, Retry,
    Store, StoreOptions, Timestamp,
    dead::{list, show},
    testing::{BOT, NOW, Place, update, updates},
};

fn letters(store: &Store, filter: &DeadFilter) -> Vec<i64> {
    let listed = list(store.connection(), filter, None, 99).unwrap();
    listed
        .into_iter()
        .map(|letter| letter.unwrap().update_id)
        .collect()
}

#[test]
fn a_dead_letter_keeps_its_bytes_its_reason_and_every_error() {
    let place = Place::new();
    let mut store = place.open();
    let batch = updates(2);
    let row = store.push_new(&batch)[1];
    let retry = Retry {
        attempt: 2,
        waits: 1,
        at: NOW,
        delay: std::time::Duration::ZERO,
        error: Some("first"),
    };
    store.run(|work| work.retry(row, &retry));

    let last = ["last".to_owned()];
    assert!(store.run(|work| work.bury(row, DeadReason::Failed, &last, Timestamp(NOW.0 + 5))));

    assert_eq!(store.ids(), [1]);
    let (letter, update) = show(store.connection(), row).unwrap().unwrap().unwrap();
    assert_eq!(update.raw(), batch[1].raw());
    let expected = DeadLetter {
        row,
        bot: BOT,
        update_id: 2,
        kind: "message".to_owned(),
        lane: batch[1].lane().clone(),
        bytes: batch[1].raw().len() as u64,
        received_at: NOW,
        died_at: Timestamp(NOW.0 + 5),
        reason: DeadReason::Failed,
        attempt: 2,
        waits: 1,
        crashes: 0,
        errors: vec!["first".to_owned(), "last".to_owned()],
    };
    assert_eq!(letter, expected);
    assert_eq!(
        list(store.connection(), &DeadFilter::default(), None, 9).unwrap(),
        [Ok(expected)]
    );
    let totals = store.totals().unwrap();
    assert_eq!((totals.rows, totals.dead), (1, 1));
}

#[test]
fn dead_letters_are_listed_page_by_page_and_by_what_they_have_in_common() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&updates(6));
    store.run(|work| {
        for (row, reason) in rows
            .iter()
            .zip([DeadReason::Failed, DeadReason::Crashed].into_iter().cycle())
        {
            work.bury(*row, reason, &[], NOW)?;
        }
        Ok(())
    });
    let page = |after, limit| -> Vec<i64> {
        let page = list(store.connection(), &DeadFilter::default(), after, limit).unwrap();
        page.into_iter().map(|letter| letter.unwrap().update_id).collect()
    };
    let of = |bot, lane: Option<&str>, reason| DeadFilter {
        of: Filter {
            bot,
            lane: lane.map(Lane::new),
        },
        reason,
    };

    assert_eq!(page(None, 4), [1, 2, 3, 4]);
    assert_eq!(page(Some(rows[3]), 4), [5, 6]);
    assert_eq!(letters(&store, &of(Some(BOT), Some("chat:1"), None)), [1, 4]);
    assert_eq!(
        letters(&store, &of(None, None, Some(DeadReason::Crashed))),
        [2, 4, 6]
    );
    assert_eq!(
        letters(&store, &of(None, Some("chat:1"), Some(DeadReason::Crashed))),
        [4]
    );
    assert_eq!(letters(&store, &of(Some(BOT + 1), None, None)), [0; 0]);
}

#[test]
fn a_retried_letter_goes_to_the_end_of_its_lane_for_a_first_attempt() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&updates(4));
    store.run(|work| work.start(rows[0], 6));
    let error = ["why".to_owned()];
    store.run(|work| work.bury(rows[0], DeadReason::Failed, &error, NOW));

    let retried = store.run(|work| work.retry_dead(rows[0]));

    let DeadRetry::Queued(entry) = retried else {
        panic!("{retried:?}")
    };
    assert_eq!(store.entries().last(), Some(&entry));
    assert_eq!(store.ids(), [2, 3, 4, 1]);
    let stored = store.intact(entry.row);
    assert_eq!(stored.update.raw(), update(1, 1).raw());
    assert_eq!((stored.entry.attempt, stored.started), (1, false));
    assert_eq!(stored.errors, ["why"]);
    assert_eq!(stored.received_at, NOW);
    assert_eq!(letters(&store, &DeadFilter::default()), [0; 0]);
    assert_eq!(store.run(|work| work.retry_dead(rows[0])), DeadRetry::Missing);
}

#[test]
fn a_dropped_letter_is_gone_and_its_second_delivery_is_still_noticed() {
    let place = Place::new();
    let mut store = place.open();
    let batch = updates(1);
    let row = store.push_new(&batch)[0];
    store.run(|work| work.bury(row, DeadReason::Interrupted, &[], NOW));

    assert!(store.run(|work| work.drop_dead(row)));

    assert!(!store.run(|work| work.drop_dead(row)));
    assert!(show(store.connection(), row).unwrap().is_none());
    assert_eq!(store.totals().unwrap().dead, 0);
    assert_eq!(store.push_at(&batch, NOW), [None]);
}

#[test]
fn a_damaged_letter_is_listed_as_such_and_not_tried_again() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&updates(3));
    store.run(|work| {
        rows.iter()
            .try_for_each(|row| work.bury(*row, DeadReason::Failed, &[], NOW).map(drop))
    });
    drop(store);
    place.meddle("UPDATE dead SET raw = replace(raw, 'text', 'test') WHERE update_id = 2; UPDATE dead SET lane = 'chat:9' WHERE update_id = 3");
    let mut store = place.open();

    assert_eq!(
        store.run(|work| work.retry_dead(rows[1])),
        DeadRetry::Damaged(Damage::Payload)
    );
    assert_eq!(
        store.run(|work| work.retry_dead(rows[2])),
        DeadRetry::Damaged(Damage::Header)
    );

    let listed = list(store.connection(), &DeadFilter::default(), None, 9).unwrap();
    assert_eq!(
        listed[2],
        Err(DamagedRow {
            row: rows[2],
            damage: Damage::Header
        })
    );
    assert!(store.run(|work| work.drop_dead(rows[2])));
    assert_eq!(store.ids(), [0; 0]);
}

#[test]
fn an_operator_retries_beside_the_owner_who_finds_the_new_row() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&updates(2));
    store.run(|work| work.bury(rows[0], DeadReason::Failed, &[], NOW));
    let version = store.data_version().unwrap();

    let mut operator = Operator::open(&place.path(), StoreOptions::default()).unwrap();
    let retried = operator.transaction(|work| work.retry_dead(rows[0])).unwrap();

    let DeadRetry::Queued(entry) = retried else {
        panic!("{retried:?}")
    };
    assert_ne!(store.data_version().unwrap(), version);
    assert_eq!(
        store.index_after(rows[1], 9).unwrap().entries,
        std::slice::from_ref(&entry)
    );
    let next = store.push_new(&[update(3, 1)]);
    assert!(next[0] > entry.row);
    assert!(matches!(store.load_one(entry.row), Loaded::Intact(_)));
    assert_eq!(store.totals().unwrap().rows, 3);
}
