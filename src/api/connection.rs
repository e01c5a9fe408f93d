//! Connections that tell whether a request was written, and refuse one that the server has closed.
//!
//! A server closes kept connections when it likes. The HTTP client looks at a connection before it uses it, but sees only
//! what the runtime has noticed so far, and afterwards reports the failure like one of a request that was read: a repetition
//! could then send a message twice. So the socket itself is asked right before the first byte of a request is written on a
//! connection that was used before. If it is closed, nothing is written, and the call can go elsewhere without any doubt.
//!
//! What is left is the time that the server's closing takes to travel. Connections that were idle for long are not used
//! for that reason; see [`ApiConfig::keep_alive`](super::ApiConfig::keep_alive).

use std::{
    cell::Cell,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_service::{Service, ServiceExt};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector};
use awc::http::Uri;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

tokio::task_local! {
    /// The exchange that the current task is busy with. The HTTP client uses a connection within the task of its caller.
    static CURRENT: Exchange;
}

/// What is known of one request and its response. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange(Rc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    /// The HTTP client has a connection and has asked for the body; what it writes now is the request.
    begun: Cell<bool>,
    written: Cell<bool>,
    found_closed: Cell<bool>,
}

impl Exchange {
    /// Runs the steps of this exchange.
    pub(crate) async fn scope<T>(&self, steps: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), steps).await
    }

    /// Notes that the HTTP client has a connection. What was written before belongs to the TLS handshake.
    pub(crate) fn begin(&self) {
        self.0.begun.set(true);
    }

    /// Whether any byte of the request was written.
    pub(crate) fn was_written(&self) -> bool {
        self.0.written.get()
    }

    /// Whether it was given a connection that the server had closed, and nothing was written.
    pub(crate) fn found_closed(&self) -> bool {
        self.0.found_closed.get() && !self.was_written()
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// Connects by TCP, for the HTTP client.
pub(crate) fn connector() -> impl Service<
    ConnectInfo<Uri>,
    Response = Connection<Uri, WatchedStream>,
    Error = ConnectError,
    Future = impl Future<Output = Result<Connection<Uri, WatchedStream>, ConnectError>>,
> + Clone
+ 'static {
    Connector::default()
        .service()
        .map(|connection: Connection<Uri, TcpStream>| {
            let (stream, address) = connection.into_parts();
            Connection::new(address, WatchedStream { stream, last: None })
        })
}

/// A connection that belongs to one exchange after the other.
#[derive(Debug)]
pub(crate) struct WatchedStream {
    stream: TcpStream,
    /// The exchange whose request was written last.
    last: Option<Exchange>,
}

impl WatchedStream {
    /// Looks at the connection when a request begins.
    fn before_write(&mut self) -> io::Result<()> {
        let current = CURRENT
            .try_with(Clone::clone)
            .ok()
            .filter(|exchange| exchange.0.begun.get());
        let Some(current) = current else { return Ok(()) };
        match &self.last {
            Some(last) if last.is(&current) => return Ok(()),
            Some(_) if !self.is_quiet() => {
                current.0.found_closed.set(true);
                return Err(io::ErrorKind::NotConnected.into());
            }
            _ => self.last = Some(current),
        }
        Ok(())
    }

    /// Whether the server has neither closed the connection nor said anything: between requests it has nothing to say
    /// but good-bye.
    fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(&self.stream).peek(&mut byte) {
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn after_write(written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            // Without an exchange there is nobody to tell: the connection is being shut down.
            let _ = CURRENT.try_with(|exchange| exchange.0.written.set(exchange.0.begun.get()));
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write()?;
        Self::after_write(Pin::new(&mut self.stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.before_write()?;
        Self::after_write(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ActixStream for WatchedStream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.stream, cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.stream, cx)
    }
}
