//! The webhook of one bot: carries out what its dispatcher decides, in the queue, the ledger and `getWebhookInfo`.

use std::collections::HashMap;

use super::action::{WebhookAction, WebhookAnswer, WebhookConnection, WebhookEndpoint, WebhookEvent};
use super::answer::{WebhookReply, read};
use super::dispatcher::Dispatcher;
use super::faults::{WebhookFault, WebhookFaultScript};
use super::lines::Role;
use super::step::{Desk, Ended, Ending, Sending, Step};
use crate::Moment;
use crate::account::{Account, Numbering};
use crate::ledger::{PostOutcome, PostRecord};
use crate::methods::webhook::Webhook;
use crate::params::Params;
use crate::updates::queue::Slot;
use crate::violations::Violation;

/// What is recorded of a connection that ended in order before its answer; `getWebhookInfo` does not show it.
const HUNG_UP: &str = "Webhook connection closed";
/// How a lost network looks.
const RESET: &str = "Connection reset by peer";
/// What is said about an answer whose body breaks the rules of HTTP.
const VOID_ANSWER: &str = "Bad Request: the body of the response can't be parsed";

/// The webhook of a bot, set or not.
pub(crate) struct Hook {
    pub(crate) settings: Option<Webhook>,
    pub(crate) faults: WebhookFaultScript,
    pub(crate) paused: bool,
    /// Whether the server is off the network.
    pub(crate) offline: bool,
    pub(crate) last_set_call: Option<Moment>,
    pub(crate) last_error: Option<(Moment, String)>,
    dispatcher: Option<Dispatcher>,
    /// Posts in flight, as indices of the ledger.
    open_posts: HashMap<WebhookConnection, usize>,
    actions: Vec<WebhookAction>,
    numbers: Numbering,
    rng: fastrand::Rng,
}

impl Hook {
    pub(crate) fn new(numbers: Numbering, rng: fastrand::Rng) -> Self {
        Self {
            settings: None,
            faults: WebhookFaultScript::default(),
            paused: false,
            offline: false,
            last_set_call: None,
            last_error: None,
            dispatcher: None,
            open_posts: HashMap::new(),
            actions: Vec::new(),
            numbers,
            rng,
        }
    }

    /// Returns when the webhook has something to do next.
    pub(crate) fn due_at(&self) -> Option<Moment> {
        self.dispatcher.as_ref().and_then(Dispatcher::wake_at)
    }

    /// Returns how many posts are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.open_posts.len()
    }

    pub(crate) fn take_actions(&mut self) -> Vec<WebhookAction> {
        std::mem::take(&mut self.actions)
    }

    pub(crate) fn owns(&self, connection: WebhookConnection) -> bool {
        self.dispatcher
            .as_ref()
            .is_some_and(|dispatcher| dispatcher.owns(connection))
    }

    pub(crate) fn update_arrived(&mut self, now: Moment) {
        if let Some(dispatcher) = &mut self.dispatcher {
            dispatcher.update_arrived(now);
        }
    }

    /// Notes that what is queued has changed its ids.
    pub(crate) fn reload(&mut self, now: Moment) {
        if let Some(dispatcher) = &mut self.dispatcher {
            dispatcher.reload(now);
        }
    }

    /// Asks for a turn at once, because something that held it back is over.
    pub(crate) fn wake(&mut self, now: Moment) {
        if let Some(dispatcher) = &mut self.dispatcher {
            dispatcher.wake(now);
        }
    }

    /// Takes back the faults that have not struck, and lets go what one holds until others have overtaken it.
    pub(crate) fn clear_faults(&mut self, now: Moment) {
        self.faults.clear();
        if let Some(dispatcher) = &mut self.dispatcher {
            dispatcher.release_held(now);
        }
    }

    /// Begins to deliver to the webhook that was set.
    pub(crate) fn start(&mut self, now: Moment, webhook: Webhook) {
        let dispatcher = Dispatcher::new(now, webhook.max_connections(), self.rng.fork());
        self.dispatcher = Some(dispatcher);
        self.settings = Some(webhook);
    }

    /// Moves the records of posts in flight into a new ledger.
    pub(crate) fn keep_open_posts(&mut self, old: Vec<PostRecord>, new: &mut Vec<PostRecord>) {
        let mut old: Vec<Option<PostRecord>> = old.into_iter().map(Some).collect();
        for record in self.open_posts.values_mut() {
            if let Some(post) = old.get_mut(*record).and_then(Option::take) {
                *record = new.len();
                new.push(post);
            }
        }
    }
}

impl Account {
    /// Removes the webhook and returns whether there was one. What is in flight ends without effect.
    pub(crate) fn remove_webhook(&mut self, now: Moment) -> bool {
        if let Some(dispatcher) = self.hook.dispatcher.take() {
            self.carry_out(now, dispatcher.stop());
        }
        self.hook.last_error = None;
        self.hook.settings.take().is_some()
    }

    /// Does what a restarted server does: everything that is queued is posted again, and the last error is forgotten.
    pub(crate) fn restart_webhook(&mut self, now: Moment) {
        self.hook.last_error = None;
        if let Some(dispatcher) = self.hook.dispatcher.take() {
            self.carry_out(now, dispatcher.stop());
        }
        if let Some(webhook) = &self.hook.settings {
            let dispatcher = Dispatcher::new(now, webhook.max_connections(), self.hook.rng.fork());
            self.hook.dispatcher = Some(dispatcher.after_restart());
        }
    }

    /// Makes the server unreachable for this bot, or reachable again.
    pub(crate) fn set_down(&mut self, now: Moment, down: bool) {
        self.down = down;
        self.network_changed(now, down);
    }

    /// Takes the whole server off the network, or back.
    pub(crate) fn set_offline(&mut self, now: Moment, offline: bool) {
        self.hook.offline = offline;
        self.network_changed(now, offline);
    }

    fn network_changed(&mut self, now: Moment, lost: bool) {
        if lost {
            self.direct(now, |dispatcher, desk| dispatcher.cut(desk, RESET));
        }
        self.hook.wake(now);
    }

    /// Does what is due for the webhook.
    pub(crate) fn advance_webhook(&mut self, now: Moment) {
        if self.hook.due_at().is_some_and(|due| due <= now) {
            self.direct(now, Dispatcher::turn);
        }
    }

    /// Takes in what happened on a connection and returns the call that an answer asks for.
    pub(crate) fn webhook_event(
        &mut self,
        now: Moment,
        connection: WebhookConnection,
        event: WebhookEvent,
    ) -> Option<(String, Params)> {
        let reply = match event {
            WebhookEvent::Connected { ip } => {
                if let Some(webhook) = &mut self.hook.settings {
                    webhook.connected_to(ip);
                }
                None
            }
            WebhookEvent::Written => {
                if let Some(dispatcher) = &mut self.hook.dispatcher {
                    dispatcher.written(connection);
                }
                None
            }
            WebhookEvent::Answered(answer) => self.webhook_answer(now, connection, &answer),
            WebhookEvent::Closed { error } => {
                if let Some(error) = &error {
                    self.hook.last_error = Some((now, error.clone()));
                }
                self.direct(now, |dispatcher, desk| {
                    dispatcher.hung_up(desk, connection, error);
                });
                None
            }
        };
        self.advance_webhook(now);
        reply
    }

    fn webhook_answer(
        &mut self,
        now: Moment,
        connection: WebhookConnection,
        answer: &WebhookAnswer,
    ) -> Option<(String, Params)> {
        let record = self.hook.open_posts.get(&connection).copied();
        let reply = if answer.acknowledges() {
            match read(answer) {
                Ok(reply) => reply,
                Err(_) => {
                    let error = VOID_ANSWER.to_owned();
                    self.hook.last_error = Some((now, error.clone()));
                    self.direct(now, |dispatcher, desk| {
                        desk.steps.push(Step::Close(connection));
                        dispatcher.hung_up(desk, connection, Some(error));
                    });
                    return None;
                }
            }
        } else {
            WebhookReply::None
        };
        self.direct(now, |dispatcher, desk| {
            dispatcher.answered(desk, connection, answer);
        });
        let record = self.ledger.posts.get_mut(record?)?;
        if record.outcome != PostOutcome::Acknowledged {
            return None;
        }
        match reply {
            WebhookReply::None => None,
            WebhookReply::Call { method, params } => {
                record.reply_method = Some(method.clone());
                Some((method, params))
            }
            WebhookReply::Ignored { method } => {
                record.reply_method = Some(method.clone());
                self.watch
                    .violations
                    .push(Violation::WebhookReplyIgnored { at: now, method });
                None
            }
        }
    }

    /// Lets the dispatcher decide something and carries it out.
    fn direct(&mut self, now: Moment, decide: impl FnOnce(&mut Dispatcher, &mut Desk<'_>)) {
        let Some(mut dispatcher) = self.hook.dispatcher.take() else {
            return;
        };
        let mut desk = Desk {
            now,
            halted: self.hook.paused || self.hook.offline || self.down,
            queue: &mut self.queue,
            faults: &mut self.hook.faults,
            issued: &self.ledger.issued,
            numbers: &self.hook.numbers,
            steps: Vec::new(),
        };
        decide(&mut dispatcher, &mut desk);
        let steps = desk.steps;
        self.hook.dispatcher = Some(dispatcher);
        self.carry_out(now, steps);
    }

    fn carry_out(&mut self, now: Moment, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Open(connection) => {
                    if let Some(webhook) = &self.hook.settings {
                        let endpoint = WebhookEndpoint {
                            host: webhook.address.host.clone(),
                            port: webhook.address.port,
                            tls: webhook.address.tls,
                            ip: webhook.fixed_ip,
                        };
                        let action = WebhookAction::Connect { connection, endpoint };
                        self.hook.actions.push(action);
                    }
                }
                Step::Close(connection) => self.hook.actions.push(WebhookAction::Close { connection }),
                Step::Post(sending) => self.begin_post(now, &sending),
                Step::Ended(ended) => self.end_post(now, ended),
                Step::Removed(removed) => {
                    self.settle(now, vec![removed]);
                }
                Step::Reissue(slot) => self.reissue(now, slot),
                Step::Gone => {
                    self.remove_webhook(now);
                }
            }
        }
    }

    fn begin_post(&mut self, now: Moment, sending: &Sending) {
        let Some(webhook) = &self.hook.settings else {
            return;
        };
        let connection = sending.connection;
        let fault = sending.fault.as_ref();
        let post = webhook.address.post(
            now,
            &webhook.secret_token,
            sending.update_id,
            &sending.content,
            fault,
        );
        self.hook.actions.push(WebhookAction::Post { connection, post });
        self.hook.open_posts.insert(connection, self.ledger.posts.len());
        self.ledger.posts.push(PostRecord {
            update_id: sending.update_id,
            attempt: sending.attempt,
            connection,
            sent_at: now,
            ended_at: None,
            status: None,
            outcome: PostOutcome::InFlight,
            error: None,
            retry_at: None,
            reply_method: None,
            fault: fault.map(WebhookFault::name),
        });
    }

    fn end_post(&mut self, now: Moment, ended: Ended) {
        let record = self.hook.open_posts.remove(&ended.connection);
        let Some(record) = record.and_then(|record| self.ledger.posts.get_mut(record)) else {
            return;
        };
        let (status, outcome, error) = match ended.ending {
            Ending::Answered {
                status: status @ 200..=299,
                ..
            } => (Some(status), PostOutcome::Acknowledged, None),
            Ending::Answered { status, reason } => {
                let error = format!("Wrong response from the webhook: {status} {reason}");
                (Some(status), PostOutcome::Rejected, Some(error))
            }
            Ending::AnswerLost { status } => {
                (Some(status), PostOutcome::AnswerLost, Some(HUNG_UP.to_owned()))
            }
            Ending::TimedOut => {
                let direction = if ended.post.written { "Read" } else { "Write" };
                let error = format!("{direction} timeout expired");
                (None, PostOutcome::TimedOut, Some(error))
            }
            Ending::HungUp(error) => (
                None,
                PostOutcome::Unanswered,
                Some(error.unwrap_or_else(|| HUNG_UP.to_owned())),
            ),
            Ending::Abandoned => (None, PostOutcome::Abandoned, None),
        };
        let genuine = ended.post.role == Role::Genuine;
        record.ended_at = Some(now);
        record.status = status;
        record.retry_at = ended.retry_at;
        record.error.clone_from(&error);
        record.outcome = if genuine || outcome == PostOutcome::Abandoned {
            outcome
        } else {
            PostOutcome::Ignored
        };

        let update_id = record.update_id;
        let forged = matches!(record.fault, Some("wrong_secret" | "no_secret"));
        let has_secret = self
            .hook
            .settings
            .as_ref()
            .is_some_and(|webhook| !webhook.secret_token.is_empty());
        if forged && has_secret && outcome == PostOutcome::Acknowledged {
            self.watch
                .violations
                .push(Violation::ForgedPostAccepted { at: now, update_id });
        }
        if genuine && ended.post.written && outcome == PostOutcome::TimedOut {
            self.watch
                .violations
                .push(Violation::WebhookTimeout { at: now, update_id });
        }
        if genuine && matches!(outcome, PostOutcome::Rejected | PostOutcome::TimedOut) {
            self.hook.last_error = error.map(|error| (now, error));
        }
    }

    fn reissue(&mut self, now: Moment, slot: Slot) {
        if let Some(original) = self.ledger.issued.get(slot.record) {
            let (kind, chat_id, text) = (original.kind.clone(), original.chat_id, original.text.clone());
            let again = self.issue(now, kind, slot.content, chat_id, text);
            if let (Some(id), Some(dispatcher)) = (again, &mut self.hook.dispatcher) {
                dispatcher.spare(id);
            }
        }
    }
}
