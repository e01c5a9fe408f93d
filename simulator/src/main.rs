//! The simulator as a program: prints its addresses and serves until it is stopped.

use std::error::Error;
use std::io::{self, Write};
use std::thread;

use actogram_simulator::{FloodProfile, Simulator};
use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

/// A Telegram Bot API server on 127.0.0.1 for tests and demos.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Port of the Bot API, 0 for any free one.
    #[arg(long, default_value_t = 8081)]
    port: u16,
    /// Token of a bot, <id>:<secret>; may be repeated. Without it one bot with a made-up token is there.
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<String>,
    /// Port of the control API, 0 for any free one.
    #[arg(long, default_value_t = 8082, value_name = "PORT")]
    control: u16,
    /// Switches the control API off.
    #[arg(long)]
    no_control: bool,
    /// Rate limits.
    #[arg(long, value_enum, default_value_t = Flood::Off)]
    flood: Flood,
    /// Switches off the penalty for repeated offsets and the pace of conflict errors.
    #[arg(long)]
    no_penalties: bool,
    /// Applies the webhook rules of a local Bot API server.
    #[arg(long)]
    local: bool,
    /// Seed of the first update ids.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flood {
    /// No limit.
    Off,
    /// 429 at once.
    Strict,
    /// Waits up to 8 s are absorbed, longer ones answered 429.
    Sensible,
}

fn main() -> Result<(), Box<dyn Error>> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let options = Options::parse();

    let mut builder = Simulator::builder()
        .port(options.port)
        .penalties(!options.no_penalties)
        .local(options.local)
        .flood(match options.flood {
            Flood::Off => FloodProfile::Off,
            Flood::Strict => FloodProfile::Strict,
            Flood::Sensible => FloodProfile::Sensible,
        });
    if !options.no_control {
        builder = builder.control(options.control);
    }
    if let Some(seed) = options.seed {
        builder = builder.seed(seed);
    }
    if let Some(token) = options.tokens.first() {
        builder = builder.token(token);
    }
    let simulator = builder.start()?;
    for token in options.tokens.iter().skip(1) {
        simulator.bot_with_token(token)?;
    }

    let mut out = io::stdout();
    writeln!(out, "bot api: {}", simulator.url())?;
    if let Some(url) = simulator.control_url() {
        writeln!(out, "control: {url}/control/")?;
    }
    if options.tokens.is_empty() {
        writeln!(out, "token:   {}", simulator.bot().token())?;
    }
    out.flush()?;
    loop {
        thread::park();
    }
}
