//! The open connections, each with a second handle to its socket: to cut it, and to see whether the client is gone.

use std::any::Any;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};
use std::io::ErrorKind;

use crate::shared::Shared;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// Whether the connection ends with the present answer.
    last_answer: AtomicBool,
    /// Whether this side has closed it. What the client wrote before it noticed can still be read, but did not arrive.
    cut: AtomicBool,
}

impl Connection {
    /// Ends the connection at once; what was not written yet is lost.
    pub(crate) fn close(&self) {
        self.cut.store(true, Ordering::Relaxed);
        // The client may have been faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Tells whether this side has closed the connection.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Tells whether either side has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        match self.socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes the end of an answer and tells whether the connection shall end with it.
    pub(crate) fn end(&self) -> bool {
        self.busy.fetch_sub(1, Ordering::Relaxed);
        self.last_answer.load(Ordering::Relaxed)
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<u64, Arc<Connection>>,
    accepted: u64,
    down: bool,
}

impl Connections {
    /// Closes every connection at once, and every new one until [`go_up`](Self::go_up).
    pub(crate) fn go_down(&mut self) {
        self.down = true;
        self.close_all();
    }

    pub(crate) fn go_up(&mut self) {
        self.down = false;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down
    }

    pub(crate) fn close_all(&self) {
        for connection in self.open.values() {
            connection.close();
        }
    }

    /// Closes idle connections now and the others after their present answer.
    pub(crate) fn close_when_idle(&self) {
        for connection in self.open.values() {
            if connection.busy.load(Ordering::Relaxed) == 0 {
                connection.close();
            } else {
                connection.last_answer.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Takes a connection out of the list when it ends.
struct Registration {
    shared: Weak<Shared>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().connections.open.remove(&self.number);
        }
    }
}

/// Enters a new connection into the list and attaches it to its requests.
pub(crate) fn register(shared: &Arc<Shared>, stream: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else {
        return;
    };
    let Ok(socket) = SockRef::from(stream).try_clone() else {
        return;
    };
    let connection = Arc::new(Connection {
        socket,
        busy: AtomicUsize::new(0),
        last_answer: AtomicBool::new(false),
        cut: AtomicBool::new(false),
    });
    let mut state = shared.lock();
    if state.connections.down {
        connection.close();
    }
    state.connections.accepted += 1;
    let number = state.connections.accepted;
    state.connections.open.insert(number, connection.clone());
    drop(state);
    extensions.insert(connection);
    extensions.insert(Registration {
        shared: Arc::downgrade(shared),
        number,
    });
}
