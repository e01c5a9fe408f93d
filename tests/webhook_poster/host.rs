//! An actix-web application of somebody else, in which routes of bots are mounted.

use std::{future::Future, net::SocketAddr, sync::mpsc, thread};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use actogram::WebhookRoute;
use rustls::ServerConfig;

/// An application that serves on threads of its own until it is stopped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: thread::JoinHandle<()>,
}

impl Host {
    /// Starts an application; `mount` is called once per thread.
    pub(crate) fn start(mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), mount)
    }

    /// As [`start`](Self::start), where an earlier one has listened.
    pub(crate) fn start_at(
        address: SocketAddr,
        mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        Self::serve(address, None, mount)
    }

    /// As [`start`](Self::start), with HTTPS.
    pub(crate) fn start_secure(
        tls: ServerConfig,
        mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        Self::serve(([127, 0, 0, 1], 0).into(), Some(tls), mount)
    }

    fn serve(
        address: SocketAddr,
        tls: Option<ServerConfig>,
        mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let (give, take) = mpsc::channel();
        let body = move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || App::new().configure(mount.clone()))
                    .workers(2)
                    .disable_signals();
                let server = match tls {
                    None => server.bind(address),
                    Some(tls) => server.bind_rustls_0_23(address, tls),
                }
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                give.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        };
        let thread = thread::spawn(body);
        let (address, handle) = take.recv().unwrap();
        Self {
            address,
            handle,
            thread,
        }
    }

    /// Stops as hosts do: no new connections, answers under way are given.
    pub(crate) fn stop(self) {
        wait_blocking(self.handle.stop(true));
        self.thread.join().unwrap();
    }
}

/// Waits on a thread without any runtime of its own.
pub(crate) fn wait_blocking<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// Returns an application with nothing but the route.
pub(crate) fn mounting(route: WebhookRoute) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    move |config| {
        config.service(route.clone());
    }
}
