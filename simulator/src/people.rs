//! Users and chats as the server knows them, and how they look in JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reply::Failure;

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) is_bot: bool,
    pub(crate) first_name: String,
    pub(crate) username: String,
}

impl Person {
    pub(crate) fn to_json(&self) -> Value {
        let mut user = json!({
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.first_name,
            "username": self.username,
        });
        if !self.is_bot {
            user["language_code"] = json!("en");
        }
        user
    }
}

/// The type of a chat (<https://core.telegram.org/bots/api#chat>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// One user and the bot.
    Private,
    /// A basic group.
    Group,
    /// A supergroup.
    Supergroup,
    /// A channel.
    Channel,
}

impl ChatKind {
    /// Returns the value of `chat.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }

    /// Tells whether messages are numbered within the chat rather than over all private chats and basic groups.
    pub(crate) fn numbers_its_messages(self) -> bool {
        matches!(self, Self::Supergroup | Self::Channel)
    }
}

/// What the bot may do in a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// Everything.
    #[default]
    Full,
    /// The user has blocked the bot.
    Blocked,
    /// The user has never started the bot.
    NeverStarted,
    /// The account of the user is deleted.
    Deactivated,
    /// The other side is a bot.
    OtherBot,
    /// The bot was removed by an administrator.
    Kicked,
    /// The bot is not a member.
    NotMember,
    /// The group was deleted.
    Deleted,
    /// Members may not send text.
    NoText,
    /// The bot is not an administrator of the channel.
    NotAdministrator,
    /// The bot may not write.
    ReadOnly,
}

/// A chat of the bot.
#[derive(Clone, Debug)]
pub(crate) struct ChatRecord {
    pub(crate) id: i64,
    pub(crate) kind: ChatKind,
    /// The first name of the user, or the title.
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    pub(crate) access: Access,
    pub(crate) upgraded_to: Option<i64>,
    pub(crate) topics: Vec<i64>,
    pub(crate) last_message_id: i64,
}

impl ChatRecord {
    pub(crate) fn to_json(&self) -> Value {
        let name_field = if self.kind == ChatKind::Private {
            "first_name"
        } else {
            "title"
        };
        let mut chat = json!({"id": self.id, "type": self.kind.name(), name_field: self.name});
        if let Some(username) = &self.username {
            chat["username"] = json!(username);
        }
        if !self.topics.is_empty() {
            chat["is_forum"] = json!(true);
        }
        chat
    }

    /// Checks whether the bot may act in the chat at all.
    pub(crate) fn check_access(&self) -> Result<(), Failure> {
        if let Some(id) = self.upgraded_to {
            return Err(Failure::migrated(id));
        }
        let kind = match self.kind {
            ChatKind::Private | ChatKind::Group => "group",
            ChatKind::Supergroup => "supergroup",
            ChatKind::Channel => "channel",
        };
        Err(Failure::forbidden(&match self.access {
            Access::Blocked => "bot was blocked by the user".to_owned(),
            Access::NeverStarted => "bot can't initiate conversation with a user".to_owned(),
            Access::Deactivated => "user is deactivated".to_owned(),
            Access::OtherBot => "the bot can't send messages to the bot".to_owned(),
            Access::Kicked => format!("bot was kicked from the {kind} chat"),
            Access::NotMember => format!("bot is not a member of the {kind} chat"),
            Access::Deleted => "the group chat was deleted".to_owned(),
            Access::Full | Access::NoText | Access::NotAdministrator | Access::ReadOnly => return Ok(()),
        }))
    }

    /// Checks whether the bot may write text; comes after the checks of the text itself.
    pub(crate) fn check_rights(&self) -> Result<(), Failure> {
        Err(Failure::bad_request(match self.access {
            Access::NoText => "not enough rights to send text messages to the chat",
            Access::NotAdministrator => "need administrator rights in the channel chat",
            Access::ReadOnly => "have no write access to the chat",
            _ => return Ok(()),
        }))
    }
}

/// Returns a `bot_command` entity for every command in `text`; offsets count UTF-16 units
/// (<https://core.telegram.org/bots/api#messageentity>).
pub(crate) fn command_entities(text: &str) -> Vec<Value> {
    let mut entities = Vec::new();
    let mut offset = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if let Some(rest) = bare.strip_prefix('/') {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'@';
            let length = rest.bytes().take_while(|byte| is_name(*byte)).count();
            let name = rest[..length].split('@').next().unwrap_or_default().len();
            if (1..=32).contains(&name) {
                entities.push(json!({"type": "bot_command", "offset": offset, "length": length + 1}));
            }
        }
        offset += word.encode_utf16().count();
    }
    entities
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(kind: ChatKind, access: Access) -> ChatRecord {
        ChatRecord {
            id: -1,
            kind,
            name: "Chat".into(),
            username: None,
            access,
            upgraded_to: None,
            topics: Vec::new(),
            last_message_id: 0,
        }
    }

    #[test]
    fn every_state_has_its_exact_refusal() {
        let refusal = |kind, access| chat(kind, access).check_access().unwrap_err().description;

        assert_eq!(
            refusal(ChatKind::Private, Access::Blocked),
            "Forbidden: bot was blocked by the user"
        );
        assert_eq!(
            refusal(ChatKind::Private, Access::NeverStarted),
            "Forbidden: bot can't initiate conversation with a user"
        );
        assert_eq!(
            refusal(ChatKind::Private, Access::Deactivated),
            "Forbidden: user is deactivated"
        );
        assert_eq!(
            refusal(ChatKind::Private, Access::OtherBot),
            "Forbidden: the bot can't send messages to the bot"
        );
        assert_eq!(
            refusal(ChatKind::Supergroup, Access::Kicked),
            "Forbidden: bot was kicked from the supergroup chat"
        );
        assert_eq!(
            refusal(ChatKind::Channel, Access::NotMember),
            "Forbidden: bot is not a member of the channel chat"
        );
        assert_eq!(
            refusal(ChatKind::Group, Access::Deleted),
            "Forbidden: the group chat was deleted"
        );
    }

    #[test]
    fn an_upgraded_group_names_its_successor() {
        let mut group = chat(ChatKind::Group, Access::Full);
        group.upgraded_to = Some(-1_007);

        let failure = group.check_access().unwrap_err();

        assert_eq!(failure.code, 400);
        assert_eq!(failure.migrate_to, Some(-1_007));
    }

    #[test]
    fn missing_rights_are_bad_requests() {
        let refusal = |access| chat(ChatKind::Channel, access).check_rights().unwrap_err();

        assert_eq!(
            refusal(Access::NoText).description,
            "Bad Request: not enough rights to send text messages to the chat"
        );
        assert_eq!(
            refusal(Access::NotAdministrator).description,
            "Bad Request: need administrator rights in the channel chat"
        );
        assert_eq!(
            refusal(Access::ReadOnly).description,
            "Bad Request: have no write access to the chat"
        );
        assert_eq!(refusal(Access::ReadOnly).code, 400);
    }

    #[test]
    fn commands_are_found_at_utf16_offsets() {
        assert_eq!(
            command_entities("/start 🎉 /help@some_bot, not/this / x"),
            [
                json!({"type": "bot_command", "offset": 0, "length": 6}),
                json!({"type": "bot_command", "offset": 10, "length": 14}),
            ]
        );
    }
}
