//! The HTTP server of a bot that has no host.

use std::{
    io,
    net::{TcpListener, ToSocketAddrs},
    time::Duration,
};

use actix_rt::task::JoinHandle;
use actix_web::{App, HttpServer, dev::ServerHandle};
use rustls::ServerConfig;

use super::{error::WebhookError, route::WebhookRoute, settings::TlsFiles, tls};

/// Threads that serve requests. A request costs microseconds, so two are plenty.
const THREADS: usize = 2;

/// How long an idle connection is kept: longer than the server does (60 s), so that it is always the server that closes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Seconds that answers under way get at the end. The bot has stopped by then, so they have all been decided.
const LAST_ANSWERS: u64 = 5;

/// What is needed to serve, checked before anything is started.
pub(crate) struct Listening {
    listeners: Vec<TcpListener>,
    tls: Option<ServerConfig>,
}

/// A server that runs.
pub(crate) struct Serving {
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Listening {
    pub(crate) fn bind(
        addresses: impl ToSocketAddrs,
        files: Option<&TlsFiles>,
    ) -> Result<Self, WebhookError> {
        let tls = files.map(tls::load).transpose()?;
        let mut listeners = Vec::new();
        let mut failure = io::Error::other("it names no address");
        for address in addresses.to_socket_addrs().map_err(WebhookError::Listen)? {
            match TcpListener::bind(address) {
                Ok(listener) => listeners.push(listener),
                Err(error) => failure = error,
            }
        }
        // A name may have an address of a protocol that this machine does not speak; one that works is enough.
        if listeners.is_empty() {
            return Err(WebhookError::Listen(failure));
        }
        Ok(Self { listeners, tls })
    }

    /// Serves the route and nothing else.
    pub(crate) fn serve(self, route: WebhookRoute) -> Result<Serving, WebhookError> {
        let secure = self.tls.is_some();
        let mut server = HttpServer::new(move || App::new().service(route.clone()))
            .workers(THREADS)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(LAST_ANSWERS)
            // Signals stop the bot, and the bot stops the server.
            .disable_signals();
        for listener in self.listeners {
            server = match &self.tls {
                None => server.listen(listener),
                Some(tls) => server.listen_rustls_0_23(listener, tls.clone()),
            }
            .map_err(WebhookError::Listen)?;
        }
        for address in server.addrs() {
            tracing::info!(%address, secure, "webhook listens");
        }
        let server = server.run();
        Ok(Serving {
            handle: server.handle(),
            task: actix_rt::spawn(server),
        })
    }
}

impl Serving {
    /// Waits until the server ends, which it does not do by itself unless it fails.
    pub(crate) async fn failed(&mut self) -> WebhookError {
        let error = match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::Error::other("it has ended"),
            Err(_panicked) => io::Error::other("it has panicked"),
        };
        WebhookError::Server(error)
    }

    /// Stops serving, after the answers under way.
    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
    }
}
