//! An actix-web application with routes of its own, a bot behind a webhook, the bot's monitor, and one shutdown.
//!
//! `TELEGRAM_BOT_TOKEN=… TELEGRAM_WEBHOOK_SECRET=… TELEGRAM_WEBHOOK_URL=https://bot.example.org/telegram
//! cargo run --features monitor,webhook --example embedded`, with a proxy for HTTPS in front. Then `curl localhost:8080/`,
//! `curl -X POST 'localhost:8080/say?chat=42' -d 'hello'`, and <http://localhost:8080/bot/>. Without the address nothing is set
//! at the server. `ADDRESS=127.0.0.1:0` picks another place to listen.

use std::{env, error::Error, io};

use actix_web::{
    App, HttpResponse, HttpServer, Responder, get, post, rt,
    rt::signal::unix::{Signal, SignalKind, signal},
    web,
};
use actogram::{Bot, BotHandle, BotReport, Context, HandlerResult, Webhook, monitor};
use serde::Deserialize;

#[actix_web::main]
async fn main() -> Result<BotReport, Box<dyn Error>> {
    // Without colours, which files and journals do not show.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    // Whoever takes the signals first misses none.
    let mut signals = Signals::new()?;
    let (bot, route) = Bot::from_env()
        .handlers(|| echo)
        .start_webhook(Webhook::from_env())
        .await?;

    let handle = bot.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(handle.clone()))
            .service(status)
            .service(say)
            .service(route.clone())
            .service(monitor::scope("/bot", handle.clone()))
    })
    .workers(2)
    // The application decides when to stop, and in which order.
    .disable_signals()
    // Seconds that whoever is slow to send or to read gets at the end.
    .shutdown_timeout(5)
    .bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned()))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    let server = server.run();
    let stop_server = server.handle();
    let mut serving = rt::spawn(server);

    // The bot may stop by itself, or nothing be served any more. Whoever watches the process may start it again.
    let server_ended = tokio::select! {
        () = signals.next() => None,
        _ = bot.wait() => None,
        end = &mut serving => Some(end),
    };
    // First the bot: its route answers 503 from now on, what runs is finished, and whoever waits for an answer gets it. Then
    // the server, because the routes may use the bot until then.
    let in_order = async {
        let report = bot.shutdown().await;
        stop_server.stop(true).await;
        report
    };
    let report = tokio::select! {
        report = in_order => report?,
        // A second signal does not wait. What it abandons runs again after the next start.
        () = signals.next() => {
            let report = bot.shutdown_now().await?;
            serving.abort();
            report
        }
    };
    println!("{report}");
    match server_ended {
        None => Ok(report),
        // Nobody has asked for that, so it is a failure, however well the bot has stopped.
        Some(end) => Err(end?.err().map_or("the server has ended".into(), Into::into)),
    }
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}

/// What the application shows of itself.
#[get("/")]
async fn status(bot: web::Data<BotHandle>) -> impl Responder {
    match bot.snapshot().await {
        Ok(snapshot) => HttpResponse::Ok().json(serde_json::json!({
            "running": snapshot.engine.running,
            "waiting": snapshot.engine.waiting,
            "handled": snapshot.engine.totals.done,
        })),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

#[derive(Deserialize)]
struct Recipient {
    chat: i64,
}

/// Sends the body of the request to a chat. A real application asks who may do that.
#[post("/say")]
async fn say(bot: web::Data<BotHandle>, to: web::Query<Recipient>, text: String) -> impl Responder {
    match bot.api().send_text(to.chat, &text).await {
        Ok(message) => HttpResponse::Ok().body(message.message_id.to_string()),
        Err(error) => HttpResponse::BadGateway().body(error.to_string()),
    }
}

/// SIGTERM and SIGINT, one after the other.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
