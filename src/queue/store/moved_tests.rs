use actogram_actors::Lane;

use super::super::{
    DeadReason, DeadRetry, Durability, Loaded, RowId, Store,
    testing::{BOT, NOW, Place, update},
};
use super::*;
use crate::update::Update;

const OLD: i64 = -7;
const NEW: i64 = -1007;

fn lane(chat: i64) -> Lane {
    Lane::new(format!("chat:{chat}"))
}

/// The service message in the chat that ends.
fn ends(id: i64, from: i64, to: i64) -> Update {
    Update::from_json(&format!(
        r#"{{"update_id":{id},"message":{{"chat":{{"id":{from}}},"migrate_to_chat_id":{to}}}}}"#
    ))
    .unwrap()
}

/// The service message in the chat that begins.
fn begins(id: i64, from: i64, to: i64) -> Update {
    Update::from_json(&format!(
        r#"{{"update_id":{id},"message":{{"chat":{{"id":{to}}},"migrate_from_chat_id":{from}}}}}"#
    ))
    .unwrap()
}

/// Returns id and lane of every unfinished update, each checked against its checksums.
fn lanes(store: &Store) -> Vec<(i64, String)> {
    let lane = |entry: super::super::IndexEntry| (entry.update_id, entry.lane.to_string());
    store.entries().into_iter().map(lane).collect()
}

fn all_in(lane: i64, ids: impl IntoIterator<Item = i64>) -> Vec<(i64, String)> {
    ids.into_iter().map(|id| (id, format!("chat:{lane}"))).collect()
}

#[test]
fn either_service_message_moves_what_waits_and_what_comes_later() {
    for service in [ends(3, OLD, NEW), begins(3, OLD, NEW)] {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&[update(1, OLD), update(2, NEW)]);
        store.run(|work| work.start(rows[0], 2));

        store.push_new(&[service]);
        store.push_new(&[update(4, OLD), update(5, NEW), update(6, OLD)]);

        assert_eq!(lanes(&store), all_in(NEW, 1..=6));
        let moved = store.intact(rows[0]);
        assert_eq!((moved.started, moved.entry.attempt), (true, 2));
        assert_eq!(
            moved.update.lane(),
            &lane(OLD),
            "the update itself says what it says"
        );
    }
}

#[test]
fn what_comes_before_the_service_message_in_its_batch_is_moved_as_well() {
    let place = Place::new();
    let mut store = place.open();

    store.push_new(&[
        update(1, OLD),
        ends(2, OLD, NEW),
        begins(3, OLD, NEW),
        update(4, OLD),
    ]);

    assert_eq!(lanes(&store), all_in(NEW, 1..=4));
}

#[test]
fn each_move_is_told_once() {
    let place = Place::new();
    let mut store = place.open();
    let mut told = |update: Update| {
        store.run(|work| {
            work.push(BOT, [(&update, update.lane())], NOW)?;
            Ok(work.moves.clone())
        })
    };

    assert_eq!(told(update(1, OLD)), []);
    assert_eq!(told(ends(2, OLD, NEW)), [(lane(OLD), lane(NEW))]);
    assert_eq!(told(begins(3, OLD, NEW)), []);
    assert_eq!(told(ends(2, OLD, NEW)), []);
}

#[test]
fn other_lanes_stay_where_they_are() {
    let place = Place::new();
    let mut store = place.open();
    let (bystander, own) = (update(1, -70), Lane::new("own:-7"));
    let service = ends(3, OLD, NEW);
    store.run(|work| {
        work.push(
            BOT,
            [(&bystander, bystander.lane()), (&update(2, OLD), &own)],
            NOW,
        )?;
        work.push(BOT, [(&service, &own)], NOW)
    });

    store.run(|work| work.push(BOT, [(&update(4, OLD), &own)], NOW));

    let found: Vec<_> = lanes(&store).into_iter().map(|(_, lane)| lane).collect();
    assert_eq!(found, ["chat:-70", "own:-7", "own:-7", "own:-7"]);
}

#[test]
fn a_move_survives_a_kill_with_the_service_message_or_did_not_happen() {
    let place = Place::new();
    let mut store = place.open();
    store.push_new(&[update(1, OLD)]);
    let failed: Result<(), _> = store.transaction(Durability::Power, |work| {
        let service = ends(2, OLD, NEW);
        work.push(BOT, [(&service, service.lane())], NOW)?;
        Err(JournalError::contents("test"))
    });
    failed.unwrap_err();
    let left = Place::after_a_kill(store.path());
    let (before, recovered) = left.recover();
    assert_eq!(
        (lanes(&before), recovered.moved.lanes),
        (all_in(OLD, [1]), vec![])
    );

    store.push_new(&[ends(2, OLD, NEW)]);
    let left = Place::after_a_kill(store.path());
    let (mut after, recovered) = left.recover();

    assert_eq!(recovered.moved.lanes, [(lane(OLD), lane(NEW))]);
    after.push_new(&[update(3, OLD)]);
    assert_eq!(lanes(&after), all_in(NEW, 1..=3));
}

#[test]
fn a_chain_of_moves_leads_to_its_end_and_a_circle_is_not_closed() {
    for order in [[(-1, -2), (-2, -3)], [(-2, -3), (-1, -2)]] {
        let place = Place::new();
        let mut store = place.open();
        store.push_new(&[update(1, -1), update(2, -2), update(3, -3)]);
        for (id, (from, to)) in (4..).zip(order) {
            store.push_new(&[ends(id, from, to)]);
        }

        store.push_new(&[ends(6, -3, -1), update(7, -1), update(8, -2)]);

        assert_eq!(lanes(&store), all_in(-3, 1..=8), "{order:?}");
    }
}

#[test]
fn a_dead_letter_that_is_retried_goes_where_its_chat_is_now() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&[update(1, OLD)]);
    store.run(|work| work.bury(rows[0], DeadReason::Failed, &[], NOW));
    store.push_new(&[ends(2, OLD, NEW)]);

    let retried = store.run(|work| work.retry_dead(rows[0]));

    assert!(matches!(retried, DeadRetry::Queued(_)), "{retried:?}");
    assert_eq!(lanes(&store), all_in(NEW, [2, 1]));
}

#[test]
fn a_damaged_row_is_not_made_whole_by_moving_it() {
    let place = Place::new();
    let mut store = place.open();
    store.push_new(&[update(1, OLD), update(2, OLD)]);
    place.meddle("UPDATE updates SET received_at = 0 WHERE update_id = 1");

    store.push_new(&[ends(3, OLD, NEW)]);

    assert!(matches!(store.load_one(RowId(1)), Loaded::Damaged(_)));
    assert_eq!(store.intact(RowId(2)).entry.lane, lane(NEW));
}

#[test]
fn a_damaged_note_leads_nowhere_and_is_forgotten() {
    let place = Place::new();
    let mut store = place.open();
    store.push_new(&[ends(1, OLD, NEW), ends(2, -8, -1008)]);
    place.meddle("UPDATE moved_lanes SET goes_on = 'chat:-99' WHERE lane = 'chat:-7'");

    let row = store.push_new(&[update(3, OLD)])[0];
    assert_eq!(store.intact(row).entry.lane, lane(OLD));
    drop(store);

    let (_, recovered) = place.recover();
    assert_eq!(
        recovered.moved,
        Moved {
            lanes: vec![(lane(-8), lane(-1008))],
            damaged: 1
        }
    );
    assert_eq!(place.recover().1.moved.damaged, 0);
}

#[test]
fn notes_are_kept_for_long_and_not_for_ever() {
    let place = Place::new();
    place.open().push_at(&[ends(1, OLD, NEW)], NOW);

    let reopened = |now| Store::open(&place.path(), Default::default(), now).unwrap().1;

    assert_eq!(reopened(NOW.plus(KEPT_FOR)).moved.lanes.len(), 1);
    let later = NOW.plus(KEPT_FOR).plus(Duration::from_millis(1));
    assert_eq!(reopened(later).moved.lanes, []);
}

#[test]
fn the_number_of_notes_is_bounded_and_the_oldest_are_forgotten_first() {
    let place = Place::new();
    let mut store = place.open();
    store.run(|work| {
        (1..=MOST_MOVED + 2).try_for_each(|n| work.move_lane(&lane(-n), &lane(-n - 1_000_000), NOW))
    });
    drop(store);

    let (_, recovered) = place.recover();

    assert_eq!(recovered.moved.lanes.len() as i64, MOST_MOVED);
    assert_eq!(recovered.moved.lanes[0].0, lane(-3));
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date_with_everything_in_it() {
    let place = Place::new();
    let rows = place.open().push_new(&[update(1, OLD), update(2, NEW)]);
    place.meddle(
        "DROP INDEX dead_died_at; DROP TABLE moved_lanes; DROP TABLE last_ids; DROP TABLE broadcasts; DROP TABLE broadcast_chats; ALTER TABLE updates DROP COLUMN retry_delay; PRAGMA user_version = 1",
    );

    let mut store = place.open();

    assert_eq!(store.intact(rows[0]).entry.lane, lane(OLD));
    store.push_new(&[ends(3, OLD, NEW)]);
    assert_eq!(lanes(&store), all_in(NEW, 1..=3));
}
