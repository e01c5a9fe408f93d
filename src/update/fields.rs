//! The members of a payload that the envelope looks at, and what they mean in which kind of update.

use std::borrow::Cow;

use super::{Keys, UpdateKind, scan::Cursor};

/// The members of a payload that can matter, before the kind says which of them do.
#[derive(Default)]
pub(super) struct Fields<'a> {
    chat: Option<i64>,
    from: Option<i64>,
    user: Option<i64>,
    booster: Option<i64>,
    sender_chat: Option<i64>,
    voter_chat: Option<i64>,
    actor_chat: Option<i64>,
    thread: Option<i64>,
    direct_messages_topic: Option<i64>,
    migrate_to: Option<i64>,
    migrate_from: Option<i64>,
    date: Option<i64>,
    edit_date: Option<i64>,
    boost_date: Option<i64>,
    id: Option<Cow<'a, str>>,
    business_connection: Option<Cow<'a, str>>,
    guest_query: Option<Cow<'a, str>>,
    poll: Option<Cow<'a, str>>,
    message: Option<Box<Self>>,
}

impl<'a> Fields<'a> {
    /// Reads the object that the cursor has just entered, up to behind its end.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'a>, kind: UpdateKind) {
        while let Some(key) = cursor.key() {
            match key.as_ref() {
                "chat" => keep(&mut self.chat, cursor.integer_member("id")),
                "from" => keep(&mut self.from, cursor.integer_member("id")),
                "user" => keep(&mut self.user, cursor.integer_member("id")),
                "sender_chat" => keep(&mut self.sender_chat, cursor.integer_member("id")),
                "voter_chat" => keep(&mut self.voter_chat, cursor.integer_member("id")),
                "actor_chat" => keep(&mut self.actor_chat, cursor.integer_member("id")),
                "direct_messages_topic" => {
                    keep(&mut self.direct_messages_topic, cursor.integer_member("topic_id"));
                }
                "message_thread_id" => keep(&mut self.thread, cursor.integer()),
                "migrate_to_chat_id" => keep(&mut self.migrate_to, cursor.integer()),
                "migrate_from_chat_id" => keep(&mut self.migrate_from, cursor.integer()),
                "date" => keep(&mut self.date, cursor.integer()),
                "edit_date" => keep(&mut self.edit_date, cursor.integer()),
                "remove_date" => keep(&mut self.boost_date, cursor.integer()),
                "id" => keep(&mut self.id, filled(cursor.string())),
                "business_connection_id" => keep(&mut self.business_connection, filled(cursor.string())),
                "guest_query_id" => keep(&mut self.guest_query, filled(cursor.string())),
                "poll_id" => keep(&mut self.poll, filled(cursor.string())),
                "boost" if kind == UpdateKind::ChatBoost => self.read_boost(cursor),
                "source" if kind == UpdateKind::RemovedChatBoost => self.read_boost_source(cursor),
                "message" if matches!(kind, UpdateKind::CallbackQuery | UpdateKind::Unknown) => {
                    if cursor.enter_object() {
                        let mut message = Box::<Self>::default();
                        message.read(cursor, UpdateKind::Message);
                        keep(&mut self.message, Some(message));
                    }
                }
                _ => {
                    cursor.skip();
                }
            }
        }
    }

    fn read_boost(&mut self, cursor: &mut Cursor<'a>) {
        if !cursor.enter_object() {
            return;
        }
        while let Some(key) = cursor.key() {
            match key.as_ref() {
                "add_date" => keep(&mut self.boost_date, cursor.integer()),
                "source" => self.read_boost_source(cursor),
                _ => {
                    cursor.skip();
                }
            }
        }
    }

    fn read_boost_source(&mut self, cursor: &mut Cursor<'a>) {
        if !cursor.enter_object() {
            return;
        }
        while let Some(key) = cursor.key() {
            if key == "user" {
                keep(&mut self.booster, cursor.integer_member("id"));
            } else {
                cursor.skip();
            }
        }
    }

    /// Returns the Unix time of what an update of this kind is about.
    pub(super) fn date(&self, kind: UpdateKind) -> Option<i64> {
        let date = match kind {
            UpdateKind::EditedMessage | UpdateKind::EditedChannelPost | UpdateKind::EditedBusinessMessage => {
                self.edit_date.or(self.date)
            }
            UpdateKind::ChatBoost | UpdateKind::RemovedChatBoost => self.boost_date,
            _ => self.date,
        };
        date.filter(|date| *date > 0)
    }

    /// Says what the members mean in an update of this kind.
    pub(super) fn into_keys(self, kind: UpdateKind) -> Keys<'a> {
        let mut keys = Keys {
            chat_id: self.chat,
            user_id: self.from.or(self.user).or(self.booster),
            sender_chat_id: self.sender_chat.or(self.actor_chat).or(self.voter_chat),
            thread_id: self.thread,
            direct_messages_topic_id: self.direct_messages_topic,
            migrate_to_chat_id: self.migrate_to.filter(|_| kind == UpdateKind::Message),
            migrate_from_chat_id: self.migrate_from.filter(|_| kind == UpdateKind::Message),
            business_connection_id: self.business_connection,
            guest_query_id: self.guest_query,
            poll_id: self.poll,
        };
        match kind {
            UpdateKind::BusinessConnection => keys.business_connection_id = self.id,
            UpdateKind::Poll => keys.poll_id = self.id,
            UpdateKind::PollAnswer if self.voter_chat.is_some() => {
                // The user beside a voting chat is a filler for old clients.
                keys.chat_id = self.voter_chat;
                keys.user_id = None;
            }
            _ => {}
        }
        if let Some(message) = self.message
            && keys.chat_id.is_none()
        {
            // The button decides who acted, its message where. Sender and date of the message belong to the bot.
            keys.chat_id = message.chat;
            keep(&mut keys.thread_id, message.thread);
            keep(&mut keys.direct_messages_topic_id, message.direct_messages_topic);
            keep(&mut keys.business_connection_id, message.business_connection);
            keep(&mut keys.guest_query_id, message.guest_query);
        }
        keys
    }
}

/// Keeps the first usable value.
pub(super) fn keep<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

/// An empty id names nothing.
fn filled(id: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    id.filter(|id| !id.is_empty())
}
