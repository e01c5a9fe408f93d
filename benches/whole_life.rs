//! The whole life of an update: polled, kept, handled, settled, confirmed; `direct` beside `journaled` in one run.
//!
//! `cargo bench --bench whole_life`. The simulated server is this program; each bot is a process of its own, so that
//! its CPU time is its own: everything from the HTTP client to the journal's thread and the typed decoding of the message is
//! included. The journal is in the folder for temporary files (`TMPDIR`): it must be on the disk that is asked about,
//! whose time for an fsync is measured beside. `ACTOGRAM_BENCH_UPDATES` sets the updates of a round (default 40,000).

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actogram::{Bot, Context, HandlerResult};
use actogram_simulator::{Bot as SimulatedBot, Simulator, User};
use tokio::sync::Notify;

const CHATS: usize = 1_000;

/// Bytes of an update, roughly.
const BYTES: usize = 800;

/// Rounds of each mode; they take turns, so that a slow minute of the machine hits both.
const ROUNDS: usize = 3;

/// Questions asked one at a time for the latency.
const QUESTIONS: usize = 200;

const PATIENCE: Duration = Duration::from_secs(300);

/// Set in the process that is the bot: what it is to do.
const ROLE: &str = "ACTOGRAM_BENCH_ROLE";

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    match env::var(ROLE).as_deref() {
        Ok("count") => actix_rt::System::new().block_on(count()),
        Ok(_) => actix_rt::System::new().block_on(echo()),
        Err(_) => compare(),
    }
}

/// Runs both modes in turn and prints what they cost.
fn compare() -> Fallible<()> {
    let updates: usize = env::var("ACTOGRAM_BENCH_UPDATES").map_or(Ok(40_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let (median, high) = fsync(folder.path())?;
    println!("fsync of an appended page: {median:.2} ms, {high:.2} ms (median, 90th percentile)");
    println!("{updates} updates of {BYTES} bytes in {CHATS} chats, message decoded, nothing sent:");
    for round in 1..=ROUNDS {
        for mode in ["direct", "journaled"] {
            println!("  {mode:9} {}", backlog(mode, updates, folder.path(), round)?);
        }
    }
    println!("{QUESTIONS} questions, one at a time, from the text to its answer (median, 90th percentile):");
    for round in 1..=ROUNDS {
        for mode in ["direct", "journaled"] {
            let (median, high) = latency(mode, folder.path(), round)?;
            println!("  {mode:9} {median:.2} ms, {high:.2} ms");
        }
    }
    Ok(())
}

/// Lets a bot handle what waits for it.
fn backlog(mode: &str, updates: usize, folder: &Path, round: usize) -> Fallible<String> {
    let stage = Stage::new()?;
    let text = "x".repeat(BYTES - 330);
    for n in 0..updates {
        stage.users[n % CHATS].say(&text);
    }
    let mut bot = stage.start("count", mode, folder, round)?;
    writeln!(bot.stdin, "{updates}")?;
    let line = bot.line()?;
    bot.end()?;
    Ok(line)
}

/// Asks questions one at a time; returns the median and the 90th percentile in milliseconds.
fn latency(mode: &str, folder: &Path, round: usize) -> Fallible<(f64, f64)> {
    let stage = Stage::new()?;
    let mut bot = stage.start("echo", mode, folder, ROUNDS + round)?;
    let mut took = Vec::new();
    for n in 0..QUESTIONS {
        // Until the next poll waits at the server: it then answers after a millisecond in both modes.
        thread::sleep(Duration::from_millis(10));
        let asked = Instant::now();
        stage.users[n % CHATS].say("question");
        if !stage.bot.wait_for(PATIENCE, |view| view.sent().len() > n) {
            return Err("no answer".into());
        }
        took.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    writeln!(bot.stdin)?;
    bot.end()?;
    // The first ones are the warming up.
    took.drain(..QUESTIONS / 10);
    Ok(median_and_high(took))
}

/// The simulated server with a bot and its users.
struct Stage {
    simulator: Simulator,
    bot: SimulatedBot,
    users: Vec<User>,
}

impl Stage {
    fn new() -> Fallible<Self> {
        let simulator = Simulator::builder().penalties(false).start()?;
        let bot = simulator.bot();
        let users = (0..CHATS).map(|n| bot.user(&format!("user {n}"))).collect();
        Ok(Self {
            simulator,
            bot,
            users,
        })
    }

    fn start(&self, role: &str, mode: &str, folder: &Path, round: usize) -> Fallible<Process> {
        let journal = match mode {
            "direct" => "off".into(),
            _ => folder.join(format!("{round}.db")),
        };
        let mut child = Command::new(env::current_exe()?)
            .env(ROLE, role)
            .env("TELEGRAM_BOT_TOKEN", self.bot.token())
            .env("TELEGRAM_API_URL", self.simulator.url())
            .env("ACTOGRAM_JOURNAL", journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Process {
            stdin: child.stdin.take().ok_or("the input is piped")?,
            child,
        })
    }
}

/// The process of a bot.
struct Process {
    child: Child,
    stdin: ChildStdin,
}

impl Process {
    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        let stdout = self.child.stdout.as_mut().ok_or("the output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn end(mut self) -> Fallible<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the bot ended with {status}").into())
        }
    }
}

/// The bot that only counts; prints how long it took and its CPU time.
async fn count() -> Fallible<()> {
    let updates: u64 = input()?.trim().parse()?;
    let (handled, all) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let (cpu, start) = (cpu_time()?, Instant::now());
    let bot = {
        let all = Arc::clone(&all);
        Bot::from_env()
            .handlers(move || {
                let (handled, all) = (Arc::clone(&handled), Arc::clone(&all));
                move |ctx: Context| {
                    if ctx.text().is_some() && handled.fetch_add(1, Ordering::Relaxed) + 1 == updates {
                        all.notify_one();
                    }
                    std::future::ready(())
                }
            })
            .start()
            .await?
    };
    all.notified().await;
    let took = start.elapsed();
    // What is still to be settled and confirmed is part of the price.
    bot.shutdown().await?;
    let cpu = cpu_time()? - cpu;
    #[expect(clippy::cast_precision_loss, reason = "printed figures")]
    let updates = updates as f64;
    println!(
        "{:>6.0} updates/s, {:>5.1} us of CPU per update",
        updates / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / updates
    );
    Ok(())
}

/// The bot that answers, until a line arrives.
async fn echo() -> Fallible<()> {
    async fn answer(ctx: Context) -> HandlerResult {
        ctx.reply("answer").await?;
        Ok(())
    }
    let bot = Bot::from_env().handlers(|| answer).start().await?;
    let wait = tokio::task::spawn_blocking(|| input().map_err(|error| error.to_string()));
    wait.await??;
    bot.shutdown().await?;
    Ok(())
}

fn input() -> Fallible<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// Returns the CPU time of this process so far, in steps of 10 ms.
fn cpu_time() -> Fallible<Duration> {
    /// Clock ticks per second in `/proc`, the same on every Linux.
    const TICKS: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("the name is in parentheses")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Fallible<u64> { Ok(fields.next().ok_or("utime and stime are there")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 1000 / TICKS))
}

/// Returns the median and the 90th percentile of an fsync after an append, in milliseconds.
fn fsync(folder: &Path) -> Fallible<(f64, f64)> {
    let mut file = fs::File::create(folder.join("fsync"))?;
    let mut took = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median_and_high(took))
}

fn median_and_high(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_by(f64::total_cmp);
    (took[took.len() / 2], took[took.len() * 9 / 10])
}
