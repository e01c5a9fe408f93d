//! The broadcasts of one bot: started, known by name while they run, and stopped with the bot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_rt::{Arbiter, ArbiterHandle};
use actogram_actors::EngineHandle;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    agenda::Agenda,
    attempt::{Means, Send},
    builder::Settings,
    control::{BroadcastHandle, Command, tell},
    error::BroadcastError,
    ledger::Ledger,
    progress::{BroadcastProgress, BroadcastState},
    record::OutcomeCounts,
    report::{BroadcastEnding, BroadcastReport},
    runner::Runner,
    source::Source,
};
#[cfg(feature = "journal")]
use super::{
    ledger::failed,
    record::{OpenedBroadcast, Opening},
};
use crate::api::Api;
#[cfg(feature = "journal")]
use crate::backing::Backing;

/// Longest time that a call of a broadcast waits for flood control or its pace before it gives its place up. Short, because
/// a chat whose call waits counts as begun, and would be unknown after a `kill -9`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handle of what all broadcasts of a bot share; cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Broadcasts {
    api: Api,
    #[cfg(feature = "journal")]
    backing: Backing,
    /// Where they run: the thread of the bot.
    arbiter: ArbiterHandle,
    register: Arc<watch::Sender<Register>>,
}

/// Which broadcasts run.
#[derive(Debug, Default)]
struct Register {
    stopping: bool,
    running: BTreeMap<String, watch::Sender<Command>>,
}

/// A name in the register; dropping it takes the name out.
struct Registered {
    register: Arc<watch::Sender<Register>>,
    name: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.register.send_modify(|register| {
            register.running.remove(&self.name);
        });
    }
}

impl Broadcasts {
    /// Must be called on the thread of the bot.
    pub(crate) fn new(api: Api, #[cfg(feature = "journal")] backing: Backing) -> Self {
        Self {
            api,
            #[cfg(feature = "journal")]
            backing,
            arbiter: Arbiter::current(),
            register: Arc::default(),
        }
    }

    /// Stops all broadcasts when the bot begins to stop, without those running sends that do not end within the deadline.
    pub(crate) fn stop_with(&self, engine: EngineHandle, drain_deadline: Duration) {
        let broadcasts = self.clone();
        actix_rt::spawn(async move {
            engine.stopping().await;
            broadcasts.tell_all(Command::Stop);
            if timeout(drain_deadline, broadcasts.drained()).await.is_err() {
                tracing::warn!("broadcasts were cut off, what they were sending is unknown");
                broadcasts.abort();
            }
        });
    }

    /// Stops all broadcasts at once and starts no other; what they are sending is dropped.
    pub(crate) fn abort(&self) {
        self.tell_all(Command::Abort);
    }

    /// Waits until no broadcast runs.
    pub(crate) async fn drained(&self) {
        let mut register = self.register.subscribe();
        // The sender is ours, so it is there.
        let _ = register.wait_for(|register| register.running.is_empty()).await;
    }

    /// Stops what runs, and waits for it. For use when the bot has stopped.
    pub(crate) async fn conclude(&self) {
        self.tell_all(Command::Stop);
        self.drained().await;
    }

    fn tell_all(&self, command: Command) {
        self.register.send_modify(|register| {
            register.stopping = true;
            for control in register.running.values() {
                tell(control, command);
            }
        });
    }

    fn enter(&self, name: &str, control: &watch::Sender<Command>) -> Result<Registered, BroadcastError> {
        let mut entered = Ok(());
        self.register.send_if_modified(|register| {
            if register.stopping {
                entered = Err(BroadcastError::BotStopped);
            } else if register.running.contains_key(name) {
                entered = Err(BroadcastError::AlreadyRunning {
                    name: name.to_owned(),
                });
            } else {
                register.running.insert(name.to_owned(), control.clone());
            }
            entered.is_ok()
        });
        entered.map(|()| Registered {
            register: Arc::clone(&self.register),
            name: name.to_owned(),
        })
    }

    /// Starts a broadcast.
    pub(super) async fn start(
        &self,
        settings: Settings,
        source: Source,
        send: Send,
    ) -> Result<BroadcastHandle, BroadcastError> {
        let control = watch::Sender::new(Command::Run);
        let registered = self.enter(&settings.name, &control)?;
        let (ledger, counts) = self.open(&settings).await?;

        let total = settings.total.or(source.total);
        let (progress, seen) = watch::channel(BroadcastProgress::new(total, counts));
        let (end, ended) = watch::channel(None);
        let handle = BroadcastHandle {
            name: settings.name.clone(),
            control: control.clone(),
            progress: seen,
            ended,
            ledger: ledger.clone(),
        };
        let means = Means {
            ledger,
            api: self.api_for(&settings),
            send,
        };
        let began = Instant::now();
        let run = move || {
            actix_rt::spawn(async move {
                let agenda = Agenda::new(settings.pacing, settings.concurrency, Instant::now().into_std());
                let runner = Runner::new(settings.name.clone(), means, agenda, progress.clone());
                let mut watched = control.subscribe();
                let result = tokio::select! {
                    biased;
                    _ = watched.wait_for(|command| *command == Command::Abort) => Ok(BroadcastEnding::Stopped),
                    result = runner.run(source, control.subscribe()) => result,
                };
                progress.send_modify(|progress| {
                    progress.state = BroadcastState::Ended;
                    progress.eta = None;
                });
                let result = result.map(|ending| BroadcastReport {
                    name: settings.name,
                    ending,
                    counts: progress.borrow().counts,
                    took: began.elapsed(),
                });
                tell_end(&result);
                // Whoever waits for the end may start it again.
                drop(registered);
                end.send_replace(Some(result));
            });
        };
        if self.arbiter.spawn_fn(run) {
            Ok(handle)
        } else {
            Err(BroadcastError::BotStopped)
        }
    }

    fn api_for(&self, settings: &Settings) -> Api {
        let mut api = self.api.max_wait(PATIENCE);
        if let Some(pacing) = settings.pacing {
            api = api.paced(pacing);
        }
        if settings.repeat_unknown {
            api = api.repeat_unknown();
        }
        api
    }

    async fn open(&self, settings: &Settings) -> Result<(Ledger, OutcomeCounts), BroadcastError> {
        if settings.in_memory {
            return Ok((Ledger::in_memory(), OutcomeCounts::default()));
        }
        #[cfg(feature = "journal")]
        {
            let journal = self.backing.journal().ok_or(BroadcastError::NoJournal)?;
            let opening = Opening {
                name: settings.name.clone(),
                repeat_unknown: settings.repeat_unknown,
                anew: settings.anew,
            };
            match journal.open_broadcast(opening).await.map_err(failed)? {
                OpenedBroadcast::Ended { cancelled, counts } => Err(BroadcastError::Ended {
                    name: settings.name.clone(),
                    cancelled,
                    counts,
                }),
                OpenedBroadcast::Open { id, counts, resumed } => {
                    tracing::info!(
                        broadcast = settings.name,
                        resumed,
                        chats_done = counts.chats(),
                        "broadcast starts"
                    );
                    let ledger = Ledger::Journal {
                        journal: journal.clone(),
                        id,
                        name: settings.name.as_str().into(),
                    };
                    Ok((ledger, counts))
                }
            }
        }
        #[cfg(not(feature = "journal"))]
        Err(BroadcastError::NoJournal)
    }
}

fn tell_end(result: &Result<BroadcastReport, BroadcastError>) {
    match result {
        Ok(report) => tracing::info!(
            broadcast = report.name,
            ending = ?report.ending,
            sent = report.counts.sent,
            blocked = report.counts.blocked,
            unknown = report.counts.unknown,
            failed = report.counts.failed,
            "broadcast ended"
        ),
        Err(error) => tracing::error!(%error, "broadcast cannot go on"),
    }
}
