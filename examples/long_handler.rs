//! A handler that is busy for minutes, as an agent is: it shows that it is typing, `/stop` ends it, and so does a deadline.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example long_handler`; `THINK_SECONDS` (default 120) and `DEADLINE_SECONDS` (default
//! 600) change how long it takes and may take. It needs its journal: without one, nothing is fetched while a handler runs.

use std::{
    collections::HashMap,
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use actogram::{Bot, BotReport, Context, DeadUpdate, Error, HandlerResult, RetryPolicy, update::Update};
use tokio::{sync::Notify, time::sleep};

/// What each chat is busy with, for all worker threads.
type Busy = Arc<Mutex<HashMap<i64, Arc<Notify>>>>;

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    let busy = Busy::default();
    Bot::from_env()
        .handlers(move || {
            let busy = Arc::clone(&busy);
            move |ctx| handle(ctx, Arc::clone(&busy))
        })
        // Without this, `/stop` would wait until the chat is done with what it is to stop.
        .bypass(|update: &Update| {
            update
                .message()
                .is_ok_and(|message| is_stop(message.and_then(|it| it.text).as_deref()))
        })
        .handler_timeout(seconds("DEADLINE_SECONDS", 600))
        // To begin again after the deadline would take just as long.
        .retry(RetryPolicy::never())
        .on_error(apologise)
        .run()
        .await
}

async fn handle(ctx: Context, busy: Busy) -> HandlerResult {
    let (Some(text), Some(chat_id)) = (ctx.text(), ctx.chat_id()) else {
        return Ok(());
    };
    if is_stop(Some(text)) {
        let work = lock(&busy).get(&chat_id).cloned();
        match work {
            Some(work) => work.notify_one(),
            None => drop(ctx.reply("there is nothing to stop").await?),
        }
        return Ok(());
    }
    let work = Work::begin(&busy, chat_id);
    let answer = tokio::select! {
        answer = ctx.typing(think(text)) => answer,
        () = work.stopped.notified() => "stopped".to_owned(),
    };
    ctx.reply(answer).await?;
    Ok(())
}

/// Stands for a model, a search, a build: whatever takes long.
async fn think(question: &str) -> String {
    sleep(seconds("THINK_SECONDS", 120)).await;
    format!("the answer to {question:?} is 42")
}

async fn apologise(dead: DeadUpdate) {
    if let Some(chat_id) = dead.update.chat_id()
        && let Err(error) = dead.api.send_text(chat_id, "that took too long, sorry").await
    {
        eprintln!("cannot apologise: {error}");
    }
}

/// The entry of a chat while it is busy; it goes with the handler, also when the deadline ends it.
struct Work {
    busy: Busy,
    chat_id: i64,
    stopped: Arc<Notify>,
}

impl Work {
    fn begin(busy: &Busy, chat_id: i64) -> Self {
        let stopped = Arc::new(Notify::new());
        lock(busy).insert(chat_id, Arc::clone(&stopped));
        Self {
            busy: Arc::clone(busy),
            chat_id,
            stopped,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        lock(&self.busy).remove(&self.chat_id);
    }
}

fn lock(busy: &Busy) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<Notify>>> {
    busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn is_stop(text: Option<&str>) -> bool {
    text == Some("/stop")
}

fn seconds(variable: &str, default: u64) -> Duration {
    let set = env::var(variable).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(set.unwrap_or(default))
}
