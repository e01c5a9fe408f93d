//! Random histories with crashes: after every step the store equals the model.
//!
//! `PROPTEST_CASES` sets how many histories are tried; one that fails is shortened, and its
//! seed is kept in `proptest-regressions`.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::{
    CheckpointMode, Damage, DamagedRow, DeadReason, DeadRetry, Durability, JournalError, Recovered, Retry,
    RowId, Store, StoreOptions, Work,
    dead::{self, DeadFilter},
    model::{DEDUP_AGE, DEDUP_IDS, Model, Name, PRUNE_IDS, Row, Step},
    testing::Place,
    verify,
};

fn names() -> impl Strategy<Value = Vec<Name>> {
    let goes_on = prop_oneof![6 => Just(None), 1 => (-5..0_i64).prop_map(Some)];
    let name = (any::<bool>(), 1..7_i64, any::<bool>(), goes_on).prop_map(
        |(second_bot, id, other_payload, goes_on)| Name {
            second_bot,
            id,
            other_payload,
            goes_on,
        },
    );
    vec(name, 1..5)
}

fn pick() -> impl Strategy<Value = usize> {
    0..64_usize
}

struct Histories;

impl ReferenceStateMachine for Histories {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::new()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        let reason = prop_oneof![
            Just(DeadReason::Failed),
            Just(DeadReason::Crashed),
            Just(DeadReason::Interrupted)
        ];
        prop_oneof![
            6 => names().prop_map(Step::Push),
            5 => pick().prop_map(Step::Start),
            1 => pick().prop_map(Step::Release),
            3 => (pick(), any::<bool>()).prop_map(|(pick, costs_attempt)| Step::Retry { pick, costs_attempt }),
            3 => pick().prop_map(Step::Finish),
            1 => pick().prop_map(Step::Expire),
            2 => (pick(), reason).prop_map(|(pick, reason)| Step::Bury(pick, reason)),
            1 => pick().prop_map(Step::SetAside),
            2 => pick().prop_map(Step::RetryDead),
            1 => pick().prop_map(Step::DropDead),
            2 => Just(Step::Prune),
            2 => (0..60_u64).prop_map(|hours| Step::PassTime(Duration::from_secs(hours * 3600))),
            1 => Just(Step::Checkpoint),
            1 => Just(Step::Compact),
            1 => names().prop_map(Step::Fail),
            1 => Just(Step::CloseAndOpen),
            2 => Just(Step::Crash),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        model.apply(step);
        model
    }
}

struct Journal {
    place: Place,
    store: Store,
    /// The model before the next step.
    before: Model,
}

impl Journal {
    fn open(place: Place, before: Model) -> (Self, Recovered) {
        let options = StoreOptions {
            dedup_age: DEDUP_AGE,
            dedup_ids: DEDUP_IDS as u64,
            prune_ids: PRUNE_IDS as u32,
            ..StoreOptions::default()
        };
        let (store, recovered) = Store::open(&place.path(), options, before.now).unwrap();
        (Self { place, store, before }, recovered)
    }

    /// Opens a journal whose last owner is gone.
    fn reopen(place: Place, before: Model) -> Self {
        let (journal, recovered) = Self::open(place, before);
        let started = |(place, row): (&RowId, &Row)| row.started.then_some(*place);
        let started: Vec<_> = journal.before.rows.iter().filter_map(started).collect();
        assert_eq!(recovered.interrupted, started);
        assert_eq!((recovered.missing, recovered.lost_tail), (0, None));
        assert_eq!(recovered.set_aside, []);
        assert_eq!(recovered.entries, journal.store.entries());
        journal
    }

    fn run(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Work<'_>) -> Result<bool, JournalError>,
    ) {
        assert!(self.store.transaction(durability, work).unwrap());
    }

    fn push(work: &mut Work<'_>, names: &[Name], model: &Model) -> Result<bool, JournalError> {
        let mut now = model.now;
        for name in names {
            now = now.plus(Duration::from_millis(1));
            let update = name.update();
            work.push(name.bot(), [(&update, update.lane())], now)?;
        }
        Ok(true)
    }

    fn step(mut self, step: &Step) -> Self {
        use Durability::{Kill, Power};

        let before = self.before.clone();
        match step {
            Step::Push(names) => self.run(Power, |work| Self::push(work, names, &before)),
            Step::Fail(names) => {
                let failed: Result<(), _> = self.store.transaction(Power, |work| {
                    Self::push(work, names, &before)?;
                    if let Some(place) = before.pick(0) {
                        work.bury(place, DeadReason::Failed, &[], before.now)?;
                    }
                    work.prune(before.now)?;
                    Err(JournalError::contents("test"))
                });
                failed.unwrap_err();
            }
            Step::Start(pick) => self.on(*pick, Kill, |work, place, row| work.start(place, row.attempt)),
            Step::Release(pick) => self.on(*pick, Kill, |work, place, _| work.release(place)),
            Step::Retry { pick, costs_attempt } => self.on(*pick, Power, |work, place, row| {
                let error = format!("attempt {}", row.attempt);
                let retry = Retry {
                    attempt: row.attempt + u32::from(*costs_attempt),
                    waits: row.waits + u32::from(!*costs_attempt),
                    at: before.now.plus(Duration::from_secs(5)),
                    delay: Duration::from_secs(5),
                    error: Some(&error),
                };
                work.retry(place, &retry)
            }),
            Step::Finish(pick) => self.on(*pick, Kill, |work, place, _| work.finish(place)),
            Step::Expire(pick) => self.on(*pick, Kill, |work, place, _| work.expire(place)),
            Step::Bury(pick, reason) => self.on(*pick, Power, |work, place, _| {
                work.bury(place, *reason, &["last".to_owned()], before.now)
            }),
            Step::SetAside(pick) => self.on(*pick, Power, |work, row, _| {
                let damage = Damage::Payload;
                work.set_aside(DamagedRow { row, damage }, before.now)
            }),
            Step::RetryDead(pick) => {
                if let Some(place) = before.pick_dead(*pick) {
                    self.run(Power, |work| {
                        Ok(matches!(work.retry_dead(place)?, DeadRetry::Queued(_)))
                    });
                }
            }
            Step::DropDead(pick) => {
                if let Some(place) = before.pick_dead(*pick) {
                    self.run(Power, |work| work.drop_dead(place));
                }
            }
            Step::Prune => self.run(Kill, |work| work.prune(before.now).map(|_| true)),
            Step::PassTime(_) => {}
            Step::Checkpoint => {
                self.store.checkpoint(CheckpointMode::Passive).unwrap();
            }
            Step::Compact => {
                self.store.compact(5).unwrap();
            }
            Step::CloseAndOpen => {
                self.store.close().unwrap();
                return Self::reopen(self.place, before);
            }
            Step::Crash => return Self::reopen(Place::after_a_kill(self.store.path()), before),
        }
        self
    }

    /// Does something to the row that a number chooses.
    fn on(
        &mut self,
        pick: usize,
        durability: Durability,
        work: impl FnOnce(&mut Work<'_>, RowId, &Row) -> Result<bool, JournalError>,
    ) {
        let before = self.before.clone();
        if let Some(place) = before.pick(pick) {
            self.run(durability, |open| work(open, place, &before.rows[&place]));
        }
    }

    fn assert_equals(&self, model: &Model) {
        let places: Vec<_> = self.store.entries().iter().map(|entry| entry.row).collect();
        assert_eq!(places, model.rows.keys().copied().collect::<Vec<_>>());
        let mut bytes = 0;
        for (place, row) in &model.rows {
            let stored = self.store.intact(*place);
            let update = row.name.update();
            bytes += update.raw().len() as u64;
            assert_eq!(stored.update.raw(), update.raw());
            assert_eq!(
                (stored.entry.bot, stored.entry.lane.as_str()),
                (row.name.bot(), &*format!("chat:{}", row.chat))
            );
            let found = Row {
                name: row.name,
                chat: row.chat,
                started: stored.started,
                attempt: stored.entry.attempt,
                waits: stored.entry.waits,
                crashes: stored.entry.crashes,
                retry_at: stored.entry.retry_at,
                errors: stored.errors,
            };
            assert_eq!(found, *row);
        }
        let letters = dead::list(self.store.connection(), &DeadFilter::default(), None, 999).unwrap();
        assert_eq!(letters.len(), model.dead.len());
        for (letter, (place, (row, reason))) in letters.into_iter().zip(&model.dead) {
            let letter = letter.unwrap();
            assert_eq!((letter.row, letter.reason), (*place, *reason));
            assert_eq!(letter.lane.as_str(), format!("chat:{}", row.chat));
            assert_eq!(
                (letter.attempt, letter.waits, letter.crashes),
                (row.attempt, row.waits, row.crashes)
            );
            assert_eq!(letter.errors, row.errors);
            let (_, update) = dead::show(self.store.connection(), *place)
                .unwrap()
                .unwrap()
                .unwrap();
            assert_eq!(update.raw(), row.name.update().raw());
        }
        let stats = self.store.stats(model.now).unwrap();
        let totals = stats.totals;
        assert_eq!((totals.rows, totals.bytes), (model.rows.len() as u64, bytes));
        assert_eq!(totals.dead, model.dead.len() as u64);
        assert_eq!(totals.dedup_ids, model.seen.len() as u64);
        assert_eq!(
            (totals.expired, totals.set_aside),
            (model.expired, model.set_aside)
        );
        let count = |test: &dyn Fn(&Row) -> bool| model.rows.values().filter(|row| test(row)).count() as u64;
        assert_eq!(stats.started, count(&|row| row.started));
        assert_eq!(
            stats.waiting_for_retry,
            count(&|row| row.retry_at > Some(model.now))
        );
    }
}

impl StateMachineTest for Journal {
    type SystemUnderTest = Self;
    type Reference = Histories;

    fn init_test(model: &Model) -> Self {
        Self::open(Place::new(), model.clone()).0
    }

    fn apply(journal: Self, after: &Model, step: Step) -> Self {
        let mut journal = journal.step(&step);
        journal.before = after.clone();
        journal
    }

    fn check_invariants(journal: &Self, model: &Model) {
        journal.assert_equals(model);
    }

    fn teardown(journal: Self, _: Model) {
        let report = verify(journal.store.path(), Duration::from_secs(1)).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32),
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_leaves_what_the_model_says(sequential 1..60 => Journal);
}
