//! What people do: they write, edit, press buttons and send photos; and what tests put into the queue by hand.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::Moment;
use crate::account::{Account, OpenCallback, StoredMessage};
use crate::methods::media::put_media;
use crate::people::{Access, ChatKind, ChatRecord, Person, command_entities};
use crate::updates::kinds::KNOWN_KINDS;
use crate::updates::queue::ID_LIMIT;

/// Something a person cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The chat has no such message.
    #[error("chat {chat_id} has no message {message_id}")]
    NoSuchMessage {
        /// The chat.
        chat_id: i64,
        /// The message.
        message_id: i64,
    },
    /// The bot sent the message; only its author can edit it.
    #[error("message {message_id} was sent by the bot, edit it with a call of the bot")]
    NotTheAuthor {
        /// The message.
        message_id: i64,
    },
    /// The message has no inline button with this callback data.
    #[error("message {message_id} has no inline button with the callback data {data:?}")]
    NoSuchButton {
        /// The message.
        message_id: i64,
        /// The data.
        data: String,
    },
    /// Only a basic group can become a supergroup, and only once.
    #[error("chat {chat_id} is not a basic group that can be upgraded")]
    NotUpgradable {
        /// The chat.
        chat_id: i64,
    },
    /// An update id outside 1 ... 1,999,999,999.
    #[error("update id {0} is outside 1 to 1999999999")]
    BadUpdateId(i64),
    /// The text is not an object with one or more members.
    #[error("an update is a JSON object with the kind as its key")]
    NotAnUpdate,
    /// There is nothing to repeat.
    #[error("no update is queued")]
    NothingQueued,
    /// The bot has no such user or chat.
    #[error("there is no user or chat {0}")]
    NoSuchChat(i64),
}

/// What becomes of queued updates when ids jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// They stay. When the jump goes down they are issued again under the new ids.
    Kept,
    /// They are lost.
    Dropped,
}

impl Account {
    /// Adds a user with a private chat of the same id.
    pub(crate) fn add_person(&mut self, name: &str, access: Access) -> i64 {
        let number = self.numbering.next();
        // Above 2^32, as the ids of new users are.
        let id = 5_000_000_000 + number;
        let username = format!("user_{number}");
        self.people.insert(
            id,
            Person {
                id,
                is_bot: access == Access::OtherBot,
                first_name: name.to_owned(),
                username: username.clone(),
            },
        );
        self.insert_chat(id, ChatKind::Private, name, Some(username), access);
        id
    }

    /// Adds a group, supergroup or channel in which the bot may do everything.
    pub(crate) fn add_chat(&mut self, kind: ChatKind, title: &str) -> i64 {
        let number = self.numbering.next();
        let (id, username) = match kind {
            ChatKind::Private | ChatKind::Group => (-4_000_000_000 - number, None),
            ChatKind::Supergroup => (-1_002_000_000_000 - number, None),
            ChatKind::Channel => (-1_002_000_000_000 - number, Some(format!("channel_{number}"))),
        };
        self.insert_chat(id, kind, title, username, Access::Full);
        id
    }

    fn insert_chat(&mut self, id: i64, kind: ChatKind, name: &str, username: Option<String>, access: Access) {
        let chat = ChatRecord {
            id,
            kind,
            name: name.to_owned(),
            username,
            access,
            upgraded_to: None,
            topics: Vec::new(),
            last_message_id: 0,
        };
        self.chats.insert(id, chat);
    }

    /// A message with this content arrives in a chat; `from` is `None` for a channel post.
    pub(crate) fn post(
        &mut self,
        now: Moment,
        chat_id: i64,
        from: Option<i64>,
        content: Map<String, Value>,
    ) -> Option<i64> {
        let message_id = self.next_message_id(chat_id);
        let chat = self.chats.get(&chat_id)?;
        let kind = if chat.kind == ChatKind::Channel {
            "channel_post"
        } else {
            "message"
        };
        let mut message = content;
        message.insert("message_id".to_owned(), json!(message_id));
        message.insert("date".to_owned(), json!(now.unix_seconds()));
        message.insert("chat".to_owned(), chat.to_json());
        match from.and_then(|id| self.people.get(&id)) {
            Some(person) => message.insert("from".to_owned(), person.to_json()),
            None => message.insert("sender_chat".to_owned(), chat.to_json()),
        };
        self.keep_and_issue(now, kind, chat_id, message_id, message)
    }

    /// Writes a text.
    pub(crate) fn say(&mut self, now: Moment, chat_id: i64, from: Option<i64>, text: &str) -> Option<i64> {
        let mut content = Map::new();
        put_spoken(&mut content, text);
        self.post(now, chat_id, from, content)
    }

    /// Sends a photo.
    pub(crate) fn show(&mut self, now: Moment, chat_id: i64, from: Option<i64>, bytes: Bytes) -> Option<i64> {
        let file = self.files.store("photos", "photo.jpg", "image/jpeg", bytes);
        let mut content = Map::new();
        put_media(&mut content, "photo", &file);
        self.post(now, chat_id, from, content)
    }

    /// Changes the text of a message.
    pub(crate) fn edit(
        &mut self,
        now: Moment,
        chat_id: i64,
        message_id: i64,
        text: &str,
    ) -> Result<Option<i64>, ActionError> {
        let Some(Value::Object(mut message)) = self.message(chat_id, message_id) else {
            return Err(ActionError::NoSuchMessage { chat_id, message_id });
        };
        if self
            .messages
            .get(&(chat_id, message_id))
            .is_some_and(|stored| stored.outgoing)
        {
            return Err(ActionError::NotTheAuthor { message_id });
        }
        let kind = if message.contains_key("from") {
            "edited_message"
        } else {
            "edited_channel_post"
        };
        put_spoken(&mut message, text);
        message.insert("edit_date".to_owned(), json!(now.unix_seconds()));
        Ok(self.keep_and_issue(now, kind, chat_id, message_id, message))
    }

    /// Presses the inline button with this callback data.
    pub(crate) fn press(
        &mut self,
        now: Moment,
        chat_id: i64,
        from: i64,
        message_id: i64,
        data: &str,
    ) -> Result<Option<i64>, ActionError> {
        let message = self
            .message(chat_id, message_id)
            .ok_or(ActionError::NoSuchMessage { chat_id, message_id })?;
        let rows = message["reply_markup"]["inline_keyboard"].as_array();
        let mut buttons = rows.into_iter().flatten().filter_map(Value::as_array).flatten();
        if !buttons.any(|button| button["callback_data"] == data) {
            return Err(ActionError::NoSuchButton {
                message_id,
                data: data.to_owned(),
            });
        }
        let person = self.people.get(&from).ok_or(ActionError::NoSuchChat(from))?;
        let query_id = format!("{}", 4_000_000_000_000_000_000 + self.numbering.next());
        let query = json!({
            "id": query_id,
            "from": person.to_json(),
            "message": message,
            "chat_instance": format!("{}", chat_id.unsigned_abs().wrapping_mul(7_919)),
            "data": data,
        });
        self.callbacks.insert(query_id, OpenCallback { pressed_at: now });
        let content = content_of("callback_query", &query);
        Ok(self.issue(
            now,
            Cow::Borrowed("callback_query"),
            content,
            Some(chat_id),
            Some(data.to_owned()),
        ))
    }

    /// Turns a basic group into a supergroup: one service message in each, a new id.
    pub(crate) fn upgrade(&mut self, now: Moment, chat_id: i64) -> Result<i64, ActionError> {
        let group = self.chats.get(&chat_id).ok_or(ActionError::NoSuchChat(chat_id))?;
        if group.kind != ChatKind::Group || group.upgraded_to.is_some() {
            return Err(ActionError::NotUpgradable { chat_id });
        }
        let title = group.name.clone();
        let new_id = self.add_chat(ChatKind::Supergroup, &title);
        self.post(now, chat_id, None, one("migrate_to_chat_id", json!(new_id)));
        self.post(now, new_id, None, one("migrate_from_chat_id", json!(chat_id)));
        if let Some(group) = self.chats.get_mut(&chat_id) {
            group.upgraded_to = Some(new_id);
        }
        Ok(new_id)
    }

    /// Queues an update given as an object whose first known key, or else first key, is the kind.
    pub(crate) fn push(&mut self, now: Moment, update: &Value) -> Result<Option<i64>, ActionError> {
        let members = update
            .as_object()
            .filter(|members| members.keys().any(|key| key != "update_id"));
        let mut members = members.ok_or(ActionError::NotAnUpdate)?.clone();
        members.remove("update_id");
        let text = Value::Object(members).to_string();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        Ok(self.push_text(now, inner.unwrap_or_default()))
    }

    /// Queues the JSON text that follows the id, as it is.
    pub(crate) fn push_text(&mut self, now: Moment, content: &str) -> Option<i64> {
        let parsed: Option<Value> = serde_json::from_str(&format!("{{{content}}}")).ok();
        let kind = kind_of(parsed.as_ref(), content);
        let body = parsed.as_ref().map(|update| &update[kind.as_str()]);
        let chat = body.map(|body| {
            let own = &body["chat"]["id"];
            if own.is_null() {
                &body["message"]["chat"]["id"]
            } else {
                own
            }
        });
        let chat_id = chat.and_then(Value::as_i64);
        let text = body.and_then(|body| body["text"].as_str().or_else(|| body["data"].as_str()));
        let text = text.map(str::to_owned);
        let content = Bytes::copy_from_slice(content.as_bytes());
        self.issue(now, Cow::Owned(kind), content, chat_id, text)
    }

    /// Queues the newest update once more, under a new id.
    pub(crate) fn duplicate_last(&mut self, now: Moment) -> Result<Option<i64>, ActionError> {
        let (_, slot) = self.queue.last().ok_or(ActionError::NothingQueued)?;
        let content = slot.content.clone();
        let original = &self.ledger.issued[slot.record];
        let (kind, chat_id, text) = (original.kind.clone(), original.chat_id, original.text.clone());
        Ok(self.issue(now, kind, content, chat_id, text))
    }

    /// Makes `id` the next update id.
    pub(crate) fn jump_ids(&mut self, now: Moment, id: i64, queued: Queued) -> Result<(), ActionError> {
        if !(1..ID_LIMIT).contains(&id) {
            return Err(ActionError::BadUpdateId(id));
        }
        self.watch.ids_jumped();
        let down = self.queue.last().is_some_and(|(last, _)| last >= id);
        if queued == Queued::Kept && !down {
            if id < self.queue.tail() {
                // The webhook has read the queue beyond what comes next.
                self.hook.reload(now);
            }
            self.queue.continue_at(id);
            return Ok(());
        }
        let removed = self.queue.clear();
        self.queue.continue_at(id);
        self.hook.reload(now);
        let again: Vec<_> = removed.iter().map(|gone| gone.slot.clone()).collect();
        self.settle(now, removed);
        if queued == Queued::Kept {
            for slot in again {
                let original = &self.ledger.issued[slot.record];
                let (kind, chat_id, text) = (original.kind.clone(), original.chat_id, original.text.clone());
                self.issue(now, kind, slot.content, chat_id, text);
            }
        }
        Ok(())
    }

    fn keep_and_issue(
        &mut self,
        now: Moment,
        kind: &'static str,
        chat_id: i64,
        message_id: i64,
        message: Map<String, Value>,
    ) -> Option<i64> {
        let text = message.get("text").or_else(|| message.get("caption"));
        let text = text.and_then(Value::as_str).map(str::to_owned);
        let message = Value::Object(message);
        // One allocation serves the queue and the message store.
        let content = content_of(kind, &message);
        let json = content.slice(kind.len() + 3..);
        self.messages.insert(
            (chat_id, message_id),
            StoredMessage {
                json,
                outgoing: false,
            },
        );
        self.issue(now, Cow::Borrowed(kind), content, Some(chat_id), text)
    }
}

/// The kind of an update: the member that is a known kind, or else the first one.
fn kind_of(parsed: Option<&Value>, content: &str) -> String {
    let mut names = parsed.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let known = names
        .find(|name| KNOWN_KINDS.contains(&name.as_str()))
        .map(String::as_str);
    known
        .or_else(|| content.split('"').nth(1))
        .unwrap_or_default()
        .to_owned()
}

/// The JSON text of an update after its id.
fn content_of(kind: &str, body: &Value) -> Bytes {
    Bytes::from(format!("\"{kind}\":{body}"))
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

fn put_spoken(message: &mut Map<String, Value>, text: &str) {
    message.insert("text".to_owned(), json!(text));
    let entities = command_entities(text);
    if entities.is_empty() {
        message.remove("entities");
    } else {
        message.insert("entities".to_owned(), Value::Array(entities));
    }
}
