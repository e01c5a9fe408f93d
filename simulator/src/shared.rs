//! The world behind its lock: the clock, the waiters of tickets, and who is told about a change.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};

use crate::Moment;
use crate::face::connections::{Connection, Connections};
use crate::reply::Reply;
use crate::request::Ticket;
use crate::webhook::action::WebhookAction;
use crate::world::World;

thread_local! {
    /// Whether this thread holds the lock for code that was handed in.
    static IN_PREDICATE: Cell<bool> = const { Cell::new(false) };
}

/// Runs code that was handed in while the lock is held.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> T {
    /// Resets the mark even when the code panics.
    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            IN_PREDICATE.set(false);
        }
    }

    IN_PREDICATE.set(true);
    let _reset = Reset;
    run()
}

/// Wall-clock time that never goes backwards, can be moved forward and may run fast.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_at: Moment,
    skipped: Duration,
    /// Seconds of this clock in one second.
    rate: u32,
}

impl Clock {
    fn start(rate: u32) -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_at: Moment::from_unix(since_epoch),
            skipped: Duration::ZERO,
            rate,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.started_at + self.started.elapsed().saturating_mul(self.rate) + self.skipped
    }

    /// Returns the real time at which the clock will show `moment`.
    fn instant_of(&self, moment: Moment) -> Instant {
        // Rounded up: a moment too early there is nothing to do yet.
        let real = moment.since(self.started_at + self.skipped) / self.rate;
        self.started + real + Duration::from_nanos(u64::from(self.rate > 1))
    }
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) connections: Connections,
    waiters: HashMap<Ticket, Waiter>,
    /// To whoever opens connections to webhooks; bounded by the connections that webhooks may have.
    webhooks: UnboundedSender<WebhookAction>,
}

/// Who waits for the answer of a ticket.
struct Waiter {
    sender: oneshot::Sender<Reply>,
    connection: Option<Arc<Connection>>,
}

impl Waiter {
    fn is_gone(&self) -> bool {
        self.sender.is_closed()
            || self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.is_closed())
    }
}

impl State {
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Registers who gets the answer of a ticket; must happen before the lock is released.
    pub(crate) fn await_reply(
        &mut self,
        ticket: Ticket,
        connection: Option<Arc<Connection>>,
    ) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.insert(ticket, Waiter { sender, connection });
        receiver
    }

    /// Closes the connection that waits for the answer of a ticket; the call goes on.
    pub(crate) fn close_connection_of(&self, ticket: Ticket) {
        if let Some(connection) = self
            .waiters
            .get(&ticket)
            .and_then(|waiter| waiter.connection.as_ref())
        {
            connection.close();
        }
    }

    /// Tells the world which waiting calls have lost their client.
    pub(crate) fn note_lost_clients(&mut self) {
        for (ticket, _) in self.waiters.iter().filter(|(_, waiter)| waiter.is_gone()) {
            self.world.client_gone(*ticket);
        }
    }
}

/// Shared by the handles, the HTTP workers and the timer.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    version: watch::Sender<u64>,
    rescheduled: Notify,
}

impl Shared {
    /// Returns the world behind its lock, and what its webhooks want sent.
    pub(crate) fn new(world: World, clock_rate: u32) -> (Arc<Self>, UnboundedReceiver<WebhookAction>) {
        let (webhooks, actions) = unbounded_channel();
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                world,
                clock: Clock::start(clock_rate),
                connections: Connections::default(),
                waiters: HashMap::new(),
                webhooks,
            }),
            changed: Condvar::new(),
            version: watch::Sender::new(0),
            rescheduled: Notify::new(),
        });
        (shared, actions)
    }

    /// Reads the state.
    ///
    /// # Panics
    ///
    /// Panics inside a predicate, where it would wait for itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        assert!(
            !IN_PREDICATE.get(),
            "a predicate or a look at the records uses its view, not the handles"
        );
        // A panic of a test's predicate must not take the simulator from the other threads.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state at the present moment, sends what became ready and tells everybody who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Moment) -> T) -> T {
        let mut state = self.lock();
        let now = state.now();
        state.world.advance(now);
        let due_before = state.world.due_at();
        let outcome = change(&mut state, now);
        // What the change has made due at once is done before anybody looks.
        state.world.advance(now);
        for action in state.world.take_webhook_actions() {
            // The server thread is gone when the server stops, and its connections with it.
            let _ = state.webhooks.send(action);
        }
        for (ticket, reply) in state.world.take_replies() {
            if let Some(waiter) = state.waiters.remove(&ticket) {
                // The client may be gone; the call has taken effect all the same.
                let _ = waiter.sender.send(reply);
            }
        }
        let rescheduled = state.world.due_at() != due_before;
        drop(state);
        self.changed.notify_all();
        self.version.send_modify(|version| *version += 1);
        if rescheduled {
            self.rescheduled.notify_one();
        }
        outcome
    }

    /// Moves the clock forward.
    pub(crate) fn skip(&self, span: Duration) {
        self.change(|state, _| state.clock.skipped += span);
        self.change(|_, _| ());
        // What is due next is due sooner in real time, even when nothing has become due.
        self.rescheduled.notify_one();
    }

    /// Waits until `holds` or the timeout, checking after every change.
    pub(crate) fn wait_for(&self, timeout: Duration, mut holds: impl FnMut(&State) -> bool) -> bool {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            if guarded(|| holds(&state)) {
                return true;
            }
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits like [`wait_for`](Self::wait_for) without blocking the thread.
    pub(crate) async fn wait_for_async(
        &self,
        timeout: Duration,
        mut holds: impl FnMut(&State) -> bool,
    ) -> bool {
        let mut version = self.version.subscribe();
        let waiting = async {
            loop {
                version.mark_unchanged();
                let reached = {
                    let state = self.lock();
                    guarded(|| holds(&state))
                };
                if reached {
                    return;
                }
                if version.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::time::timeout(timeout, waiting).await.is_ok()
    }

    /// Waits until the clock shows `moment`, however it gets there.
    pub(crate) async fn sleep_until(&self, moment: Moment) {
        let mut version = self.version.subscribe();
        loop {
            version.mark_unchanged();
            let (now, instant) = {
                let state = self.lock();
                (state.now(), state.clock.instant_of(moment))
            };
            if now >= moment {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(instant.into()) => {}
                changed = version.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Does what becomes due, for ever.
    pub(crate) async fn run_timer(&self) {
        loop {
            let rescheduled = self.rescheduled.notified();
            let due = {
                let state = self.lock();
                state.world.due_at().map(|due| state.clock.instant_of(due))
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()) => self.change(|_, _| ()),
                        () = rescheduled => {}
                    }
                }
                None => rescheduled.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{Params, Request, Rules, Verdict};

    #[actix_web::test]
    async fn a_skip_that_falls_short_leaves_only_the_rest_of_the_wait() {
        let (shared, _actions) = Shared::new(World::new(Rules::default(), 7), 1);
        let answer = shared.change(|state, now| {
            state.world.bot(now, "42:test-token").unwrap();
            let params = Params::from_pairs(&[("timeout", "50")]);
            let poll = Request::new("42:test-token", "getUpdates", params);
            match state.world.call(now, poll) {
                Verdict::Later(ticket) => state.await_reply(ticket, None),
                Verdict::Reply(_) => panic!("the poll is answered at once"),
            }
        });
        let timer = shared.run_timer();
        tokio::pin!(timer);
        assert!(timer.as_mut().now_or_never().is_none(), "it sleeps");

        shared.skip(Duration::from_millis(49_900));

        let answered = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                () = timer => unreachable!("the timer runs for ever"),
                answer = answer => answer,
            }
        });
        assert_eq!(answered.await.unwrap().unwrap().status, 200);
    }
}
