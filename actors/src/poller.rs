//! The actor that drives a [`Source`]: fetches when there is credit, hands batches downstream, and reports back
//! to the source what ended.
//!
//! It owns the source and talks to one receiver of [`DispatchBatch`]. It promises: never more deliveries than
//! credit; every progress it hears of is recorded in the source before the next fetch or commit; a fetch may be
//! cancelled at any time, a hand-over never is. The mailbox only passes commands on to one long task, which is in
//! `polling`.

use std::{fmt, time::Duration};

use actix::{Actor, Addr, Context, Message, Recipient, ResponseFuture};
use tokio::sync::{mpsc, oneshot};

use crate::{
    backoff::Backoff,
    delivery::Seq,
    error::SourceError,
    polling::{Command, Committed, PollingEnded, PollingState, PollingTask},
    source::Source,
    supervisor::DispatchBatch,
};

/// Stop fetching. The reply is the highest seq that was ever handed over.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Seq>, PollerGone>")]
pub(crate) struct StopPolling;

/// Wait for the receipts still owed, then let the source tell the other side what is finished. Ends the poller.
#[derive(Debug, Message)]
#[rtype(result = "Result<Committed, PollerGone>")]
pub(crate) struct Commit {
    pub(crate) deadline: Duration,
}

/// Wait until the source has nothing more to give out within this time.
#[derive(Debug)]
pub(crate) struct AwaitExhausted {
    pub(crate) within: Duration,
}

impl Message for AwaitExhausted {
    type Result = Result<Result<(), SourceError>, PollerGone>;
}

/// Tell how many deliveries the source keeps, when it knows.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<u64>, PollerGone>")]
pub(crate) struct TellKept;

/// Stop or resume fetching; what is handed over already goes on.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), PollerGone>")]
pub(crate) struct SetPaused {
    pub(crate) paused: bool,
}

/// Tell when polling ends by itself; the reply is the reason. It never comes when polling was told to stop.
#[derive(Debug, Message)]
#[rtype(result = "PollingEnded")]
pub(crate) struct AwaitEnd;

/// Tell how polling goes.
#[derive(Debug, Message)]
#[rtype(result = "Result<PollingState, PollerGone>")]
pub(crate) struct TellPolling;

/// The polling task ended by a panic, or the engine has closed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the poller is gone")]
pub(crate) struct PollerGone;

/// The address of a poller, whatever its source is.
#[derive(Clone)]
pub(crate) struct PollerHandle {
    stop: Recipient<StopPolling>,
    commit: Recipient<Commit>,
    pause: Recipient<SetPaused>,
    end: Recipient<AwaitEnd>,
    tell: Recipient<TellPolling>,
    exhausted: Recipient<AwaitExhausted>,
    kept: Recipient<TellKept>,
}

impl PollerHandle {
    pub(crate) fn new<S: Source>(poller: &Addr<Poller<S>>) -> Self {
        Self {
            stop: poller.clone().recipient(),
            commit: poller.clone().recipient(),
            pause: poller.clone().recipient(),
            end: poller.clone().recipient(),
            tell: poller.clone().recipient(),
            exhausted: poller.clone().recipient(),
            kept: poller.clone().recipient(),
        }
    }

    pub(crate) async fn stop(&self) -> Result<Option<Seq>, PollerGone> {
        self.stop.send(StopPolling).await.map_err(|_| PollerGone)?
    }

    pub(crate) async fn commit(&self, deadline: Duration) -> Result<Committed, PollerGone> {
        self.commit
            .send(Commit { deadline })
            .await
            .map_err(|_| PollerGone)?
    }

    pub(crate) async fn exhausted(&self, within: Duration) -> Result<Result<(), SourceError>, PollerGone> {
        self.exhausted
            .send(AwaitExhausted { within })
            .await
            .map_err(|_| PollerGone)?
    }

    pub(crate) async fn kept(&self) -> Option<u64> {
        self.kept.send(TellKept).await.ok()?.ok()?
    }

    pub(crate) async fn set_paused(&self, paused: bool) -> Result<(), PollerGone> {
        self.pause
            .send(SetPaused { paused })
            .await
            .map_err(|_| PollerGone)?
    }

    pub(crate) async fn end(&self) -> PollingEnded {
        self.end.send(AwaitEnd).await.unwrap_or(PollingEnded::Panicked)
    }

    pub(crate) async fn state(&self) -> Result<PollingState, PollerGone> {
        self.tell.send(TellPolling).await.map_err(|_| PollerGone)?
    }
}

/// See the module's documentation.
pub struct Poller<S: Source> {
    task: Option<PollingTask<S>>,
    commands: mpsc::UnboundedSender<Command>,
}

impl<S: Source> fmt::Debug for Poller<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}

impl<S: Source> Poller<S> {
    /// Returns a poller that feeds `downstream`.
    pub(crate) fn new(source: S, downstream: Recipient<DispatchBatch<S::Payload>>, backoff: Backoff) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        let task = PollingTask::new(source, downstream, orders, backoff);
        Self {
            task: Some(task),
            commands,
        }
    }

    /// Passes a command on and returns its reply. The reply fails when the task is gone.
    fn order<R: 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<R>) -> Command,
    ) -> ResponseFuture<Result<R, PollerGone>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).is_ok();
        Box::pin(async move {
            if sent {
                answer.await.map_err(|_| PollerGone)
            } else {
                Err(PollerGone)
            }
        })
    }
}

impl<S: Source> Actor for Poller<S> {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if let Some(task) = self.task.take() {
            actix_rt::spawn(task.run());
        }
    }
}

impl<S: Source> actix::Handler<SetPaused> for Poller<S> {
    type Result = ResponseFuture<Result<(), PollerGone>>;

    fn handle(&mut self, message: SetPaused, _: &mut Self::Context) -> Self::Result {
        self.order(|reply| Command::SetPaused {
            paused: message.paused,
            reply,
        })
    }
}

impl<S: Source> actix::Handler<TellPolling> for Poller<S> {
    type Result = ResponseFuture<Result<PollingState, PollerGone>>;

    fn handle(&mut self, _: TellPolling, _: &mut Self::Context) -> Self::Result {
        self.order(Command::Tell)
    }
}

impl<S: Source> actix::Handler<AwaitEnd> for Poller<S> {
    type Result = ResponseFuture<PollingEnded>;

    fn handle(&mut self, _: AwaitEnd, _: &mut Self::Context) -> Self::Result {
        let answer = self.order(Command::AwaitEnd);
        Box::pin(async move { answer.await.unwrap_or(PollingEnded::Panicked) })
    }
}

impl<S: Source> actix::Handler<StopPolling> for Poller<S> {
    type Result = ResponseFuture<Result<Option<Seq>, PollerGone>>;

    fn handle(&mut self, _: StopPolling, _: &mut Self::Context) -> Self::Result {
        self.order(Command::Stop)
    }
}

impl<S: Source> actix::Handler<AwaitExhausted> for Poller<S> {
    type Result = ResponseFuture<Result<Result<(), SourceError>, PollerGone>>;

    fn handle(&mut self, message: AwaitExhausted, _: &mut Self::Context) -> Self::Result {
        self.order(|reply| Command::AwaitExhausted {
            within: message.within,
            reply,
        })
    }
}

impl<S: Source> actix::Handler<TellKept> for Poller<S> {
    type Result = ResponseFuture<Result<Option<u64>, PollerGone>>;

    fn handle(&mut self, _: TellKept, _: &mut Self::Context) -> Self::Result {
        self.order(Command::TellKept)
    }
}

impl<S: Source> actix::Handler<Commit> for Poller<S> {
    type Result = ResponseFuture<Result<Committed, PollerGone>>;

    fn handle(&mut self, message: Commit, _: &mut Self::Context) -> Self::Result {
        self.order(|reply| Command::Commit {
            deadline: message.deadline,
            reply,
        })
    }
}
