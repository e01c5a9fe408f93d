//! What a predicate sees: the state of one bot while nothing changes.

use crate::account::Account;
use crate::ledger::{Issued, PollRecord, PostRecord, Refused, Sent};
use crate::violations::Violation;

/// The state of one bot at one instant, for [`Bot::wait_for`](crate::Bot::wait_for).
///
/// Everything but [`pending`](Self::pending) is borrowed, so that a predicate may run after every change.
#[derive(Debug)]
pub struct View<'a> {
    account: &'a Account,
}

impl<'a> View<'a> {
    pub(crate) fn new(account: &'a Account) -> Self {
        Self { account }
    }

    /// Returns the updates issued so far, oldest first.
    pub fn issued(&self) -> &'a [Issued] {
        &self.account.ledger.issued
    }

    /// Returns the queued update ids, ascending.
    pub fn pending(&self) -> Vec<i64> {
        self.account.queue.ids().collect()
    }

    /// Returns how many updates are queued.
    pub fn pending_count(&self) -> usize {
        self.account.queue.len()
    }

    /// Returns the confirmed update ids in the order of their confirmation.
    pub fn confirmed(&self) -> &'a [i64] {
        &self.account.ledger.confirmed
    }

    /// Returns the `getUpdates` calls, oldest first.
    pub fn polls(&self) -> &'a [PollRecord] {
        &self.account.ledger.polls
    }

    /// Tells whether a poll waits for an update.
    pub fn is_polling(&self) -> bool {
        self.account
            .polling
            .waiting()
            .is_some_and(|poll| !poll.client_gone)
    }

    /// Returns the posts to the webhook, oldest first.
    pub fn posts(&self) -> &'a [PostRecord] {
        &self.account.ledger.posts
    }

    /// Returns how many posts wait for their answer.
    pub fn posts_in_flight(&self) -> usize {
        self.account.hook.in_flight()
    }

    /// Returns the calls that took effect, oldest first.
    pub fn sent(&self) -> &'a [Sent] {
        &self.account.ledger.sent
    }

    /// Returns the texts of the messages that were sent to a chat, oldest first; edits are not messages.
    pub fn texts_to(&self, chat_id: i64) -> Vec<&'a str> {
        let to_chat = self.sent().iter().filter(|sent| sent.chat_id == Some(chat_id));
        let messages = to_chat.filter(|sent| sent.method.starts_with("send"));
        messages.filter_map(|sent| sent.text.as_deref()).collect()
    }

    /// Returns the calls that were answered with an error, oldest first.
    pub fn refused(&self) -> &'a [Refused] {
        &self.account.ledger.refused
    }

    /// Returns the rules that were broken, oldest first.
    pub fn violations(&self) -> &'a [Violation] {
        &self.account.watch.violations
    }

    /// Returns how many calls and posts are still to go wrong.
    pub fn faults_left(&self) -> usize {
        let posts = self.account.hook.faults.left();
        self.account.faults.left().saturating_add(posts)
    }
}
