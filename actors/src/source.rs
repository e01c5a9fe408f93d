//! Where deliveries come from, and how a source learns which of them are finished.

use std::{future::Future, time::Duration};

use crate::{
    delivery::{Credit, Delivery, Offset, Payload, Seq},
    error::SourceError,
};

/// Origin of deliveries, driven by the [`Poller`](crate::Poller).
///
/// The contract, in the order of a delivery's life:
///
/// 1. [`next_batch`](Self::next_batch) hands over at most `credit` deliveries with strictly rising seqs. It is never
///    called twice at the same time. Its future may be dropped at any await point (pause, shutdown) and that must
///    lose nothing: what was fetched but not returned has to come again.
/// 2. [`record`](Self::record) is told how deliveries ended. It takes note and returns at once; a dropped fetch
///    cannot take that knowledge along. It may be called while `next_batch` waits.
/// 3. The next `next_batch` may tell the other side. When none is going to happen (pause, shutdown)
///    [`commit`](Self::commit) does.
///
/// A source lives on one arbiter and need not be `Send`; methods take `&self`, so keep state in cells and hold no
/// borrow across an await.
pub trait Source: 'static {
    /// What is delivered.
    type Payload: Payload;

    /// Waits for the next deliveries; an empty batch is fine and leads to the next call.
    ///
    /// # Errors
    ///
    /// A transient error is repeated after a backoff; a fatal one drains and stops the engine.
    fn next_batch(
        &self,
        credit: Credit,
    ) -> impl Future<Output = Result<Vec<Delivery<Self::Payload>>, SourceError>>;

    /// Takes note of deliveries that ended.
    fn record(&self, progress: Progress);

    /// Is told whether fetching goes on: `false` when it is paused or ends, `true` when it is resumed; it begins open. A
    /// source that is fed from outside turns away what arrives while it is not. Whoever paused or stopped the engine hears
    /// of it afterwards.
    ///
    /// Does nothing by default.
    fn set_open(&self, open: bool) {
        let _ = open;
    }

    /// Tells the other side what is recorded, where it is not told already, and returns the offset that is in
    /// force then (`None` when the source has no such notion or nothing was ever finished).
    ///
    /// # Errors
    ///
    /// A transient error is repeated until the commit deadline. After any error the deliveries in question come again
    /// at the next start: nothing is lost.
    fn commit(&self) -> impl Future<Output = Result<Option<Offset>, SourceError>>;

    /// Waits until nothing that the source keeps can be given out within this time, counted from the call: what is left
    /// waits for longer, or nothing is left. What was given out and has not ended counts as if it could, where its end makes
    /// something ready, or it may itself be given out again in time. Fetching goes on meanwhile. Dropping the future loses
    /// nothing.
    ///
    /// Only [`Engine::drain_source`](crate::Engine::drain_source) asks. Returns at once by default, which fits a source that
    /// keeps nothing by itself.
    ///
    /// # Errors
    ///
    /// Any error ends the waiting; what is left is then left.
    fn exhausted(&self, within: Duration) -> impl Future<Output = Result<(), SourceError>> {
        let _ = within;
        std::future::ready(Ok(()))
    }

    /// Returns how many deliveries the source keeps that have not ended, those that are given out and would be given out again
    /// included; `None` when it cannot tell, which is the default. It goes into the log and into
    /// [`ShutdownReport::left`](crate::ShutdownReport::left).
    fn kept(&self) -> impl Future<Output = Option<u64>> {
        std::future::ready(None)
    }
}

/// How deliveries ended since the last report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything given out at or below this seq has ended; `None` before the first one.
    pub settled_through: Option<Seq>,
    /// Each delivery that ended, in the order in which they did.
    pub settled: Vec<Settled>,
}

impl Progress {
    /// Returns whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty()
    }
}

/// A delivery that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which one.
    pub seq: Seq,
    /// How.
    pub ending: Ending,
    /// Number of the last attempt.
    pub attempt: u32,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Handled.
    Done,
    /// Too old to be worth handling.
    Expired,
    /// Not handled; the source is to give it out again after the delay, and nothing of its lane before it. Only with
    /// [`RetryPlace::Source`](crate::RetryPlace::Source).
    Retry {
        /// Time until then.
        delay: Duration,
        /// Whether the attempt counts; it does not when the handler only asked to wait.
        counts: bool,
        /// What went wrong.
        error: String,
    },
    /// Given up; the texts are the errors of its attempts, oldest first.
    Dead {
        /// One entry per failed attempt, bounded as in [`DeadLetter`](crate::DeadLetter).
        errors: Vec<String>,
    },
}
