//! The handles of users and chats.

use bytes::Bytes;

use crate::actions::ActionError;
use crate::bot::Bot;
use crate::people::{Access, ChatKind};

/// A user of a bot, with the private chat of the two.
///
/// About the ids that actions return see [`Bot`].
#[derive(Clone, Debug)]
pub struct User {
    bot: Bot,
    id: i64,
}

impl User {
    pub(crate) fn new(bot: Bot, id: i64) -> Self {
        Self { bot, id }
    }

    /// Returns the user id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Returns the id of the private chat, which equals the user id.
    pub fn chat_id(&self) -> i64 {
        self.id
    }

    /// Returns the texts that the bot has sent to the private chat, oldest first, markup included.
    pub fn heard(&self) -> Vec<String> {
        self.bot
            .view(|view| view.texts_to(self.id).into_iter().map(str::to_owned).collect())
    }

    /// Writes to the bot; returns the update id.
    pub fn say(&self, text: &str) -> i64 {
        self.bot
            .write(|account, now| account.say(now, self.id, Some(self.id), text))
            .unwrap_or(0)
    }

    /// Writes several messages, with nothing in between; returns the update ids.
    pub fn say_all<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> Vec<i64> {
        self.bot.write(|account, now| {
            let ids = texts
                .into_iter()
                .map(|text| account.say(now, self.id, Some(self.id), text.as_ref()));
            ids.map(|id| id.unwrap_or(0)).collect()
        })
    }

    /// Edits a message of the private chat; returns the update id.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NoSuchMessage`] when the chat has no such message and [`ActionError::NotTheAuthor`]
    /// when the bot sent it.
    pub fn edit(&self, message_id: i64, text: &str) -> Result<i64, ActionError> {
        let queued = self
            .bot
            .write(|account, now| account.edit(now, self.id, message_id, text));
        queued.map(|id| id.unwrap_or(0))
    }

    /// Presses an inline button under a message of the private chat; returns the update id.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NoSuchMessage`] or [`ActionError::NoSuchButton`].
    pub fn press(&self, message_id: i64, data: &str) -> Result<i64, ActionError> {
        let queued = self
            .bot
            .write(|account, now| account.press(now, self.id, self.id, message_id, data));
        queued.map(|id| id.unwrap_or(0))
    }

    /// Sends a photo; returns the update id. The bytes are kept for download and not looked into.
    pub fn send_photo(&self, bytes: impl Into<Bytes>) -> i64 {
        let bytes = bytes.into();
        self.bot
            .write(|account, now| account.show(now, self.id, Some(self.id), bytes))
            .unwrap_or(0)
    }

    /// Blocks the bot: what it sends is refused with 403. No update is queued for it.
    pub fn block_bot(&self) {
        self.set_access(Access::Blocked);
    }

    /// Undoes [`block_bot`](Self::block_bot).
    pub fn unblock_bot(&self) {
        self.set_access(Access::Full);
    }

    /// Sets on what terms the user is with the bot.
    pub fn set_access(&self, access: Access) {
        set_access(&self.bot, self.id, access);
    }
}

/// A group, supergroup or channel of a bot.
///
/// About the ids that actions return see [`Bot`].
#[derive(Clone, Debug)]
pub struct Chat {
    bot: Bot,
    id: i64,
}

impl Chat {
    pub(crate) fn new(bot: Bot, id: i64) -> Self {
        Self { bot, id }
    }

    /// Returns the chat id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Returns the type of the chat.
    pub fn kind(&self) -> ChatKind {
        self.bot.read(|account| {
            account
                .chats
                .get(&self.id)
                .map_or(ChatKind::Group, |chat| chat.kind)
        })
    }

    /// A user writes; returns the update id.
    pub fn say(&self, user: &User, text: &str) -> i64 {
        self.bot
            .write(|account, now| account.say(now, self.id, Some(user.id), text))
            .unwrap_or(0)
    }

    /// The chat itself writes: a channel post, or an anonymous administrator of a group; returns the update id.
    pub fn post(&self, text: &str) -> i64 {
        self.bot
            .write(|account, now| account.say(now, self.id, None, text))
            .unwrap_or(0)
    }

    /// Edits a message; returns the update id.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NoSuchMessage`] when the chat has no such message and [`ActionError::NotTheAuthor`]
    /// when the bot sent it.
    pub fn edit(&self, message_id: i64, text: &str) -> Result<i64, ActionError> {
        let queued = self
            .bot
            .write(|account, now| account.edit(now, self.id, message_id, text));
        queued.map(|id| id.unwrap_or(0))
    }

    /// A user presses an inline button; returns the update id.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NoSuchMessage`] or [`ActionError::NoSuchButton`].
    pub fn press(&self, user: &User, message_id: i64, data: &str) -> Result<i64, ActionError> {
        let queued = self
            .bot
            .write(|account, now| account.press(now, self.id, user.id, message_id, data));
        queued.map(|id| id.unwrap_or(0))
    }

    /// Returns the texts that the bot has sent to the chat, oldest first, markup included.
    pub fn heard(&self) -> Vec<String> {
        self.bot
            .view(|view| view.texts_to(self.id).into_iter().map(str::to_owned).collect())
    }

    /// Turns a basic group into a supergroup, announced by one update in each, and returns the supergroup.
    ///
    /// # Errors
    ///
    /// Returns [`ActionError::NotUpgradable`] for anything but a basic group that was not upgraded before.
    pub fn upgrade(&self) -> Result<Self, ActionError> {
        let id = self.bot.write(|account, now| account.upgrade(now, self.id))?;
        Ok(Self::new(self.bot.clone(), id))
    }

    /// Opens a forum topic and returns its `message_thread_id`.
    pub fn open_topic(&self) -> i64 {
        self.bot.write(|account, _| {
            let thread_id = account.next_message_id(self.id);
            if let Some(chat) = account.chats.get_mut(&self.id) {
                chat.topics.push(thread_id);
            }
            thread_id
        })
    }

    /// Removes the bot: what it sends is refused with 403. No update is queued for it.
    pub fn kick_bot(&self) {
        self.set_access(Access::Kicked);
    }

    /// Sets what the bot may do in the chat.
    pub fn set_access(&self, access: Access) {
        set_access(&self.bot, self.id, access);
    }
}

fn set_access(bot: &Bot, chat_id: i64, access: Access) {
    bot.write(|account, _| {
        if let Some(chat) = account.chats.get_mut(&chat_id) {
            chat.access = access;
        }
    });
}
