//! Whom a call concerns, as far as flood control cares.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A chat as a call names it.
///
/// The chat of a business connection is another chat than the one with the same id that the bot itself is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Chat {
    id: ChatId,
    business_connection_id: Option<String>,
}

impl Chat {
    /// Whether this is a group or a channel, which have negative ids or a name, and not a private chat.
    pub(crate) fn is_group(&self) -> bool {
        match &self.id {
            ChatId::Number(id) => *id < 0,
            ChatId::Name(_) => true,
        }
    }

    /// The chat with this id, in which the bot itself is.
    pub(crate) fn of_id(id: i64) -> Self {
        Self {
            id: ChatId::Number(id),
            business_connection_id: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ChatId {
    Number(i64),
    /// `@channelusername`.
    Name(String),
}

/// What a flood wait is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// The call has a `chat_id`.
    Chat(Chat),
    /// The call has none; the method stands for it.
    Method(String),
}

impl Target {
    /// Reads the target from the parameters of a call, a JSON object. Values that the Bot API does not allow count as
    /// absent: the server will refuse the call.
    pub(crate) fn from_json(method: &str, params: &[u8]) -> Self {
        let mut deserializer = serde_json::Deserializer::from_slice(params);
        let fields = deserializer.deserialize_map(FieldsVisitor).unwrap_or_default();
        Self::from_fields(
            method,
            fields.chat_id.as_deref(),
            fields.business_connection_id.as_deref(),
        )
    }

    /// Reads the target from the texts of its parameters.
    pub(crate) fn from_fields(
        method: &str,
        chat_id: Option<&str>,
        business_connection_id: Option<&str>,
    ) -> Self {
        let Some(chat_id) = chat_id
            .map(str::trim)
            .filter(|id| !id.is_empty() && *id != "null")
        else {
            return Self::Method(method.to_owned());
        };
        let id = match chat_id.parse() {
            Ok(number) => ChatId::Number(number),
            Err(_) => ChatId::Name(chat_id.to_lowercase()),
        };
        let business_connection_id = business_connection_id.map(str::to_owned);
        Self::Chat(Chat {
            id,
            business_connection_id,
        })
    }
}

/// Returns whether a call of this method, when it names a chat, takes its turn among the calls to that chat: whatever
/// writes into the chat does. Reading, answering a query and showing an action need no order and never wait for one.
pub(crate) fn takes_turns(method: &str) -> bool {
    let starts = |verb: &str| {
        method
            .get(..verb.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(verb))
    };
    !starts("get") && !starts("answer") && !method.eq_ignore_ascii_case("sendChatAction")
}

#[derive(Default)]
struct Fields<'a> {
    chat_id: Option<Cow<'a, str>>,
    business_connection_id: Option<Cow<'a, str>>,
}

/// Looks at two members of an object and skips the others without building them.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters of a call")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "chat_id" => fields.chat_id = Some(text(map.next_value()?)),
                "business_connection_id" => fields.business_connection_id = Some(text(map.next_value()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// The content of a JSON string, or the JSON text of anything else.
fn text(value: &RawValue) -> Cow<'_, str> {
    serde_json::from_str::<String>(value.get()).map_or(Cow::Borrowed(value.get()), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(params: &str) -> Target {
        Target::from_json("sendMessage", params.as_bytes())
    }

    #[test]
    fn a_number_and_its_text_are_the_same_chat() {
        assert_eq!(
            target(r#"{"chat_id":-100}"#),
            target(r#"{"text":"hi","chat_id":"-100"}"#)
        );
        assert_ne!(target(r#"{"chat_id":-100}"#), target(r#"{"chat_id":100}"#));
    }

    #[test]
    fn names_of_channels_ignore_case() {
        assert_eq!(target(r#"{"chat_id":"@News"}"#), target(r#"{"chat_id":"@news"}"#));
    }

    #[test]
    fn a_business_chat_is_not_the_chat_with_the_same_id() {
        assert_ne!(
            target(r#"{"chat_id":7}"#),
            target(r#"{"business_connection_id":"b","chat_id":7}"#)
        );
    }

    #[test]
    fn a_nested_chat_id_does_not_count() {
        let params = r#"{"reply_parameters":{"chat_id":7},"from_chat_id":8}"#;

        assert_eq!(target(params), Target::Method("sendMessage".to_owned()));
    }

    #[test]
    fn parameters_without_a_chat_stand_for_their_method() {
        for params in [
            "",
            "{}",
            "[]",
            "{\"chat_id\":null}",
            "{\"chat_id\":\"\"}",
            "not json",
        ] {
            assert_eq!(
                target(params),
                Target::Method("sendMessage".to_owned()),
                "{params}"
            );
        }
    }

    #[test]
    fn keys_with_escapes_do_not_disturb() {
        assert_eq!(
            target(r#"{"te\u0078t":"a","chat_id":7}"#),
            target(r#"{"chat_id":7}"#)
        );
    }

    #[test]
    fn what_writes_into_a_chat_takes_turns() {
        for method in [
            "sendMessage",
            "editMessageText",
            "deleteMessage",
            "forwardMessages",
            "unknownMethod",
        ] {
            assert!(takes_turns(method), "{method}");
        }
        for method in [
            "getChat",
            "GETCHAT",
            "answerCallbackQuery",
            "sendChatAction",
            "sendchataction",
        ] {
            assert!(!takes_turns(method), "{method}");
        }
    }

    #[test]
    fn form_fields_and_json_name_the_same_chat() {
        assert_eq!(
            Target::from_fields("sendMessage", Some("7"), Some("b")),
            target(r#"{"chat_id":7,"business_connection_id":"b"}"#)
        );
    }
}
