//! The envelope of an update: what the runtime has to know about it before anybody decodes it.

use std::{borrow::Cow, fmt, ops::Range};

use serde_json::value::RawValue;

use super::{EnvelopeError, UpdateKind, scan::Cursor};

/// Id, kind and keys of one update, read in a single light pass over its text.
///
/// Reading is as lenient as it can be, because an update that cannot be read can neither be ordered nor confirmed:
/// values that are not needed are never looked at, and a needed one that is missing, out of range or of an unexpected
/// type counts as absent. Where a key occurs more than once, the first usable value counts. Nesting is not limited.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The [`update_id`](https://core.telegram.org/bots/api#update). Unique while an update is in the queue of the
    /// server; later ids may be lower than earlier ones.
    pub update_id: i64,
    /// What the update is about: the first documented kind whose value is an object.
    pub kind: UpdateKind,
    /// The wire name of the kind. When no documented kind is there this is the first other key whose value is an
    /// object, and `unknown` when there is none either.
    pub kind_name: Cow<'a, str>,
    /// The ids by which the update can be ordered and answered.
    pub keys: Keys<'a>,
    /// When it happened, in Unix seconds, as far as the payload says so: the edit date of an edited message, the date
    /// of any other message and of member, reaction, boost and business connection events. Queries carry no date
    /// (that of the message below a callback button says nothing about the query).
    pub date: Option<i64>,
    raw: &'a str,
    payload: Option<Range<usize>>,
}

/// The ids an update carries. All of them are optional; which ones can be there depends on the kind.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The chat it happened in, also for a callback query that knows its message, and the voting chat of a poll
    /// answer. Beside a [`business_connection_id`](Self::business_connection_id) or a
    /// [`guest_query_id`](Self::guest_query_id) it names a **different** chat than the same number without.
    pub chat_id: Option<i64>,
    /// Who acted. For what was sent in the name of a chat this can be a
    /// [filler account](https://core.telegram.org/bots/api#message): look at [`sender_chat_id`](Self::sender_chat_id)
    /// first. Absent in the answer of a chat to a poll.
    pub user_id: Option<i64>,
    /// The chat in whose name it was sent, voted or reacted.
    pub sender_chat_id: Option<i64>,
    /// The forum topic or message thread.
    pub thread_id: Option<i64>,
    /// The topic of a direct messages chat.
    pub direct_messages_topic_id: Option<i64>,
    /// The business connection that the update is about or was received through.
    pub business_connection_id: Option<Cow<'a, str>>,
    /// The guest query to answer.
    pub guest_query_id: Option<Cow<'a, str>>,
    /// The poll that changed or was answered.
    pub poll_id: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of one update.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::NotObject`] when the text is JSON of another type, [`EnvelopeError::NoUpdateId`] when there is
    /// no usable id: an integer that fits 64 bits with sign, or a string that holds one. Nothing else is an error.
    pub fn read(update: &'a RawValue) -> Result<Self, EnvelopeError> {
        let raw = update.get();
        let mut cursor = Cursor::new(raw);
        if !cursor.enter_object() {
            return Err(EnvelopeError::NotObject);
        }

        let mut update_id = None;
        let mut content: Option<Content<'a>> = None;
        while let Some(key) = cursor.key() {
            if key == "update_id" {
                keep(&mut update_id, cursor.integer_or_digits());
                continue;
            }
            let kind = UpdateKind::from_wire(&key);
            let wanted = match &content {
                None => true,
                Some(found) => found.kind == UpdateKind::Unknown && kind != UpdateKind::Unknown,
            };
            if !wanted {
                cursor.skip();
                continue;
            }
            let start = cursor.position();
            if cursor.enter_object() {
                let fields = Fields::read(&mut cursor, kind);
                content = Some(Content {
                    kind,
                    name: key,
                    fields,
                    payload: cursor.since(start),
                });
            }
        }

        let update_id = update_id.ok_or(EnvelopeError::NoUpdateId)?;
        Ok(match content {
            Some(Content {
                kind,
                name,
                fields,
                payload,
            }) => {
                let (keys, date) = fields.interpret(kind);
                let kind_name = if kind == UpdateKind::Unknown {
                    name
                } else {
                    Cow::Borrowed(kind.as_str())
                };
                Self {
                    update_id,
                    kind,
                    kind_name,
                    keys,
                    date,
                    raw,
                    payload: Some(payload),
                }
            }
            None => Self {
                update_id,
                kind: UpdateKind::Unknown,
                kind_name: Cow::Borrowed(UpdateKind::Unknown.as_str()),
                keys: Keys::default(),
                date: None,
                raw,
                payload: None,
            },
        })
    }

    /// Returns the text of the whole update.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Returns the text of the value below the kind, or `None` when the update carries nothing but its id.
    pub fn payload(&self) -> Option<&'a str> {
        self.raw.get(self.payload.clone()?)
    }

    pub(super) fn payload_range(&self) -> Option<Range<usize>> {
        self.payload.clone()
    }
}

/// Shows ids and sizes, never what somebody wrote.
impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("update_id", &self.update_id)
            .field("kind_name", &self.kind_name)
            .field("keys", &self.keys)
            .field("date", &self.date)
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

impl Keys<'_> {
    /// Returns the same keys, independent of the text they were read from.
    pub fn into_owned(self) -> Keys<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Keys {
            chat_id: self.chat_id,
            user_id: self.user_id,
            sender_chat_id: self.sender_chat_id,
            thread_id: self.thread_id,
            direct_messages_topic_id: self.direct_messages_topic_id,
            business_connection_id: owned(self.business_connection_id),
            guest_query_id: owned(self.guest_query_id),
            poll_id: owned(self.poll_id),
        }
    }
}

/// The best candidate for the content of the update so far.
struct Content<'a> {
    kind: UpdateKind,
    name: Cow<'a, str>,
    fields: Fields<'a>,
    payload: Range<usize>,
}

/// The members of a payload that can matter, before the kind says which of them do.
#[derive(Default)]
struct Fields<'a> {
    chat: Option<i64>,
    from: Option<i64>,
    user: Option<i64>,
    booster: Option<i64>,
    sender_chat: Option<i64>,
    voter_chat: Option<i64>,
    actor_chat: Option<i64>,
    thread: Option<i64>,
    direct_messages_topic: Option<i64>,
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
    fn read(cursor: &mut Cursor<'a>, kind: UpdateKind) -> Self {
        let mut fields = Self::default();
        while let Some(key) = cursor.key() {
            match key.as_ref() {
                "chat" => keep(&mut fields.chat, cursor.integer_member("id")),
                "from" => keep(&mut fields.from, cursor.integer_member("id")),
                "user" => keep(&mut fields.user, cursor.integer_member("id")),
                "sender_chat" => keep(&mut fields.sender_chat, cursor.integer_member("id")),
                "voter_chat" => keep(&mut fields.voter_chat, cursor.integer_member("id")),
                "actor_chat" => keep(&mut fields.actor_chat, cursor.integer_member("id")),
                "direct_messages_topic" => {
                    keep(
                        &mut fields.direct_messages_topic,
                        cursor.integer_member("topic_id"),
                    );
                }
                "message_thread_id" => keep(&mut fields.thread, cursor.integer()),
                "date" => keep(&mut fields.date, cursor.integer()),
                "edit_date" => keep(&mut fields.edit_date, cursor.integer()),
                "remove_date" => keep(&mut fields.boost_date, cursor.integer()),
                "id" => keep(&mut fields.id, filled(cursor.string())),
                "business_connection_id" => keep(&mut fields.business_connection, filled(cursor.string())),
                "guest_query_id" => keep(&mut fields.guest_query, filled(cursor.string())),
                "poll_id" => keep(&mut fields.poll, filled(cursor.string())),
                "boost" if kind == UpdateKind::ChatBoost => fields.read_boost(cursor),
                "source" if kind == UpdateKind::RemovedChatBoost => fields.read_boost_source(cursor),
                "message" if matches!(kind, UpdateKind::CallbackQuery | UpdateKind::Unknown) => {
                    if cursor.enter_object() {
                        let message = Self::read(cursor, UpdateKind::Message);
                        keep(&mut fields.message, Some(Box::new(message)));
                    }
                }
                _ => {
                    cursor.skip();
                }
            }
        }
        fields
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

    /// Says what the members mean in an update of this kind.
    fn interpret(self, kind: UpdateKind) -> (Keys<'a>, Option<i64>) {
        let date = match kind {
            UpdateKind::EditedMessage | UpdateKind::EditedChannelPost | UpdateKind::EditedBusinessMessage => {
                self.edit_date.or(self.date)
            }
            UpdateKind::ChatBoost | UpdateKind::RemovedChatBoost => self.boost_date,
            _ => self.date,
        };
        let mut keys = Keys {
            chat_id: self.chat,
            user_id: self.from.or(self.user).or(self.booster),
            sender_chat_id: self.sender_chat.or(self.actor_chat).or(self.voter_chat),
            thread_id: self.thread,
            direct_messages_topic_id: self.direct_messages_topic,
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
        (keys, date.filter(|date| *date > 0))
    }
}

/// Keeps the first usable value.
fn keep<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

/// An empty id names nothing.
fn filled(id: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(text: &str) -> Envelope<'_> {
        Envelope::read(serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn the_first_known_kind_wins_over_unknown_keys_before_it() {
        let found = envelope(
            r#"{"new":{"chat":{"id":1}},"update_id":5,"poll":{"id":"9"},"message":{"chat":{"id":2}}}"#,
        );

        assert_eq!((found.kind, &*found.kind_name), (UpdateKind::Poll, "poll"));
        assert_eq!(found.payload(), Some(r#"{"id":"9"}"#));
        assert_eq!(
            found.keys,
            Keys {
                poll_id: Some("9".into()),
                ..Keys::default()
            }
        );
    }

    #[test]
    fn the_first_unknown_object_is_the_kind_when_there_is_no_known_one() {
        let found = envelope(r#"{"seq":1,"list":[],"message":null,"a\u002fb":{"x":1},"c":{},"update_id":5}"#);

        assert_eq!((found.kind, &*found.kind_name), (UpdateKind::Unknown, "a/b"));
        assert_eq!(found.payload(), Some(r#"{"x":1}"#));
    }

    #[test]
    fn an_update_without_content_is_unknown() {
        let found = envelope(r#"{"update_id":5,"message":[{"chat":{"id":2}}]}"#);

        assert_eq!(
            (found.kind, &*found.kind_name, found.payload()),
            (UpdateKind::Unknown, "unknown", None)
        );
    }

    #[test]
    fn keys_are_borrowed_from_the_text() {
        let found = envelope(
            r#"{"update_id":5,"business_message":{"business_connection_id":"c\"","guest_query_id":"q"}}"#,
        );

        assert!(matches!(&found.keys.guest_query_id, Some(Cow::Borrowed("q"))));
        assert_eq!(found.keys.business_connection_id.as_deref(), Some("c\""));
    }

    #[test]
    fn empty_ids_count_as_absent() {
        let found =
            envelope(r#"{"update_id":5,"message":{"business_connection_id":"","guest_query_id":""}}"#);

        assert_eq!(found.keys, Keys::default());
    }

    #[test]
    fn the_date_is_that_of_the_event() {
        for (kind, payload, expected) in [
            ("message", r#"{"date":10,"edit_date":20}"#, Some(10)),
            ("edited_message", r#"{"date":10,"edit_date":20}"#, Some(20)),
            ("edited_channel_post", r#"{"date":10}"#, Some(10)),
            ("chat_member", r#"{"date":10}"#, Some(10)),
            (
                "chat_boost",
                r#"{"boost":{"add_date":30,"expiration_date":99}}"#,
                Some(30),
            ),
            ("removed_chat_boost", r#"{"remove_date":40}"#, Some(40)),
            (
                "callback_query",
                r#"{"message":{"date":10,"chat":{"id":1}}}"#,
                None,
            ),
            ("message", r#"{"date":0}"#, None),
            ("message", r#"{"date":"10"}"#, None),
        ] {
            let text = format!(r#"{{"update_id":5,"{kind}":{payload}}}"#);
            assert_eq!(envelope(&text).date, expected, "{text}");
        }
    }

    #[test]
    fn a_callback_query_is_acted_by_who_pressed_it_in_the_topic_of_its_message() {
        let found = envelope(
            r#"{"update_id":5,"callback_query":{"message":{"from":{"id":1},"sender_chat":{"id":-3},
                "message_thread_id":8,"direct_messages_topic":{"topic_id":9},"chat":{"id":-2}},"from":{"id":4}}}"#,
        );

        assert_eq!(
            found.keys,
            Keys {
                chat_id: Some(-2),
                user_id: Some(4),
                thread_id: Some(8),
                direct_messages_topic_id: Some(9),
                ..Keys::default()
            }
        );
    }

    #[test]
    fn the_chat_that_acted_is_found_under_all_its_names() {
        for (kind, payload) in [
            ("message", r#"{"sender_chat":{"id":-3}}"#),
            ("message_reaction", r#"{"actor_chat":{"id":-3}}"#),
            ("poll_answer", r#"{"voter_chat":{"id":-3}}"#),
        ] {
            let text = format!(r#"{{"update_id":5,"{kind}":{payload}}}"#);
            assert_eq!(envelope(&text).keys.sender_chat_id, Some(-3), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_text_of_the_message() {
        let shown = format!(
            "{:?}",
            envelope(r#"{"update_id":5,"message":{"chat":{"id":7},"text":"secret"}}"#)
        );

        assert!(shown.contains('7') && !shown.contains("secret"), "{shown}");
    }
}
