//! Opening, owning and closing a journal.

use std::{fs, panic};

use rusqlite::Connection;

use super::{
    CheckpointMode, Durability, JournalError, RowId, StorageError, Store, StoreOptions,
    testing::{NOW, Place, update, updates},
};

fn synchronous(store: &Store) -> i64 {
    store
        .connection()
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_new_journal_is_empty() {
    let place = Place::new();
    let (store, recovered) = place.recover();

    assert!(recovered.entries.is_empty() && recovered.interrupted.is_empty());
    assert!(recovered.set_aside.is_empty() && recovered.missing == 0);
    assert_eq!(store.totals().unwrap().rows, 0);
}

#[test]
fn what_was_pushed_is_there_after_a_clean_stop_and_nothing_lies_beside_it() {
    let place = Place::new();
    let mut store = place.open();
    store.push_new(&updates(5));

    store.close().unwrap();

    assert!(!place.beside("-wal").exists() && !place.beside("-shm").exists());
    let (store, recovered) = place.recover();
    assert_eq!(store.ids(), [1, 2, 3, 4, 5]);
    assert_eq!(recovered.entries, store.entries());
}

#[test]
fn commits_that_wait_for_the_disk_are_measured_and_no_others() {
    let place = Place::new();
    let mut store = place.open();
    assert_eq!(store.syncs().count(), 0);

    let rows = store.push_new(&updates(2));
    assert_eq!(store.syncs().count(), 1);
    store
        .transaction(Durability::Kill, |work| work.finish(rows[0]))
        .unwrap();
    store.transaction(Durability::Power, |_| Ok(())).unwrap();
    assert_eq!(store.syncs().count(), 1, "neither waited for the disk");
    store
        .transaction(Durability::Power, |work| work.finish(rows[1]))
        .unwrap();

    assert_eq!(store.syncs().count(), 2);
    assert!(!store.syncs().total().is_zero());
}

#[test]
fn a_store_that_is_dropped_keeps_everything() {
    let place = Place::new();
    place.open().push_new(&updates(5));

    assert_eq!(place.open().ids(), [1, 2, 3, 4, 5]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_of_the_files_may_read_them() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let modes = || {
        ["", "-wal", "-shm", ".lock"]
            .map(|suffix| fs::metadata(place.beside(suffix)).unwrap().permissions().mode() & 0o777)
    };

    let store = place.open();
    assert_eq!(modes(), [0o600; 4]);
    drop(store);
    for suffix in ["", ".lock"] {
        fs::set_permissions(place.beside(suffix), fs::Permissions::from_mode(0o644)).unwrap();
    }

    let _store = place.open();

    assert_eq!(modes(), [0o600; 4]);
}

#[cfg(unix)]
#[test]
fn what_a_kill_left_readable_is_closed_at_the_next_start() {
    use std::os::unix::fs::PermissionsExt;

    let before = Place::new();
    let mut store = before.open();
    store.push_new(&updates(1));
    let place = Place::after_a_kill(store.path());
    fs::set_permissions(place.beside("-wal"), fs::Permissions::from_mode(0o666)).unwrap();

    let store = place.open();

    let mode = fs::metadata(place.beside("-wal")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(store.ids(), [1]);
}

#[test]
fn the_durability_of_each_transaction_is_what_it_asked_for() {
    let place = Place::new();
    let mut store = place.open();
    assert_eq!(synchronous(&store), 2);

    for (durability, level) in [
        (Durability::Kill, 1),
        (Durability::Kill, 1),
        (Durability::Power, 2),
        (Durability::Kill, 1),
    ] {
        let seen: i64 = store
            .transaction(durability, |work| {
                Ok(work.conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?)
            })
            .unwrap();
        assert_eq!((seen, synchronous(&store)), (level, level));
    }
}

#[test]
fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let place = Place::new();
    let _first = place.open();

    let refused = place.try_open(StoreOptions::default()).unwrap_err();

    let JournalError::Locked { path, holder } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(*path, place.path());
    let holder = holder.as_ref().unwrap();
    assert!(
        holder.starts_with(&format!("process {} on host ", std::process::id())),
        "{holder}"
    );
    assert!(refused.to_string().contains(holder), "{refused}");
}

#[test]
fn an_owner_whose_lock_was_evaded_is_stopped_at_its_next_transaction() {
    let place = Place::new();
    let mut first = place.open();
    fs::remove_file(place.beside(".lock")).unwrap();
    let mut second = place.open();

    let refused = first.transaction(Durability::Power, |_| -> Result<(), _> { panic!("not reached") });

    assert!(matches!(refused, Err(JournalError::LostOwnership)), "{refused:?}");
    second.push_new(&updates(1));
    drop(first);
    second.push_new(&[update(2, 2)]);
}

#[cfg(unix)]
#[test]
fn an_owner_whose_file_was_deleted_is_stopped() {
    let place = Place::new();
    let mut store = place.open();
    fs::remove_file(place.path()).unwrap();

    let refused = store.transaction(Durability::Power, |_| Ok(()));
    assert!(matches!(refused, Err(JournalError::LostOwnership)), "{refused:?}");
    let refused = store.checkpoint(CheckpointMode::Passive);
    assert!(matches!(refused, Err(JournalError::LostOwnership)), "{refused:?}");
}

#[test]
fn a_write_ahead_log_without_its_database_is_left_alone() {
    let before = Place::new();
    let mut store = before.open();
    store.push_new(&updates(1));
    let place = Place::after_a_kill(store.path());
    fs::remove_file(place.path()).unwrap();
    let log = fs::read(place.beside("-wal")).unwrap();

    let refused = place.try_open(StoreOptions::default()).unwrap_err();

    assert!(
        matches!(refused, JournalError::WithoutDatabase { .. }),
        "{refused}"
    );
    assert_eq!(fs::read(place.beside("-wal")).unwrap(), log);
    assert!(!place.path().exists());
}

#[test]
fn a_journal_of_a_newer_program_is_refused_and_not_changed() {
    let place = Place::new();
    place.open().push_new(&updates(1));
    place.meddle("PRAGMA user_version = 99");
    let before = fs::read(place.path()).unwrap();

    let refused = place.try_open(StoreOptions::default()).unwrap_err();

    assert!(
        matches!(
            refused,
            JournalError::NewerVersion {
                found: 99,
                known: super::schema::VERSION,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn other_files_are_refused_and_not_changed() {
    let text = Place::new();
    fs::write(
        text.path(),
        "not a database, but longer than the header of one".repeat(9),
    )
    .unwrap();
    let other = Place::new();
    other.meddle("CREATE TABLE somebody (elses)");

    for place in [text, other] {
        let state = || {
            let permissions = fs::metadata(place.path()).unwrap().permissions();
            (fs::read(place.path()).unwrap(), permissions)
        };
        let before = state();
        let refused = place.try_open(StoreOptions::default()).unwrap_err();
        assert!(matches!(refused, JournalError::NotAJournal { .. }), "{refused}");
        assert!(state() == before, "a file of somebody else was changed");
    }
}

#[test]
fn an_empty_file_becomes_a_journal() {
    let place = Place::new();
    fs::write(place.path(), "").unwrap();

    place.open().push_new(&updates(1));

    assert_eq!(place.open().ids(), [1]);
}

#[test]
fn a_creation_that_was_cut_off_is_repeated() {
    let place = Place::new();
    fs::write(place.beside(".new"), "half").unwrap();

    place.open().push_new(&updates(1));

    assert_eq!(place.open().ids(), [1]);
    assert!(!place.beside(".new").exists());
}

#[test]
fn a_transaction_that_fails_or_panics_leaves_nothing() {
    let place = Place::new();
    let mut store = place.open();
    let batch = updates(3);
    let lanes = || batch.iter().map(|update| (update, update.lane()));

    let failed: Result<(), _> = store.transaction(Durability::Power, |work| {
        work.push(1, lanes(), NOW)?;
        Err(JournalError::contents("test"))
    });
    assert!(failed.is_err());
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        store.transaction(Durability::Power, |work| -> Result<(), JournalError> {
            work.push(1, lanes(), NOW)?;
            panic!("test")
        })
    }));
    assert!(panicked.is_err());

    assert_eq!(store.ids(), [0; 0]);
    assert_eq!(store.totals().unwrap().rows, 0);
    assert_eq!(store.push_new(&batch), [1, 2, 3].map(RowId));
}

#[test]
fn nothing_is_written_after_a_write_with_an_unknown_outcome() {
    let place = Place::new();
    let mut store = place.open();
    let failed: Result<(), _> = store.transaction(Durability::Power, |_| {
        Err(JournalError::Sync {
            source: StorageError::Contents("test"),
        })
    });
    assert!(failed.is_err());

    let refused = store.transaction(Durability::Power, |_| -> Result<(), _> { panic!("not reached") });
    assert!(matches!(refused, Err(JournalError::Sync { .. })), "{refused:?}");
    let refused = store.checkpoint(CheckpointMode::Truncate);
    assert!(matches!(refused, Err(JournalError::Sync { .. })), "{refused:?}");

    let log = fs::read(place.beside("-wal")).unwrap();
    drop(store);
    assert_eq!(
        fs::read(place.beside("-wal")).unwrap(),
        log,
        "closing moved the log"
    );
}

#[test]
fn a_full_database_keeps_finishing_and_takes_more_when_there_is_space() {
    let place = Place::new();
    let mut store = place.open();
    let rows = store.push_new(&updates(300));
    let pages: i64 = store
        .connection()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    store
        .connection()
        .execute_batch(&format!("PRAGMA max_page_count = {pages}"))
        .unwrap();
    let more: Vec<_> = (301..=900).map(|id| update(id, 1)).collect();
    let lanes = || more.iter().map(|update| (update, update.lane()));

    let full = store.transaction(Durability::Power, |work| work.push(1, lanes(), NOW));

    assert!(matches!(full, Err(JournalError::Full { .. })), "{full:?}");
    store.run(|work| rows.iter().try_for_each(|row| work.finish(*row).map(drop)));
    assert_eq!(store.totals().unwrap().rows, 0);
    store
        .connection()
        .execute_batch("PRAGMA max_page_count = 100000")
        .unwrap();
    store.run(|work| work.push(1, lanes(), NOW));
    assert_eq!(store.totals().unwrap().rows, 600);
}

#[test]
fn a_program_that_holds_the_write_lock_makes_the_journal_busy_and_not_broken() {
    let place = Place::new();
    let options = StoreOptions {
        busy_timeout: std::time::Duration::from_millis(1),
        ..StoreOptions::default()
    };
    let (mut store, _) = place.try_open(options).unwrap();
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let busy = store.transaction(Durability::Power, |_| Ok(()));
    assert!(matches!(busy, Err(JournalError::Busy { .. })), "{busy:?}");

    other.execute_batch("ROLLBACK").unwrap();
    store.push_new(&updates(1));
}

/// What is asked of a journal that another program holds, and a stop, would take the usual wait each time.
#[test]
fn a_program_that_was_waited_for_in_vain_is_waited_for_only_briefly_until_it_has_gone() {
    let place = Place::new();
    let usual = 201;
    let options = StoreOptions {
        busy_timeout: std::time::Duration::from_millis(usual),
        ..StoreOptions::default()
    };
    let (mut store, _) = place.try_open(options).unwrap();
    let wait = |store: &Store| -> u32 {
        store
            .connection()
            .query_row("PRAGMA busy_timeout", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(u64::from(wait(&store)), usual);
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    store.transaction(Durability::Power, |_| Ok(())).unwrap_err();
    assert_eq!(wait(&store), 200);

    other.execute_batch("ROLLBACK").unwrap();
    store.push_new(&updates(1));
    assert_eq!(u64::from(wait(&store)), usual);
}

#[test]
fn a_missing_folder_is_no_journal_of_its_own() {
    let place = Place::new();

    let refused = Store::open(&place.path().join("x/a.db"), StoreOptions::default(), NOW).unwrap_err();

    assert!(matches!(refused, JournalError::Io { .. }), "{refused}");
}
