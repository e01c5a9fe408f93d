//! Inline buttons: a counter below a message, changed by pressing them.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example keyboard`, against any server with `TELEGRAM_API_URL=…`

use actogram::{Answer, Bot, BotReport, Edit, Error, InlineKeyboard, Reply, Router, extract::CallbackData};

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    Bot::from_env().handlers(router).run().await
}

fn router() -> Router {
    Router::new()
        .command("count", begin)
        .callback("count:", change)
        .callback("end", end)
}

async fn begin() -> Reply {
    Reply::text(title(0)).keyboard(buttons(0))
}

/// The buttons themselves hold the number, so the bot has nothing to remember.
async fn change(CallbackData(count): CallbackData<i32>) -> (Edit, Answer) {
    let answer = if count == 0 {
        Answer::text("back at zero")
    } else {
        Answer::new()
    };
    (Edit::text(title(count)).keyboard(buttons(count)), answer)
}

async fn end() -> (Edit, Answer) {
    (Edit::text("Counted."), Answer::text("Thank you!").alert())
}

fn title(count: i32) -> String {
    format!("count: {count}")
}

fn buttons(count: i32) -> InlineKeyboard {
    InlineKeyboard::new()
        .button("−", format!("count:{}", count.saturating_sub(1)))
        .button("+", format!("count:{}", count.saturating_add(1)))
        .row()
        .button("End", "end")
}
