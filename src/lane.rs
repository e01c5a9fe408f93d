//! Which lane an update belongs to: what must be handled in order, and what may run at the same time.

use std::fmt::{self, Write};

use actogram_actors::Lane;

use crate::update::{Keys, UpdateKind};

mod choice;
mod moved;

pub(crate) use self::{choice::LaneChoice, moved::MovedLanes};

/// Returns the lane of an update of this kind with these keys.
///
/// | lane | updates |
/// |---|---|
/// | `business:<connection>:<chat>` | what was received through a business connection, also callback queries |
/// | `business:<connection>` | changes of the connection itself; not ordered with the messages of its chats |
/// | `guest:<chat>` | messages that summon the bot as a guest |
/// | `poll:<poll>` | states of a poll and answers to it |
/// | `chat:<chat>` | everything else that happened in a known chat; topics share the lane of their chat |
/// | `user:<user>` | queries and events of somebody outside a known chat |
/// | `unknown` | the rest |
///
/// Namespaces are apart, because the same number means different things in them: the chat of a business account or of a
/// guest query is not the chat of the bot with the same id, and a private chat has the id of its user.
///
/// Kinds nobody documented are ordered by the same rules. Sharing the lane of the chat they seem to belong to can only
/// cost some waiting, whereas a lane of their own could let them overtake the messages they refer to. It also means
/// that lanes do not move when a later version learns the kind.
pub(crate) fn lane_of(kind: UpdateKind, keys: &Keys<'_>) -> Lane {
    if let (UpdateKind::Poll | UpdateKind::PollAnswer, Some(poll)) = (kind, &keys.poll_id) {
        return Lane::new(format!("poll:{}", Escaped(poll)));
    }
    if let Some(connection) = &keys.business_connection_id {
        let connection = Escaped(connection);
        return Lane::new(match keys.chat_id {
            Some(chat) => format!("business:{connection}:{chat}"),
            None => format!("business:{connection}"),
        });
    }
    match (keys.chat_id, keys.user_id) {
        (Some(chat), _) => Lane::new(format!("{}:{chat}", namespace(kind, keys))),
        (None, Some(user)) => Lane::new(format!("user:{user}")),
        (None, None) => Lane::new("unknown"),
    }
}

/// Returns the lane that ends with this update and the one in which it goes on.
///
/// A group that becomes a supergroup gets another id. A [service message](https://core.telegram.org/bots/api#message)
/// in each of the two names the other; either may come first, or alone.
pub(crate) fn moved_by(kind: UpdateKind, keys: &Keys<'_>) -> Option<(Lane, Lane)> {
    let chat = keys.chat_id?;
    let (from, to) = match (keys.migrate_to_chat_id, keys.migrate_from_chat_id) {
        (Some(to), _) => (chat, to),
        (None, Some(from)) => (from, chat),
        (None, None) => return None,
    };
    let own = keys.business_connection_id.is_none() && namespace(kind, keys) == CHAT;
    // Groups have negative ids. (No other chat gets another one.)
    (own && from != to && from < 0).then(|| [from, to].map(|chat| Lane::new(format!("{CHAT}:{chat}"))).into())
}

/// Where the chats of the bot itself have their numbers.
const CHAT: &str = "chat";

/// Where the number of a chat has its meaning.
fn namespace(kind: UpdateKind, keys: &Keys<'_>) -> &'static str {
    match kind {
        // The connection is missing against the documentation. Its chats still must not meet those of the bot.
        UpdateKind::BusinessMessage
        | UpdateKind::EditedBusinessMessage
        | UpdateKind::DeletedBusinessMessages => "business:",
        UpdateKind::GuestMessage => "guest",
        _ if keys.guest_query_id.is_some() => "guest",
        _ => CHAT,
    }
}

/// An opaque id as part of a lane: it cannot end its part early and shows no control characters in logs.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_graphic() && !matches!(byte, b':' | b'%') {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::update::Update;

    fn lane(kind: &str, payload: &str) -> String {
        let update = Update::from_json(&format!(r#"{{"update_id":1,"{kind}":{payload}}}"#)).unwrap();
        update.lane().to_string()
    }

    #[test]
    fn a_private_chat_and_its_user_have_lanes_of_their_own() {
        assert_eq!(
            lane("message", r#"{"chat":{"id":42},"from":{"id":42}}"#),
            "chat:42"
        );
        assert_eq!(lane("inline_query", r#"{"id":"1","from":{"id":42}}"#), "user:42");
    }

    #[test]
    fn both_service_messages_of_a_group_that_becomes_a_supergroup_say_the_same() {
        let moves = |payload: &str| {
            let update = Update::from_json(&format!(r#"{{"update_id":1,"message":{payload}}}"#)).unwrap();
            update
                .moves_lane()
                .map(|(from, to)| (from.to_string(), to.to_string()))
        };
        let moved = Some(("chat:-7".to_owned(), "chat:-1007".to_owned()));

        assert_eq!(moves(r#"{"chat":{"id":-7},"migrate_to_chat_id":-1007}"#), moved);
        assert_eq!(moves(r#"{"chat":{"id":-1007},"migrate_from_chat_id":-7}"#), moved);
        for payload in [
            r#"{"chat":{"id":-7}}"#,
            r#"{"migrate_to_chat_id":-1007}"#,
            r#"{"chat":{"id":-7},"migrate_to_chat_id":-7}"#,
            r#"{"chat":{"id":-7},"migrate_to_chat_id":"-1007"}"#,
            r#"{"chat":{"id":7},"migrate_to_chat_id":-1007}"#,
            r#"{"business_connection_id":"c","chat":{"id":-7},"migrate_to_chat_id":-1007}"#,
            r#"{"guest_query_id":"q","chat":{"id":-7},"migrate_to_chat_id":-1007}"#,
        ] {
            assert_eq!(moves(payload), None, "{payload}");
        }
    }

    #[test]
    fn topics_share_the_lane_of_their_chat() {
        let one = lane("message", r#"{"chat":{"id":-9},"message_thread_id":1}"#);
        let other = lane("message", r#"{"chat":{"id":-9},"message_thread_id":2}"#);
        let direct = lane(
            "message",
            r#"{"chat":{"id":-9},"direct_messages_topic":{"topic_id":3}}"#,
        );

        assert_eq!([one, other, direct], ["chat:-9"; 3]);
    }

    #[test]
    fn business_and_guest_chats_never_share_a_lane_with_the_chat_of_the_same_id() {
        let own = lane("message", r#"{"chat":{"id":7}}"#);
        let business = lane(
            "business_message",
            r#"{"business_connection_id":"c","chat":{"id":7}}"#,
        );
        let without_connection = lane("business_message", r#"{"chat":{"id":7}}"#);
        let guest = lane("guest_message", r#"{"guest_query_id":"q","chat":{"id":7}}"#);
        let without_query = lane("guest_message", r#"{"chat":{"id":7}}"#);

        assert_eq!(
            [&*own, &*business, &*without_connection, &*guest, &*without_query],
            ["chat:7", "business:c:7", "business::7", "guest:7", "guest:7"]
        );
    }

    #[test]
    fn two_connections_do_not_share_the_chat_with_the_same_id() {
        let one = lane(
            "business_message",
            r#"{"business_connection_id":"a","chat":{"id":7}}"#,
        );
        let other = lane(
            "deleted_business_messages",
            r#"{"business_connection_id":"b","chat":{"id":7}}"#,
        );

        assert_ne!(one, other);
    }

    #[test]
    fn a_change_of_the_connection_is_apart_from_its_chats() {
        assert_eq!(
            lane(
                "business_connection",
                r#"{"id":"c","user":{"id":7},"user_chat_id":7}"#
            ),
            "business:c"
        );
    }

    #[test]
    fn a_connection_id_cannot_pretend_to_be_a_chat_of_another_connection() {
        assert_eq!(lane("business_connection", r#"{"id":"c:7"}"#), "business:c%3A7");
        assert_eq!(
            lane("business_connection", r#"{"id":"c%3A7"}"#),
            "business:c%253A7"
        );
        assert_eq!(lane("poll", r#"{"id":"a\n é"}"#), "poll:a%0A%20%C3%A9");
    }

    #[test]
    fn a_callback_query_goes_where_its_message_is() {
        let from = r#""id":"1","from":{"id":42}"#;

        let plain = lane(
            "callback_query",
            &format!(r#"{{{from},"message":{{"chat":{{"id":-9}},"date":0}}}}"#),
        );
        let inline = lane(
            "callback_query",
            &format!(r#"{{{from},"inline_message_id":"x"}}"#),
        );
        let business = lane(
            "callback_query",
            &format!(r#"{{{from},"message":{{"business_connection_id":"c","chat":{{"id":7}}}}}}"#),
        );
        let guest = lane(
            "callback_query",
            &format!(r#"{{{from},"message":{{"guest_query_id":"q","chat":{{"id":7}}}}}}"#),
        );

        assert_eq!(
            [&*plain, &*inline, &*business, &*guest],
            ["chat:-9", "user:42", "business:c:7", "guest:7"]
        );
    }

    #[test]
    fn a_poll_and_the_answers_to_it_share_a_lane() {
        let poll = lane("poll", r#"{"id":"5"}"#);
        let user = lane("poll_answer", r#"{"poll_id":"5","user":{"id":42}}"#);
        let chat = lane(
            "poll_answer",
            r#"{"poll_id":"5","voter_chat":{"id":-9},"user":{"id":136817688}}"#,
        );

        assert_eq!([poll, user, chat], ["poll:5"; 3]);
    }

    #[test]
    fn an_answer_without_a_poll_goes_to_the_voting_chat_before_the_filler_user() {
        let payload = r#"{"user":{"id":136817688},"voter_chat":{"id":-9}}"#;

        assert_eq!(lane("poll_answer", payload), "chat:-9");
    }

    #[test]
    fn a_poll_inside_a_message_does_not_move_the_message() {
        assert_eq!(
            lane("message", r#"{"poll":{"id":"5"},"poll_id":"6","chat":{"id":-9}}"#),
            "chat:-9"
        );
    }

    #[test]
    fn a_kind_nobody_documented_is_ordered_by_what_it_seems_to_belong_to() {
        for (payload, expected) in [
            (r#"{"chat":{"id":-9},"user":{"id":42}}"#, "chat:-9"),
            (r#"{"message":{"chat":{"id":-9}},"from":{"id":42}}"#, "chat:-9"),
            (
                r#"{"business_connection_id":"c","chat":{"id":7}}"#,
                "business:c:7",
            ),
            (r#"{"guest_query_id":"q","chat":{"id":7}}"#, "guest:7"),
            (r#"{"from":{"id":42}}"#, "user:42"),
            (r#"{"poll_id":"5","id":"6"}"#, "unknown"),
            ("{}", "unknown"),
        ] {
            assert_eq!(lane("something_new", payload), expected, "{payload}");
        }
    }
}
