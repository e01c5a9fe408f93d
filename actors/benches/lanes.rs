//! The lanes alone: one job in and out, with few and with many lanes, and with one lane that has a long backlog.
//!
//! `cargo bench -p actogram-actors --bench lanes`

#![allow(missing_docs, reason = "the macros of criterion expand to public functions")]

use std::hint::black_box;

use actogram_actors::{Lane, Lanes};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const JOBS: usize = 10_000;

fn drain(lanes: &mut Lanes<usize>) -> usize {
    let mut sum = 0;
    while let Some((lane, job)) = lanes.take() {
        sum += *job;
        lanes.finish(&lane);
    }
    sum
}

fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lanes");
    group.throughput(Throughput::Elements(JOBS as u64));
    for count in [1, 100, 10_000] {
        let names: Vec<Lane> = (0..count).map(|n| Lane::new(format!("lane:{n}"))).collect();
        group.bench_with_input(
            BenchmarkId::new("push, take, finish", count),
            &names,
            |bencher, names| {
                bencher.iter_batched_ref(
                    Lanes::default,
                    |lanes| {
                        for job in 0..JOBS {
                            lanes.push(&names[job % names.len()], job);
                        }
                        black_box(drain(lanes))
                    },
                    BatchSize::LargeInput,
                );
            },
        );
    }
    group.finish();
}

criterion_group!(benches, turns);
criterion_main!(benches);
