//! An echo bot to which the server posts, with an HTTP server of its own for a proxy in front; with `TLS_CERTIFICATE` and
//! `TLS_KEY` it serves HTTPS itself.
//!
//! `TELEGRAM_BOT_TOKEN=… TELEGRAM_WEBHOOK_SECRET=… TELEGRAM_WEBHOOK_URL=https://bot.example.org/telegram
//! cargo run --features webhook --example webhook`. `ADDRESS` is where it listens, by default on 127.0.0.1:8080. With
//! `DRAIN_JOURNAL=1` a stop also handles what waits in the journal, for a process that is replaced by another one.

use std::{env, io};

use actogram::{Bot, BotReport, Context, Error, HandlerResult, Webhook};

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    // Without colours, which files and journals do not show.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
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
