//! Who works on deliveries.

use std::future::Future;

use crate::delivery::{DeadLetter, Delivery, Outcome, Payload};

/// Worker code: turns a delivery into an outcome.
///
/// A consumer is built once per handler actor, on that actor's thread, by a factory closure that is `Send + Clone`
/// (the consumer itself need not be `Send`), and then runs many deliveries concurrently: its futures are tasks of
/// their own.
///
/// - A panic is caught and counts as a failed attempt.
/// - A future that passes the handler deadline is dropped at its next await point; code that blocks the thread cannot
///   be stopped, so blocking work belongs on a blocking thread.
/// - Work that a future spawned elsewhere is not part of the attempt and is not cancelled with it.
pub trait Consumer<T: Payload>: 'static {
    /// Works on one delivery.
    fn consume(&self, delivery: Delivery<T>) -> impl Future<Output = Outcome>;

    /// Is shown a delivery that will not be tried again. The delivery counts as finished when this ends (or
    /// panics, or passes the handler deadline), and its lane waits until then.
    ///
    /// Does nothing by default; the engine has logged the cause already.
    fn bury(&self, letter: DeadLetter<T>) -> impl Future<Output = ()> {
        let _ = letter;
        std::future::ready(())
    }
}
