//! Sends a text to every chat that is named in a file, one id per line, and shows how far it is. Kill it at any instant and
//! start it again: it goes on where it was, and nobody gets the text twice.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example broadcast -- newsletter-2026-11 chats.txt "The November issue is out."`
//!
//! Ctrl-C stops it between two chats; the next start resumes it. `RATE=5` sends to five chats per second.

use std::{
    env, fs,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use actogram::{
    Bot, BotHandle, BroadcastChats, BroadcastEnding, BroadcastHandle, BroadcastProgress, ChatOutcome,
    Context, HandlerResult, api::Pacing,
};

type AnyError = Box<dyn std::error::Error>;

#[actix::main]
async fn main() -> Result<ExitCode, AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, file, text] = arguments.as_slice() else {
        return Err("usage: broadcast NAME FILE TEXT".into());
    };
    let chats = read_chats(file)?;
    let pacing = match env::var("RATE") {
        Ok(rate) => Pacing::bulk().per_second(rate.parse()?),
        Err(_) => Pacing::bulk(),
    };

    // The bot answers people meanwhile; their answers do not wait for the broadcast.
    let bot = Bot::from_env().handlers(|| echo).start().await?;
    let broadcast = bot
        .broadcast(name)
        .to(chats)
        .text(text)
        .pacing(pacing)
        .start()
        .await?;
    let stopping = actix_rt::spawn(stop_on_signal(bot.clone()));
    show(broadcast.clone()).await?;
    let report = broadcast.wait().await?;
    println!("{report}");
    if report.ending == BroadcastEnding::Completed {
        print_problems(&broadcast).await?;
    }
    stopping.abort();
    bot.shutdown().await?;
    Ok(match report.ending {
        BroadcastEnding::Completed => ExitCode::SUCCESS,
        _ => ExitCode::from(75),
    })
}

async fn echo(ctx: Context) -> HandlerResult {
    if let Some(text) = ctx.text() {
        ctx.reply(text).await?;
    }
    Ok(())
}

fn read_chats(file: &str) -> Result<Vec<i64>, AnyError> {
    let text = fs::read_to_string(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::parse).collect::<Result<_, _>>()?)
}

/// Draws the bar anew whenever something changes, until the end.
async fn show(mut broadcast: BroadcastHandle) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    while let Some(progress) = broadcast.next_progress().await {
        // What goes into a file needs no moving pictures.
        if terminal {
            print!("\r{}\x1b[K", bar(&progress));
            io::stdout().flush()?;
        }
    }
    if terminal {
        println!();
    } else {
        println!("{}", bar(&broadcast.progress()));
    }
    Ok(())
}

fn bar(progress: &BroadcastProgress) -> String {
    const WIDTH: u64 = 30;
    let total = progress.total.unwrap_or(progress.done).max(1);
    let full = (progress.done * WIDTH / total).min(WIDTH) as usize;
    let empty = WIDTH as usize - full;
    let eta = match progress.eta {
        Some(eta) => format!(", {} s left", eta.as_secs()),
        None => String::new(),
    };
    format!(
        "[{}{}] {}/{total} {:.0}/s{eta}  {}",
        "#".repeat(full),
        "-".repeat(empty),
        progress.done,
        progress.per_second,
        progress.counts
    )
}

/// Names the chats that somebody may want to look at.
async fn print_problems(broadcast: &BroadcastHandle) -> Result<(), AnyError> {
    for outcome in [ChatOutcome::Blocked, ChatOutcome::Unknown, ChatOutcome::Failed] {
        let mut filter = BroadcastChats::new().outcome(outcome);
        loop {
            let page = broadcast.chats(filter).await?;
            for chat in page.chats {
                println!("{outcome} {} {}", chat.chat_id, chat.reason.unwrap_or_default());
            }
            let Some(next) = page.next else { break };
            filter = filter.after(next);
        }
    }
    Ok(())
}

/// The bot stops its broadcasts.
async fn stop_on_signal(bot: BotHandle) {
    if actix_rt::signal::ctrl_c().await.is_ok() {
        bot.request_shutdown();
    }
}
