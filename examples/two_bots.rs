//! Two bots in one process. Each has its own polling, journal, lanes and workers; one signal stops both.
//!
//! `TELEGRAM_BOT_TOKEN=… SECOND_BOT_TOKEN=… cargo run --example two_bots`, against any server with
//! `TELEGRAM_API_URL=…`

use std::{env, process::ExitCode};

use actogram::{Bot, Context, HandlerResult, api::Server};
use futures_util::future::try_join;

#[actix::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut second = Bot::new(env::var("SECOND_BOT_TOKEN")?).handlers(|| shout);
    // A journal belongs to one bot; `ACTOGRAM_JOURNAL=off` turns off both.
    second = match env::var("ACTOGRAM_JOURNAL").as_deref() {
        Ok("off") => second.direct(),
        _ => second.journal("second.db"),
    };
    if let Ok(root) = env::var("TELEGRAM_API_URL") {
        second = second.server(root.parse::<Server>()?);
    }
    let (first, second) = try_join(Bot::from_env().handlers(|| echo).run(), second.run()).await?;
    println!("first bot: {first}\nsecond bot: {second}");
    let clean = first.is_clean() && second.is_clean();
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
