//! An echo bot that ends its own process, at once and without a trace, when it is told `abort`: what a bug in native code
//! does. To `attempt` it answers with the number of the attempt. For trying out what the journal does about it; the tests do.
//!
//! `ACTOGRAM_JOURNAL=bot.db TELEGRAM_BOT_TOKEN=… cargo run --example crash_test`

use actogram::{Bot, BotReport, Context, Error, HandlerResult};

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    Bot::from_env().handlers(|| echo_or_abort).run().await
}

async fn echo_or_abort(ctx: Context) -> HandlerResult {
    match ctx.text() {
        Some("abort") => std::process::abort(),
        Some("attempt") => {
            ctx.reply(format!("attempt {}", ctx.attempt())).await?;
        }
        Some(text) => {
            ctx.reply(text).await?;
        }
        None => {}
    }
    Ok(())
}
