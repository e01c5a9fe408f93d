//! Bits flip and logs are cut off: whatever happens, no wrong update is handed out, and no loss is silent.
//!
//! `ACTOGRAM_FLIPS` sets how many damaged files each test tries; `ACTOGRAM_SEED` repeats a run.

use std::{collections::BTreeMap, env, fs, str::FromStr, time::Duration};

use super::{
    CheckpointMode, DeadReason, Finding, JournalError, Loaded, Recovered, Retry, RowId, Store, StoreOptions,
    dead::{self, DeadFilter},
    testing::{NOW, Place, long_update, update},
    verify,
};
use crate::update::Update;

const PAGE: usize = 4096;

fn setting<T: FromStr>(name: &str, default: T) -> T {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn random() -> fastrand::Rng {
    let seed = setting("ACTOGRAM_SEED", fastrand::u64(..));
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

/// A journal as a kill leaves it, and what was in it.
struct Original {
    place: Place,
    /// Everything that was ever pushed.
    pushed: BTreeMap<RowId, Update>,
}

impl Original {
    /// Half of the history is in the database, the other half in the log.
    fn new() -> Self {
        let before = Place::new();
        let mut store = before.open();
        let mut pushed = BTreeMap::new();
        for half in [0, 40] {
            for batch in 0..4 {
                let batch: Vec<_> = (1..=10)
                    .map(|n| half + batch * 10 + n)
                    .map(|id| match id % 7 {
                        0 => long_update(id, id % 5, 9000),
                        1 => long_update(id, id % 5, 1500),
                        _ => update(id, id % 5),
                    })
                    .collect();
                pushed.extend(store.push_new(&batch).into_iter().zip(batch));
            }
            if half == 0 {
                store.checkpoint(CheckpointMode::Truncate).unwrap();
            }
        }
        let places: Vec<_> = pushed.keys().copied().collect();
        let retry = Retry {
            attempt: 2,
            waits: 0,
            at: NOW,
            delay: Duration::ZERO,
            error: Some("why"),
        };
        store.run(|work| {
            for row in places.iter().step_by(11) {
                work.start(*row, 1)?;
            }
            for row in places.iter().skip(1).step_by(11) {
                work.retry(*row, &retry)?;
            }
            Ok(())
        });
        for row in places.iter().skip(2).step_by(9) {
            store.run(|work| work.bury(*row, DeadReason::Failed, &[], NOW));
        }
        for row in places.iter().skip(3).step_by(9) {
            store.run(|work| work.finish(*row));
        }
        Self {
            place: Place::after_a_kill(store.path()),
            pushed,
        }
    }

    fn copy(&self) -> Place {
        Place::after_a_kill(&self.place.path())
    }

    /// Checks everything that an owner can get; returns what was noticed, or the error that ended it.
    fn check(&self, place: &Place) -> Outcome {
        match place.try_open(StoreOptions::default()) {
            Err(error) => Outcome::Refused(error),
            Ok((mut store, recovered)) => match self.check_open(&mut store, &recovered) {
                Err(error) => Outcome::Refused(error),
                Ok(damaged) => Outcome::Opened {
                    damaged: damaged + recovered.set_aside.len(),
                    rows: recovered.entries.len(),
                    missing: recovered.missing,
                    lost_commits: recovered.lost_tail.map_or(0, |lost| lost.commits),
                },
            },
        }
    }

    /// Returns how many damaged rows were noticed behind the open journal.
    fn check_open(&self, store: &mut Store, recovered: &Recovered) -> Result<usize, JournalError> {
        let mut damaged = 0;
        let mut last = RowId(0);
        for entry in &recovered.entries {
            assert!(entry.row > last, "out of order");
            last = entry.row;
            match store.load(&[entry.row])?.remove(0) {
                Loaded::Intact(stored) => {
                    let original = self.known(entry.row);
                    assert_eq!(stored.update.raw(), original.raw(), "a wrong payload");
                    assert_eq!(entry.lane, *original.lane(), "a wrong lane");
                    assert_eq!(entry.update_id, original.id());
                }
                Loaded::Damaged(row) => {
                    damaged += 1;
                    store.transaction(super::Durability::Power, |work| work.set_aside(row, NOW))?;
                }
                Loaded::Missing(row) => panic!("row {row} is in the index only"),
            }
        }
        for letter in dead::list(store.connection(), &DeadFilter::default(), None, 1000)? {
            let Ok(letter) = letter else {
                damaged += 1;
                continue;
            };
            match dead::show(store.connection(), letter.row)? {
                Some(Ok((_, update))) => {
                    assert_eq!(update.raw(), self.known(letter.row).raw(), "a wrong dead letter");
                }
                Some(Err(_)) => damaged += 1,
                None => panic!("dead letter {} is in the list only", letter.row),
            }
        }
        Ok(damaged)
    }

    fn known(&self, row: RowId) -> &Update {
        self.pushed
            .get(&row)
            .unwrap_or_else(|| panic!("row {row} was invented"))
    }
}

#[derive(Debug)]
enum Outcome {
    Refused(JournalError),
    Opened {
        damaged: usize,
        rows: usize,
        missing: u64,
        lost_commits: u64,
    },
}

/// Flips a bit; every second one at the start of a page, where its structure is.
fn flip(random: &mut fastrand::Rng, place: &Place, suffix: &str) -> (usize, u8) {
    let path = place.beside(suffix);
    let mut bytes = fs::read(&path).unwrap();
    let anywhere = random.usize(..bytes.len());
    let at = if random.bool() {
        anywhere
    } else {
        anywhere / PAGE * PAGE + random.usize(..40)
    };
    let bit = 1 << random.u8(..8);
    bytes[at] ^= bit;
    fs::write(&path, bytes).unwrap();
    (at, bit)
}

#[test]
fn a_flipped_bit_in_the_database_is_an_error_a_row_set_aside_or_harmless() {
    let original = Original::new();
    // Everything into the database, so that every byte of it counts.
    original.place.open().close().unwrap();
    let Outcome::Opened {
        damaged: 0,
        rows,
        missing: 0,
        ..
    } = original.check(&original.copy())
    else {
        panic!("the original is damaged")
    };
    let mut random = random();
    let (mut refused, mut aside, mut harmless) = (0, 0, 0);
    for _ in 0..setting("ACTOGRAM_FLIPS", 300) {
        let place = original.copy();
        let flipped = flip(&mut random, &place, "");
        let sound = verify(&place.path(), Duration::from_secs(1)).map(|report| report.is_sound());

        match original.check(&place) {
            Outcome::Refused(error) => {
                assert!(
                    matches!(
                        error,
                        JournalError::Corrupt { .. }
                            | JournalError::NotAJournal { .. }
                            | JournalError::NewerVersion { .. }
                            | JournalError::PragmaIgnored { .. }
                            | JournalError::Io { .. }
                    ),
                    "{flipped:?}: {error:?}"
                );
                refused += 1;
            }
            Outcome::Opened {
                damaged,
                rows: found,
                missing,
                ..
            } => {
                let noticed = damaged + usize::try_from(missing).unwrap();
                assert!(found + noticed >= rows, "{flipped:?}: a row vanished silently");
                if noticed > 0 {
                    assert!(
                        !matches!(sound, Ok(true)),
                        "{flipped:?}: the verification missed it"
                    );
                    aside += 1;
                } else {
                    harmless += 1;
                }
            }
        }
    }
    println!("{refused} refused, {aside} with rows set aside or missing, {harmless} harmless");
    assert!(aside > 0 && harmless > 0, "the run is void");
}

/// A journal of 200 updates whose root page was changed. The function gets the page and where its first two cells are;
/// each begins with the number of a child page and the highest place in it.
fn with_root(change: impl FnOnce(&mut [u8], usize, usize)) -> Place {
    let place = Place::new();
    let mut store = place.open();
    store.push_new(&(1..=200).map(|id| update(id, 1)).collect::<Vec<_>>());
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'updates'";
    let root: u32 = store.connection().query_row(sql, [], |row| row.get(0)).unwrap();
    let root = root as usize;
    store.close().unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    let page = &mut bytes[(root - 1) * PAGE..root * PAGE];
    assert_eq!(page[0], 5, "the root is an inner page");
    let cell = |n: usize| usize::from(page[12 + 2 * n]) * 256 + usize::from(page[13 + 2 * n]);
    let (first, second) = (cell(0), cell(1));
    change(page, first, second);
    fs::write(place.path(), bytes).unwrap();
    place
}

#[test]
fn a_page_that_is_reached_twice_is_damage_and_no_second_delivery() {
    let place = with_root(|page, first, second| page.copy_within(first..first + 4, second));

    let refused = place.try_open(StoreOptions::default()).unwrap_err();

    assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused:?}");
    let report = verify(&place.path(), Duration::from_secs(1)).unwrap();
    let order = |finding: &Finding| matches!(finding, Finding::Order { .. });
    assert!(report.findings.iter().any(order), "{report:?}");
}

#[test]
fn a_row_that_cannot_be_reached_by_its_place_is_damage_and_not_finished() {
    let place = with_root(|page, first, _| {
        assert!((2..128).contains(&page[first + 4]), "the place is one byte");
        page[first + 4] = 1;
    });
    let (store, recovered) = place.recover();
    assert_eq!(recovered.entries.len(), 200);

    let hidden = store.load(&[RowId(2)]);

    assert!(matches!(hidden, Err(JournalError::Corrupt { .. })), "{hidden:?}");
    assert!(matches!(store.load_one(RowId(1)), Loaded::Intact(_)));
    assert!(matches!(store.load_one(RowId(201)), Loaded::Missing(_)));
}

#[test]
fn a_flipped_bit_in_the_log_loses_nothing_silently() {
    let original = Original::new();
    let Outcome::Opened {
        rows,
        lost_commits: 0,
        ..
    } = original.check(&original.copy())
    else {
        panic!("the original is damaged")
    };
    let mut random = random();
    let (mut lost, mut harmless) = (0, 0);
    for _ in 0..setting("ACTOGRAM_FLIPS", 150) {
        let place = original.copy();
        let flipped = flip(&mut random, &place, "-wal");

        match original.check(&place) {
            Outcome::Opened {
                rows: found,
                lost_commits,
                damaged,
                missing,
            } => {
                assert_eq!((damaged, missing), (0, 0), "{flipped:?}");
                if lost_commits > 0 {
                    lost += 1;
                } else {
                    assert_eq!(found, rows, "{flipped:?}: commits vanished silently");
                    harmless += 1;
                }
            }
            Outcome::Refused(error) => panic!("{flipped:?}: {error:?}"),
        }
    }
    println!("{lost} with a loss that was told, {harmless} harmless");
    assert!(lost > 0, "the run is void");
}

#[test]
fn a_log_that_was_cut_off_anywhere_leaves_a_state_that_was_committed() {
    let original = Original::new();
    let length = fs::metadata(original.place.beside("-wal")).unwrap().len();
    let mut random = random();
    for _ in 0..setting("ACTOGRAM_FLIPS", 60) {
        let place = original.copy();
        let log = fs::File::options()
            .write(true)
            .open(place.beside("-wal"))
            .unwrap();
        let kept = random.u64(..length);
        log.set_len(kept).unwrap();

        match original.check(&place) {
            Outcome::Opened { damaged, missing, .. } => assert_eq!((damaged, missing), (0, 0), "{kept}"),
            Outcome::Refused(error) => panic!("{kept}: {error:?}"),
        }
        let report = verify(&place.path(), Duration::from_secs(1)).unwrap();
        assert!(report.is_sound(), "{kept}: {report:?}");
    }
}
