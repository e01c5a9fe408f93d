//! The commands and their parameters.

use serde::Deserialize;
use serde_json::Value;

use super::fault_spec::FaultSpec;
use super::webhook_fault_spec::WebhookFaultSpec;
use crate::people::{Access, ChatKind};

/// A command for one bot; without `bot` for the first one.
#[derive(Debug, Deserialize)]
pub(crate) struct Addressed {
    /// The id of the bot.
    pub(crate) bot: Option<i64>,
    #[serde(flatten)]
    pub(crate) command: Command,
}

/// What can be asked; the name is the last part of the path.
#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Creates a bot.
    Bot { token: String },
    /// Creates a user with a private chat.
    User { name: String, access: Option<Access> },
    /// Creates a group, supergroup or channel.
    Chat { kind: ChatKind, title: String },
    /// Sets what the bot may do in a chat.
    Access { chat_id: i64, access: Access },
    /// Writes one text or several.
    Say {
        chat_id: i64,
        user_id: Option<i64>,
        text: Option<String>,
        #[serde(default)]
        texts: Vec<String>,
    },
    /// Edits a message.
    Edit {
        chat_id: i64,
        message_id: i64,
        text: String,
    },
    /// Presses an inline button.
    Press {
        chat_id: i64,
        user_id: Option<i64>,
        message_id: i64,
        data: String,
    },
    /// Sends a photo whose bytes are those of a text.
    Photo {
        chat_id: i64,
        user_id: Option<i64>,
        content: String,
    },
    /// Turns a group into a supergroup.
    Upgrade { chat_id: i64 },
    /// Queues any update, as an object or as the text after the id.
    Update {
        update: Option<Value>,
        raw: Option<String>,
    },
    /// Queues the newest update again.
    Duplicate,
    /// Moves the next update id.
    Jump {
        id: i64,
        #[serde(default)]
        drop_queued: bool,
    },
    /// Injects a fault.
    Fault(FaultSpec),
    /// Injects a fault of webhook delivery.
    WebhookFault(WebhookFaultSpec),
    /// Holds back posts to the webhook.
    WebhookPause,
    /// Lets them go.
    WebhookResume,
    /// Takes back the faults that have not struck.
    ClearFaults,
    /// Shows every record.
    Ledger,
    /// Forgets every record.
    ClearLedger,
    /// Shows what is queued and what waits.
    State,
    /// Waits for counts.
    Wait(WaitSpec),
    /// Restarts the server; with `lose_millis` it is killed.
    Restart { lose_millis: Option<u64> },
    /// Takes the server off the network.
    Down,
    /// Brings it back.
    Up,
    /// Moves the clock forward.
    Clock { advance_millis: u64 },
}

/// What to wait for: every count that is given must be reached.
#[derive(Debug, Deserialize)]
pub(crate) struct WaitSpec {
    pub(crate) timeout_millis: u64,
    pub(crate) sent: Option<usize>,
    pub(crate) confirmed: Option<usize>,
    pub(crate) polls: Option<usize>,
    pub(crate) posts: Option<usize>,
    /// At most this many posts wait for their answer.
    pub(crate) posts_in_flight: Option<usize>,
    /// At most this many are queued.
    pub(crate) pending: Option<usize>,
    pub(crate) polling: Option<bool>,
    /// At most this many faults are left.
    pub(crate) faults_left: Option<usize>,
}
