//! The envelope of an update: what the runtime has to know about it before anybody decodes it.

use std::{borrow::Cow, fmt, ops::Range};

use serde_json::value::RawValue;

use super::{
    EnvelopeError, UpdateKind,
    fields::{Fields, keep},
    scan::Cursor,
};

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
    /// In the [service message](https://core.telegram.org/bots/api#message) with which a group ends: the supergroup that
    /// it has become, with another id.
    pub migrate_to_chat_id: Option<i64>,
    /// In the [service message](https://core.telegram.org/bots/api#message) with which such a supergroup begins: the
    /// group that it was.
    pub migrate_from_chat_id: Option<i64>,
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
        let mut content: Option<(UpdateKind, Cow<'a, str>, Range<usize>)> = None;
        let mut fields = Fields::default();
        while let Some(key) = cursor.key() {
            if key == "update_id" {
                keep(&mut update_id, cursor.integer_or_digits());
                continue;
            }
            let kind = UpdateKind::from_wire(&key);
            let wanted = match &content {
                None => true,
                Some((found, ..)) => *found == UpdateKind::Unknown && kind != UpdateKind::Unknown,
            };
            if !wanted {
                cursor.skip();
                continue;
            }
            let start = cursor.position();
            if cursor.enter_object() {
                if content.is_some() {
                    fields = Fields::default();
                }
                fields.read(&mut cursor, kind);
                content = Some((kind, key, cursor.since(start)));
            }
        }

        let update_id = update_id.ok_or(EnvelopeError::NoUpdateId)?;
        let (kind, name, payload) = match content {
            Some((kind, name, payload)) => (kind, name, Some(payload)),
            None => (UpdateKind::Unknown, UpdateKind::Unknown.as_str().into(), None),
        };
        let kind_name = if kind == UpdateKind::Unknown {
            name
        } else {
            kind.as_str().into()
        };
        let date = fields.date(kind);
        Ok(Self {
            update_id,
            kind,
            kind_name,
            keys: fields.into_keys(kind),
            date,
            raw,
            payload,
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
            migrate_to_chat_id: self.migrate_to_chat_id,
            migrate_from_chat_id: self.migrate_from_chat_id,
            business_connection_id: owned(self.business_connection_id),
            guest_query_id: owned(self.guest_query_id),
            poll_id: owned(self.poll_id),
        }
    }
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
    fn a_message_below_counts_only_where_the_kind_has_one_and_no_chat_of_its_own() {
        let own_chat = envelope(
            r#"{"update_id":5,"new":{"chat":{"id":1},"message":{"chat":{"id":2},"business_connection_id":"c"}}}"#,
        );
        let plain_message = envelope(r#"{"update_id":5,"message":{"message":{"chat":{"id":2}}}}"#);

        assert_eq!(
            own_chat.keys,
            Keys {
                chat_id: Some(1),
                ..Keys::default()
            }
        );
        assert_eq!(plain_message.keys, Keys::default());
    }

    #[test]
    fn only_a_message_tells_of_a_chat_that_became_another() {
        let ids = |text| {
            let keys = envelope(text).keys;
            (keys.migrate_to_chat_id, keys.migrate_from_chat_id)
        };

        assert_eq!(
            ids(r#"{"update_id":5,"message":{"chat":{"id":-1},"migrate_to_chat_id":-1002}}"#),
            (Some(-1002), None)
        );
        assert_eq!(
            ids(r#"{"update_id":5,"message":{"chat":{"id":-1002},"migrate_from_chat_id":-1}}"#),
            (None, Some(-1))
        );
        for text in [
            r#"{"update_id":5,"message":{"chat":{"id":-1},"reply_to_message":{"migrate_to_chat_id":-1002}}}"#,
            r#"{"update_id":5,"edited_message":{"chat":{"id":-1},"migrate_to_chat_id":-1002}}"#,
            r#"{"update_id":5,"callback_query":{"message":{"chat":{"id":-1},"migrate_to_chat_id":-1002}}}"#,
        ] {
            assert_eq!(ids(text), (None, None), "{text}");
        }
    }

    #[test]
    fn who_acted_is_the_sender_before_any_other_user() {
        let found = envelope(r#"{"update_id":5,"new":{"user":{"id":1},"from":{"id":2}}}"#);

        assert_eq!(found.keys.user_id, Some(2));
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
