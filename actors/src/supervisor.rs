//! The actor that owns the backlog and hands it to the workers.
//!
//! It is the only writer of the [`Backlog`], talks to the handler actors of its [`Pool`], and promises: one delivery
//! of a lane at a time, never more than `concurrency` at once, an end for every attempt (a worker that dies is replaced
//! and its deliveries count a failed attempt), and a receipt for every batch as soon as there is credit again.
//! All decisions are the backlog's; this file is messages and timers.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, AsyncContext, Context, MailboxError, Message, MessageResult, ResponseFuture,
    SpawnHandle,
};
use tokio::sync::oneshot;

use crate::{
    backlog::{Backlog, Next, Totals},
    delivery::{Credit, DeadLetter, Delivery, Failure, Lane, Outcome, Payload, Retry, Seq},
    error::Cause,
    handle::Snapshot,
    handler::{Bury, Handle},
    lanes::{LaneCounts, LaneLoad},
    pool::{Booking, Pool},
    source::Progress,
};

/// Take over these deliveries. The reply is sent when there is credit for more.
///
/// An empty batch only asks: its reply is sent when there is something to tell, or at once when nothing is going on.
#[derive(Debug)]
pub struct DispatchBatch<T> {
    /// The deliveries, in order of arrival.
    pub deliveries: Vec<Delivery<T>>,
}

impl<T: Payload> Message for DispatchBatch<T> {
    type Result = Result<Receipt, Refused>;
}

/// Reply to a batch: how much more can be taken, and what ended meanwhile.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// How many more deliveries can be taken now.
    pub credit: Credit,
    /// What ended since the last receipt.
    pub progress: Progress,
    /// How many accepted deliveries have not ended.
    pub unfinished: usize,
}

/// Reply to a batch that was not accepted; none of it was handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The receiver has stopped.
    #[error("no more deliveries are accepted: the engine is closing")]
    Closing,
    /// The receiver has failed for good: the engine drains and stops, and reports this error as the one of its
    /// [source](crate::ShutdownReport::source_error).
    #[error("deliveries can no longer be accepted")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Finish what was accepted, at most until the deadline. The reply comes when that is over.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) deadline: Duration,
    /// What had been done when the stop began, if that was earlier; the report counts from there.
    pub(crate) since: Option<Totals>,
}

impl Message for Drain {
    type Result = Result<DrainReport, Refused>;
}

/// What a drain achieved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Deliveries that were handled (or expired) during the drain.
    pub completed: u64,
    /// Failed attempts during the drain that were followed by another one.
    pub retried: u64,
    /// Deliveries that became dead letters during the drain.
    pub dead: u64,
    /// Deliveries that had not ended at the deadline, oldest first. They are unsettled: what becomes of them is up to
    /// their source, which gives them out again at the next start unless it has a reason not to.
    pub abandoned: Vec<Abandoned>,
}

/// A delivery that had not ended at the drain deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// Which one.
    pub seq: Seq,
    /// Its lane.
    pub lane: Lane,
    /// Number of its current attempt.
    pub attempt: u32,
    /// Whether a handler was running, so that some of its effects may have happened; otherwise it was waiting for its turn.
    pub running: bool,
}

/// Stop waiting for what is still running, now or as soon as the drain begins.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AbandonDrain;

/// Stop the worker threads. The reply comes when they have ended, or the patience has.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CloseWorkers {
    pub(crate) patience: Duration,
}

/// Tell how things stand.
#[derive(Debug, Message)]
#[rtype(result = "Workload")]
pub(crate) struct TellWorkload;

/// How things stand at the supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) counts: LaneCounts,
    pub(crate) credit: Credit,
    pub(crate) oldest_age: Option<Duration>,
    pub(crate) totals: Totals,
    pub(crate) longest: Vec<LaneLoad>,
    pub(crate) workers_silent: Duration,
}

/// An attempt ended. From the supervisor's tasks to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct AttemptEnded {
    lane: Lane,
    seq: Seq,
    booking: Booking,
    reply: Result<Outcome, MailboxError>,
}

/// The dead letter hook has seen a delivery. From the supervisor's tasks to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct Buried {
    lane: Lane,
    seq: Seq,
    booking: Booking,
    reply: Result<(), MailboxError>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Supervisor<T: Payload> {
    backlog: Backlog<T>,
    pool: Pool<T>,
    asking: Option<Asking>,
    alarm: Option<(Instant, SpawnHandle)>,
    stage: Stage,
    /// Whether nobody waits for running work any more; it may be said before the drain begins.
    hurried: bool,
}

/// A receipt that is owed.
#[derive(Debug)]
struct Asking {
    reply: oneshot::Sender<Receipt>,
    only_asked: bool,
}

#[derive(Debug)]
enum Stage {
    Working,
    Draining {
        before: Totals,
        replies: Vec<oneshot::Sender<DrainReport>>,
    },
    Drained(DrainReport),
}

impl<T: Payload> Supervisor<T> {
    pub(crate) fn new(backlog: Backlog<T>, pool: Pool<T>) -> Self {
        Self {
            backlog,
            pool,
            asking: None,
            alarm: None,
            stage: Stage::Working,
            hurried: false,
        }
    }

    /// Does everything that has become possible: wakes, starts attempts, answers, ends the drain.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        self.backlog.wake(now());
        while let Some(delivery) = self.backlog.next() {
            self.start_attempt(delivery, ctx);
        }
        self.set_alarm(ctx);
        if self.backlog.is_empty() {
            self.end_drain(Vec::new());
        }
        self.answer();
    }

    fn start_attempt(&mut self, delivery: Delivery<T>, ctx: &mut Context<Self>) {
        let (lane, seq) = (delivery.lane.clone(), delivery.seq);
        let booking = self.pool.assign();
        let attempt = self.pool.handle(&booking).send(Handle { delivery });
        let supervisor = ctx.address();
        actix_rt::spawn(async move {
            let reply = attempt.await;
            supervisor.do_send(AttemptEnded {
                lane,
                seq,
                booking,
                reply,
            });
        });
    }

    fn start_burial(&mut self, letter: DeadLetter<T>, ctx: &mut Context<Self>) {
        let (lane, seq) = (letter.delivery.lane.clone(), letter.delivery.seq);
        let booking = self.pool.assign();
        let burial = self.pool.bury(&booking).send(Bury { letter });
        let supervisor = ctx.address();
        actix_rt::spawn(async move {
            let reply = burial.await;
            supervisor.do_send(Buried {
                lane,
                seq,
                booking,
                reply,
            });
        });
    }

    /// Sets the one timer to the next repetition that is due.
    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.backlog.next_wake();
        if self.alarm.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        if let Some((_, timer)) = self.alarm.take() {
            ctx.cancel_future(timer);
        }
        self.alarm = wanted.map(|at| {
            let timer = ctx.run_later(at.saturating_duration_since(now()), |supervisor, ctx| {
                supervisor.alarm = None;
                supervisor.advance(ctx);
            });
            (at, timer)
        });
    }

    /// Sends the receipt that is owed, if it is due.
    fn answer(&mut self) {
        let credit = match self.stage {
            Stage::Working => self.backlog.credit(),
            Stage::Draining { .. } | Stage::Drained(_) => Credit::NONE,
        };
        let (news, idle) = (self.backlog.has_news(), self.backlog.is_empty());
        let due = self.asking.as_ref().is_some_and(|asking| match self.stage {
            Stage::Working => credit.any() && (!asking.only_asked || news || idle),
            // There is no credit to wait for any more, and a drain may be cut short: what ends is told at once.
            Stage::Draining { .. } => news,
            Stage::Drained(_) => true,
        });
        if due {
            self.answer_now(credit);
        }
    }

    fn answer_now(&mut self, credit: Credit) {
        if let Some(asking) = self.asking.take() {
            let receipt = Receipt {
                credit,
                progress: self.backlog.take_progress(),
                unfinished: self.backlog.len(),
            };
            if let Err(unsent) = asking.reply.send(receipt) {
                // The asker is gone; only its successor could use this, and there is none.
                tracing::debug!(settled = unsent.progress.settled.len(), "receipt had no reader");
            }
        }
    }

    fn end_drain(&mut self, abandoned: Vec<Abandoned>) {
        let Stage::Draining { before, replies } = &mut self.stage else {
            return;
        };
        let after = self.backlog.totals();
        let report = DrainReport {
            completed: (after.done + after.expired) - (before.done + before.expired),
            retried: after.retried - before.retried,
            dead: after.dead - before.dead,
            abandoned,
        };
        let replies = std::mem::take(replies);
        self.stage = Stage::Drained(report.clone());
        // The receipt goes first: whoever hears that the drain is over may rely on the progress being told.
        self.answer();
        for reply in replies {
            // A coordinator that is gone needs no report.
            let _ = reply.send(report.clone());
        }
    }

    fn abandon(&mut self) {
        if !matches!(self.stage, Stage::Draining { .. }) {
            return;
        }
        self.pool.abandon_running();
        let abandoned = self
            .backlog
            .abandon()
            .into_iter()
            .map(|(delivery, running)| Abandoned {
                seq: delivery.seq,
                lane: delivery.lane,
                attempt: delivery.attempt,
                running,
            })
            .collect();
        self.end_drain(abandoned);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<T: Payload> Actor for Supervisor<T> {
    type Context = Context<Self>;
}

impl<T: Payload> actix::Handler<DispatchBatch<T>> for Supervisor<T> {
    type Result = ResponseFuture<Result<Receipt, Refused>>;

    fn handle(&mut self, batch: DispatchBatch<T>, ctx: &mut Self::Context) -> Self::Result {
        if matches!(self.stage, Stage::Drained(_)) && !batch.deliveries.is_empty() {
            tracing::debug!(
                deliveries = batch.deliveries.len(),
                "batch came after the drain, left to its source"
            );
            return Box::pin(std::future::ready(Err(Refused::Closing)));
        }
        // One receipt is owed at most: an older question is answered with what there is.
        self.answer_now(Credit::NONE);
        let only_asked = batch.deliveries.is_empty();
        let refused = self.backlog.accept(batch.deliveries, now());
        if refused > 0 {
            tracing::error!(
                refused,
                "source repeated or reordered seqs, those deliveries are ignored"
            );
        }
        let (reply, receipt) = oneshot::channel();
        self.asking = Some(Asking { reply, only_asked });
        self.advance(ctx);
        Box::pin(async move { receipt.await.map_err(|_| Refused::Closing) })
    }
}

impl<T: Payload> actix::Handler<AttemptEnded> for Supervisor<T> {
    type Result = ();

    fn handle(&mut self, ended: AttemptEnded, ctx: &mut Self::Context) {
        drop(ended.booking);
        let outcome = ended.reply.unwrap_or_else(|_closed| {
            Outcome::Failed(Failure {
                cause: Cause::WorkerLost,
                retry: Retry::Backoff,
            })
        });
        let next = self
            .backlog
            .attempt_ended(&ended.lane, ended.seq, outcome, now(), fastrand::f64());
        match next {
            Next::Settled | Next::Unknown => {}
            Next::Repeats {
                delay,
                error,
                delivery,
            } => {
                let Delivery {
                    seq, lane, attempt, ..
                } = delivery;
                tracing::warn!(%seq, %lane, attempt, ?delay, error, "attempt failed, will be repeated");
            }
            Next::Bury(letter) => {
                let Delivery {
                    seq, lane, attempt, ..
                } = &letter.delivery;
                tracing::error!(%seq, %lane, attempt, error = letter.cause.chain(), "attempt failed, dead letter");
                self.start_burial(letter, ctx);
            }
        }
        self.advance(ctx);
    }
}

impl<T: Payload> actix::Handler<Buried> for Supervisor<T> {
    type Result = ();

    fn handle(&mut self, buried: Buried, ctx: &mut Self::Context) {
        drop(buried.booking);
        if buried.reply.is_err() {
            tracing::error!(seq = %buried.seq, "handler thread ended during the dead letter hook");
        }
        self.backlog.buried(&buried.lane, buried.seq);
        self.advance(ctx);
    }
}

impl<T: Payload> actix::Handler<TellWorkload> for Supervisor<T> {
    type Result = MessageResult<TellWorkload>;

    fn handle(&mut self, _: TellWorkload, _: &mut Self::Context) -> Self::Result {
        MessageResult(Workload {
            counts: self.backlog.counts(),
            credit: self.backlog.credit(),
            oldest_age: self.backlog.oldest_age(now()),
            totals: self.backlog.totals(),
            longest: self.backlog.longest(Snapshot::LONGEST),
            workers_silent: self.pool.silence(now()),
        })
    }
}

impl<T: Payload> actix::Handler<Drain> for Supervisor<T> {
    type Result = ResponseFuture<Result<DrainReport, Refused>>;

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (reply, report) = oneshot::channel();
        match &mut self.stage {
            Stage::Working => {
                self.stage = Stage::Draining {
                    before: drain.since.unwrap_or_else(|| self.backlog.totals()),
                    replies: vec![reply],
                };
                ctx.run_later(drain.deadline, |supervisor, _| supervisor.abandon());
            }
            Stage::Draining { replies, .. } => replies.push(reply),
            Stage::Drained(report) => {
                let report = report.clone();
                return Box::pin(std::future::ready(Ok(report)));
            }
        }
        self.advance(ctx);
        if self.hurried {
            self.abandon();
        }
        Box::pin(async move { report.await.map_err(|_| Refused::Closing) })
    }
}

impl<T: Payload> actix::Handler<AbandonDrain> for Supervisor<T> {
    type Result = ();

    fn handle(&mut self, _: AbandonDrain, _: &mut Self::Context) {
        self.hurried = true;
        self.abandon();
    }
}

impl<T: Payload> actix::Handler<CloseWorkers> for Supervisor<T> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: CloseWorkers, ctx: &mut Self::Context) -> Self::Result {
        let closed = self.pool.close(message.patience);
        ctx.stop();
        Box::pin(closed)
    }
}
