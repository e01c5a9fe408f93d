//! Long polling: `getUpdates` as a [`Source`].
//!
//! The server forgets a batch when it receives a request with a higher offset, before it answers. So the next request
//! is sent only when the whole batch is finished (the engine gives credit in lockstep), and its offset says so:
//!
//! ```text
//! getUpdates(offset = 105) ──▶ server forgets < 105 ──▶ [105, 107, 108]
//!                              … all three handled …
//! getUpdates(offset = 109) ──▶ server forgets < 109 ──▶ …
//! ```
//!
//! Killed anywhere in between, the batch is still at the server and comes again: nothing is lost, at most one batch
//! runs twice.

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::Duration,
};

use actogram_actors::{Credit, Delivery, Offset, Progress, Seq, Source, SourceError};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    PollingError,
    monitor::PollingMonitor,
    offset::is_jump,
    rhythm::{MARGIN, Rhythm},
    watchdog::Watchdog,
};
use crate::{
    api::{Answer, ApiError, RequestBody, Transport, read_response},
    lane::{LaneChoice, MovedLanes},
    update::{Update, UpdateKind, split},
};

/// Most updates of one call; see <https://core.telegram.org/bots/api#getupdates>.
const LIMIT: usize = 100;

/// Age at which a request that was cancelled counts as received. It is one small packet; the price of being wrong is a
/// repeated batch.
const RECEIVED_AFTER: Duration = Duration::from_secs(1);

/// Time for the server to notice that a cancelled poll is over.
const HANG_UP: Duration = Duration::from_millis(100);

/// Time for the call that deletes a webhook.
const DELETE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a call that only confirms. The server holds it for 3 s when it repeats the offset of a recent poll.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(4);

/// Settings of long polling.
#[derive(Clone)]
pub(crate) struct PollingSettings {
    pub(crate) poll_timeout: Duration,
    pub(crate) watchdog: Duration,
    pub(crate) allowed_updates: Option<Vec<UpdateKind>>,
    pub(crate) lanes: LaneChoice,
    /// Whether a webhook is deleted before the first poll.
    pub(crate) delete_webhook: bool,
}

impl PollingSettings {
    /// Longest wait that the server grants; longer ones are cut down by it.
    pub(crate) const LONGEST_POLL: Duration = Duration::from_secs(50);

    /// Time beyond the wait of a long poll until the call is given up.
    pub(crate) const MARGIN: Duration = MARGIN;
}

impl Default for PollingSettings {
    fn default() -> Self {
        Self {
            poll_timeout: Self::LONGEST_POLL,
            watchdog: 3 * (Self::LONGEST_POLL + Self::MARGIN),
            allowed_updates: None,
            lanes: LaneChoice::default(),
            delete_webhook: false,
        }
    }
}

impl fmt::Debug for PollingSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollingSettings")
            .field("poll_timeout", &self.poll_timeout)
            .field("watchdog", &self.watchdog)
            .field("allowed_updates", &self.allowed_updates)
            .finish_non_exhaustive()
    }
}

/// The parameters of `getUpdates`. Absent fields stay absent: the server takes a JSON `null` for text.
#[derive(Serialize)]
struct GetUpdates<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    limit: usize,
    timeout: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_updates: Option<Vec<&'a str>>,
}

/// See the module's documentation.
pub(crate) struct PollingSource {
    transport: RefCell<Transport>,
    settings: PollingSettings,
    monitor: PollingMonitor,
    rhythm: RefCell<Rhythm>,
    watchdog: RefCell<Watchdog>,
    last_seq: Cell<u64>,
    last_id: Cell<Option<i64>>,
    moved: RefCell<MovedLanes>,
    /// Sent with each call until one has succeeded; the server remembers it from then on.
    allowed_updates_due: Cell<bool>,
    /// A webhook is deleted until one call has succeeded.
    webhook_deletion_due: Cell<bool>,
    /// End of the wait that the server asked for last. The engine obeys it between polls; a commit comes at any time.
    flood_wait_until: Cell<Option<Instant>>,
}

impl PollingSource {
    pub(crate) fn new(transport: Transport, settings: PollingSettings, monitor: PollingMonitor) -> Self {
        Self {
            transport: RefCell::new(transport),
            monitor,
            rhythm: RefCell::new(Rhythm::new(settings.poll_timeout)),
            watchdog: RefCell::new(Watchdog::new(settings.watchdog)),
            last_seq: Cell::new(0),
            last_id: Cell::new(None),
            moved: RefCell::default(),
            allowed_updates_due: Cell::new(settings.allowed_updates.is_some()),
            webhook_deletion_due: Cell::new(settings.delete_webhook),
            flood_wait_until: Cell::new(None),
            settings,
        }
    }

    /// Makes one call of `getUpdates`.
    async fn call(
        &self,
        offset: Option<i64>,
        limit: usize,
        wait: Duration,
        patience: Duration,
    ) -> Result<Answer, PollingError> {
        let allowed = self
            .settings
            .allowed_updates
            .as_ref()
            .filter(|_| self.allowed_updates_due.get());
        let params = GetUpdates {
            offset,
            limit,
            timeout: wait.as_secs(),
            allowed_updates: allowed.map(|kinds| kinds.iter().map(|kind| kind.as_str()).collect()),
        };
        let params = serde_json::to_vec(&params)
            .map_err(|source| ApiError::Encode {
                method: "getUpdates".to_owned(),
                source,
            })
            .map_err(PollingError::Call)?;
        let transport = self.transport.borrow().clone();
        let started = Instant::now();
        let expires = self
            .watchdog
            .borrow_mut()
            .poll_started(started.into_std(), fastrand::f64());
        let mut in_flight = InFlight {
            monitor: &self.monitor,
            offset,
            started,
            over: false,
        };
        let call = transport.call("getUpdates", RequestBody::Json(Bytes::from(params)), patience);
        let response = timeout_at(expires.into(), call).await;
        in_flight.over = true;
        match response {
            Ok(Ok(response)) => {
                self.watchdog.borrow_mut().answered();
                let answer = read_response("getUpdates", transport.token(), response);
                let answer = answer.map_err(|error| self.sort(error))?;
                self.monitor.lock().book.told(offset);
                self.allowed_updates_due.set(false);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.reconnect_if_silent();
                Err(PollingError::Call(error))
            }
            Err(_elapsed) => {
                self.reconnect_if_silent();
                Err(PollingError::Silent(self.settings.watchdog))
            }
        }
    }

    /// Deletes the webhook, as it was asked for, without dropping what the server keeps.
    async fn delete_webhook(&self) -> Result<(), PollingError> {
        let method = "deleteWebhook";
        let transport = self.transport.borrow().clone();
        let call = transport.call(method, RequestBody::Empty, DELETE_TIMEOUT);
        let response = call.await.map_err(PollingError::Call)?;
        read_response(method, transport.token(), response).map_err(|error| self.sort(error))?;
        self.webhook_deletion_due.set(false);
        tracing::info!("no webhook is set any more, polling");
        Ok(())
    }

    fn reconnect_if_silent(&self) {
        if self.watchdog.borrow_mut().take_expired(Instant::now().into_std()) {
            let fresh = self.transport.borrow().fresh();
            self.transport.replace(fresh);
            self.monitor.lock().counts.reconnects += 1;
            tracing::error!("no poll was answered for too long, connections replaced");
        }
    }

    /// Sorts the answers that mean something special here.
    fn sort(&self, error: ApiError) -> PollingError {
        match error {
            ApiError::Refused {
                code: code @ (401 | 404 | 421),
                description,
                ..
            } => PollingError::TokenRefused { code, description },
            ApiError::Refused {
                code: 409,
                description,
                ..
            } => {
                self.monitor.lock().counts.conflicts += 1;
                PollingError::conflict(description)
            }
            error => {
                if let Some(wait) = error.retry_after() {
                    self.monitor.lock().counts.flood_waits += 1;
                    self.flood_wait_until.set(Instant::now().checked_add(wait));
                }
                PollingError::Call(error)
            }
        }
    }

    /// Returns what is left of the wait that the server asked for, as the error of a call that was not made.
    fn flood_wait_left(&self) -> Result<(), PollingError> {
        let left = self.flood_wait_until.get().map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(());
        }
        Err(PollingError::Call(ApiError::FloodWait {
            method: "getUpdates".to_owned(),
            retry_after: left,
        }))
    }

    /// Counts and reports ids that do not follow each other.
    fn note_jump(&self, update_id: i64) {
        let Some(last) = self.last_id.replace(Some(update_id)) else {
            return;
        };
        if is_jump(last, update_id) {
            self.monitor.lock().counts.id_jumps += 1;
            tracing::warn!(
                last,
                update_id,
                "update ids jumped, updates in between were never offered"
            );
        }
    }

    /// Takes a batch apart and stamps its updates. One that has no id is counted and left out: it harms no other.
    fn take_apart(&self, answer: &Answer) -> Result<Vec<Delivery<Update>>, PollingError> {
        let raws = split(answer.result_text()).map_err(PollingError::Batch)?;
        let found = raws.len();
        let mut updates = Vec::with_capacity(found);
        for raw in raws {
            let update = match Update::from_raw(raw) {
                Ok(update) => update,
                Err(error) => {
                    self.monitor.lock().counts.unreadable += 1;
                    tracing::error!(%error, bytes = raw.get().len(), "update is unreadable, left out");
                    continue;
                }
            };
            self.note_jump(update.id());
            if let Some((from, to)) = update.moves_lane() {
                self.moved.borrow_mut().note(&from, &to);
            }
            updates.push(update);
        }
        let mut deliveries = Vec::with_capacity(updates.len());
        for update in updates {
            let lane = self.settings.lanes.lane(&update);
            // Without a journal nothing of an earlier batch is left, so this alone makes the two lanes of a group that
            // became a supergroup one.
            let lane = self.moved.borrow().find(&lane).clone();
            let seq = Seq(self.last_seq.get() + 1);
            self.last_seq.set(seq.0);
            {
                let mut shared = self.monitor.lock();
                shared.book.give(seq, update.id());
                shared.counts.received += 1;
            }
            deliveries.push(Delivery::new(seq, lane, update));
        }
        if deliveries.is_empty() && found > 0 {
            Err(PollingError::NoIds(found))
        } else {
            Ok(deliveries)
        }
    }
}

impl Source for PollingSource {
    type Payload = Update;

    async fn next_batch(&self, credit: Credit) -> Result<Vec<Delivery<Update>>, SourceError> {
        if self.webhook_deletion_due.get() {
            self.delete_webhook().await?;
        }
        let started = Instant::now();
        let offset = self.monitor.lock().book.next();
        let (wait, patience) = {
            let rhythm = self.rhythm.borrow();
            (rhythm.wait(), rhythm.patience())
        };
        let answer = self.call(offset, credit.0.min(LIMIT), wait, patience).await;
        // No await between here and the return of updates: what is handed over is handed over.
        let deliveries = answer
            .and_then(|answer| self.take_apart(&answer))
            .inspect_err(|error| {
                let taken_over = matches!(error, PollingError::Conflict { .. });
                self.rhythm.borrow_mut().failed(taken_over);
            })?;
        let rest = self
            .rhythm
            .borrow_mut()
            .succeeded(deliveries.len(), started.elapsed());
        if !deliveries.is_empty() {
            tracing::debug!(updates = deliveries.len(), ?offset, "fetched");
        } else if !rest.is_zero() {
            sleep(rest).await;
        }
        Ok(deliveries)
    }

    fn record(&self, progress: Progress) {
        if let Some(through) = progress.settled_through {
            self.monitor.lock().book.finish(through);
        }
    }

    async fn commit(&self) -> Result<Option<Offset>, SourceError> {
        let next = {
            let shared = self.monitor.lock();
            if shared.book.is_told() {
                return Ok(shared.book.next().map(Offset));
            }
            shared.book.next()
        };
        self.flood_wait_left()?;
        // It may return an update; that one stays unconfirmed and comes again.
        let confirm = self.call(next, 1, Duration::ZERO, CONFIRM_TIMEOUT);
        if self.monitor.lock().book.may_be_told() {
            // A poll with this offset was cancelled a moment ago. The server has to see its end first, or it takes this
            // for a second poller; and it holds this one back for 3 s. Both are received long before that; only the
            // answer is missing.
            sleep(HANG_UP).await;
            if let Ok(answer) = timeout(RECEIVED_AFTER, confirm).await {
                answer?;
            }
        } else {
            confirm.await?;
        }
        Ok(next.map(Offset))
    }
}

/// A request on its way. When it is cancelled late enough, its offset counts as received.
struct InFlight<'a> {
    monitor: &'a PollingMonitor,
    offset: Option<i64>,
    started: Instant,
    over: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let book = &mut self.monitor.lock().book;
        if self.started.elapsed() >= RECEIVED_AFTER {
            book.told(self.offset);
        } else {
            book.carried(self.offset);
        }
    }
}
