//! A team's own actor handles the updates: it counts the messages of each chat.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example actors`, against any server with `TELEGRAM_API_URL=…`

use std::collections::HashMap;

use actix::{Actor, Context as ActorContext, ResponseFuture};
use actogram::{Bot, BotReport, Error, HandlerResult, IncomingUpdate};

/// One per worker thread, so its state needs no lock. Updates of one chat may reach any worker, one after the other:
/// state that must be complete belongs in one shared actor or in a store.
#[derive(Default)]
struct Counter {
    messages: HashMap<i64, u64>,
}

impl Actor for Counter {
    type Context = ActorContext<Self>;
}

impl actix::Handler<IncomingUpdate> for Counter {
    type Result = ResponseFuture<HandlerResult>;

    fn handle(&mut self, incoming: IncomingUpdate, _: &mut Self::Context) -> Self::Result {
        let context = incoming.context;
        let Some(chat) = context.chat_id() else {
            return Box::pin(std::future::ready(Ok(())));
        };
        let count = self.messages.entry(chat).or_default();
        *count += 1;
        let answer = format!("message {count} of this chat");
        // A future of its own: the actor takes the next update while this one is on the network.
        Box::pin(async move {
            context.reply(answer).await?;
            Ok(())
        })
    }
}

#[actix::main]
async fn main() -> Result<BotReport, Error> {
    // One worker means one counter, so every chat is counted in one place.
    Bot::from_env()
        .workers(1)
        .recipients(|| Counter::default().start().recipient())
        .run()
        .await
}
