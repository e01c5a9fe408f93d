//! Calls that wait for their turn: the [`Schedule`] with a clock, and with somebody to wake.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_rt::{
    task::JoinHandle,
    time::{Instant as RuntimeInstant, sleep_until, timeout},
};
use tokio::sync::oneshot;

use super::{
    error::ApiError,
    schedule::{Refusal, Schedule, Step, Terms, Ticket},
    stats::ApiStats,
};

/// The schedule of one gateway, shared by the tasks of its calls.
pub(crate) struct Turns {
    schedule: RefCell<Schedule>,
    /// Tells each waiting call that its turn has come, or how long flood control would make it wait.
    waiting: RefCell<HashMap<Ticket, oneshot::Sender<Result<(), Duration>>>>,
    alarm: Cell<Option<Alarm>>,
}

/// Wakes the schedule at a certain time, unless it is dropped.
struct Alarm {
    at: Instant,
    task: JoinHandle<()>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Turns {
    pub(crate) fn new(schedule: Schedule) -> Rc<Self> {
        Rc::new(Self {
            schedule: RefCell::new(schedule),
            waiting: RefCell::default(),
            alarm: Cell::default(),
        })
    }

    /// Lets a call wait in line, from now on.
    pub(crate) fn enter(self: &Rc<Self>, terms: Terms) -> Result<Turn, Refusal> {
        let ticket = self.schedule.borrow_mut().enter(terms, now())?;
        let coming = self.expect(ticket);
        self.pump();
        Ok(Turn {
            turns: Rc::clone(self),
            ticket,
            coming,
            waited: Duration::ZERO,
        })
    }

    pub(crate) fn stats(&self) -> ApiStats {
        let now = now();
        ApiStats::new(self.schedule.borrow_mut().census(now), now)
    }

    fn expect(&self, ticket: Ticket) -> oneshot::Receiver<Result<(), Duration>> {
        let (give, take) = oneshot::channel();
        self.waiting.borrow_mut().insert(ticket, give);
        take
    }

    fn give(&self, ticket: Ticket, turn: Result<(), Duration>) {
        if let Some(give) = self.waiting.borrow_mut().remove(&ticket) {
            // Whoever has gone meanwhile leaves the schedule by itself.
            let _ = give.send(turn);
        }
    }

    /// Starts every call that may go, and sees to it that this happens again in time.
    fn pump(self: &Rc<Self>) {
        loop {
            let step = self.schedule.borrow_mut().next(now());
            match step {
                Step::Start(ticket) => self.give(ticket, Ok(())),
                Step::AskAt(at) => return self.set_alarm(at),
                Step::Rest => return self.alarm.set(None),
            }
        }
    }

    fn set_alarm(self: &Rc<Self>, at: Instant) {
        if let Some(alarm) = self.alarm.take()
            && alarm.at == at
        {
            self.alarm.set(Some(alarm));
            return;
        }
        // Weak, so that an alarm far away does not keep a gateway whose handles are gone.
        let turns = Rc::downgrade(self);
        let task = actix_rt::spawn(async move {
            sleep_until(RuntimeInstant::from_std(at)).await;
            if let Some(turns) = turns.upgrade() {
                // Aborts this task, which has no await point left.
                turns.alarm.set(None);
                turns.pump();
            }
        });
        self.alarm.set(Some(Alarm { at, task }));
    }
}

/// The place of one call in the schedule, waiting or running. Dropping it gives the place up at once.
pub(crate) struct Turn {
    turns: Rc<Turns>,
    ticket: Ticket,
    coming: oneshot::Receiver<Result<(), Duration>>,
    waited: Duration,
}

impl Turn {
    /// Waits until the call may be made, at most `max_wait` over all waits of this call.
    pub(crate) async fn comes(&mut self, method: &str, max_wait: Duration) -> Result<(), ApiError> {
        let began = now();
        let come = timeout(max_wait.saturating_sub(self.waited), &mut self.coming).await;
        self.waited += now() - began;
        let method = || method.to_owned();
        match come {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(retry_after))) => Err(ApiError::FloodWait {
                method: method(),
                retry_after,
            }),
            Ok(Err(_)) => Err(ApiError::Stopped { method: method() }),
            Err(_) => Err(ApiError::WaitedTooLong {
                method: method(),
                limit: max_wait,
            }),
        }
    }

    /// Notes that the call was answered with a wait: it goes back to the head of its line.
    pub(crate) fn flooded(&mut self, retry_after: Duration) {
        self.coming = self.turns.expect(self.ticket);
        let impatient = self
            .turns
            .schedule
            .borrow_mut()
            .flooded(self.ticket, retry_after, now());
        for (ticket, wait) in impatient {
            self.turns.give(ticket, Err(wait));
        }
        self.turns.pump();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.waiting.borrow_mut().remove(&self.ticket);
        self.turns.schedule.borrow_mut().leave(self.ticket, now());
        self.turns.pump();
    }
}

/// The runtime's clock, which tests can pause.
fn now() -> Instant {
    RuntimeInstant::now().into_std()
}
