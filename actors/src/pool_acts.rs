//! What the tests of the pool give to its workers, and what these note.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, ThreadId},
};

use actix_rt::Arbiter;

use crate::{
    consumer::Consumer,
    delivery::{Delivery, Outcome},
};

/// What the deliveries of these tests do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    Nothing,
    /// Waits until it is dropped.
    Wait,
    /// Blocks the thread until the test ends.
    Block,
    /// Ends the thread.
    EndThread,
    /// Waits, and panics when it is dropped.
    PanicWhenDropped,
    /// Waits, and blocks the thread when it is dropped.
    BlockWhenDropped,
}

/// What all consumers of a test have done.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    built: Arc<AtomicUsize>,
    pub(crate) freed: Arc<Mutex<Vec<(ThreadId, ThreadId)>>>,
    pub(crate) begun: Arc<Mutex<Vec<(Act, ThreadId)>>>,
    blocked: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Seen {
    pub(crate) fn factory(&self) -> impl Fn() -> Noting + Clone + Send + 'static + use<> {
        let seen = self.clone();
        move || {
            seen.built.fetch_add(1, SeqCst);
            Noting {
                seen: seen.clone(),
                home: thread::current().id(),
            }
        }
    }

    pub(crate) fn built(&self) -> usize {
        self.built.load(SeqCst)
    }

    pub(crate) fn freed(&self) -> usize {
        self.freed.lock().unwrap().len()
    }

    pub(crate) fn begun(&self, act: Act) -> usize {
        self.begun
            .lock()
            .unwrap()
            .iter()
            .filter(|(begun, _)| *begun == act)
            .count()
    }

    /// Lets the next act that blocks do so until the returned value is dropped.
    pub(crate) fn blocking(&self) -> mpsc::Sender<()> {
        let (unblock, blocked) = mpsc::channel();
        *self.blocked.lock().unwrap() = Some(blocked);
        unblock
    }

    pub(crate) fn blocks(&self) -> bool {
        self.blocked.lock().unwrap().is_none()
    }

    fn block(&self) {
        let blocked = self.blocked.lock().unwrap().take().unwrap();
        let _ = blocked.recv();
    }
}

pub(crate) struct Noting {
    seen: Seen,
    home: ThreadId,
}

impl Drop for Noting {
    fn drop(&mut self) {
        let freed = (self.home, thread::current().id());
        self.seen.freed.lock().unwrap().push(freed);
    }
}

struct BlocksWhenDropped(Seen);

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        self.0.block();
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("scripted panic");
    }
}

impl Consumer<Act> for Noting {
    async fn consume(&self, delivery: Delivery<Act>) -> Outcome {
        let act = *delivery.payload;
        self.seen
            .begun
            .lock()
            .unwrap()
            .push((act, thread::current().id()));
        match act {
            Act::Nothing => {}
            Act::Wait => pending().await,
            Act::Block => self.seen.block(),
            Act::BlockWhenDropped => {
                let _guard = BlocksWhenDropped(self.seen.clone());
                pending::<()>().await;
            }
            Act::EndThread => {
                Arbiter::current().stop();
                pending::<()>().await;
            }
            Act::PanicWhenDropped => {
                let _bomb = PanicsWhenDropped;
                pending::<()>().await;
            }
        }
        Outcome::Done
    }
}
