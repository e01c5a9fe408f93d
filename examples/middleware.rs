//! Middleware around handlers: a log of what was handled, times, and commands for some people only.
//!
//! `TELEGRAM_BOT_TOKEN=… ADMINS=<user id>,<user id> cargo run --example middleware`, against any server with
//! `TELEGRAM_API_URL=…`

use std::{collections::HashSet, env, time::Instant};

use actogram::{
    Bot, BotReport, Context, Error, HandlerError, HandlerResult, Middleware, Next, Router, extract::Text,
};

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    let admins = env::var("ADMINS").unwrap_or_default();
    let admins: HashSet<i64> = admins
        .split(',')
        .filter_map(|id| id.trim().parse().ok())
        .collect();
    Bot::from_env().handlers(move || router(&admins)).run().await
}

fn router(admins: &HashSet<i64>) -> Router {
    let for_admins = Router::new()
        .command("restart", restart)
        .wrap(Only(admins.clone()));
    Router::new()
        .scope(for_admins)
        .text(echo)
        .wrap_fn(|ctx, next| async move {
            let started = Instant::now();
            let result = next.call(ctx).await;
            println!("took {} ms", started.elapsed().as_millis());
            result
        })
        // Added last, runs first.
        .wrap(log)
}

/// Access control: everybody else is told, and the handler does not run.
struct Only(HashSet<i64>);

impl Middleware for Only {
    async fn handle(&self, context: Context, next: Next) -> HandlerResult {
        match context.update().user_id() {
            Some(user) if self.0.contains(&user) => next.call(context).await,
            _ => Err(HandlerError::reply("this is for administrators only")),
        }
    }
}

async fn log(context: Context, next: Next) -> HandlerResult {
    let update = context.update().clone();
    let result = next.call(context).await;
    let how = if result.is_ok() { "done" } else { "refused" };
    println!("{} {} {how}", update.kind(), update.id());
    result
}

async fn restart() -> &'static str {
    "restarting …"
}

async fn echo(Text(text): Text) -> String {
    text
}
