//! The engine alone, no disk and no network: deliveries per second over one and two workers, and the cost of the pure
//! core per delivery.
//!
//! `cargo bench -p actogram-actors`

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros and a bench")]

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

use actogram_actors::{
    Consumer, Credit, CreditPolicy, Delivery, Engine, Lane, Offset, Outcome, Placement, Progress, Seq,
    Source, SourceError,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::sync::Notify;

const DELIVERIES: u64 = 50_000;

/// Gives a fixed number of deliveries over many lanes, then waits; rings when all have been reported as ended.
struct Numbers {
    lanes: Vec<Lane>,
    next: Cell<u64>,
    settled: Cell<u64>,
    all_settled: std::rc::Rc<Notify>,
}

impl Source for Numbers {
    type Payload = u64;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<u64>>, SourceError> {
        let first = self.next.get();
        let last = (first + credit.0.min(100) as u64).min(DELIVERIES);
        if first == last {
            std::future::pending::<()>().await;
        }
        self.next.set(last);
        let lane = |n: u64| self.lanes[usize::try_from(n).unwrap() % self.lanes.len()].clone();
        Ok((first..last).map(|n| Delivery::new(Seq(n), lane(n), n)).collect())
    }

    fn record(&self, progress: Progress) {
        self.settled
            .set(self.settled.get() + progress.settled.len() as u64);
        if self.settled.get() == DELIVERIES {
            self.all_settled.notify_one();
        }
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        Ok(None)
    }
}

struct Nothing;

impl Consumer<u64> for Nothing {
    async fn consume(&self, delivery: Delivery<u64>) -> Outcome {
        black_box(delivery);
        Outcome::Done
    }
}

fn run_once(placement: Placement, lanes: usize) -> Duration {
    actix_rt::System::new().block_on(async {
        let all_settled = std::rc::Rc::new(Notify::new());
        let source = Numbers {
            lanes: (0..lanes).map(|n| Lane::new(format!("lane:{n}"))).collect(),
            next: Cell::new(0),
            settled: Cell::new(0),
            all_settled: all_settled.clone(),
        };
        let started = Instant::now();
        let engine = Engine::new(source, || Nothing)
            .placement(placement)
            .credit(CreditPolicy::Window(4096))
            .start()
            .await
            .unwrap();
        all_settled.notified().await;
        let took = started.elapsed();
        engine.shutdown().await.unwrap();
        took
    })
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group
        .throughput(Throughput::Elements(DELIVERIES))
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (name, placement) in [
        ("same arbiter", Placement::Current),
        ("1 worker", Placement::Workers(1)),
        ("2 workers", Placement::Workers(2)),
    ] {
        group.bench_with_input(
            BenchmarkId::new(name, "1000 lanes"),
            &placement,
            |bencher, placement| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| run_once(placement.clone(), 1000)).sum());
            },
        );
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
