//! What making updates durable costs, beside what the disk alone costs.
//!
//! `cargo bench --bench journal`. A round pushes 100 updates of 800 bytes with an fsync and settles the 100 of the round
//! before without one, as the bot does. Criterion prints updates per second; a full round is one update in and one out.
//! The journals are in the folder for temporary files (`TMPDIR`): it must be on the disk that is asked about.

#![allow(missing_docs, reason = "the macros of criterion expand to public functions")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the journal is private to the crate, so its source is a module of this program"
)]

use std::{fs::File, io::Write, time::Instant};

use actogram::update;
use actogram_actors::Lane;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use queue::store::{CheckpointMode, Durability, RowId, Store, StoreOptions, Timestamp};
use update::Update;

#[path = "../src/timings.rs"]
mod timings;

#[path = "../src/broadcast/record.rs"]
mod broadcast;
#[path = "."]
mod queue {
    #[path = "../src/queue/store/mod.rs"]
    pub(crate) mod store;
}

const UPDATES: i64 = 100;
const BYTES: usize = 800;
const BOT: u64 = 123_456;

fn updates(round: i64) -> Vec<Update> {
    (0..UPDATES)
        .map(|n| {
            let (id, chat) = (round * UPDATES + n, n % 50);
            let start = format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}},"text":""#);
            let text = "x".repeat(BYTES - start.len() - 3);
            Update::from_json(&format!(r#"{start}{text}"}}}}"#)).expect("this is an update")
        })
        .collect()
}

/// A journal at work: what it was given last is settled next.
struct Journal {
    store: Store,
    round: i64,
    unsettled: Vec<RowId>,
    _folder: tempfile::TempDir,
}

impl Journal {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary files can be made");
        let (store, _) = Store::open(
            &folder.path().join("bench.db"),
            StoreOptions::default(),
            Timestamp::now(),
        )
        .expect("the journal is new");
        Self {
            store,
            round: 0,
            unsettled: Vec::new(),
            _folder: folder,
        }
    }

    fn next(&mut self) -> Vec<Update> {
        self.round += 1;
        updates(self.round)
    }

    fn push(&mut self, updates: &[Update], durability: Durability) {
        let lanes = updates.iter().map(|update| (update, update.lane()));
        let rows = self
            .store
            .transaction(durability, |work| work.push(BOT, lanes, Timestamp::now()))
            .expect("the disk has space");
        self.unsettled.extend(rows.into_iter().flatten());
    }

    fn settle(&mut self) {
        let rows = std::mem::take(&mut self.unsettled);
        self.store
            .transaction(Durability::Kill, |work| {
                for row in rows {
                    work.finish(row)?;
                }
                work.prune(Timestamp::now())
            })
            .expect("the disk has space");
        // About 4 MiB of log.
        if self.round % 20 == 0 {
            self.store
                .checkpoint(CheckpointMode::Passive)
                .expect("the disk has space");
        }
    }

    fn start(&mut self) {
        let rows = self.unsettled.clone();
        self.store
            .transaction(Durability::Kill, |work| {
                for row in rows {
                    work.start(row, 1)?;
                }
                Ok(())
            })
            .expect("the disk has space");
    }
}

fn bench_journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(UPDATES.unsigned_abs()));

    group.bench_function("disk alone: append 80 KB, fdatasync", |bencher| {
        let mut file = tempfile::tempfile().expect("temporary files can be made");
        let bytes = vec![7; BYTES * 100];
        bencher.iter(|| {
            file.write_all(&bytes).expect("the disk has space");
            file.sync_data().expect("the disk is well");
        });
    });
    for (name, durability) in [
        ("push durably, settle lazily", Durability::Power),
        ("push and settle without fsync", Durability::Kill),
    ] {
        group.bench_function(name, |bencher| {
            let mut journal = Journal::new();
            bencher.iter_custom(|rounds| {
                let mut took = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    let updates = journal.next();
                    let start = Instant::now();
                    journal.settle();
                    journal.push(&updates, durability);
                    took += start.elapsed();
                }
                took
            });
        });
    }
    group.bench_function("push durably, mark the start of each, settle lazily", |bencher| {
        let mut journal = Journal::new();
        bencher.iter_custom(|rounds| {
            let mut took = std::time::Duration::ZERO;
            for _ in 0..rounds {
                let updates = journal.next();
                let start = Instant::now();
                journal.settle();
                journal.push(&updates, Durability::Power);
                journal.start();
                took += start.elapsed();
            }
            took
        });
    });
    group.finish();
}

fn bench_backlog(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary files can be made");
    let path = folder.path().join("bench.db");
    let open =
        || Store::open(&path, StoreOptions::default(), Timestamp::now()).expect("the journal is sound");
    let (mut store, _) = open();
    for round in 0..1000 {
        let updates = updates(round);
        let lanes = updates.iter().map(|update| (update, update.lane()));
        store
            .transaction(Durability::Kill, |work| work.push(BOT, lanes, Timestamp::now()))
            .expect("the disk has space");
        if round % 100 == 99 {
            store
                .checkpoint(CheckpointMode::Truncate)
                .expect("the disk has space");
        }
    }
    drop(store);
    let mut group = criterion.benchmark_group("backlog of 100,000");
    group.sample_size(10);
    group.bench_function("open with the index", |bencher| {
        bencher.iter(|| {
            let (_, recovered) = open();
            assert_eq!(recovered.entries.len(), 100_000);
        });
    });
    let (store, recovered) = open();
    let rows: Vec<_> = recovered
        .entries
        .iter()
        .map(|entry| entry.row)
        .take(100)
        .collect();
    group.bench_function("load 100 updates", |bencher| bencher.iter(|| store.load(&rows)));
    group.finish();
}

criterion_group!(benches, bench_journal, bench_backlog);
criterion_main!(benches);
