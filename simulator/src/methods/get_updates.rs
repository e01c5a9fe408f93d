//! `getUpdates`: <https://core.telegram.org/bots/api#getupdates>.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Moment;
use crate::account::Account;
use crate::ledger::{PollOutcome, PollRecord};
use crate::params::Params;
use crate::reply::{Failure, Reply};
use crate::request::Ticket;
use crate::updates::kinds::AllowedUpdates;
use crate::updates::polling::{PollNumbers, Waiting};
use crate::violations::Violation;

const OTHER_POLL: &str =
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to \
                              delete the webhook first";
const WEBHOOK_SET: &str = "Conflict: terminated by setWebhook request";

impl Account {
    /// Processes a poll: confirms first, then answers, waits (`None`), or fails the poll that waited before.
    pub(crate) fn get_updates(
        &mut self,
        now: Moment,
        params: &Params,
        ticket: Ticket,
        arrives: bool,
    ) -> Option<Reply> {
        let record = self.record_poll(now, params, PollOutcome::Waiting);
        let asked = PollNumbers::from_params(params);
        if self.hook.settings.is_some() {
            self.watch
                .violations
                .push(Violation::PollWhileWebhookSet { at: now });
            return self.conflict(now, ticket, record, WEBHOOK_ACTIVE);
        }
        if let Some(allowed) = AllowedUpdates::from_param(params.get("allowed_updates")) {
            self.allowed = allowed;
        }
        self.watch.offset(now, i64::from(asked.offset), self.queue.tail());
        if let Some(first) = self.polling.waiting().filter(|poll| !poll.client_gone) {
            let first_began = self.ledger.polls[first.record].at;
            self.watch
                .violations
                .push(Violation::ConcurrentPolls { at: now, first_began });
        }
        let granted = if self.rules.penalties {
            self.polling.penalise(now, asked)
        } else {
            asked
        };
        let limit = usize::try_from(granted.limit).expect("limits are clamped to 1..=100");
        let timeout = u64::try_from(granted.timeout).expect("timeouts are clamped to 0..=50");
        self.ledger.polls[record].limit = granted.limit;
        self.ledger.polls[record].timeout = granted.timeout;

        let deadline = now + Duration::from_secs(timeout);
        let mut poll =
            Waiting::new(ticket, i64::from(asked.offset), limit, deadline, record).arriving(arrives);
        let answer = self.read_for(now, &mut poll);
        if answer.is_some() || timeout == 0 {
            return Some(answer.unwrap_or_else(|| self.answer_with(now, &poll, &[])));
        }
        let replaced = self.polling.wait(poll)?;
        if let Some(reply) = self.conflict(now, replaced.ticket, replaced.record, OTHER_POLL) {
            self.late_replies.push((replaced.ticket, now, reply));
        }
        None
    }

    /// Answers a poll that has waited, with whatever is there now.
    pub(crate) fn answer_poll(&mut self, now: Moment, mut poll: Waiting) -> Reply {
        match self.read_for(now, &mut poll) {
            Some(reply) => reply,
            None => self.answer_with(now, &poll, &[]),
        }
    }

    /// Answers the waiting poll with what is queued, as a server does that stops.
    pub(crate) fn end_wait(&mut self, now: Moment, arrives: bool) {
        if let Some(poll) = self.polling.take_waiting() {
            let ticket = poll.ticket;
            let arrives = arrives && poll.arrives;
            let reply = self.answer_poll(now, poll.arriving(arrives));
            self.late_replies.push((ticket, now, reply));
        }
    }

    /// Fails the waiting poll because a webhook is being set.
    pub(crate) fn end_poll_for_webhook(&mut self, now: Moment) {
        if let Some(poll) = self.polling.take_waiting()
            && let Some(reply) = self.conflict(now, poll.ticket, poll.record, WEBHOOK_SET)
        {
            self.late_replies.push((poll.ticket, now, reply));
        }
    }

    /// Enters a poll into the ledger and returns its index.
    pub(crate) fn record_poll(&mut self, now: Moment, params: &Params, outcome: PollOutcome) -> usize {
        let raw = |name| params.get(name).map(str::to_owned);
        let asked = PollNumbers::from_params(params);
        self.ledger.polls.push(PollRecord {
            at: now,
            raw_offset: raw("offset"),
            raw_limit: raw("limit"),
            raw_timeout: raw("timeout"),
            raw_allowed_updates: raw("allowed_updates"),
            offset: asked.offset,
            limit: asked.limit,
            timeout: asked.timeout,
            returned: Vec::new(),
            confirmed: Vec::new(),
            answered_at: (outcome != PollOutcome::Waiting).then_some(now),
            outcome,
        });
        self.ledger.polls.len() - 1
    }

    /// Confirms what the offset of `poll` confirms; returns an answer when updates are there, and otherwise leaves in
    /// `poll` the offset to wait with.
    fn read_for(&mut self, now: Moment, poll: &mut Waiting) -> Option<Reply> {
        let read = self.queue.read(poll.offset, poll.limit, now.unix_seconds());
        poll.offset = read.kept_offset;
        let confirmed = self.settle(now, read.removed);
        self.ledger.polls[poll.record].confirmed.extend(confirmed);
        if read.updates.is_empty() {
            None
        } else {
            Some(self.answer_with(now, poll, &read.updates))
        }
    }

    fn answer_with(&mut self, now: Moment, poll: &Waiting, updates: &[(i64, bytes::Bytes)]) -> Reply {
        let ids: Vec<i64> = updates.iter().map(|(id, _)| *id).collect();
        if poll.arrives {
            self.watch.returned(&ids);
        }
        let record = &mut self.ledger.polls[poll.record];
        record.returned = ids;
        record.answered_at = Some(now);
        record.outcome = if poll.arrives {
            PollOutcome::Answered
        } else {
            PollOutcome::Lost
        };

        let mut result = String::from("[");
        for (index, (id, content)) in updates.iter().enumerate() {
            let comma = if index == 0 { "" } else { ",\n" };
            // Writing to a `String` cannot fail.
            let _ = write!(
                result,
                "{comma}{{\"update_id\":{id},\n{}}}",
                String::from_utf8_lossy(content)
            );
        }
        result.push(']');
        Reply::result_text(&result)
    }

    /// Fails a poll with 409, at once or after the pace of conflicts allows it.
    fn conflict(&mut self, now: Moment, ticket: Ticket, record: usize, text: &str) -> Option<Reply> {
        let due = if self.rules.penalties {
            self.polling.pace_conflict(now)
        } else {
            now
        };
        self.ledger.polls[record].outcome = PollOutcome::Conflict;
        self.ledger.polls[record].answered_at = Some(due);
        let reply = Reply::from(Failure::exact(409, text));
        if due <= now {
            return Some(reply);
        }
        self.late_replies.push((ticket, due, reply));
        None
    }
}
