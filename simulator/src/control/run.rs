//! Carries out commands.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::command::{Addressed, Command, WaitSpec};
use crate::actions::{ActionError, Queued};
use crate::bot::Bot;
use crate::faults::FaultRule;
use crate::people::Access;
use crate::request::{BotKey, Restart};
use crate::shared::Shared;
use crate::simulator::{restart_in_place, set_network};
use crate::token::TokenError;
use crate::view::View;
use crate::webhook::faults::WebhookFaultRule;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no bot {0}")]
    NoSuchBot(i64),
    #[error("give either update or raw")]
    NothingToQueue,
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Carries out one command and returns what it has to say.
pub(crate) async fn run(shared: &Arc<Shared>, addressed: Addressed) -> Result<Value, Refusal> {
    match addressed.command {
        Command::Bot { token } => {
            let bot = Bot::register(shared.clone(), BotKey { token, test: false })?;
            return Ok(json!({"bot": bot.id(), "token": bot.token()}));
        }
        Command::Restart { lose_millis } => restart_in_place(
            shared,
            lose_millis.map_or(Restart::KeepConfirmations, |millis| {
                Restart::LoseConfirmationsSince(Duration::from_millis(millis))
            }),
        ),
        Command::Down => set_network(shared, false),
        Command::Up => set_network(shared, true),
        Command::Clock { advance_millis } => shared.skip(Duration::from_millis(advance_millis)),
        command => {
            let id = addressed.bot;
            let key = shared
                .lock()
                .world
                .key_of(id)
                .ok_or(Refusal::NoSuchBot(id.unwrap_or(0)))?;
            let bot = Bot::register(shared.clone(), key)?;
            return for_bot(&bot, command).await;
        }
    }
    Ok(json!({}))
}

async fn for_bot(bot: &Bot, command: Command) -> Result<Value, Refusal> {
    Ok(match command {
        Command::User { name, access } => {
            let user = bot.user_with(&name, access.unwrap_or(Access::Full));
            json!({"user_id": user.id(), "chat_id": user.chat_id()})
        }
        Command::Chat { kind, title } => {
            json!({"chat_id": bot.write(|account, _| account.add_chat(kind, &title))})
        }
        Command::Access { chat_id, access } => {
            bot.write(|account, _| {
                let chat = account
                    .chats
                    .get_mut(&chat_id)
                    .ok_or(ActionError::NoSuchChat(chat_id))?;
                chat.access = access;
                Ok::<_, ActionError>(())
            })?;
            json!({})
        }
        Command::Say {
            chat_id,
            user_id,
            text,
            texts,
        } => say(bot, chat_id, user_id, text.as_deref(), &texts)?,
        Command::Edit {
            chat_id,
            message_id,
            text,
        } => update_id(bot.write(|account, now| account.edit(now, chat_id, message_id, &text))?),
        Command::Press {
            chat_id,
            user_id,
            message_id,
            data,
        } => {
            let from = user_id.unwrap_or(chat_id);
            update_id(bot.write(|account, now| account.press(now, chat_id, from, message_id, &data))?)
        }
        Command::Photo {
            chat_id,
            user_id,
            content,
        } => {
            let from = speaker(bot, chat_id, user_id)?;
            update_id(bot.write(|account, now| account.show(now, chat_id, from, content.into())))
        }
        Command::Upgrade { chat_id } => {
            json!({"chat_id": bot.write(|account, now| account.upgrade(now, chat_id))?})
        }
        Command::Update {
            update: Some(update), ..
        } => update_id(bot.write(|account, now| account.push(now, &update))?),
        Command::Update { raw: Some(raw), .. } => json!({"update_id": bot.push_raw_text(&raw)}),
        Command::Update { .. } => return Err(Refusal::NothingToQueue),
        Command::Duplicate => json!({"update_id": bot.duplicate_last()?}),
        Command::Jump { id, drop_queued } => {
            bot.jump_ids(
                id,
                if drop_queued {
                    Queued::Dropped
                } else {
                    Queued::Kept
                },
            )?;
            json!({})
        }
        Command::Fault(spec) => {
            bot.fault(FaultRule::from(spec));
            json!({"faults_left": bot.faults_left()})
        }
        Command::WebhookFault(spec) => {
            bot.webhook_fault(WebhookFaultRule::from(spec));
            json!({"faults_left": bot.faults_left()})
        }
        Command::WebhookPause => {
            bot.pause_webhook();
            json!({})
        }
        Command::WebhookResume => {
            bot.resume_webhook();
            json!({})
        }
        Command::ClearFaults => {
            bot.clear_faults();
            json!({})
        }
        Command::Ledger => bot.view(|view| {
            json!({
                "issued": view.issued(),
                "confirmed": view.confirmed(),
                "polls": view.polls(),
                "posts": view.posts(),
                "sent": view.sent(),
                "refused": view.refused(),
                "violations": view.violations(),
            })
        }),
        Command::ClearLedger => {
            bot.clear_ledger();
            json!({})
        }
        Command::Wait(spec) => {
            let timeout = Duration::from_millis(spec.timeout_millis);
            json!({"reached": bot.wait_for_async(timeout, |view| reached(&spec, view)).await})
        }
        Command::State => bot.view(|view| {
            json!({
                "bot": bot.id(),
                "pending": view.pending(),
                "polling": view.is_polling(),
                "posts_in_flight": view.posts_in_flight(),
                "faults_left": view.faults_left(),
            })
        }),
        // Commands for the whole server have been carried out by the caller.
        Command::Bot { .. }
        | Command::Restart { .. }
        | Command::Down
        | Command::Up
        | Command::Clock { .. } => {
            json!({})
        }
    })
}

fn say(
    bot: &Bot,
    chat_id: i64,
    user_id: Option<i64>,
    text: Option<&str>,
    texts: &[String],
) -> Result<Value, Refusal> {
    let from = speaker(bot, chat_id, user_id)?;
    let ids: Vec<i64> = bot.write(|account, now| {
        let texts = text.into_iter().chain(texts.iter().map(String::as_str));
        texts
            .map(|text| account.say(now, chat_id, from, text).unwrap_or(0))
            .collect()
    });
    Ok(json!({"update_id": ids.last(), "update_ids": ids}))
}

/// Who speaks: the given user, the user of a private chat, or nobody for a channel post.
fn speaker(bot: &Bot, chat_id: i64, user_id: Option<i64>) -> Result<Option<i64>, ActionError> {
    bot.read(|account| {
        if !account.chats.contains_key(&chat_id) {
            return Err(ActionError::NoSuchChat(chat_id));
        }
        match user_id {
            Some(id) if !account.people.contains_key(&id) => Err(ActionError::NoSuchChat(id)),
            Some(id) => Ok(Some(id)),
            None => Ok(Some(chat_id).filter(|id| account.people.contains_key(id))),
        }
    })
}

/// The id of a queued update, 0 when it was not queued.
fn update_id(id: Option<i64>) -> Value {
    json!({"update_id": id.unwrap_or(0)})
}

fn reached(spec: &WaitSpec, view: &View<'_>) -> bool {
    let at_least = |wanted: Option<usize>, count: usize| wanted.is_none_or(|wanted| count >= wanted);
    let at_most = |wanted: Option<usize>, count: usize| wanted.is_none_or(|wanted| count <= wanted);
    at_least(spec.sent, view.sent().len())
        && at_least(spec.confirmed, view.confirmed().len())
        && at_least(spec.polls, view.polls().len())
        && at_least(spec.posts, view.posts().len())
        && at_most(spec.posts_in_flight, view.posts_in_flight())
        && at_most(spec.pending, view.pending_count())
        && at_most(spec.faults_left, view.faults_left())
        && spec.polling.is_none_or(|wanted| view.is_polling() == wanted)
}
