//! An echo bot to which the server posts, with an HTTP server of its own for a proxy in front; with `TLS_CERTIFICATE` and
//! `TLS_KEY` it serves HTTPS itself.
//!
//! `TELEGRAM_BOT_TOKEN=… TELEGRAM_WEBHOOK_SECRET=… TELEGRAM_WEBHOOK_URL=https://bot.example.org/telegram
//! cargo run --features webhook --example webhook`. `ADDRESS` is where it listens, by default on 127.0.0.1:8080. With
//! `DRAIN_JOURNAL=1` a stop also handles what waits in the journal, for a process that is replaced by another one.

use std::{
    env,
    io::{self, IsTerminal},
};

use actogram::{Bot, BotReport, Context, Error, HandlerResult, Webhook};
use tracing_subscriber::EnvFilter;

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    log_to_stderr();
    let mut webhook = Webhook::from_env();
    if let (Ok(certificate), Ok(key)) = (env::var("TLS_CERTIFICATE"), env::var("TLS_KEY")) {
        webhook = webhook.tls(certificate, key);
    }
    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let mut bot = Bot::from_env().handlers(|| echo);
    if env::var_os("DRAIN_JOURNAL").is_some() {
        bot = bot.drain_journal();
    }
    bot.run_webhook(webhook, address).await
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}

/// Logs to standard error: `RUST_LOG` says what, by default everything from `info` on.
fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // No colours in a file or a journal.
        .with_ansi(io::stderr().is_terminal())
        .init();
}
