//! A bot inside an actix-web application that can be watched: health, metrics, dead letters and a live page.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --features monitor --example monitor`, then open <http://localhost:8080/bot/>.
//! `ADDRESS` picks another place to listen. With `MONITOR_TOKEN` (16 characters or more) texts and chats are shown to whoever
//! sends it, from anywhere; without it, to this machine alone. A text that begins with "fail" becomes a dead letter.

use std::{env, io, process::ExitCode};

use actix_web::{App, HttpServer, get};
use actogram::{
    Bot, Context, HandlerError, HandlerResult,
    monitor::{AccessToken, scope},
};

#[actix_web::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // Without colours, which files and journals do not show.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let token = env::var("MONITOR_TOKEN").ok().map(AccessToken::new).transpose()?;
    let bot = Bot::from_env().handlers(|| answer).start().await?;

    let watched = bot.clone();
    let server = HttpServer::new(move || {
        let mut monitor = scope("/bot", watched.clone());
        if let Some(token) = &token {
            monitor = monitor.access_token(token.clone());
        }
        App::new().service(home).service(monitor)
    })
    .workers(1)
    // The host decides when to stop, and in which order.
    .disable_signals()
    // A client that does not hang up holds the stop no longer than this.
    .shutdown_timeout(2)
    .bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned()))?;
    for address in server.addrs() {
        println!("the page is at http://{address}/bot/");
    }
    let server = server.run();
    let stop_server = server.handle();
    let server = actix_web::rt::spawn(server);

    tokio::select! {
        signal = wait_for_signal() => signal?,
        // The bot has stopped by itself. Whoever watches the process may start it again.
        _ = bot.wait() => {}
    }
    // First the bot, while the monitor still tells that it stops. Its live pages end with it.
    let report = bot.shutdown().await?;
    println!("{report}");
    stop_server.stop(true).await;
    server.await??;
    Ok(report.exit_code())
}

async fn answer(ctx: Context) -> HandlerResult {
    let Some(text) = ctx.text() else { return Ok(()) };
    if text.starts_with("fail") {
        return Err(HandlerError::give_up("was told to fail"));
    }
    ctx.reply(text).await?;
    Ok(())
}

/// A route of the host.
#[get("/")]
async fn home() -> &'static str {
    "the application that the bot lives in\n"
}

async fn wait_for_signal() -> io::Result<()> {
    use actix_web::rt::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
