//! What the dispatcher works with, and what it decides.

use bytes::Bytes;

use super::action::WebhookConnection;
use super::faults::{WebhookFault, WebhookFaultScript};
use super::lines::InFlight;
use crate::Moment;
use crate::account::Numbering;
use crate::ledger::Issued;
use crate::updates::queue::{Removed, Slot, UpdateQueue};

/// What the dispatcher works with.
pub(crate) struct Desk<'a> {
    pub(crate) now: Moment,
    pub(crate) queue: &'a mut UpdateQueue,
    pub(crate) faults: &'a mut WebhookFaultScript,
    pub(crate) issued: &'a [Issued],
    pub(crate) numbers: &'a Numbering,
    /// Whether nothing new is sent at present.
    pub(crate) halted: bool,
    /// What is to be done, in order.
    pub(crate) steps: Vec<Step>,
}

/// Something the dispatcher has decided.
#[derive(Debug)]
pub(crate) enum Step {
    Open(WebhookConnection),
    Close(WebhookConnection),
    Post(Sending),
    Ended(Ended),
    Removed(Removed),
    /// The update is queued again under a new id.
    Reissue(Slot),
    /// The webhook wants to be removed.
    Gone,
}

/// A post that begins.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) connection: WebhookConnection,
    pub(crate) update_id: i64,
    pub(crate) content: Bytes,
    /// Counted from 1 for each update.
    pub(crate) attempt: usize,
    pub(crate) fault: Option<WebhookFault>,
}

/// A post that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) connection: WebhookConnection,
    pub(crate) post: InFlight,
    pub(crate) ending: Ending,
    /// When the update is posted again.
    pub(crate) retry_at: Option<Moment>,
}

/// How a post ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Answered {
        status: u16,
        reason: String,
    },
    /// The answer came and was lost on purpose.
    AnswerLost {
        status: u16,
    },
    TimedOut,
    /// The connection ended, with what the system says about it.
    HungUp(Option<String>),
    /// The webhook was removed, or the server restarted.
    Abandoned,
}
