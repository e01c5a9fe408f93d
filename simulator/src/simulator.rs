//! The running server: start, stop, restart, outage.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, thread};

use actix_web::dev::ServerHandle;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::account::Rules;
use crate::bot::Bot;
use crate::control;

use crate::face::{server, webhook_lines};
use crate::flood::FloodProfile;
use crate::request::{BotKey, Restart};
use crate::shared::Shared;
use crate::token::{TokenError, bot_id, well_formed};
use crate::webhook::action::WebhookAction;
use crate::world::World;

/// The id of the bot that is there from the start.
const DEFAULT_BOT_ID: i64 = 7_000_000_001;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken or may not be used.
    #[error("port {port} on 127.0.0.1 cannot be listened on, choose another or 0 for any free one")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The token given to the builder is malformed.
    #[error("the token of the first bot is malformed")]
    Token(#[from] TokenError),
    /// The server thread could not be started.
    #[error("the server thread could not be started")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// The settings of a [`Simulator`] that has not been started.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct SimulatorBuilder {
    port: u16,
    control: Option<u16>,
    token: Option<String>,
    rules: Rules,
    seed: Option<u64>,
    clock_rate: u32,
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        Self {
            port: 0,
            control: None,
            token: None,
            rules: Rules::default(),
            seed: None,
            clock_rate: 1,
        }
    }
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder")
            .field("port", &self.port)
            .field("control", &self.control)
            .field("rules", &self.rules)
            .field("seed", &self.seed)
            .field("clock_rate", &self.clock_rate)
            .finish_non_exhaustive()
    }
}

impl SimulatorBuilder {
    /// Sets the port on 127.0.0.1; default 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the token of the bot that is there from the start; default a made-up one.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Serves the control API over HTTP on a port of its own (0 for any free one); default off.
    pub fn control(mut self, port: u16) -> Self {
        self.control = Some(port);
        self
    }

    /// Sets the rate limits; default [`FloodProfile::Off`].
    pub fn flood(mut self, profile: FloodProfile) -> Self {
        self.rules.flood = profile;
        self
    }

    /// Switches what makes impatient clients slow: the penalty for repeating an offset within 3 s, and the pace of
    /// one 409 per 3 s. Default on, as on the real server; off makes some tests faster.
    pub fn penalties(mut self, on: bool) -> Self {
        self.rules.penalties = on;
        self
    }

    /// Applies the webhook rules of a local Bot API server: plain HTTP, any port, any address, up to 100,000
    /// connections. Default off. Webhooks are delivered over plain HTTP only, so that a test of them needs this.
    pub fn local(mut self, on: bool) -> Self {
        self.rules.local = on;
        self
    }

    /// Fixes the seed from which the first update ids are drawn; default a random one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Lets the server's clock run so many times as fast as real time; default 1.
    ///
    /// Timeouts, retries of webhooks, flood waits and lifetimes of updates shrink accordingly, and dates in updates run
    /// ahead. For a moment that a test knows, [`Simulator::advance_clock`] is exact and leaves the rest alone.
    ///
    /// # Panics
    ///
    /// Panics when `rate` is 0.
    #[track_caller]
    pub fn clock_rate(mut self, rate: u32) -> Self {
        assert!(rate > 0, "the clock of a server can't stand still");
        self.clock_rate = rate;
        self
    }

    /// Starts the server on a thread of its own; it answers when this returns.
    ///
    /// # Errors
    ///
    /// Returns [`StartError::Token`] for a malformed token, [`StartError::Listen`] when a port cannot be listened on
    /// and [`StartError::Thread`] when the system gives no thread.
    pub fn start(self) -> Result<Simulator, StartError> {
        let Self {
            port,
            control,
            token,
            rules,
            seed,
            clock_rate,
        } = self;
        let token = token.unwrap_or_else(|| well_formed(DEFAULT_BOT_ID));
        bot_id(&token)?;
        let default_bot = BotKey { token, test: false };
        let listener = listen(port)?;
        let address = address_of(&listener)?;
        let control = control.map(listen).transpose()?;
        let control_address = control.as_ref().map(address_of).transpose()?;
        let world = World::new(rules, seed.unwrap_or_else(|| fastrand::u64(..)));
        let (shared, webhook_actions) = Shared::new(world, clock_rate);

        let (ready, started) = mpsc::channel();
        let served = shared.clone();
        let thread = thread::Builder::new()
            .name("bot-api-simulator".to_owned())
            .spawn(move || run(listener, control, served, webhook_actions, &ready))
            .map_err(|source| StartError::Thread { source })?;
        let no_report = || StartError::Thread {
            source: io::ErrorKind::BrokenPipe.into(),
        };
        let handles = started
            .recv()
            .map_err(|_| no_report())?
            .map_err(|source| StartError::Thread { source })?;

        let simulator = Simulator {
            inner: Arc::new(Running {
                shared,
                address,
                control_address,
                default_bot,
                handles,
                thread: Some(thread),
            }),
        };
        simulator.bot();
        Ok(simulator)
    }
}

fn listen(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| StartError::Listen { port, source })
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|source| StartError::Thread { source })
}

/// The body of the server thread.
fn run(
    listener: TcpListener,
    control: Option<TcpListener>,
    shared: Arc<Shared>,
    webhook_actions: UnboundedReceiver<WebhookAction>,
    ready: &mpsc::Sender<io::Result<Vec<ServerHandle>>>,
) {
    actix_web::rt::System::new().block_on(async move {
        let timer = actix_web::rt::spawn({
            let shared = shared.clone();
            async move { shared.run_timer().await }
        });
        let webhooks = actix_web::rt::spawn(webhook_lines::run(shared.clone(), webhook_actions));
        let started = server::start(listener, shared.clone()).and_then(|api| {
            let control = control
                .map(|listener| control::server::start(listener, shared))
                .transpose()?;
            Ok((api, control))
        });
        match started {
            Ok((api, control)) => {
                let handles =
                    std::iter::once(api.handle()).chain(control.as_ref().map(|server| server.handle()));
                // Without a receiver the starting thread is gone, and with it the wish for a server.
                let _ = ready.send(Ok(handles.collect()));
                let control = control.map(actix_web::rt::spawn);
                if let Err(error) = api.await {
                    tracing::error!(%error, "server ended");
                }
                if let Some(control) = control {
                    control.abort();
                }
            }
            Err(error) => {
                // As above.
                let _ = ready.send(Err(error));
            }
        }
        timer.abort();
        webhooks.abort();
    });
}

struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    control_address: Option<SocketAddr>,
    default_bot: BotKey,
    handles: Vec<ServerHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().connections.go_down();
        for handle in self.handles.iter().rev() {
            // The command is sent by the call; the future only waits for its completion.
            drop(handle.stop(false));
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("server thread panicked");
        }
    }
}

/// A Bot API server on 127.0.0.1, on a thread of its own.
///
/// Handles are cheap to clone and may be used from any thread, inside and outside of async code; except for the
/// `wait_for` methods no call blocks longer than the server needs for one request. The server stops when the last
/// clone is dropped.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Running>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts a server with default settings.
    ///
    /// # Errors
    ///
    /// See [`SimulatorBuilder::start`].
    pub fn start() -> Result<Self, StartError> {
        Self::builder().start()
    }

    /// Returns the default settings.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// Returns the root of the server, `http://127.0.0.1:<port>`; methods are at `/bot<token>/<method>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Returns the root of the control API when it is served.
    pub fn control_url(&self) -> Option<String> {
        self.inner
            .control_address
            .map(|address| format!("http://{address}"))
    }

    /// Returns the bot that is there from the start.
    pub fn bot(&self) -> Bot {
        Bot::register(self.inner.shared.clone(), self.inner.default_bot.clone())
            .expect("the token of the default bot was checked at the start")
    }

    /// Returns the bot with this token; it is created when it is new.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a malformed token.
    pub fn bot_with_token(&self, token: &str) -> Result<Bot, TokenError> {
        let key = BotKey {
            token: token.to_owned(),
            test: false,
        };
        Bot::register(self.inner.shared.clone(), key)
    }

    /// Takes the whole server off the network: every connection is closed, and every new one at once; nothing is
    /// posted to webhooks.
    ///
    /// Queues, waiting polls and the clock go on.
    pub fn go_down(&self) {
        set_network(&self.inner.shared, false);
    }

    /// Ends [`go_down`](Self::go_down).
    pub fn go_up(&self) {
        set_network(&self.inner.shared, true);
    }

    /// Restarts the server in place.
    ///
    /// An orderly restart answers what waits and closes connections behind the answers; a kill closes everything
    /// unanswered and brings back the updates that were confirmed last. Either posts everything that is queued to
    /// webhooks again.
    pub fn restart(&self, restart: Restart) {
        restart_in_place(&self.inner.shared, restart);
    }

    /// Moves the server's clock forward: timeouts pass, updates expire, flood waits end.
    pub fn advance_clock(&self, span: Duration) {
        self.inner.shared.skip(span);
    }
}

/// Puts the server on the network, or takes it off.
pub(crate) fn set_network(shared: &Shared, up: bool) {
    shared.change(|state, now| {
        if up {
            state.connections.go_up();
        } else {
            state.connections.go_down();
        }
        state.world.set_offline(now, !up);
    });
}

pub(crate) fn restart_in_place(shared: &Shared, restart: Restart) {
    shared.change(|state, now| {
        state.world.restart(now, restart);
        match restart {
            Restart::KeepConfirmations => state.connections.close_when_idle(),
            Restart::LoseConfirmationsSince(_) => state.connections.close_all(),
        }
    });
}
