//! The task of one broadcast.

use std::{pin::pin, rc::Rc, time::Instant};

use futures_util::{
    StreamExt,
    stream::{FuturesUnordered, Stream},
};
use tokio::{sync::watch, time};

use super::{
    agenda::{Agenda, Step},
    attempt::{Done, Means, Next, attempt},
    control::Command,
    error::BroadcastError,
    ledger::Ledger,
    progress::{BroadcastProgress, BroadcastState, Rate},
    record::ChatOutcome,
    report::BroadcastEnding,
    source::Source,
};

/// Chats that are read from the source, and looked up in the ledger, in one go.
const CHUNK: usize = 256;

/// Chats of the source, without those that are done already.
struct Chunk {
    read: usize,
    fresh: Vec<i64>,
}

/// See the module's documentation.
pub(super) struct Runner {
    means: Rc<Means>,
    agenda: Agenda,
    rate: Rate,
    progress: watch::Sender<BroadcastProgress>,
    /// Why it cannot go on.
    halted: Option<BroadcastError>,
    name: String,
}

impl Runner {
    pub(super) fn new(
        name: String,
        means: Means,
        agenda: Agenda,
        progress: watch::Sender<BroadcastProgress>,
    ) -> Self {
        Self {
            means: Rc::new(means),
            agenda,
            rate: Rate::new(now()),
            progress,
            halted: None,
            name,
        }
    }

    /// Sends until everything is done or it is told to end; what runs then ends first.
    pub(super) async fn run(
        mut self,
        source: Source,
        mut control: watch::Receiver<Command>,
    ) -> Result<BroadcastEnding, BroadcastError> {
        let mut chunks = pin!(unfinished(source, self.means.ledger.clone()));
        let mut running = FuturesUnordered::new();
        let ending = loop {
            let command = *control.borrow_and_update();
            let goes_on = self.halted.is_none() && command == Command::Run;
            let step = if goes_on {
                self.agenda.step(now())
            } else {
                Step::Wait(None)
            };
            let (reads, wake) = match step {
                Step::Start(chat) => {
                    running.push(attempt(Rc::clone(&self.means), chat));
                    continue;
                }
                Step::Complete => break BroadcastEnding::Completed,
                Step::Read(at) => (true, at),
                Step::Wait(at) => (false, at),
            };
            if running.is_empty() {
                match (&self.halted, command) {
                    (Some(error), _) => return Err(error.clone()),
                    (None, Command::Cancel) => break BroadcastEnding::Cancelled,
                    (None, Command::Stop | Command::Abort) => break BroadcastEnding::Stopped,
                    (None, Command::Run | Command::Pause) => {}
                }
            }
            self.show(command);
            let wake = wake.map(time::Instant::from_std);
            tokio::select! {
                biased;
                changed = control.changed() => {
                    if changed.is_err() {
                        // Nobody is left who could tell it anything; the bot is gone.
                        self.halt(BroadcastError::BotStopped);
                    }
                }
                Some(done) = running.next() => self.note(done),
                chunk = chunks.next(), if reads => self.take(chunk),
                () = time::sleep_until(wake.unwrap_or_else(time::Instant::now)), if wake.is_some() => {}
            }
        };
        if ending != BroadcastEnding::Stopped {
            let cancelled = ending == BroadcastEnding::Cancelled;
            self.means.ledger.end(cancelled).await?;
        }
        Ok(ending)
    }

    fn take(&mut self, chunk: Option<Result<Chunk, BroadcastError>>) {
        match chunk {
            None => self.agenda.exhaust(),
            Some(Err(error)) => self.halt(error),
            Some(Ok(Chunk { read, fresh })) => {
                let known = (read - fresh.len()) as u64;
                self.progress.send_modify(|progress| progress.done += known);
                self.agenda.add(fresh);
            }
        }
    }

    /// Takes note of what came of an attempt.
    fn note(&mut self, done: Done) {
        let now = now();
        let ended = matches!(done.next, Next::Others);
        if !done.outcomes.is_empty() {
            self.rate.count(now);
        }
        let per_second = self.rate.per_second(now);
        let unknown = done.outcomes.last() == Some(&ChatOutcome::Unknown);
        self.progress.send_modify(|progress| {
            if done.again {
                progress.counts.unknown = progress.counts.unknown.saturating_sub(1);
            }
            for outcome in done.outcomes {
                *progress.counts.place(outcome) += 1;
            }
            progress.done += u64::from(ended);
            progress.estimate(per_second);
        });
        match done.next {
            Next::Others if unknown => {
                if let Some(pause) = self.agenda.done_unknown(now, fastrand::f64()) {
                    tracing::warn!(
                        broadcast = self.name,
                        ?pause,
                        "broadcast waits, too many outcomes in a row are unknown"
                    );
                }
            }
            Next::Others => self.agenda.done(),
            Next::Later(wait) => self.agenda.later(done.chat, now, wait),
            Next::Hold(reason) => {
                if let Some(pause) = self.agenda.hold(done.chat, now, fastrand::f64()) {
                    tracing::warn!(
                        broadcast = self.name,
                        reason,
                        ?pause,
                        "broadcast waits, nothing can be sent"
                    );
                }
            }
            Next::Stop(error) => {
                self.agenda.done();
                self.halt(error);
            }
        }
    }

    /// The first reason is the one to report.
    fn halt(&mut self, error: BroadcastError) {
        self.halted.get_or_insert(error);
    }

    fn show(&self, command: Command) {
        let state = match command {
            _ if self.halted.is_some() => BroadcastState::Ending,
            Command::Run => BroadcastState::Running,
            Command::Pause => BroadcastState::Paused,
            Command::Stop | Command::Cancel | Command::Abort => BroadcastState::Ending,
        };
        self.progress.send_if_modified(|progress| {
            let changed = progress.state != state;
            progress.state = state;
            changed
        });
    }
}

/// Returns the chats of a source that may still need the message.
fn unfinished(source: Source, ledger: Ledger) -> impl Stream<Item = Result<Chunk, BroadcastError>> {
    source
        .chunks(CHUNK)
        .then(move |chunk| {
            let ledger = ledger.clone();
            async move {
                let chats = chunk.map_err(BroadcastError::Source)?;
                let read = chats.len();
                let fresh = ledger.fresh(chats).await?;
                Ok(Chunk { read, fresh })
            }
        })
        .fuse()
}

/// The clock of the runtime, which tests can turn.
fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
