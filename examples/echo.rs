//! Answers every text with the same text.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example echo`, against any server with `TELEGRAM_API_URL=…`

use actogram::{Bot, BotReport, Context, Error, HandlerResult};

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    Bot::from_env().handlers(|| echo).run().await
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}
