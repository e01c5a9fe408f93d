//! Delivery engine: takes deliveries from a source, keeps every lane in order under full concurrency, repeats what
//! fails, and stops cleanly. It knows nothing about what it delivers.
//!
//! ```text
//!                     credit, progress                      outcome
//!                  ┌───────(reply)───────┐            ┌─────(reply)────┐
//!                  ▼                     │            ▼                │
//!  Source ◀───▶ Poller ──DispatchBatch──▶ Supervisor ──Handle──▶ HandlerActor ×N ──▶ Consumer
//!                  ▲                     ▲  lanes, retries, pool      (one thread each)
//!     StopPolling, │                     │ Drain
//!           Commit └─ ShutdownCoordinator┘◀──Shutdown── EngineHandle, signals
//! ```
//!
//! Addresses point downstream only; what flows upstream is a reply.
//!
//! | message | from → to | reply |
//! |---|---|---|
//! | [`DispatchBatch`] | Poller → Supervisor | [`Receipt`]: credit and progress, sent when there is credit |
//! | `Handle` | Supervisor → HandlerActor | [`Outcome`] |
//! | `Bury` | Supervisor → HandlerActor | when the dead letter hook has ended |
//! | `Shutdown` | handle, signal thread → ShutdownCoordinator | none; the [`ShutdownReport`] is published |
//! | `StopPolling` | ShutdownCoordinator → Poller | last seq handed over |
//! | `AwaitExhausted` | ShutdownCoordinator → Poller | when the source has nothing more to give out in time |
//! | `TellKept` | ShutdownCoordinator → Poller | how many deliveries the source keeps |
//! | `Drain` | ShutdownCoordinator → Supervisor | [`DrainReport`] |
//! | `Commit` | ShutdownCoordinator → Poller | offset in force, how many deliveries are left |
//!
//! # Guarantees
//!
//! - Deliveries of one [`Lane`] are handled one at a time, in order of their [`Seq`], through retries and panics.
//! - A lane with any backlog takes one turn per round: it never takes a slot from another, and a delivery that waits
//!   for its turn or its repetition occupies no slot.
//! - A delivery is reported to its source as settled only after its handler (or the dead letter hook) has ended.
//!   Whatever is killed, dropped or abandoned before that stays unsettled, for its source to give it out again.
//! - No more deliveries are held than the [`CreditPolicy`] allows.
//! - A panic costs the delivery an attempt and nothing else. (With `panic = "abort"` it ends the process; the delivery
//!   is then unsettled.)
//! - Shutdown is latched and bounded: it works under full load, before the first fetch succeeds, during a backoff, twice,
//!   and from inside a handler.
//!
//! # Example
//!
//! ```
//! use std::{cell::RefCell, collections::VecDeque};
//! use actogram_actors::{
//!     Consumer, Credit, Delivery, Engine, Lane, Offset, Outcome, Placement, Progress, Seq, Source, SourceError,
//! };
//!
//! struct Numbers(RefCell<VecDeque<u64>>);
//!
//! impl Source for Numbers {
//!     type Payload = u64;
//!
//!     async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<u64>>, SourceError> {
//!         let batch: Vec<_> = {
//!             let mut left = self.0.borrow_mut();
//!             let count = credit.0.min(left.len());
//!             left.drain(..count).map(|n| Delivery::new(Seq(n), Lane::new(format!("lane:{}", n % 7)), n)).collect()
//!         };
//!         if batch.is_empty() {
//!             std::future::pending::<()>().await; // nothing left
//!         }
//!         Ok(batch)
//!     }
//!
//!     fn record(&self, _: Progress) {}
//!
//!     async fn commit(&self) -> Result<Option<Offset>, SourceError> {
//!         Ok(None)
//!     }
//! }
//!
//! struct Print;
//!
//! impl Consumer<u64> for Print {
//!     async fn consume(&self, delivery: Delivery<u64>) -> Outcome {
//!         println!("{} {}", delivery.lane, delivery.payload);
//!         Outcome::Done
//!     }
//! }
//!
//! actix_rt::System::new().block_on(async {
//!     let source = Numbers(RefCell::new((0..100).collect()));
//!     let engine = Engine::new(source, || Print).placement(Placement::Workers(2)).start().await.unwrap();
//!     while engine.snapshot().await.unwrap().totals.done < 100 {
//!         actix_rt::task::yield_now().await;
//!     }
//!     let report = engine.shutdown().await.unwrap();
//!     assert!(report.is_clean());
//! });
//! ```

mod delivery;
mod source;
mod poller;
mod polling;
mod supervisor;
mod backlog;
mod lanes;
mod ledger;
mod retry;
mod pool;
mod question;
mod threads;
mod handler;
mod consumer;
mod shutdown;
mod emptying;
mod signals;
mod backoff;
mod engine;
mod handle;
mod error;

pub use backlog::{CreditPolicy, Totals};
pub use backoff::Backoff;
pub use consumer::Consumer;
pub use delivery::{Credit, DeadLetter, Delivery, Failure, Lane, Offset, Outcome, Payload, Retry, Seq};
pub use engine::Engine;
pub use error::{Cause, EngineError, SourceError};
pub use handle::{EngineHandle, Snapshot};
pub use lanes::{LaneCounts, LaneLoad, Lanes};
pub use poller::Poller;
pub use polling::PollingState;
pub use pool::Placement;
pub use retry::{RetryPlace, RetryPolicy};
pub use shutdown::{ShutdownCoordinator, ShutdownReport, StopReason};
pub use source::{Ending, Progress, Settled, Source};
pub use supervisor::{Abandoned, DispatchBatch, DrainReport, Receipt, Refused, Supervisor};
pub use threads::WorkerThreads;
