//! A bot inside an actix-web application: one process, one shutdown, driven by the host.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example embedded`, then `curl localhost:8080/` and
//! `curl -X POST 'localhost:8080/say?chat=42' -d 'hello'`. `ADDRESS=127.0.0.1:0` picks another place to listen.

use std::{env, io};

use actix_web::{App, HttpResponse, HttpServer, Responder, get, post, web};
use actogram::{Bot, BotHandle, Context, HandlerResult};
use serde::Deserialize;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bot = Bot::from_env().handlers(|| echo).start().await?;

    let handle = bot.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(handle.clone()))
            .service(status)
            .service(say)
    })
    .workers(1)
    // The host decides when to stop, and in which order.
    .disable_signals()
    .bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned()))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    let server = server.run();
    let stop_server = server.handle();
    let server = actix_web::rt::spawn(server);

    wait_for_signal().await?;
    // First the bot: what it fetched is finished and confirmed. Then the routes, which may have used it till now.
    println!("{}", bot.shutdown().await?);
    stop_server.stop(true).await;
    server.await??;
    Ok(())
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}

/// How the bot is doing.
#[get("/")]
async fn status(bot: web::Data<BotHandle>) -> impl Responder {
    match bot.snapshot().await {
        Ok(snapshot) => HttpResponse::Ok().json(serde_json::json!({
            "running": snapshot.engine.running,
            "waiting": snapshot.engine.waiting,
            "handled": snapshot.engine.totals.done,
            "seconds_since_last_poll": snapshot.engine.polling.last_success_age.map(|age| age.as_secs()),
        })),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

#[derive(Deserialize)]
struct Recipient {
    chat: i64,
}

/// Sends the body of the request to a chat.
#[post("/say")]
async fn say(bot: web::Data<BotHandle>, to: web::Query<Recipient>, text: String) -> impl Responder {
    match bot.api().send_text(to.chat, &text).await {
        Ok(message) => HttpResponse::Ok().body(message.message_id.to_string()),
        Err(error) => HttpResponse::BadGateway().body(error.to_string()),
    }
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
