//! The handle of one bot: its people, its faults, its records.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Moment;
use crate::account::Account;
use crate::actions::{ActionError, Queued};
use crate::chat::{Chat, User};
use crate::faults::FaultRule;
use crate::ledger::{Issued, PollRecord, PostRecord, Refused, Sent};
use crate::people::{Access, ChatKind};
use crate::request::BotKey;
use crate::shared::{Shared, State, guarded};
use crate::token::{TokenError, bot_id};
use crate::view::View;
use crate::violations::Violation;
use crate::webhook::faults::WebhookFaultRule;

/// One bot of a [`Simulator`](crate::Simulator).
///
/// Actions that put an update into the queue return its id, or 0 when the update was not queued: its kind is not in
/// `allowed_updates`, the queue is full (100,000 updates or 128 MiB), the update is larger than 512 KiB, or the bot
/// is logged out.
#[derive(Clone)]
pub struct Bot {
    shared: Arc<Shared>,
    key: BotKey,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot")
            .field("id", &self.id())
            .field("test", &self.key.test)
            .finish_non_exhaustive()
    }
}

impl Bot {
    pub(crate) fn register(shared: Arc<Shared>, key: BotKey) -> Result<Self, TokenError> {
        shared.change(|state, _| state.world.register(&key).map(|_| ()))?;
        Ok(Self { shared, key })
    }

    /// Returns the token.
    pub fn token(&self) -> &str {
        &self.key.token
    }

    /// Returns the id of the bot, the part of the token in front of the colon.
    pub fn id(&self) -> i64 {
        bot_id(&self.key.token).expect("a registered token is well-formed")
    }

    /// Returns the `@username` of the bot, without the `@`.
    pub fn username(&self) -> String {
        self.read(|account| account.me.username.clone())
    }

    /// Returns the bot of the same token in the test environment (`/bot<token>/test/<method>`), which has a queue
    /// and chats of its own.
    pub fn test_environment(&self) -> Self {
        let key = BotKey {
            token: self.key.token.clone(),
            test: true,
        };
        Self::register(self.shared.clone(), key).expect("a registered token is well-formed")
    }

    /// Adds a user who has started the bot, with a private chat. No update is queued for it.
    pub fn user(&self, name: &str) -> User {
        self.user_with(name, Access::Full)
    }

    /// Adds a user with whom the bot is on these terms.
    pub fn user_with(&self, name: &str, access: Access) -> User {
        User::new(
            self.clone(),
            self.write(|account, _| account.add_person(name, access)),
        )
    }

    /// Adds a basic group with the bot in it.
    pub fn group(&self, title: &str) -> Chat {
        self.chat(ChatKind::Group, title)
    }

    /// Adds a supergroup with the bot in it.
    pub fn supergroup(&self, title: &str) -> Chat {
        self.chat(ChatKind::Supergroup, title)
    }

    /// Adds a channel with the bot as administrator.
    pub fn channel(&self, title: &str) -> Chat {
        self.chat(ChatKind::Channel, title)
    }

    fn chat(&self, kind: ChatKind, title: &str) -> Chat {
        Chat::new(
            self.clone(),
            self.write(|account, _| account.add_chat(kind, title)),
        )
    }

    /// Queues an update given without its id, for example `{"message": {...}}`; the id is assigned.
    ///
    /// # Panics
    ///
    /// Panics when `update` is not an object with a member beside `update_id`.
    #[track_caller]
    pub fn push(&self, update: &Value) -> i64 {
        let queued = self.write(|account, now| account.push(now, update));
        queued
            .expect("an update is an object with its kind as a key")
            .unwrap_or(0)
    }

    /// Queues an update of any kind, known or not. `allowed_updates` holds back known kinds only.
    pub fn push_kind(&self, kind: &str, body: &Value) -> i64 {
        self.push(&json!({kind: body}))
    }

    /// Queues the JSON text that follows the id, unchecked: `"message":{...}`. It may be anything, even not JSON.
    pub fn push_raw_text(&self, text: &str) -> i64 {
        self.write(|account, now| account.push_text(now, text))
            .unwrap_or(0)
    }

    /// Queues a message that is well-formed except for a chat type that no client knows.
    pub fn push_unknown_enum_value(&self) -> i64 {
        let person = json!({"id": 5_000_000_000_i64, "is_bot": false, "first_name": "Future"});
        self.push(&json!({"message": {
            "message_id": 1,
            "date": self.now().unix_seconds(),
            "chat": {"id": 5_000_000_000_i64, "type": "galaxy", "first_name": "Future"},
            "from": person,
            "text": "from a chat of a type to come",
        }}))
    }

    /// Queues the newest queued update once more under a new id, as Telegram does now and then.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NothingQueued`] when nothing is queued.
    pub fn duplicate_last(&self) -> Result<i64, ActionError> {
        self.write(|account, now| account.duplicate_last(now))
            .map(|id| id.unwrap_or(0))
    }

    /// Makes `id` the next update id, up or down. What is queued is kept, see [`Queued::Kept`].
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::BadUpdateId`] outside 1 to 1,999,999,999.
    pub fn jump_ids_to(&self, id: i64) -> Result<(), ActionError> {
        self.jump_ids(id, Queued::Kept)
    }

    /// Makes `id` the next update id and decides about what is queued.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::BadUpdateId`] outside 1 to 1,999,999,999.
    pub fn jump_ids(&self, id: i64, queued: Queued) -> Result<(), ActionError> {
        self.write(|account, now| account.jump_ids(now, id, queued))
    }

    /// Injects a fault; faults strike in the order they were injected.
    pub fn fault(&self, rule: impl Into<FaultRule>) {
        let rule = rule.into();
        self.write(|account, _| account.faults.inject(rule));
    }

    /// Injects a fault of webhook delivery; faults strike in the order they were injected.
    pub fn webhook_fault(&self, rule: impl Into<WebhookFaultRule>) {
        let rule = rule.into();
        self.write(|account, _| account.hook.faults.inject(rule));
    }

    /// Holds back posts to the webhook until [`resume_webhook`](Self::resume_webhook). Posts in flight go on; `setWebhook`
    /// and a restart do not end it.
    pub fn pause_webhook(&self) {
        self.write(|account, _| account.hook.paused = true);
    }

    /// Ends [`pause_webhook`](Self::pause_webhook).
    pub fn resume_webhook(&self) {
        self.write(|account, now| {
            account.hook.paused = false;
            account.hook.wake(now);
        });
    }

    /// Takes back every fault of calls and posts that has not struck, and lets go the updates that wait to be
    /// overtaken. Announced flood waits stay announced.
    pub fn clear_faults(&self) {
        self.write(|account, now| {
            account.faults.clear();
            account.hook.clear_faults(now);
        });
    }

    /// Returns how many calls and posts are still to go wrong.
    pub fn faults_left(&self) -> usize {
        self.view(|view| view.faults_left())
    }

    /// Makes the server unreachable for this bot: the connection of its waiting poll is closed, and that of every
    /// call, unprocessed; nothing is posted to its webhook. [`Simulator::go_down`](crate::Simulator::go_down) does it for
    /// the whole server.
    pub fn go_down(&self) {
        self.shared.change(|state, now| {
            let account = state
                .world
                .account_mut(&self.key)
                .expect("bots are never removed");
            account.set_down(now, true);
            if let Some(ticket) = account.polling.waiting().map(|poll| poll.ticket) {
                state.close_connection_of(ticket);
            }
        });
    }

    /// Ends [`go_down`](Self::go_down).
    pub fn go_up(&self) {
        self.write(|account, now| account.set_down(now, false));
    }

    /// Undoes `logOut`.
    pub fn log_in(&self) {
        self.write(|account, _| account.logged_out = false);
    }

    /// Returns the updates issued so far, oldest first.
    pub fn issued(&self) -> Vec<Issued> {
        self.view(|view| view.issued().to_vec())
    }

    /// Returns the queued update ids, ascending.
    pub fn pending(&self) -> Vec<i64> {
        self.view(|view| view.pending())
    }

    /// Returns the confirmed update ids in the order of their confirmation.
    pub fn confirmed(&self) -> Vec<i64> {
        self.view(|view| view.confirmed().to_vec())
    }

    /// Returns the `getUpdates` calls, oldest first.
    pub fn polls(&self) -> Vec<PollRecord> {
        self.view(|view| view.polls().to_vec())
    }

    /// Returns the posts to the webhook, oldest first.
    pub fn posts(&self) -> Vec<PostRecord> {
        self.view(|view| view.posts().to_vec())
    }

    /// Returns the calls that took effect, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.view(|view| view.sent().to_vec())
    }

    /// Returns the calls that were answered with an error, oldest first.
    pub fn refused(&self) -> Vec<Refused> {
        self.view(|view| view.refused().to_vec())
    }

    /// Returns the rules the bot has broken, oldest first.
    pub fn violations(&self) -> Vec<Violation> {
        self.view(|view| view.violations().to_vec())
    }

    /// Forgets every record except those of updates that are queued, of the poll that waits and of posts in flight.
    ///
    /// Confirmations that are forgotten cannot come back in a restart.
    pub fn clear_ledger(&self) {
        self.write(|account, _| account.clear_ledger());
    }

    /// Returns the present moment of the server's clock.
    pub fn now(&self) -> Moment {
        self.shared.lock().now()
    }

    /// Reads several records at one instant. No call is processed meanwhile.
    ///
    /// # Panics
    ///
    /// Panics when `look` uses a handle of the simulator instead of its view.
    pub fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        self.read(|account| guarded(|| look(&View::new(account))))
    }

    /// Blocks until `holds` is true or `timeout` has passed, and returns which. `holds` is called at once and after
    /// every change.
    ///
    /// # Panics
    ///
    /// Panics when `holds` uses a handle of the simulator instead of its view.
    pub fn wait_for(&self, timeout: Duration, mut holds: impl FnMut(&View<'_>) -> bool) -> bool {
        self.shared
            .wait_for(timeout, |state| holds(&View::new(self.account(state))))
    }

    /// Waits like [`wait_for`](Self::wait_for) without blocking the thread. Needs a tokio runtime with time; under
    /// a paused clock the timeout passes at once.
    ///
    /// Dropping the future ends the waiting and has no other effect.
    ///
    /// # Panics
    ///
    /// Panics when `holds` uses a handle of the simulator instead of its view.
    pub async fn wait_for_async(&self, timeout: Duration, mut holds: impl FnMut(&View<'_>) -> bool) -> bool {
        self.shared
            .wait_for_async(timeout, |state| holds(&View::new(self.account(state))))
            .await
    }

    fn account<'s>(&self, state: &'s State) -> &'s Account {
        state.world.account(&self.key).expect("bots are never removed")
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        read(self.account(&self.shared.lock()))
    }

    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Account, Moment) -> T) -> T {
        self.shared.change(|state, now| {
            write(
                state
                    .world
                    .account_mut(&self.key)
                    .expect("bots are never removed"),
                now,
            )
        })
    }
}
