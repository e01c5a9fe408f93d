//! One bot of a [`World`], for tests in virtual time.

use serde_json::Value;

use crate::Moment;
use crate::account::Account;
use crate::actions::ActionError;
use crate::faults::FaultRule;
use crate::people::{Access, ChatKind};
use crate::request::BotKey;
use crate::token::TokenError;
use crate::view::View;
use crate::webhook::faults::WebhookFaultRule;
use crate::world::World;

/// One bot of a [`World`] at one moment; what [`Bot`](crate::Bot) is for a running server.
#[derive(Debug)]
pub struct WorldBot<'w> {
    account: &'w mut Account,
    now: Moment,
}

impl World {
    /// Returns the bot with this token at `now`; it is created when it is new.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a malformed token.
    pub fn bot(&mut self, now: Moment, token: &str) -> Result<WorldBot<'_>, TokenError> {
        let account = self.register(&BotKey {
            token: token.to_owned(),
            test: false,
        })?;
        Ok(WorldBot { account, now })
    }
}

impl WorldBot<'_> {
    /// Adds a user who has started the bot and returns the id of user and chat.
    pub fn add_user(&mut self, name: &str) -> i64 {
        self.account.add_person(name, Access::Full)
    }

    /// Adds a group, supergroup or channel and returns its id.
    pub fn add_chat(&mut self, kind: ChatKind, title: &str) -> i64 {
        self.account.add_chat(kind, title)
    }

    /// Sets what the bot may do in a chat.
    pub fn set_access(&mut self, chat_id: i64, access: Access) {
        if let Some(chat) = self.account.chats.get_mut(&chat_id) {
            chat.access = access;
        }
    }

    /// A user writes to a chat; `from` is `None` for a channel post. Returns the update id, or `None` when no update
    /// was queued.
    pub fn say(&mut self, chat_id: i64, from: Option<i64>, text: &str) -> Option<i64> {
        self.account.say(self.now, chat_id, from, text)
    }

    /// A user presses an inline button; returns like [`say`](Self::say).
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NoSuchMessage`] or [`ActionError::NoSuchButton`].
    pub fn press(
        &mut self,
        chat_id: i64,
        from: i64,
        message_id: i64,
        data: &str,
    ) -> Result<Option<i64>, ActionError> {
        self.account.press(self.now, chat_id, from, message_id, data)
    }

    /// Queues an update given without its id; returns like [`say`](Self::say).
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NotAnUpdate`] when `update` is not an object with a member beside `update_id`.
    pub fn push(&mut self, update: &Value) -> Result<Option<i64>, ActionError> {
        self.account.push(self.now, update)
    }

    /// Injects a fault.
    pub fn fault(&mut self, rule: impl Into<FaultRule>) {
        self.account.faults.inject(rule.into());
    }

    /// Injects a fault of webhook delivery.
    pub fn webhook_fault(&mut self, rule: impl Into<WebhookFaultRule>) {
        self.account.hook.faults.inject(rule.into());
    }

    /// Returns the records.
    pub fn view(&self) -> View<'_> {
        View::new(self.account)
    }
}
