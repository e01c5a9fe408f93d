//! Two bots in one process. Each has its own polling, journal and lanes; the worker threads are shared, and one signal stops
//! both.
//!
//! `TELEGRAM_BOT_TOKEN=… SECOND_BOT_TOKEN=… cargo run --example two_bots`, against any server with
//! `TELEGRAM_API_URL=…`. The second journal is `second.db`.

use std::{env, future::Future, process::ExitCode};

use actogram::{Bot, BotReport, Context, Error, HandlerResult, WorkerThreads, api::Server};
use futures_util::future::join;

#[actix::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // One per core, however many bots there are. A bot that blocks its threads had better have `.workers(n)` of its own.
    let threads = WorkerThreads::default();
    let first = Bot::from_env().shared_workers(&threads).handlers(|| echo);
    let token = variable("SECOND_BOT_TOKEN")?.ok_or("no second bot token: set SECOND_BOT_TOKEN to it")?;
    let mut second = Bot::new(token).shared_workers(&threads).handlers(|| shout);
    // A journal belongs to one bot; `ACTOGRAM_JOURNAL=off` turns off both.
    second = match variable("ACTOGRAM_JOURNAL")?.as_deref() {
        Some("off") => second.direct(),
        _ => second.journal("second.db"),
    };
    if let Some(root) = variable("TELEGRAM_API_URL")? {
        second = second.server(root.parse::<Server>()?);
    }
    // Not `try_join`: the failure of one would cut the other off in the middle of its work.
    let first = told("first bot", Box::pin(first.run()));
    let second = told("second bot", Box::pin(second.run()));
    let (first, second) = join(first, second).await;
    Ok(if first == ExitCode::SUCCESS { second } else { first })
}

/// Returns the value of an environment variable; an empty one counts as not set, as for `Bot::from_env`.
fn variable(name: &str) -> Result<Option<String>, env::VarError> {
    match env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Err(env::VarError::NotPresent) => Ok(None),
        value => value.map(Some),
    }
}

/// Says how a bot has ended, when it has.
async fn told(name: &str, end: impl Future<Output = Result<BotReport, Error>>) -> ExitCode {
    match end.await {
        Ok(report) => {
            println!("{name}: {report}");
            report.exit_code()
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}

async fn shout(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text.to_uppercase()).await?;
    }
    Ok(())
}
