//! A stage for tests of the bot as a whole: the simulator, a bot in this process, or the real program of an example.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    future::Future,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actogram::{
    Backoff, Bot, BotHandle, BotSnapshot, Context, DeadUpdate, Handler, HandlerResult, Respond, api::Server,
};
use actogram_simulator::{Bot as SimulatedBot, Simulator, SimulatorBuilder, View};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The bound of every wait. Far above what anything takes, so that only a real stall meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The simulator with one bot. When it is dropped at the end of a test, it checks that the bot broke no rule of the
/// server: above all that no offset was ever above the last id plus one.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) bot: SimulatedBot,
    expected_violations: Mutex<Vec<&'static str>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(Simulator::builder())
    }

    /// A server that does not make impatient clients wait: a bot that stops right after a poll is then confirmed at once
    /// instead of after 3 s.
    pub(crate) fn lenient() -> Self {
        Self::with(Simulator::builder().penalties(false))
    }

    /// A server that posts to webhooks over plain HTTP, with a clock that makes its seconds of waiting 20 ms.
    pub(crate) fn posting() -> Self {
        Self::with(Simulator::builder().local(true).clock_rate(50))
    }

    /// As [`posting`](Self::posting), with seconds as long as ours: a handler that waits at a gate loses no request.
    pub(crate) fn posting_slowly() -> Self {
        Self::with(Simulator::builder().local(true))
    }

    fn with(simulator: SimulatorBuilder) -> Self {
        let simulator = simulator.start().unwrap();
        let bot = simulator.bot();
        Self {
            simulator,
            bot,
            expected_violations: Mutex::new(Vec::new()),
        }
    }

    /// Names a rule that is broken in this test, by somebody else or because the bot cannot know better. The test fails
    /// when that does not happen.
    pub(crate) fn expect_violation(&self, name: &'static str) {
        self.expected_violations.lock().unwrap().push(name);
    }

    /// Calls a method as another process with the same token would, and returns the status of the answer.
    pub(crate) fn call(&self, method: &str, params: &Value) -> impl Future<Output = u16> + use<> {
        let url = format!("{}/bot{}/{method}", self.simulator.url(), self.bot.token());
        let call = awc::Client::builder()
            .disable_timeout()
            .finish()
            .post(url)
            .send_json(params);
        async move { call.await.unwrap().status().as_u16() }
    }

    /// Returns a bot for the simulator, with short polls so that a lost connection is noticed soon.
    pub(crate) fn actogram(&self) -> Bot {
        self.actogram_for(&self.bot)
    }

    pub(crate) fn actogram_for(&self, bot: &SimulatedBot) -> Bot {
        Bot::new(bot.token())
            .server(Server::parse(&self.simulator.url()).unwrap())
            .direct()
            .workers(2)
            .poll_timeout(Duration::from_secs(2))
            .poll_backoff(Backoff::new(
                Duration::from_millis(20),
                Duration::from_millis(500),
                0.2,
            ))
    }

    /// Waits until the simulator shows that `holds`.
    pub(crate) async fn until(&self, what: &str, holds: impl FnMut(&View<'_>) -> bool) {
        let held = self.bot.wait_for_async(PATIENCE, holds).await;
        assert!(held, "waited too long until {what}; {}", self.summary());
    }

    /// As [`until`](Self::until), blocking this thread.
    pub(crate) fn until_blocking(&self, what: &str, holds: impl FnMut(&View<'_>) -> bool) {
        let held = self.bot.wait_for(PATIENCE, holds);
        assert!(held, "waited too long until {what}; {}", self.summary());
    }

    fn summary(&self) -> String {
        format!(
            "issued {}, pending {}, confirmed {}, sent {}, polls {}, faults left {}, violations {:?}",
            self.bot.issued().len(),
            self.bot.pending().len(),
            self.bot.confirmed().len(),
            self.bot.sent().len(),
            self.bot.polls().len(),
            self.bot.faults_left(),
            self.bot.violations(),
        )
    }

    /// Starts the program of an example against the simulator.
    pub(crate) fn run_example(&self, name: &str) -> Program {
        self.run_example_with(name, |_| {})
    }

    pub(crate) fn run_example_with(&self, name: &str, change: impl FnOnce(&mut Command)) -> Program {
        let mut command = example(name);
        command
            .env("TELEGRAM_BOT_TOKEN", self.bot.token())
            .env("TELEGRAM_API_URL", self.simulator.url());
        change(&mut command);
        Program::start(command)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !thread::panicking() {
            let expected = self.expected_violations.get_mut().unwrap();
            let violations = self.bot.violations();
            for name in &*expected {
                assert!(
                    violations.iter().any(|violation| violation.name() == *name),
                    "{name} was expected and did not happen"
                );
            }
            let unexpected: Vec<_> = violations
                .iter()
                .filter(|violation| !expected.contains(&violation.name()))
                .collect();
            assert!(
                unexpected.is_empty(),
                "the bot broke rules of the server: {unexpected:?}"
            );
        }
    }
}

/// Runs a test on an actix system, for a bounded time.
pub(crate) fn on_actix<F: Future>(test: F) -> F::Output {
    actix_rt::System::new().block_on(async {
        tokio::time::timeout(2 * PATIENCE, test)
            .await
            .expect("the test ends")
    })
}

/// Builds an example, once in the life of this process.
fn build_example(name: &str) {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap();
    if built.iter().any(|earlier| earlier == name) {
        return;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["build", "--quiet", "--example", name])
        // Those that need a feature are built with those that the tests are built with.
        .args(matches!(name, "webhook" | "monitor" | "embedded").then_some("--all-features"))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test about its package makes the build scripts of dependencies run again, and with them most of
    // the build.
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&variable);
        }
    }
    let success = build.status().unwrap().success();
    assert!(success, "example {name} was not built");
    built.push(name.to_owned());
}

/// Returns the command for the program of an example, which is built first: cargo builds examples only when it runs all
/// tests.
pub(crate) fn example(name: &str) -> Command {
    build_example(name);
    let deps = std::env::current_exe().unwrap();
    let target: PathBuf = deps
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    let mut command = Command::new(target);
    for variable in [
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_API_URL",
        "ACTOGRAM_JOURNAL",
        "TELEGRAM_WEBHOOK_SECRET",
        "TELEGRAM_WEBHOOK_URL",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command.env("ACTOGRAM_JOURNAL", "off");
    command
}

/// A running program; it is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&output)),
            collect(child.stderr.take().unwrap(), Arc::clone(&output)),
        ];
        Self {
            child,
            output,
            readers,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it as `kill -9` does and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end and returns how it ended, with everything it printed.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the program does not end; it printed: {}",
                self.printed()
            );
            thread::sleep(Duration::from_millis(10));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let printed = self.printed();
        (status, printed)
    }

    /// Returns what it has printed so far, to both outputs.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(
    mut from: impl std::io::Read + Send + 'static,
    into: Arc<Mutex<Vec<u8>>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            into.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    })
}

/// Returns the standard output of a finished program as text.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What happened, in order, from any thread.
#[derive(Clone)]
pub(crate) struct Log<E>(Arc<Mutex<Vec<E>>>);

impl<E: Clone> Log<E> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub(crate) fn add(&self, entry: E) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn all(&self) -> Vec<E> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A gate that handlers wait at until the test opens it; it stays open.
#[derive(Clone)]
pub(crate) struct Gate(tokio::sync::watch::Sender<bool>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(tokio::sync::watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        self.0
            .subscribe()
            .wait_for(|open| *open)
            .await
            .expect("the gate is kept by whoever waits at it");
    }
}

/// A handler function with something that all its calls share.
#[derive(Clone)]
pub(crate) struct Sharing<S, F>(S, F);

impl<S, F, Fut, R> Handler for Sharing<S, F>
where
    S: Clone + 'static,
    F: Fn(S, Context) -> Fut + 'static,
    Fut: Future<Output = R> + 'static,
    R: Respond + 'static,
{
    fn handle(&self, context: Context) -> impl Future<Output = HandlerResult> + 'static {
        let handled = (self.1)(self.0.clone(), context.clone());
        async move { handled.await.respond(&context).await }
    }
}

/// Returns a factory of handlers that all share `shared`.
pub(crate) fn sharing<S, F, Fut, R>(
    shared: S,
    handle: F,
) -> impl Fn() -> Sharing<S, F> + Clone + Send + 'static
where
    S: Clone + Send + 'static,
    F: Fn(S, Context) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = R> + 'static,
    R: Respond,
{
    move || Sharing(shared.clone(), handle.clone())
}

/// Returns an error hook that collects what it is shown.
pub(crate) fn collecting(
    dead: &Log<DeadUpdate>,
) -> impl Fn(DeadUpdate) -> std::future::Ready<()> + Send + Sync + 'static + use<> {
    let dead = dead.clone();
    move |letter| {
        dead.add(letter);
        std::future::ready(())
    }
}

/// Waits until the snapshot of a bot shows that `holds`, and returns that snapshot.
pub(crate) async fn until_snapshot(
    bot: &BotHandle,
    what: &str,
    holds: impl Fn(&BotSnapshot) -> bool,
) -> BotSnapshot {
    let started = Instant::now();
    loop {
        let snapshot = bot.snapshot().await.unwrap();
        if holds(&snapshot) {
            return snapshot;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "waited too long until {what}; {snapshot:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until `condition` holds that no view of the simulator shows.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As [`until`], blocking this thread.
pub(crate) fn until_blocking(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
