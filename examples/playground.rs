//! Chat with a bot in the terminal, with no token and no network, and watch what the runtime does.
//!
//! `cargo run --example playground`, or with a script: `printf 'hello\n/slow\nbob: hi\n' | cargo run --example playground`
//!
//! The Bot API server is the simulator, in this process. Each line is a message to the bot; `name: text` speaks in a
//! chat of its own. Ctrl-C or the end of input drains and prints the report; a second Ctrl-C does not wait.

use std::{
    collections::HashMap,
    io::{BufRead, IsTerminal},
    thread,
    time::Duration,
};

use actogram::{
    Backoff, Bot, BotHandle, BotReport, Context, DeadUpdate, Error, HandlerResult, RetryPolicy, api::Server,
};
use actogram_simulator::{Bot as SimulatedBot, Simulator, User};
use tokio::sync::mpsc;

const HELP: &str = "I repeat what you say. /slow takes 3 s (other chats go on), /fail panics (watch the retries), \
                    /help shows this.";

/// How long the end of a script waits for the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

#[actix::main]
async fn main() -> Result<BotReport, Box<dyn std::error::Error>> {
    std::panic::set_hook(Box::new(|panic| println!("  · {panic}")));
    let simulator = Simulator::start()?;
    let server = simulator.bot();
    let folder = tempfile::tempdir()?;
    let bot = Bot::new(server.token())
        .server(Server::parse(&simulator.url())?)
        .journal(folder.path().join("playground.db"))
        .handlers(|| talk)
        .on_error(apologise)
        // Shorter than the defaults, so that there is something to see.
        .retry(RetryPolicy::new([
            Duration::from_millis(500),
            Duration::from_secs(1),
        ]))
        .poll_backoff(Backoff::new(
            Duration::from_millis(100),
            Duration::from_secs(1),
            0.2,
        ))
        .start()
        .await?;
    actix_rt::spawn(show_pipeline(server.clone()));

    let interactive = std::io::stdin().is_terminal();
    if interactive {
        println!("{HELP}\nCtrl-C or Ctrl-D stops.");
    }
    let mut people = HashMap::new();
    let mut lines = lines_of_stdin();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => say(&server, &mut people, &line, interactive),
                None => break wait_for_last_answers(&server, &bot).await,
            },
            _ = actix_rt::signal::ctrl_c() => break,
        }
    }
    println!("stopping …");
    let report = stop(&bot).await?;
    println!("{report}");
    Ok(report)
}

async fn talk(ctx: Context) -> HandlerResult {
    match ctx.text() {
        Some("/start" | "/help") => ctx.reply(HELP).await?,
        Some("/slow") => {
            actix_rt::time::sleep(Duration::from_secs(3)).await;
            ctx.reply("that took 3 s").await?
        }
        Some("/fail") => panic!("/fail was asked for (attempt {})", ctx.attempt()),
        Some(text) => ctx.reply(format!("you said: {text}")).await?,
        None => return Ok(()),
    };
    println!("  · handled {} (lane {})", ctx.update().id(), ctx.update().lane());
    Ok(())
}

async fn apologise(dead: DeadUpdate) {
    println!(
        "  · gave up {} after attempt {}: {}",
        dead.update.id(),
        dead.attempt,
        dead.error
    );
    if let Some(chat) = dead.update.chat_id() {
        // The update is given up in any case; an apology that fails is logged by nobody here.
        let _ = dead.api.send_text(chat, "sorry, that did not work").await;
    }
}

fn say(server: &SimulatedBot, people: &mut HashMap<String, User>, line: &str, interactive: bool) {
    let (name, text) = match line.split_once(": ") {
        Some((name, text)) if !name.contains(' ') => (name, text),
        _ => ("you", line),
    };
    if text.trim().is_empty() {
        return;
    }
    if !interactive {
        println!("{name}: {text}");
    }
    people
        .entry(name.to_owned())
        .or_insert_with(|| server.user(name))
        .say(text);
}

/// Prints what the server sees: batches handed out, updates confirmed, messages sent.
async fn show_pipeline(server: SimulatedBot) {
    let (mut polls, mut confirmed, mut sent) = (0, 0, 0);
    loop {
        let seen = (polls, confirmed, sent);
        let changed = server.wait_for_async(Duration::from_secs(3600), |view| {
            let answered = view
                .polls()
                .iter()
                .filter(|poll| poll.answered_at.is_some())
                .count();
            (answered, view.confirmed().len(), view.sent().len()) != seen
        });
        if !changed.await {
            continue;
        }
        server.view(|view| {
            for poll in view
                .polls()
                .iter()
                .filter(|poll| poll.answered_at.is_some())
                .skip(polls)
            {
                polls += 1;
                if !poll.returned.is_empty() {
                    println!("  · fetched {:?} (offset {})", poll.returned, poll.offset);
                }
            }
            for call in &view.sent()[sent..] {
                println!("bot: {}", call.text.as_deref().unwrap_or("(no text)"));
            }
            for id in &view.confirmed()[confirmed..] {
                println!("  · confirmed {id}");
            }
            (confirmed, sent) = (view.confirmed().len(), view.sent().len());
        });
    }
}

/// Waits until everything said is answered. Updates are confirmed as soon as they are on disk, so the bot is asked.
async fn wait_for_last_answers(server: &SimulatedBot, bot: &BotHandle) {
    let said = server.issued().len();
    let all_ended = async {
        while let Ok(snapshot) = bot.snapshot().await {
            let totals = snapshot.engine.totals;
            if totals.done + totals.expired + totals.dead >= said as u64 {
                return;
            }
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = tokio::time::timeout(LAST_ANSWERS, all_ended) => {
            if ended.is_err() {
                println!("not everything was answered in time");
            }
        }
        _ = actix_rt::signal::ctrl_c() => {}
    }
}

async fn stop(bot: &BotHandle) -> Result<BotReport, Error> {
    let stopped = bot.shutdown();
    let stopped = std::pin::pin!(stopped);
    tokio::select! {
        report = stopped => report,
        _ = actix_rt::signal::ctrl_c() => bot.shutdown_now().await,
    }
}

/// Standard input can only be read by blocking, so a thread does.
fn lines_of_stdin() -> mpsc::UnboundedReceiver<String> {
    let (give, take) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if give.send(line).is_err() {
                return;
            }
        }
    });
    take
}
