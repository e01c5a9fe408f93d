//! One bot as the server sees it: its queue, its polls, its chats, its messages, its ledger.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Moment;
use crate::faults::FaultScript;
use crate::files::Files;
use crate::flood::{Flood, FloodProfile};
use crate::ledger::{Fate, Issued, Ledger};
use crate::params::Params;
use crate::people::{ChatRecord, Person};
use crate::reply::{Failure, Reply};
use crate::request::Ticket;
use crate::updates::kinds::{AllowedUpdates, lifetime};
use crate::updates::polling::Polling;
use crate::updates::queue::{Removal, Removed, Slot, UpdateQueue};
use crate::violations::Watch;
use crate::webhook::delivery::Hook;

/// How many confirmations a server that loses its last ones can bring back.
const REMEMBERED_CONFIRMATIONS: usize = 100_000;
/// How often expired updates are swept out.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);
/// When the first sweep happens after the start.
const FIRST_SWEEP: Duration = Duration::from_secs(600);

/// Where new users and chats get their ids; shared by all bots, so that no id means two people.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbering(Arc<AtomicI64>);

impl Numbering {
    /// Returns the next number, from 1 on.
    pub(crate) fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A message as it was sent last.
#[derive(Clone, Debug)]
pub(crate) struct StoredMessage {
    /// The JSON of the message.
    pub(crate) json: Bytes,
    /// Whether the bot sent it.
    pub(crate) outgoing: bool,
}

/// A button press that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenCallback {
    pub(crate) pressed_at: Moment,
}

/// The rules that differ from server to server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Whether a repeated offset is penalised and 409s are paced. Default true.
    pub penalties: bool,
    /// Whether the webhook rules of a local server apply. Default false.
    pub local: bool,
    /// The rate limits. Default [`FloodProfile::Off`].
    pub flood: FloodProfile,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            penalties: true,
            local: false,
            flood: FloodProfile::Off,
        }
    }
}

/// The state of one bot.
pub(crate) struct Account {
    pub(crate) me: Person,
    /// How many bots were there before it.
    pub(crate) created: usize,
    pub(crate) rules: Rules,
    pub(crate) queue: UpdateQueue,
    pub(crate) polling: Polling,
    pub(crate) allowed: AllowedUpdates,
    pub(crate) hook: Hook,
    pub(crate) logged_out: bool,
    /// Whether every call ends with a closed connection.
    pub(crate) down: bool,
    pub(crate) started_at: Option<Moment>,
    pub(crate) chats: HashMap<i64, ChatRecord>,
    pub(crate) people: HashMap<i64, Person>,
    pub(crate) messages: HashMap<(i64, i64), StoredMessage>,
    pub(crate) callbacks: HashMap<String, OpenCallback>,
    pub(crate) files: Files,
    pub(crate) settings: HashMap<String, String>,
    pub(crate) flood: Flood,
    pub(crate) held_by_chat: HashMap<String, usize>,
    pub(crate) faults: FaultScript,
    pub(crate) ledger: Ledger,
    pub(crate) watch: Watch,
    /// Answers for calls that waited, each with the time at which it is sent.
    pub(crate) late_replies: Vec<(Ticket, Moment, Reply)>,
    pub(crate) numbering: Numbering,
    recent_confirmations: VecDeque<(Moment, i64, Slot)>,
    last_private_message_id: i64,
    next_sweep: Option<Moment>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("bot_id", &self.me.id)
            .finish_non_exhaustive()
    }
}

impl Account {
    pub(crate) fn new(
        id: i64,
        created: usize,
        rules: Rules,
        numbering: Numbering,
        connections: Numbering,
        rng: fastrand::Rng,
    ) -> Self {
        let hook_rng = rng.clone();
        Self {
            created,
            me: Person {
                id,
                is_bot: true,
                first_name: "Simulated bot".to_owned(),
                username: format!("simulated_{id}_bot"),
            },
            rules,
            queue: UpdateQueue::new(rng),
            polling: Polling::default(),
            allowed: AllowedUpdates::default(),
            hook: Hook::new(connections, hook_rng),
            logged_out: false,
            down: false,
            started_at: None,
            chats: HashMap::new(),
            people: HashMap::new(),
            messages: HashMap::new(),
            callbacks: HashMap::new(),
            files: Files::default(),
            settings: HashMap::new(),
            flood: Flood::default(),
            held_by_chat: HashMap::new(),
            faults: FaultScript::default(),
            ledger: Ledger::default(),
            watch: Watch::default(),
            late_replies: Vec::new(),
            numbering,
            recent_confirmations: VecDeque::new(),
            last_private_message_id: 0,
            next_sweep: None,
        }
    }

    /// Queues an update of `kind` and returns its id, or `None` when the filter or a cap kept it out.
    pub(crate) fn issue(
        &mut self,
        now: Moment,
        kind: Cow<'static, str>,
        content: Bytes,
        chat_id: Option<i64>,
        text: Option<String>,
    ) -> Option<i64> {
        if self.logged_out || !self.allowed.admits(&kind) {
            return None;
        }
        let expires_at = (now + lifetime(&kind)).unix_seconds();
        let record = self.ledger.issued.len();
        let expected = self.queue.tail();
        let (id, pushed_out) = self.queue.push(content, expires_at, record).ok()?;
        if id != expected {
            self.watch.ids_jumped();
            self.hook.reload(now);
        }
        self.ledger.issued.push(Issued {
            id,
            kind,
            chat_id,
            text,
            issued_at: now,
            confirmed_at: None,
            fate: Fate::Pending,
        });
        self.settle(now, pushed_out);
        self.polling.update_arrived(now);
        self.hook.update_arrived(now);
        Some(id)
    }

    /// Writes what left the queue into the ledger and returns the ids that were confirmed.
    pub(crate) fn settle(&mut self, now: Moment, removed: Vec<Removed>) -> Vec<i64> {
        let mut confirmed = Vec::new();
        for gone in removed {
            if let Some(issued) = self.ledger.issued.get_mut(gone.slot.record) {
                issued.fate = match gone.why {
                    Removal::Confirmed => Fate::Confirmed,
                    Removal::Expired => Fate::Expired,
                    Removal::Dropped => Fate::Dropped,
                };
                issued.confirmed_at = (gone.why == Removal::Confirmed).then_some(now);
            }
            if gone.why == Removal::Confirmed {
                confirmed.push(gone.id);
                if self.recent_confirmations.len() == REMEMBERED_CONFIRMATIONS {
                    self.recent_confirmations.pop_front();
                }
                self.recent_confirmations.push_back((now, gone.id, gone.slot));
            }
        }
        self.ledger.confirmed.extend(&confirmed);
        confirmed
    }

    /// Undoes the confirmations of the last `span`.
    pub(crate) fn lose_confirmations(&mut self, now: Moment, span: Duration) {
        while self
            .recent_confirmations
            .back()
            .is_some_and(|(at, ..)| now.since(*at) <= span)
        {
            let Some((_, id, slot)) = self.recent_confirmations.pop_back() else {
                return;
            };
            let record = slot.record;
            if self.queue.put_back(id, slot) {
                if let Some(place) = self
                    .ledger
                    .confirmed
                    .iter()
                    .rposition(|confirmed| *confirmed == id)
                {
                    self.ledger.confirmed.remove(place);
                }
                if let Some(issued) = self.ledger.issued.get_mut(record) {
                    issued.fate = Fate::Pending;
                    issued.confirmed_at = None;
                }
            }
        }
    }

    /// Empties the queue; ids continue.
    pub(crate) fn drop_pending(&mut self, now: Moment) {
        let removed = self.queue.clear();
        self.settle(now, removed);
    }

    /// Forgets the ledger and the violations, except what is queued, waits or is in flight. Forgotten confirmations cannot be lost
    /// any more.
    pub(crate) fn clear_ledger(&mut self) {
        let old = std::mem::take(&mut self.ledger);
        let mut issued: Vec<Option<Issued>> = old.issued.into_iter().map(Some).collect();
        for slot in self.queue.slots_mut() {
            if let Some(record) = issued.get_mut(slot.record).and_then(Option::take) {
                slot.record = self.ledger.issued.len();
                self.ledger.issued.push(record);
            }
        }
        if let Some(poll) = self.polling.waiting_mut()
            && let Some(record) = old.polls.into_iter().nth(poll.record)
        {
            self.ledger.polls.push(record);
            poll.record = 0;
        }
        self.hook.keep_open_posts(old.posts, &mut self.ledger.posts);
        self.recent_confirmations.clear();
        self.watch.violations.clear();
    }

    /// Does what is due: answers the waiting poll, sweeps the queue, posts to the webhook.
    pub(crate) fn advance(&mut self, now: Moment) {
        self.started_at.get_or_insert(now);
        if let Some(poll) = self.polling.take_due(now) {
            let ticket = poll.ticket;
            let reply = self.answer_poll(now, poll);
            self.late_replies.push((ticket, now, reply));
        }
        let sweep = *self.next_sweep.get_or_insert(now + FIRST_SWEEP);
        if sweep <= now {
            self.next_sweep = Some(now + SWEEP_PERIOD);
            let removed = self.queue.sweep(now.unix_seconds());
            self.settle(now, removed);
        }
        self.advance_webhook(now);
    }

    /// Returns when [`advance`](Self::advance) has something to do next.
    pub(crate) fn due_at(&self) -> Option<Moment> {
        let due = [self.polling.due_at(), self.next_sweep, self.hook.due_at()];
        due.into_iter().flatten().min()
    }

    /// Returns the id of the next message in a chat.
    pub(crate) fn next_message_id(&mut self, chat_id: i64) -> i64 {
        match self.chats.get_mut(&chat_id) {
            Some(chat) if chat.kind.numbers_its_messages() => {
                chat.last_message_id += 1;
                chat.last_message_id
            }
            _ => {
                self.last_private_message_id += 1;
                self.last_private_message_id
            }
        }
    }

    /// Returns the JSON of a message.
    pub(crate) fn message(&self, chat_id: i64, message_id: i64) -> Option<Value> {
        let stored = self.messages.get(&(chat_id, message_id))?;
        serde_json::from_slice(&stored.json).ok()
    }

    /// Keeps a message for replies, edits, presses and forwards.
    pub(crate) fn keep(&mut self, chat_id: i64, message_id: i64, message: &Value, outgoing: bool) {
        let json = Bytes::from(message.to_string());
        self.messages
            .insert((chat_id, message_id), StoredMessage { json, outgoing });
    }

    /// Finds the chat that the `chat_id` parameter names.
    pub(crate) fn chat_of(&self, params: &Params) -> Result<&ChatRecord, Failure> {
        self.chat_named(
            params
                .text("chat_id")
                .ok_or_else(|| Failure::bad_request("chat_id is empty"))?,
        )
    }

    /// Finds a chat by number, or by `@username` when it is a supergroup or a channel.
    pub(crate) fn chat_named(&self, name: &str) -> Result<&ChatRecord, Failure> {
        let found = match name.strip_prefix('@') {
            Some(username) => self.chats.values().find(|chat| {
                chat.kind.numbers_its_messages()
                    && chat
                        .username
                        .as_deref()
                        .is_some_and(|known| known.eq_ignore_ascii_case(username))
            }),
            None => name.parse().ok().and_then(|id: i64| self.chats.get(&id)),
        };
        found.ok_or_else(|| Failure::bad_request("chat not found"))
    }

    /// Returns what `getMe` says about the bot (<https://core.telegram.org/bots/api#getme>).
    pub(crate) fn me_json(&self) -> Value {
        let mut me = self.me.to_json();
        for (field, value) in [
            ("can_join_groups", true),
            ("can_read_all_group_messages", true),
            ("supports_inline_queries", false),
            ("can_connect_to_business", false),
            ("has_main_web_app", false),
        ] {
            me[field] = json!(value);
        }
        me
    }
}
