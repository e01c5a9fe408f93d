//! Commands with arguments, read into a struct; a list of commands that clients show.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example commands`, against any server with `TELEGRAM_API_URL=…`

use actogram::{
    Bot, BotReport, CommandRoute, Error, Router,
    extract::{Command, CommandName, User},
};
use serde::Deserialize;

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    Bot::from_env().handlers(router).publish_commands().run().await
}

fn router() -> Router {
    Router::new()
        .command(("start", "Begins"), start)
        .command(
            CommandRoute::new("split")
                .describe("Splits a bill")
                .alias("share"),
            split,
        )
        .any_command(unknown)
}

/// `https://t.me/<bot>?start=<payload>` arrives as `/start <payload>`.
async fn start(user: User, Command(payload): Command<String>) -> String {
    match payload.as_str() {
        "" => format!("Hello {}! Try /split 90 3 dinner with friends", user.first_name),
        payload => format!("Hello {}, you come from {payload}!", user.first_name),
    }
}

/// `/split 90 3 dinner with friends`; whoever writes something else is told what is wrong.
#[derive(Deserialize)]
struct Bill {
    amount: f64,
    people: u8,
    note: Option<String>,
}

async fn split(Command(bill): Command<Bill>) -> String {
    let share = bill.amount / f64::from(bill.people.max(1));
    let note = bill.note.unwrap_or_else(|| "the bill".to_owned());
    format!("{share:.2} each for {note}")
}

async fn unknown(CommandName(name): CommandName) -> String {
    format!("I do not know /{name}")
}
