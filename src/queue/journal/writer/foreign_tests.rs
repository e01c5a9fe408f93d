//! Tests of [`super`]: what the tool puts back reaches its lane, in order and soon.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::{
    queue::{
        Leased, QueueError, Settlement, Verdict,
        journal::{JournalSettings, writer::Push},
        store::{DeadRetry, Operator, StoreOptions},
    },
    update::Update,
};

const BOT: u64 = 7;

type Answer = oneshot::Receiver<Result<Vec<Leased>, QueueError>>;

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("a.db")
}

fn open(folder: &TempDir) -> Writer {
    let options = StoreOptions {
        busy_timeout: Duration::ZERO,
        ..StoreOptions::default()
    };
    Writer::open(&path(folder), BOT, JournalSettings::default(), options).unwrap()
}

fn update(id: i64, chat: i64) -> Update {
    Update::from_json(&format!(
        r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}}}}}}"#
    ))
    .unwrap()
}

fn push(writer: &mut Writer, updates: &[Update], now: Instant) {
    let (reply, _) = oneshot::channel();
    let updates = updates
        .iter()
        .map(|update| (update.lane().clone(), update.clone()))
        .collect();
    writer.pushes.push(Push { updates, reply });
    writer.write(now).unwrap();
}

fn ask(writer: &mut Writer) -> Answer {
    let (reply, answer) = oneshot::channel();
    writer.lease = Some((9, reply));
    answer
}

/// Leases what can be leased without looking around.
fn lease(writer: &mut Writer, now: Instant) -> Vec<Leased> {
    let mut answer = ask(writer);
    writer.give_out(now).unwrap();
    writer.lease = None;
    answer.try_recv().map_or(Vec::new(), Result::unwrap)
}

fn settle(writer: &mut Writer, leased: &[Leased], verdict: &Verdict, now: Instant) {
    let settled = leased.iter().map(|leased| Settlement {
        ticket: leased.ticket,
        verdict: verdict.clone(),
    });
    writer.settlements.extend(settled);
    writer.write(now).unwrap();
}

fn bury(writer: &mut Writer, leased: &[Leased], now: Instant) {
    settle(writer, leased, &Verdict::Dead { errors: Vec::new() }, now);
}

/// Puts a letter back as the tool does.
fn put_back(folder: &TempDir, row: i64) {
    let mut operator = Operator::open(&path(folder), StoreOptions::default()).unwrap();
    let retried = operator.transaction(|work| work.retry_dead(RowId(row))).unwrap();
    assert!(matches!(retried, DeadRetry::Queued(_)), "{retried:?}");
}

fn ids(leased: &[Leased]) -> Vec<i64> {
    leased.iter().map(|leased| leased.update.id()).collect()
}

#[test]
fn a_letter_that_was_put_back_is_leased_as_a_first_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    push(&mut writer, &[update(1, 1)], now);
    let leased = lease(&mut writer, now);
    bury(&mut writer, &leased, now);
    put_back(&folder, 1);

    let mut answer = ask(&mut writer);
    writer.look_around(now).unwrap();
    writer.give_out(now).unwrap();

    let leased = answer.try_recv().unwrap().unwrap();
    assert_eq!(ids(&leased), [1]);
    assert_eq!((leased[0].ticket, leased[0].attempt), (Ticket(2), 1));
    assert_eq!(leased[0].lane, *update(1, 1).lane());
}

/// The token of one bot says nothing in the chats of another.
#[test]
fn a_letter_of_another_bot_that_was_put_back_waits_for_that_bot() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    push(&mut writer, &[update(1, 1)], now);
    let leased = lease(&mut writer, now);
    bury(&mut writer, &leased, now);
    drop(writer);
    let mut other = Writer::open(
        &path(&folder),
        BOT + 1,
        JournalSettings::default(),
        StoreOptions::default(),
    )
    .unwrap();
    put_back(&folder, 1);

    let mut answer = ask(&mut other);
    other.look_around(now).unwrap();
    other.give_out(now).unwrap();

    assert!(answer.try_recv().is_err(), "it was given to the other bot");
    push(&mut other, &[update(2, 1)], now);
    assert_eq!(ids(&lease(&mut other, now)), [2], "nobody waits for it");
    drop(other);
    assert_eq!(ids(&lease(&mut open(&folder), now)), [1]);
}

#[test]
fn the_file_is_looked_at_once_a_second_and_only_while_a_lease_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    writer.upkeep_at = now + 2 * super::super::IDLE;
    push(&mut writer, &[update(1, 1)], now);
    let leased = lease(&mut writer, now);
    bury(&mut writer, &leased, now);
    assert_eq!(writer.patience(now), super::super::IDLE, "nobody waits");
    let _answer = ask(&mut writer);
    writer.look_around(now).unwrap();
    assert_eq!(writer.patience(now), LOOK_PAUSE);
    put_back(&folder, 1);

    writer
        .look_around(now + LOOK_PAUSE - Duration::from_millis(1))
        .unwrap();
    assert_eq!(writer.shelf.len(), 0, "too early");
    let lease = writer.lease.take();
    writer.look_around(now + LOOK_PAUSE).unwrap();
    assert_eq!(writer.shelf.len(), 0, "nobody waits");
    writer.lease = lease;
    writer.look_around(now + LOOK_PAUSE).unwrap();

    assert_eq!(writer.shelf.len(), 1);
    writer.look_around(now + 5 * LOOK_PAUSE).unwrap();
    assert_eq!(writer.shelf.len(), 1, "it is taken up once");
}

/// The order in memory must be the one that a restart finds, or the restart would change the order of a lane.
#[test]
fn a_letter_that_was_put_back_between_two_pushes_stands_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    push(&mut writer, &[update(1, 1), update(2, 1)], now);
    let first = lease(&mut writer, now);
    bury(&mut writer, &first, now);

    put_back(&folder, 1);
    push(&mut writer, &[update(3, 1)], now);

    let mut order = Vec::new();
    loop {
        let leased = lease(&mut writer, now);
        if leased.is_empty() {
            break;
        }
        order.extend(ids(&leased));
        settle(&mut writer, &leased, &Verdict::Finished, now);
    }
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn more_letters_than_one_chunk_are_taken_up_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    let count = i64::try_from(CHUNK).unwrap() + 5;
    let updates: Vec<_> = (1..=count).map(|id| update(id, id)).collect();
    push(&mut writer, &updates, now);
    let (reply, mut answer) = oneshot::channel();
    writer.lease = Some((updates.len(), reply));
    writer.give_out(now).unwrap();
    let leased = answer.try_recv().unwrap().unwrap();
    bury(&mut writer, &leased, now);
    let mut operator = Operator::open(&path(&folder), StoreOptions::default()).unwrap();
    operator
        .transaction(|work| (1..=count).try_for_each(|row| work.retry_dead(RowId(row)).map(drop)))
        .unwrap();

    let _answer = ask(&mut writer);
    writer.look_around(now).unwrap();

    assert_eq!(writer.shelf.len(), updates.len());
    assert_eq!(writer.foreign.known, RowId(2 * count));
}

#[test]
fn what_was_there_at_the_start_is_not_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    push(&mut writer, &[update(1, 1), update(2, 2)], now);
    drop(writer);

    let mut writer = open(&folder);
    let _answer = ask(&mut writer);
    writer.look_around(now + LOOK_PAUSE).unwrap();

    assert_eq!(writer.shelf.len(), 2);
}

/// The tool may be stopped (`kill -STOP`) while it writes; that must cost nothing but time.
#[test]
fn a_program_that_does_not_stop_writing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, now) = (open(&folder), Instant::now());
    push(&mut writer, &[update(1, 1), update(2, 2)], now);
    let leased = lease(&mut writer, now)[..1].to_vec();
    assert_eq!(ids(&leased), [1]);
    push(&mut writer, &[update(3, 3)], now);
    let other = rusqlite::Connection::open(path(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (reply, mut pushed) = oneshot::channel();
    let new = update(4, 4);
    writer.pushes.push(Push {
        updates: vec![(new.lane().clone(), new)],
        reply,
    });
    writer.settlements.push(Settlement {
        ticket: leased[0].ticket,
        verdict: Verdict::Finished,
    });
    let mut answer = ask(&mut writer);
    writer.upkeep_at = now;

    writer.round().unwrap();

    assert!(writer.blocked.is_some());
    assert!(pushed.try_recv().is_err() && answer.try_recv().is_err());
    other.execute_batch("ROLLBACK").unwrap();
    let later = now + 2 * super::super::BLOCKED_PAUSE;
    writer.write(later).unwrap();
    writer.give_out(later).unwrap();
    assert_eq!(pushed.try_recv().unwrap().unwrap().kept, 1);
    let mut ids = ids(&answer.try_recv().unwrap().unwrap());
    ids.sort_unstable();
    assert_eq!(ids, [3, 4]);
    assert_eq!(writer.shelf.len(), 3, "the second one is still on lease");
}
