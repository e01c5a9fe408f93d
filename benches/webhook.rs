//! How long a webhook takes to acknowledge, next to an fsync of the same disk: 10,000 updates over 1, 10 and 100
//! connections, through a real actix-web application with a journal.
//!
//! `cargo bench --features webhook --bench webhook`. The application is a process of its own, so that its CPU time is its
//! own; this program is the server that posts. The journal is in the folder for temporary files (`TMPDIR`): it must be on
//! the disk that is asked about. `ACTOGRAM_BENCH_UPDATES` sets the updates of a round.

use std::{
    cell::RefCell,
    env,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer};
use actogram::{Bot, Context, Webhook};
use futures_util::{StreamExt, stream};

const CHATS: usize = 1_000;

/// Bytes of an update, roughly.
const BYTES: usize = 800;

/// Rounds of each number of connections; they take turns, so that a slow minute of the machine hits all.
const ROUNDS: usize = 3;

const SECRET: &str = "the-secret-of-this-benchmark";

/// Set in the process that is the application.
const ROLE: &str = "ACTOGRAM_BENCH_ROLE";

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    actix_rt::System::new().block_on(async {
        match env::var(ROLE) {
            Ok(_) => serve().await,
            Err(_) => compare().await,
        }
    })
}

async fn compare() -> Fallible<()> {
    let updates: usize = env::var("ACTOGRAM_BENCH_UPDATES").map_or(Ok(10_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let (appended, overwritten) = fsyncs(folder.path())?;
    println!(
        "fsync of a page: appended {appended}; overwritten, as mostly in a journal in use, {overwritten}"
    );
    println!("{updates} updates of {BYTES} bytes in {CHATS} chats, from the request to its 200:");
    for round in 1..=ROUNDS {
        for connections in [1, 10, 100] {
            // One at a time, a tenth of them takes as long.
            let updates = if connections == 1 { updates / 10 } else { updates };
            let name = format!("{round}-{connections}.db");
            let line = round_of(updates, connections, &folder.path().join(name)).await?;
            println!("  {connections:>3} connections: {line}");
        }
    }
    Ok(())
}

/// Posts updates and returns what that took.
async fn round_of(updates: usize, connections: usize, journal: &Path) -> Fallible<String> {
    let mut application = Application::start(journal)?;
    let url = format!("http://{}/telegram", application.line()?);
    let client = awc::Client::builder()
        .connector(awc::Connector::new().limit(connections))
        .timeout(Duration::from_secs(60))
        .finish();
    let text = "x".repeat(BYTES - 330);
    let took = Rc::new(RefCell::new(Vec::with_capacity(updates)));
    let started = Instant::now();
    stream::iter(0..updates)
        .for_each_concurrent(connections, |n| {
            let request = client
                .post(&url)
                .insert_header(("X-Telegram-Bot-Api-Secret-Token", SECRET))
                .insert_header(("content-type", "application/json"));
            let body = update(n, &text);
            let took = Rc::clone(&took);
            async move {
                let asked = Instant::now();
                let answer = request.send_body(body).await.expect("the application answers");
                assert!(answer.status() == 200, "an update was refused");
                took.borrow_mut().push(asked.elapsed().as_secs_f64() * 1e3);
            }
        })
        .await;
    let all = started.elapsed();
    let cpu = application.end()?;
    #[expect(clippy::cast_precision_loss, reason = "printed figures")]
    let rate = updates as f64 / all.as_secs_f64();
    let took = Times::of(took.take());
    Ok(format!(
        "{rate:>6.0} updates/s, {took}; {cpu} of CPU per update, handled"
    ))
}

fn update(n: usize, text: &str) -> String {
    let chat = n % CHATS + 1;
    format!(
        r#"{{"update_id":{n},"message":{{"message_id":{n},"date":1700000000,"from":{{"id":{chat},"is_bot":false,"first_name":"Ann","username":"ann_{chat}","language_code":"en"}},"chat":{{"id":{chat},"first_name":"Ann","username":"ann_{chat}","type":"private"}},"text":"{text}"}}}}"#
    )
}

/// The process of the application.
struct Application {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Application {
    fn start(journal: &Path) -> Fallible<Self> {
        let mut child = Command::new(env::current_exe()?)
            .env(ROLE, "serve")
            .env("ACTOGRAM_JOURNAL", journal)
            .env("TELEGRAM_BOT_TOKEN", "123456:a-token-that-is-never-used")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            stdin: child.stdin.take().ok_or("the input is piped")?,
            stdout: BufReader::new(child.stdout.take().ok_or("the output is piped")?),
            child,
        })
    }

    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Lets it handle what it has and end; returns its CPU time per update.
    fn end(mut self) -> Fallible<String> {
        writeln!(self.stdin)?;
        let line = self.line()?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(line)
        } else {
            Err(format!("the application ended with {status}").into())
        }
    }
}

/// The application: an actix-web server in which the route of a bot is mounted, until a line arrives.
async fn serve() -> Fallible<()> {
    async fn look(ctx: Context) {
        std::hint::black_box(ctx.text());
    }
    let cpu = cpu_time()?;
    let (bot, route) = Bot::from_env()
        .handlers(|| look)
        .start_webhook(Webhook::new(SECRET))
        .await?;
    let server = HttpServer::new(move || App::new().service(route.clone()))
        .disable_signals()
        .bind("127.0.0.1:0")?;
    println!("{}", server.addrs()[0]);
    let server = server.run();
    let stop = server.handle();
    let serving = actix_rt::spawn(server);
    let wait = tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new()));
    wait.await??;
    let counts = bot.snapshot().await?.webhook.ok_or("it has a webhook")?;
    while bot.snapshot().await?.engine.totals.done < counts.accepted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bot.shutdown().await?;
    stop.stop(true).await;
    serving.await??;
    let cpu = cpu_time()? - cpu;
    #[expect(clippy::cast_precision_loss, reason = "printed figures")]
    let each = cpu.as_secs_f64() * 1e6 / counts.accepted as f64;
    println!("{each:.0} us");
    Ok(())
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

/// Returns how long fsyncs take, of a file that grows and of one that does not.
fn fsyncs(folder: &Path) -> Fallible<(Times, Times)> {
    let mut file = fs::File::create(folder.join("fsync"))?;
    let (mut appended, mut overwritten) = (Vec::new(), Vec::new());
    for took in [&mut appended, &mut overwritten] {
        file.rewind()?;
        for _ in 0..500 {
            let start = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((Times::of(appended), Times::of(overwritten)))
}

/// How long something took, in milliseconds.
struct Times {
    median: f64,
    high: f64,
}

impl Times {
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        Self {
            median: took[took.len() / 2],
            high: took[took.len() * 99 / 100],
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", self.median, self.high)
    }
}
