//! SIGTERM and SIGINT, taken only when asked for.

use std::{io, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{Handle, Signals},
    low_level::emulate_default_handler,
};

/// A thread that waits for signals; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    handle: Handle,
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// What the n-th signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Drain and stop.
    Drain,
    /// Stop without waiting.
    Now,
    /// Die as if the signal had not been caught.
    Die,
}

/// Returns what the signal means that comes after `earlier` others. Pure.
pub(crate) fn order_of(earlier: u32) -> Order {
    match earlier {
        0 => Order::Drain,
        1 => Order::Now,
        _ => Order::Die,
    }
}

/// Starts to watch; `obey` is called on a thread of its own with the signal and what it asks for. The third signal
/// ends the process as if it had not been caught, so that a stuck runtime cannot hold it.
pub(crate) fn watch(obey: impl Fn(i32, Order) + Send + 'static) -> io::Result<SignalWatch> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let handle = signals.handle();
    thread::Builder::new()
        .name("actogram-signals".to_owned())
        .spawn(move || {
            for (earlier, signal) in (0..).zip(signals.forever()) {
                match order_of(earlier) {
                    Order::Die => {
                        if let Err(error) = emulate_default_handler(signal) {
                            tracing::error!(%error, signal, "signal could not be re-raised");
                        }
                    }
                    order => obey(signal, order),
                }
            }
        })?;
    Ok(SignalWatch { handle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_drains_the_second_hurries_the_third_kills() {
        assert_eq!(
            [0, 1, 2, 3].map(order_of),
            [Order::Drain, Order::Now, Order::Die, Order::Die]
        );
    }
}
