//! The connections to a webhook: which are idle, which wait for an answer, and which have waited too long.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::action::WebhookConnection;
use crate::Moment;

/// An answer must be complete this long after its request was handed to the connection; idle connections are closed
/// after the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the answer of a post means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It decides about the update.
    Genuine,
    /// Nothing: another post of the same update decides.
    Twin,
    /// Nothing: the post is one the real server would never make.
    Forged,
}

/// A post that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) update_id: i64,
    pub(crate) role: Role,
    /// Whether the answer gets lost when it comes.
    pub(crate) loses_answer: bool,
    /// Whether the whole request has been written.
    pub(crate) written: bool,
    pub(crate) deadline: Moment,
}

#[derive(Debug)]
struct Line {
    in_flight: Option<InFlight>,
    idle_since: Moment,
    /// A line for one post, beside those that are counted.
    extra: bool,
}

/// All connections of one webhook.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    open: BTreeMap<WebhookConnection, Line>,
    idle: VecDeque<WebhookConnection>,
}

impl Lines {
    /// Returns how many connections count against the limit.
    pub(crate) fn count(&self) -> usize {
        self.open.values().filter(|line| !line.extra).count()
    }

    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    pub(crate) fn contains(&self, connection: WebhookConnection) -> bool {
        self.open.contains_key(&connection)
    }

    /// Adds an idle connection.
    pub(crate) fn add(&mut self, now: Moment, connection: WebhookConnection) {
        self.insert(now, connection, None);
        self.idle.push_back(connection);
    }

    /// Adds a connection for one post.
    pub(crate) fn add_extra(&mut self, now: Moment, connection: WebhookConnection, post: InFlight) {
        self.insert(now, connection, Some(post));
    }

    fn insert(&mut self, now: Moment, connection: WebhookConnection, in_flight: Option<InFlight>) {
        let line = Line {
            extra: in_flight.is_some(),
            in_flight,
            idle_since: now,
        };
        self.open.insert(connection, line);
    }

    /// Gives a post to the connection that has been idle for the longest time.
    pub(crate) fn occupy(&mut self, post: InFlight) -> Option<WebhookConnection> {
        let connection = self.idle.pop_front()?;
        self.open.get_mut(&connection)?.in_flight = Some(post);
        Some(connection)
    }

    pub(crate) fn note_written(&mut self, connection: WebhookConnection) {
        let line = self.open.get_mut(&connection);
        if let Some(post) = line.and_then(|line| line.in_flight.as_mut()) {
            post.written = true;
        }
    }

    /// Lets every post in flight end without effect.
    pub(crate) fn disown(&mut self) {
        for post in self.open.values_mut().filter_map(|line| line.in_flight.as_mut()) {
            post.role = Role::Twin;
        }
    }

    /// Ends the post of a connection, which becomes idle or is closed; returns the post and whether the connection
    /// stays open.
    pub(crate) fn release(
        &mut self,
        now: Moment,
        connection: WebhookConnection,
        keep: bool,
    ) -> (Option<InFlight>, bool) {
        let Some(line) = self.open.get_mut(&connection) else {
            return (None, false);
        };
        if keep && !line.extra {
            let post = line.in_flight.take();
            line.idle_since = now;
            if post.is_some() {
                self.idle.push_back(connection);
            }
            return (post, true);
        }
        self.idle.retain(|idle| *idle != connection);
        let line = self.open.remove(&connection);
        (line.and_then(|line| line.in_flight), false)
    }

    /// Takes out every connection that has waited or idled too long.
    pub(crate) fn take_overdue(&mut self, now: Moment) -> Vec<(WebhookConnection, Option<InFlight>)> {
        self.take(|line| line.due_at() <= now)
    }

    /// Takes out every connection.
    pub(crate) fn take_all(&mut self) -> Vec<(WebhookConnection, Option<InFlight>)> {
        self.take(|_| true)
    }

    fn take(&mut self, which: impl Fn(&Line) -> bool) -> Vec<(WebhookConnection, Option<InFlight>)> {
        let matching = self.open.iter().filter(|(_, line)| which(line));
        let connections: Vec<_> = matching.map(|(connection, _)| *connection).collect();
        let mut taken = Vec::with_capacity(connections.len());
        for connection in connections {
            self.idle.retain(|idle| *idle != connection);
            if let Some(line) = self.open.remove(&connection) {
                taken.push((connection, line.in_flight));
            }
        }
        taken
    }

    /// Returns when [`take_overdue`](Self::take_overdue) has something next.
    pub(crate) fn due_at(&self) -> Option<Moment> {
        self.open.values().map(Line::due_at).min()
    }
}

impl Line {
    fn due_at(&self) -> Moment {
        let idle_until = self.idle_since + PATIENCE;
        self.in_flight.as_ref().map_or(idle_until, |post| post.deadline)
    }
}
