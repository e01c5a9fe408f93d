//! What is asked of the handler at the start, and the list of commands that is made from it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use actogram_actors::{Backoff, EngineError, EngineHandle};
use frankenstein::{
    methods::{GetMyCommandsParams, SetMyCommandsParams},
    types::BotCommand,
};

use crate::{
    api::{Api, ApiError},
    error::Error,
    handler::HandlerFactory,
    router::Interests,
};

/// Asks a handler, built for that, what it wants.
pub(super) fn ask(handlers: &dyn HandlerFactory) -> Result<Option<Interests>, Error> {
    // A factory that panics here would do so on every worker.
    catch_unwind(AssertUnwindSafe(|| handlers.interests()))
        .map_err(|_reported| EngineError::FactoryPanicked { worker: 0 }.into())
}

/// Sets the list of commands, however often that takes, as long as the bot runs.
pub(super) async fn publish(api: Api, interests: Interests, engine: EngineHandle) {
    let commands: Vec<_> = interests
        .commands()
        .iter()
        .map(|(command, description)| BotCommand {
            command: command.clone(),
            description: description.clone(),
            is_ephemeral: None,
        })
        .collect();
    tokio::select! {
        () = set(&api, commands) => {}
        // Whatever the report says: there is nobody left to show commands for.
        _ = engine.wait() => {}
    }
}

async fn set(api: &Api, commands: Vec<BotCommand>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300), 0.2);
    while let Err(error) = set_once(api, &commands).await {
        if !error.is_transient() {
            tracing::warn!(%error, "commands are not published, giving up");
            return;
        }
        let delay = backoff.next_delay(fastrand::f64());
        let wait = error.retry_after().map_or(delay, |asked| asked.max(delay));
        tracing::warn!(%error, retry_in = ?wait, "commands are not published yet");
        tokio::time::sleep(wait).await;
    }
}

async fn set_once(api: &Api, commands: &[BotCommand]) -> Result<(), ApiError> {
    let present = api
        .get_my_commands(&GetMyCommandsParams::builder().build())
        .await?;
    let is_same = |(one, other): (&BotCommand, &BotCommand)| {
        (&one.command, &one.description) == (&other.command, &other.description)
    };
    if present.len() == commands.len() && present.iter().zip(commands).all(is_same) {
        return Ok(());
    }
    let params = SetMyCommandsParams::builder().commands(commands.to_vec()).build();
    api.set_my_commands(&params).await?;
    tracing::info!(commands = commands.len(), "commands are published");
    Ok(())
}
