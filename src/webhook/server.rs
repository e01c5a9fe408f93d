//! The HTTP server of a bot that has no host.

use std::{
    future::{Future, pending, ready},
    io::{self, ErrorKind},
    net::{TcpListener, ToSocketAddrs},
    time::Duration,
};

use actix_rt::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::sleep,
};
use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use rustls::ServerConfig;

use super::{door::leaving_unread, error::WebhookError, route::WebhookRoute, settings::TlsFiles, tls};

/// Threads that serve requests. A request costs microseconds, so two are plenty.
const THREADS: usize = 2;

/// How long an idle connection is kept: longer than the server does (60 s), so that it is always the server that closes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Seconds that answers under way get at the end. The bot has stopped by then, so they have all been decided.
const LAST_ANSWERS: u64 = 5;

/// The same when nothing is to be waited for: what is decided has to be written all the same.
const LAST_WORDS: Duration = Duration::from_millis(250);

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
                // One that somebody else has, or that may not be had, would get the requests or miss them.
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                    return Err(WebhookError::Listen(error));
                }
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
        let nothing_here =
            |body: web::Payload| ready(leaving_unread(body, HttpResponse::NotFound().finish()));
        let mut server = HttpServer::new(move || {
            App::new()
                .service(route.clone())
                .default_service(web::to(nothing_here))
        })
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

    /// Stops serving, after the answers under way. Once `hurry` is ready, whoever is slow to send or to read is cut off.
    pub(crate) async fn stop(self, hurry: impl Future<Output = ()>) {
        let hurried = async {
            hurry.await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.handle.stop(true) => {}
            () = hurried => {
                self.task.abort();
                // The address is free when it has gone.
                let _ = self.task.await;
            }
        }
    }
}

/// Returns what is ready when two signals have come since this call: the first one stops the bot, the second one says not to
/// wait. Must be called on an actix system.
pub(crate) fn second_signal() -> impl Future<Output = ()> {
    // Counted from the start, whenever somebody begins to wait.
    let counting = actix_rt::spawn(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        io::Result::Ok(())
    });
    async {
        match counting.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a second signal will not be noticed");
                pending::<()>().await;
            }
            // Only when the system ends.
            Err(_ended) => pending::<()>().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        io::{Read, Write},
        net::{SocketAddr, TcpStream},
    };

    use actix_rt::{
        System,
        task::{spawn_blocking, yield_now},
        time::timeout,
    };
    use actix_web::{HttpResponse, web};
    use futures_util::FutureExt;
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::sync::mpsc;

    use super::*;

    /// Far below what the server of the test would wait for.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Starts a server that waits for an hour, with a client that has made a request.
    fn serving<A: Future<Output = HttpResponse> + 'static>(
        answer: impl Fn() -> A + Clone + Send + 'static,
    ) -> (Serving, SocketAddr, TcpStream) {
        let server = HttpServer::new(move || App::new().default_service(web::to(answer.clone())))
            .workers(1)
            .keep_alive(Duration::from_secs(3600))
            .shutdown_timeout(3600)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let serving = Serving {
            handle: server.handle(),
            task: actix_rt::spawn(server),
        };
        let mut client = TcpStream::connect(address).unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        (serving, address, client)
    }

    #[test]
    fn a_hurried_stop_waits_for_nobody_and_frees_the_address() {
        System::new().block_on(async {
            let (enter, mut entered) = mpsc::unbounded_channel();
            let (serving, address, _client) = serving(move || {
                let _ = enter.send(());
                pending()
            });
            entered.recv().await.unwrap();

            let stopped = timeout(PATIENCE, serving.stop(ready(()))).await;

            assert!(stopped.is_ok(), "it waits for an answer that never comes");
            assert!(TcpListener::bind(address).is_ok());
        });
    }

    /// The requests would go to whoever has the other address.
    #[test]
    fn one_address_of_several_that_somebody_else_has_is_an_error() {
        let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [
            SocketAddr::from(([127, 0, 0, 1], 0)),
            somebody.local_addr().unwrap(),
        ];

        let refused = Listening::bind(&addresses[..], None);

        let Err(WebhookError::Listen(error)) = refused else {
            panic!("it listens at a part of the addresses")
        };
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_that_this_machine_does_not_have_is_passed_over() {
        let nowhere = SocketAddr::from(([192, 0, 2, 1], 0));
        let here = SocketAddr::from(([127, 0, 0, 1], 0));

        assert!(Listening::bind(&[nowhere, here][..], None).is_ok());
        assert!(Listening::bind(nowhere, None).is_err());
    }

    #[test]
    fn an_idle_connection_does_not_hold_a_stop() {
        System::new().block_on(async {
            let (serving, _, mut client) = serving(|| ready(HttpResponse::Ok().finish()));
            let head = spawn_blocking(move || {
                let mut head = [0; 15];
                client.read_exact(&mut head).map(|()| (head, client))
            });
            let (head, _client) = head.await.unwrap().unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");

            let stopped = timeout(PATIENCE, serving.stop(pending())).await;

            assert!(stopped.is_ok());
        });
    }

    #[test]
    fn the_second_of_two_signals_hurries_and_the_first_does_not() {
        System::new().block_on(async {
            let mut seen = signal(SignalKind::terminate()).unwrap();
            let mut second = Box::pin(second_signal());
            let settle = async || {
                for _ in 0..100 {
                    yield_now().await;
                }
            };
            settle().await;

            kill_process(getpid(), Signal::TERM).unwrap();
            seen.recv().await;
            settle().await;
            assert!(second.as_mut().now_or_never().is_none());

            kill_process(getpid(), Signal::INT).unwrap();
            assert!(timeout(PATIENCE, second).await.is_ok());
        });
    }
}
