//! The server as a pure state machine: bots, calls, faults, and what becomes due. No clock, no socket, no runtime.
//!
//! Whoever drives it tells it the time: [`World::call`] processes a request and answers it or hands out a
//! [`Ticket`]; [`World::advance`] does what has become due; [`World::take_replies`] returns the answers of tickets;
//! [`World::take_webhook_actions`] says what webhooks want sent, and [`World::webhook_event`] what came of it;
//! [`World::due_at`] says when to come back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use crate::Moment;
use crate::account::{Account, Numbering, Rules};
use crate::faults::{Fault, Struck};
use crate::flood::Admission;
use crate::ledger::PollOutcome;
use crate::methods::dispatch::{is_poll, load};
use crate::reply::{Delivery, Failure, Reply};
use crate::request::{BotKey, Request, Restart, Ticket, Verdict};
use crate::token;
use crate::violations::Violation;
use crate::webhook::action::{WebhookAction, WebhookConnection, WebhookEvent};

/// The largest number of sends of one chat that may be under way.
const MAX_HELD_PER_CHAT: usize = 310;
/// What the server tells a client that has more, in seconds, and how long it lets it wait for that answer.
const OVERLOAD_RETRY_AFTER: u64 = 60;
const OVERLOAD_PAUSE: Duration = Duration::from_secs(3);

/// Something that becomes due.
enum Scheduled {
    Reply(Reply),
    Run {
        request: Request,
        struck: Option<Struck>,
        held: bool,
    },
}

/// The whole server.
pub struct World {
    accounts: HashMap<BotKey, Account>,
    rules: Rules,
    numbering: Numbering,
    rng: fastrand::Rng,
    next_ticket: u64,
    scheduled: BTreeMap<(Moment, Ticket), Scheduled>,
    struck: HashMap<Ticket, Struck>,
    replies: Vec<(Ticket, Reply)>,
    /// Numbers of connections to webhooks.
    connections: Numbering,
    /// Whether the server is off the network.
    offline: bool,
    /// Calls made by webhook replies: nobody waits for their answers.
    unseen: HashSet<Ticket>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("bots", &self.accounts.len())
            .field("scheduled", &self.scheduled.len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// Returns a server without bots. `seed` decides the first update ids.
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            accounts: HashMap::new(),
            rules,
            numbering: Numbering::default(),
            rng: fastrand::Rng::with_seed(seed),
            next_ticket: 0,
            scheduled: BTreeMap::new(),
            struck: HashMap::new(),
            replies: Vec::new(),
            connections: Numbering::default(),
            offline: false,
            unseen: HashSet::new(),
        }
    }

    /// Creates the bot when it is new.
    pub(crate) fn register(&mut self, key: &BotKey) -> Result<&mut Account, token::TokenError> {
        let id = token::bot_id(&key.token)?;
        let created = self.accounts.len();
        let Self {
            accounts,
            rules,
            numbering,
            connections,
            rng,
            offline,
            ..
        } = self;
        let account = accounts.entry(key.clone()).or_insert_with(|| {
            let (numbering, connections) = (numbering.clone(), connections.clone());
            let mut account = Account::new(id, created, *rules, numbering, connections, rng.fork());
            account.hook.offline = *offline;
            account
        });
        Ok(account)
    }

    /// Returns the key of the bot with this id, or of the first bot.
    pub(crate) fn key_of(&self, id: Option<i64>) -> Option<BotKey> {
        let mut bots = self.accounts.iter().filter(|(key, _)| !key.test);
        let found = match id {
            Some(id) => bots.find(|(_, account)| account.me.id == id),
            None => bots.min_by_key(|(_, account)| account.created),
        };
        found.map(|(key, _)| key.clone())
    }

    pub(crate) fn account(&self, key: &BotKey) -> Option<&Account> {
        self.accounts.get(key)
    }

    pub(crate) fn account_mut(&mut self, key: &BotKey) -> Option<&mut Account> {
        self.accounts.get_mut(key)
    }

    /// Returns the bytes behind `/file/bot<token>/<file_path>`.
    pub(crate) fn file(&self, key: &BotKey, path: &str) -> Option<Bytes> {
        self.account(key)?.files.content(path)
    }

    /// Processes one call at `now`.
    pub fn call(&mut self, now: Moment, request: Request) -> Verdict {
        self.advance(now);
        let ticket = self.new_ticket();
        match self.admit(now, request, ticket) {
            Some(reply) => Verdict::Reply(reply),
            None => Verdict::Later(ticket),
        }
    }

    /// Does everything that is due at `now`.
    pub fn advance(&mut self, now: Moment) {
        while let Some(entry) = self.scheduled.first_entry().filter(|entry| entry.key().0 <= now) {
            let (due, ticket) = *entry.key();
            match entry.remove() {
                Scheduled::Reply(reply) => self.replies.push((ticket, reply)),
                Scheduled::Run {
                    request,
                    struck,
                    held,
                } => {
                    if held {
                        self.release_hold(&request);
                    }
                    if let Some(reply) = self.process(due, &request, struck, ticket) {
                        self.replies.push((ticket, reply));
                    }
                }
            }
        }
        for account in self.accounts.values_mut() {
            account.advance(now);
        }
        self.collect_late_replies(now);
    }

    /// Returns the answers that have become ready since the last call.
    pub fn take_replies(&mut self) -> Vec<(Ticket, Reply)> {
        let mut replies = std::mem::take(&mut self.replies);
        replies.retain(|(ticket, _)| !self.unseen.remove(ticket));
        replies
    }

    /// Returns what webhooks want done since the last call, in order.
    pub fn take_webhook_actions(&mut self) -> Vec<WebhookAction> {
        let accounts = self.accounts.values_mut();
        accounts.flat_map(|account| account.hook.take_actions()).collect()
    }

    /// Takes in what happened on a connection to a webhook. A connection that was closed by an action is forgotten,
    /// and events of it have no effect.
    pub fn webhook_event(&mut self, now: Moment, connection: WebhookConnection, event: WebhookEvent) {
        self.advance(now);
        let owner = self
            .accounts
            .iter_mut()
            .find(|(_, account)| account.hook.owns(connection));
        let Some((key, account)) = owner else {
            return;
        };
        let key = key.clone();
        if let Some((method, params)) = account.webhook_event(now, connection, event) {
            let ticket = self.new_ticket();
            let request = Request {
                key,
                method,
                params,
                unseen: true,
            };
            if self.admit(now, request, ticket).is_none() {
                self.unseen.insert(ticket);
            }
        }
    }

    /// Takes the server off the network, or back, as far as webhooks are concerned.
    pub(crate) fn set_offline(&mut self, now: Moment, offline: bool) {
        self.offline = offline;
        for account in self.accounts.values_mut() {
            account.set_offline(now, offline);
        }
    }

    fn new_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket::new(self.next_ticket - 1)
    }

    /// Returns when [`advance`](Self::advance) has something to do next.
    pub fn due_at(&self) -> Option<Moment> {
        let scheduled = self.scheduled.first_key_value().map(|((due, _), _)| *due);
        scheduled
            .into_iter()
            .chain(self.accounts.values().filter_map(Account::due_at))
            .min()
    }

    /// Notes that the connection of a waiting call is closed. The call goes on: a server does not notice.
    pub fn client_gone(&mut self, gone: Ticket) {
        for account in self.accounts.values_mut() {
            if let Some(poll) = account.polling.waiting_mut().filter(|poll| poll.ticket == gone) {
                poll.client_gone = true;
            }
        }
    }

    /// Restarts the server in place.
    pub fn restart(&mut self, now: Moment, restart: Restart) {
        self.advance(now);
        let graceful = restart == Restart::KeepConfirmations;
        for account in self.accounts.values_mut() {
            account.end_wait(now, graceful);
            account.polling.forget();
            account.flood.forget();
            account.held_by_chat.clear();
            if let Restart::LoseConfirmationsSince(span) = restart {
                account.lose_confirmations(now, span);
            }
            account.restart_webhook(now);
        }
        self.collect_late_replies(now);
        for ((_, ticket), scheduled) in std::mem::take(&mut self.scheduled) {
            let reply = match scheduled {
                Scheduled::Reply(reply) => reply,
                Scheduled::Run { .. } => Failure::exact(500, "Internal Server Error: restart").into(),
            };
            self.replies.push((ticket, reply));
        }
        self.struck.clear();
        if !graceful {
            for (_, reply) in &mut self.replies {
                *reply = Reply::undelivered(Delivery::Close);
            }
        }
    }

    /// Everything between the arrival of a call and its processing: who calls, faults, rate limits.
    fn admit(&mut self, now: Moment, mut request: Request, ticket: Ticket) -> Option<Reply> {
        if request.method.is_empty() {
            request.method = request.params.get("method").unwrap_or_default().to_owned();
        }
        if token::bot_id(&request.key.token).is_err() {
            return Some(Failure::exact(401, "Unauthorized: invalid token specified").into());
        }
        let Some(account) = self.accounts.get_mut(&request.key) else {
            return Some(Failure::exact(401, "Unauthorized").into());
        };
        if account.down {
            return Some(Reply::undelivered(Delivery::Close));
        }
        let chat_id = request.params.text("chat_id");
        account.watch.call(now, &request.method, chat_id);
        let struck = account.faults.strike(&request.method, chat_id);
        if let Some(struck) = &struck
            && !struck.processes
        {
            if is_poll(&request.method) {
                account.record_poll(now, &request.params, PollOutcome::NotProcessed);
            }
            let reply = struck.answer_instead();
            note_refusal(account, now, &request, &reply);
            return Some(reply);
        }
        if let Some(Fault::DelayProcessing(delay)) = struck.as_ref().map(|struck| &struck.fault) {
            let run = Scheduled::Run {
                struck: struck.clone(),
                request,
                held: false,
            };
            self.scheduled.insert((now + *delay, ticket), run);
            return None;
        }
        match limit(account, now, &request) {
            Admission::Now => self.process(now, &request, struck, ticket),
            Admission::After(wait) => {
                let held = account
                    .held_by_chat
                    .entry(request.params.get("chat_id").unwrap_or_default().to_owned())
                    .or_default();
                if *held >= MAX_HELD_PER_CHAT {
                    let reply = Failure::too_many_requests(OVERLOAD_RETRY_AFTER).into();
                    self.scheduled
                        .insert((now + OVERLOAD_PAUSE, ticket), Scheduled::Reply(reply));
                } else {
                    *held += 1;
                    let run = Scheduled::Run {
                        struck,
                        request,
                        held: true,
                    };
                    self.scheduled.insert((now + wait, ticket), run);
                }
                None
            }
            Admission::Refused { retry_after } => {
                let reply = Reply::from(Failure::too_many_requests(retry_after));
                note_refusal(account, now, &request, &reply);
                Some(reply)
            }
        }
    }

    /// Lets the call take effect and applies its fault to the answer.
    fn process(
        &mut self,
        now: Moment,
        request: &Request,
        struck: Option<Struck>,
        ticket: Ticket,
    ) -> Option<Reply> {
        let account = self.accounts.get_mut(&request.key)?;
        let arrives = struck.as_ref().is_none_or(Struck::keeps_answer);
        let reply = account.execute(now, &request.method, &request.params, ticket, arrives);
        self.collect_late_replies(now);
        let Some(reply) = reply else {
            if let Some(struck) = struck {
                self.struck.insert(ticket, struck);
            }
            return None;
        };
        let account = self.accounts.get_mut(&request.key)?;
        if request.unseen && matches!(reply.status, 400 | 404) {
            account.watch.violations.push(Violation::WebhookReplyInvalid {
                at: now,
                method: request.method.clone(),
                description: reply.description(),
            });
        }
        let reply = struck
            .as_ref()
            .map_or(reply.clone(), |struck| struck.damage(reply));
        if !reply.status.eq(&200) {
            note_refusal(account, now, request, &reply);
        }
        self.delayed(now, struck.as_ref(), ticket, reply)
    }

    /// Returns the answer, or schedules it when its fault delays it.
    fn delayed(
        &mut self,
        now: Moment,
        struck: Option<&Struck>,
        ticket: Ticket,
        reply: Reply,
    ) -> Option<Reply> {
        match struck.map(|struck| &struck.fault) {
            Some(Fault::DelayResponse(delay)) => {
                self.scheduled
                    .insert((now + *delay, ticket), Scheduled::Reply(reply));
                None
            }
            _ => Some(reply),
        }
    }

    /// Takes the answers of calls that have waited in their accounts.
    fn collect_late_replies(&mut self, now: Moment) {
        let late: Vec<_> = self
            .accounts
            .values_mut()
            .flat_map(|account| account.late_replies.drain(..))
            .collect();
        for (ticket, due, reply) in late {
            let struck = self.struck.remove(&ticket);
            let reply = struck
                .as_ref()
                .map_or(reply.clone(), |struck| struck.damage(reply));
            if due > now {
                self.scheduled.insert((due, ticket), Scheduled::Reply(reply));
            } else if let Some(reply) = self.delayed(now, struck.as_ref(), ticket, reply) {
                self.replies.push((ticket, reply));
            }
        }
    }

    fn release_hold(&mut self, request: &Request) {
        if let Some(account) = self.accounts.get_mut(&request.key)
            && let Some(held) = account
                .held_by_chat
                .get_mut(request.params.get("chat_id").unwrap_or_default())
        {
            *held = held.saturating_sub(1);
        }
    }
}

fn limit(account: &mut Account, now: Moment, request: &Request) -> Admission {
    let Some(load) = load(&request.method) else {
        return Admission::Now;
    };
    let Ok((chat_id, is_group)) = account
        .chat_of(&request.params)
        .map(|chat| (chat.id, chat.kind != crate::ChatKind::Private))
    else {
        return Admission::Now;
    };
    account
        .flood
        .admit(account.rules.flood, now, chat_id, is_group, load)
}

fn note_refusal(account: &mut Account, now: Moment, request: &Request, reply: &Reply) {
    let chat_id = request.params.text("chat_id");
    if let Some(seconds) = reply.retry_after.filter(|_| !request.unseen) {
        account.watch.announced(now, &request.method, chat_id, seconds);
    }
    if reply.status != 200 {
        account.record_refused(now, &request.method, &request.params, reply);
    }
}
