//! Decoders of the common results, one function per type and none of them generic.
//!
//! A generic decoder is compiled again in every crate that calls it, and `Message` alone takes seconds. These are
//! compiled once, here, so that a bot rebuilds quickly.

use frankenstein::{
    response::MessageOrBool,
    types::{
        BotCommand, ChatFullInfo, ChatInviteLink, ChatMember, File, Message, MessageId, Poll, User,
        UserProfilePhotos,
    },
    updates::WebhookInfo,
};
use serde_json::{Result, from_slice};

pub(crate) fn boolean(json: &[u8]) -> Result<bool> {
    from_slice(json)
}

pub(crate) fn count(json: &[u8]) -> Result<u32> {
    from_slice(json)
}

pub(crate) fn message(json: &[u8]) -> Result<Message> {
    from_slice(json)
}

/// An edited message, or `true` when it was sent in inline mode. Tells the two apart by their first byte: the untagged
/// decoder would build a tree first and hide the reason of an error.
pub(crate) fn message_or_bool(json: &[u8]) -> Result<MessageOrBool> {
    if json.first() == Some(&b'{') {
        message(json).map(|message| MessageOrBool::Message(Box::new(message)))
    } else {
        boolean(json).map(MessageOrBool::Bool)
    }
}

pub(crate) fn message_id(json: &[u8]) -> Result<MessageId> {
    from_slice(json)
}

pub(crate) fn message_ids(json: &[u8]) -> Result<Vec<MessageId>> {
    from_slice(json)
}

pub(crate) fn poll(json: &[u8]) -> Result<Poll> {
    from_slice(json)
}

pub(crate) fn user(json: &[u8]) -> Result<User> {
    from_slice(json)
}

pub(crate) fn user_profile_photos(json: &[u8]) -> Result<UserProfilePhotos> {
    from_slice(json)
}

pub(crate) fn file(json: &[u8]) -> Result<File> {
    from_slice(json)
}

pub(crate) fn chat(json: &[u8]) -> Result<ChatFullInfo> {
    from_slice(json)
}

pub(crate) fn chat_member(json: &[u8]) -> Result<ChatMember> {
    from_slice(json)
}

pub(crate) fn chat_members(json: &[u8]) -> Result<Vec<ChatMember>> {
    from_slice(json)
}

pub(crate) fn chat_invite_link(json: &[u8]) -> Result<ChatInviteLink> {
    from_slice(json)
}

pub(crate) fn bot_commands(json: &[u8]) -> Result<Vec<BotCommand>> {
    from_slice(json)
}

pub(crate) fn webhook_info(json: &[u8]) -> Result<WebhookInfo> {
    from_slice(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"message_id":1,"date":2,"chat":{"id":3,"type":"private"}}"#;

    #[test]
    fn an_edited_message_is_told_from_a_bare_true() {
        let message = message_or_bool(MESSAGE.as_bytes()).unwrap();

        assert!(matches!(message, MessageOrBool::Message(message) if message.message_id == 1));
        assert_eq!(message_or_bool(b"true").unwrap(), MessageOrBool::Bool(true));
    }

    #[test]
    fn a_broken_edited_message_names_what_is_missing() {
        let error = message_or_bool(br#"{"message_id":1,"date":2}"#).unwrap_err();

        assert!(error.to_string().contains("chat"), "{error}");
    }
}
