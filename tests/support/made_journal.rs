//! The journal of a real bot, as the tests of the command line tool need it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{path::PathBuf, time::Duration};

use actogram::{Bot, BotHandle, Context, HandlerError, HandlerResult, api::Server};
use actogram_simulator::Simulator;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    support::{Gate, PATIENCE, on_actix, sharing, until_snapshot},
    tool,
};

/// What somebody wrote; it must not be printed unless it was asked for.
pub(crate) const SECRET: &str = "bad: my secret";

/// A chat that does not exist.
pub(crate) const NOBODY: i64 = 999_999_999_999;

/// A journal with two dead letters (places 1 and 2), two unfinished updates (places 3 and 4, one lane), and a broadcast
/// (`news`) to Ann and to [`NOBODY`].
pub(crate) struct Made {
    folder: TempDir,
    pub(crate) bot_id: i64,
}

async fn obey(gate: Gate, ctx: Context) -> HandlerResult {
    if ctx.text().unwrap_or_default().starts_with("bad") {
        return Err(HandlerError::give_up("it is \u{1b}[31mbad"));
    }
    gate.pass().await;
    Ok(())
}

/// Starts the bot and waits until the journal is as it should be. How it talks to the server is of no interest here.
pub(crate) async fn start(simulator: &Simulator, folder: &TempDir) -> BotHandle {
    let simulated = simulator.bot();
    let (ann, bob) = (simulated.user("Ann"), simulated.user("Bob"));
    ann.say(SECRET);
    bob.say("bad as well");
    ann.say_all(["wait 1", "wait 2"]);
    let bot = Bot::new(simulated.token())
        .server(Server::parse(&simulator.url()).unwrap())
        .workers(2)
        .poll_timeout(Duration::from_secs(2))
        .journal(folder.path().join("bot.db"))
        .handlers(sharing(Gate::closed(), obey))
        .start()
        .await
        .unwrap();
    until_snapshot(&bot, "two are dead and one runs", |snapshot| {
        snapshot.engine.totals.dead == 2 && snapshot.engine.running == 1
    })
    .await;
    let journaled = simulated.wait_for_async(PATIENCE, |view| view.pending_count() == 0);
    assert!(journaled.await, "waited too long until all are journaled");
    while bot.journal_stats().await.unwrap().dead_letters < 2 {}
    let chats = [ann.chat_id(), NOBODY];
    let news = bot.broadcast("news").to(chats).text("The news").unpaced();
    news.start().await.unwrap().wait().await.unwrap();
    bot
}

pub(crate) fn simulator() -> Simulator {
    Simulator::builder().penalties(false).start().unwrap()
}

impl Made {
    pub(crate) fn new() -> Self {
        on_actix(async {
            let (simulator, folder) = (simulator(), tempfile::tempdir().unwrap());
            let bot = start(&simulator, &folder).await;
            bot.shutdown_now().await.unwrap();
            Self {
                folder,
                bot_id: simulator.bot().id(),
            }
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("bot.db")
    }

    /// Leaves pages in the file that hold nothing.
    pub(crate) fn free_pages(&self) {
        let filler =
            "CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(8000000)); DROP TABLE filler;";
        Connection::open(self.path())
            .unwrap()
            .execute_batch(filler)
            .unwrap();
    }

    pub(crate) fn tool(&self, words: &str, rest: &str) -> tool::Ran {
        let ran = tool::journal(words, &self.path(), rest);
        let printed = format!("{}{}", ran.out, ran.err);
        assert!(
            rest.contains("--raw") || !printed.contains("secret"),
            "{words} {rest}: {printed}"
        );
        ran
    }
}
