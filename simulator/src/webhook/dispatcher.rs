//! Decides what is posted when: a plain state machine over the update queue.
//!
//! Updates are loaded from the head of the queue into their domains until so many domains are loaded as twice the
//! number of connections; a domain counts once, however many updates it holds. A turn loads once, as many updates as
//! domains are missing: behind a burst of one chat the other chats come turn by turn. The first update of each domain
//! is posted, retried on its [`Schedule`], and makes room for the next one when it is acknowledged or expires.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::action::{WebhookAnswer, WebhookConnection};
use super::budget::Budget;
use super::domain::Domain;
use super::faults::WebhookFault;
use super::lines::{InFlight, Lines, PATIENCE, Role};
use super::schedule::Schedule;
use super::step::{Desk, Ended, Ending, Sending, Step};
use crate::Moment;
use crate::updates::queue::Removal;

/// A webhook is removed when it has answered nothing but 410 for longer than this.
const GONE_AFTER: Duration = Duration::from_secs(23 * 60 * 60);
/// The most updates that are loaded in one turn.
const MOST_PER_TURN: usize = 1000;

/// An update that is taken care of.
#[derive(Debug)]
struct Loaded {
    domain: Domain,
    content: Bytes,
    expires_at: i64,
    kind: String,
    chat_id: Option<i64>,
    wake_at: Moment,
    schedule: Schedule,
    attempts: usize,
    /// Whether the bot gets it once more after it has acknowledged it.
    repeats: bool,
    /// Whether it is acknowledged and only repeated.
    confirmed: bool,
    reissues: bool,
}

/// The deliveries of one webhook, from the moment it is set until it is removed or the server restarts.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    max_connections: usize,
    load_from: i64,
    /// Whether nothing is queued from `load_from` on.
    all_loaded: bool,
    loaded: HashMap<i64, Loaded>,
    domains: HashMap<Domain, VecDeque<i64>>,
    /// Domains whose first update is not in flight, by the time at which it is posted.
    waiting: BTreeSet<(Moment, Domain)>,
    /// Domains that let others overtake, each with the number that is left.
    held: Vec<(Domain, usize)>,
    /// Updates whose next post no fault strikes, since it has come from one.
    spared: HashSet<i64>,
    lines: Lines,
    budget: Budget,
    /// Whether a connection has been opened, for a webhook that is set.
    tried: bool,
    gone_since: Option<Moment>,
    wake_at: Option<Moment>,
    rng: fastrand::Rng,
}

impl Dispatcher {
    /// Returns the deliveries of a webhook that is being set; it opens a connection even if nothing is queued.
    pub(crate) fn new(now: Moment, max_connections: usize, rng: fastrand::Rng) -> Self {
        Self {
            max_connections,
            load_from: 0,
            all_loaded: false,
            loaded: HashMap::new(),
            domains: HashMap::new(),
            waiting: BTreeSet::new(),
            held: Vec::new(),
            spared: HashSet::new(),
            lines: Lines::default(),
            budget: Budget::default(),
            tried: false,
            gone_since: None,
            wake_at: Some(now),
            rng,
        }
    }

    /// Returns the same for a server that has restarted, which opens connections when they are needed.
    pub(crate) fn after_restart(mut self) -> Self {
        self.tried = true;
        self
    }

    /// Returns when [`turn`](Self::turn) has something to do next.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        self.wake_at
    }

    /// Asks for a turn at once.
    pub(crate) fn wake(&mut self, now: Moment) {
        self.wake_at = Some(now);
    }

    /// Notes that something was queued.
    pub(crate) fn update_arrived(&mut self, now: Moment) {
        self.all_loaded = false;
        self.wake(now);
    }

    /// Starts again at the head of the queue, as after a jump of ids. Posts in flight end without effect.
    pub(crate) fn reload(&mut self, now: Moment) {
        self.load_from = 0;
        self.loaded.clear();
        self.domains.clear();
        self.waiting.clear();
        self.held.clear();
        self.spared.clear();
        self.lines.disown();
        self.update_arrived(now);
    }

    /// Keeps faults from the next post of an update. A rule for every post would otherwise strike what it has itself
    /// brought about, for ever.
    pub(crate) fn spare(&mut self, id: i64) {
        self.spared.insert(id);
    }

    /// Lets go what waits to be overtaken.
    pub(crate) fn release_held(&mut self, now: Moment) {
        for (held, _) in self.held.drain(..) {
            self.waiting.insert((now, held));
        }
        self.wake(now);
    }

    /// Tells whether a connection belongs to this webhook.
    pub(crate) fn owns(&self, connection: WebhookConnection) -> bool {
        self.lines.contains(connection)
    }

    /// Notes that a request has been written.
    pub(crate) fn written(&mut self, connection: WebhookConnection) {
        self.lines.note_written(connection);
    }

    /// Does what is due: ends what has waited too long, loads, opens connections, posts.
    pub(crate) fn turn(&mut self, desk: &mut Desk<'_>) {
        for (connection, post) in self.lines.take_overdue(desk.now) {
            desk.steps.push(Step::Close(connection));
            if let Some(post) = post {
                self.end(desk, connection, post, Ending::TimedOut, 0);
            }
        }
        self.load(desk);
        self.wake_at = None;
        if !desk.halted {
            self.open_lines(desk);
            self.send(desk);
        }
        if !self.held.is_empty() && !self.all_loaded && self.missing_domains() > 0 {
            // What is held waits for posts, which may be of updates that are not loaded yet.
            self.wake(desk.now);
        }
        self.wake_at = self.wake_at.into_iter().chain(self.lines.due_at()).min();
    }

    /// An answer has come.
    pub(crate) fn answered(
        &mut self,
        desk: &mut Desk<'_>,
        connection: WebhookConnection,
        answer: &WebhookAnswer,
    ) {
        let (post, open) = self.lines.release(desk.now, connection, answer.keep_alive);
        let loses_answer = post.as_ref().is_some_and(|post| post.loses_answer);
        if open && loses_answer {
            self.lines.release(desk.now, connection, false);
        }
        if !open || loses_answer {
            desk.steps.push(Step::Close(connection));
        }
        let Some(post) = post else {
            return;
        };
        let status = answer.status;
        let ending = if loses_answer {
            Ending::AnswerLost { status }
        } else {
            Ending::Answered {
                status,
                reason: answer.reason.clone(),
            }
        };
        let counts = post.role == Role::Genuine && !loses_answer;
        let retry_after = if loses_answer {
            0
        } else {
            answer.retry_after_seconds()
        };
        self.end(desk, connection, post, ending, retry_after);
        if counts && status == 410 {
            let since = *self.gone_since.get_or_insert(desk.now);
            if desk.now.since(since) > GONE_AFTER {
                desk.steps.push(Step::Gone);
            }
        } else if counts {
            self.gone_since = None;
        }
    }

    /// A connection has ended or could not be opened.
    pub(crate) fn hung_up(
        &mut self,
        desk: &mut Desk<'_>,
        connection: WebhookConnection,
        error: Option<String>,
    ) {
        if let (Some(post), _) = self.lines.release(desk.now, connection, false) {
            self.end(desk, connection, post, Ending::HungUp(error), 0);
        }
        self.wake(desk.now);
    }

    /// The network is gone: every connection ends.
    pub(crate) fn cut(&mut self, desk: &mut Desk<'_>, error: &str) {
        for (connection, post) in self.lines.take_all() {
            desk.steps.push(Step::Close(connection));
            if let Some(post) = post {
                self.end(desk, connection, post, Ending::HungUp(Some(error.to_owned())), 0);
            }
        }
    }

    /// Closes every connection and returns what that means for the posts in flight.
    pub(crate) fn stop(mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (connection, post) in self.lines.take_all() {
            steps.push(Step::Close(connection));
            if let Some(post) = post {
                steps.push(Step::Ended(Ended {
                    connection,
                    post,
                    ending: Ending::Abandoned,
                    retry_at: None,
                }));
            }
        }
        steps
    }

    /// Returns how many domains may still be loaded.
    fn missing_domains(&self) -> usize {
        (2 * self.max_connections).saturating_sub(self.domains.len())
    }

    fn load(&mut self, desk: &mut Desk<'_>) {
        let missing = self.missing_domains();
        if self.all_loaded || missing == 0 {
            return;
        }
        let most = missing.min(MOST_PER_TURN);
        let (updates, expired) = desk.queue.load(self.load_from, most, desk.now.unix_seconds());
        desk.steps.extend(expired.into_iter().map(Step::Removed));
        self.all_loaded = updates.len() < most;
        for (id, slot) in updates {
            self.load_from = id + 1;
            let issued = desk.issued.get(slot.record);
            let kind = issued.map(|issued| issued.kind.to_string()).unwrap_or_default();
            let domain = Domain::of(id, &kind, &slot.content);
            let queue = self.domains.entry(domain).or_default();
            if queue.is_empty() {
                self.waiting.insert((desk.now, domain));
            }
            queue.push_back(id);
            let loaded = Loaded {
                domain,
                content: slot.content,
                expires_at: slot.expires_at,
                kind,
                chat_id: issued.and_then(|issued| issued.chat_id),
                wake_at: desk.now,
                schedule: Schedule::default(),
                attempts: 0,
                repeats: false,
                confirmed: false,
                reissues: false,
            };
            self.loaded.insert(id, loaded);
        }
    }

    fn open_lines(&mut self, desk: &mut Desk<'_>) {
        let mut wanted = self
            .budget
            .wanted(desk.now, self.domains.len(), self.max_connections);
        if !self.tried {
            wanted = 1;
        }
        while self.lines.count() < wanted {
            match self.budget.take(desk.now) {
                Ok(()) => {
                    let connection = new_connection(desk);
                    self.lines.add(desk.now, connection);
                    self.tried = true;
                }
                Err(next) => {
                    self.wake_at = Some(next);
                    return;
                }
            }
        }
    }

    fn send(&mut self, desk: &mut Desk<'_>) {
        while self.lines.has_idle() {
            let Some((wake_at, domain)) = self.waiting.first().copied() else {
                return;
            };
            if wake_at > desk.now {
                self.wake_at = self.wake_at.into_iter().chain([wake_at]).min();
                return;
            }
            self.waiting.pop_first();
            let first = self.domains.get(&domain).and_then(VecDeque::front).copied();
            let Some((id, update)) = first.and_then(|id| Some((id, self.loaded.get_mut(&id)?))) else {
                continue;
            };
            let spared = self.spared.remove(&id) || update.confirmed;
            let fault = (!spared)
                .then(|| desk.faults.strike(&update.kind, update.chat_id))
                .flatten();
            match fault {
                Some(WebhookFault::Delay(delay)) => {
                    update.wake_at = desk.now + delay;
                    self.waiting.insert((update.wake_at, domain));
                    self.spare(id);
                    continue;
                }
                Some(WebhookFault::LetOvertake(count @ 1..)) => {
                    self.held.push((domain, count));
                    self.spare(id);
                    continue;
                }
                Some(WebhookFault::DeliverTwice) => update.repeats = true,
                Some(WebhookFault::DeliverUnderNewId) => update.reissues = true,
                _ => {}
            }
            self.post(desk, id, fault);
        }
    }

    fn post(&mut self, desk: &mut Desk<'_>, id: i64, fault: Option<WebhookFault>) {
        let Some(update) = self.loaded.get_mut(&id) else {
            return;
        };
        let in_flight = |role| InFlight {
            update_id: id,
            role,
            loses_answer: role == Role::Genuine && fault == Some(WebhookFault::LoseAnswer),
            written: false,
            deadline: desk.now + PATIENCE,
        };
        let mut sending = |connection, fault| {
            update.attempts += 1;
            Step::Post(Sending {
                connection,
                update_id: id,
                content: update.content.clone(),
                attempt: update.attempts,
                fault,
            })
        };
        if fault.as_ref().is_some_and(WebhookFault::forges) {
            if let Some(connection) = self.lines.occupy(in_flight(Role::Forged)) {
                desk.steps.push(sending(connection, fault));
            }
            self.spare(id);
            return;
        }
        let twin = (fault == Some(WebhookFault::DeliverTwiceAtOnce)).then(|| in_flight(Role::Twin));
        if let Some(connection) = self.lines.occupy(in_flight(Role::Genuine)) {
            desk.steps.push(sending(connection, fault.clone()));
        }
        if let Some(twin) = twin {
            let connection = new_connection(desk);
            self.lines.add_extra(desk.now, connection, twin);
            desk.steps.push(sending(connection, fault));
        }
    }

    /// Counts an ended post for the domains that let others overtake; a domain that does has no post of its own.
    fn overtake(&mut self, now: Moment) {
        for (held, left) in &mut self.held {
            *left -= 1;
            if *left == 0 {
                self.waiting.insert((now, *held));
            }
        }
        self.held.retain(|(_, left)| *left > 0);
    }

    /// Decides what the end of a post means for its update.
    fn end(
        &mut self,
        desk: &mut Desk<'_>,
        connection: WebhookConnection,
        post: InFlight,
        ending: Ending,
        retry_after: u64,
    ) {
        self.wake(desk.now);
        let id = post.update_id;
        let acknowledged = matches!(
            ending,
            Ending::Answered {
                status: 200..=299,
                ..
            }
        );
        let role = post.role;
        let ended = Ended {
            connection,
            post,
            ending,
            retry_at: None,
        };
        if role == Role::Genuine {
            self.overtake(desk.now);
        }
        let place = desk.steps.len();
        desk.steps.push(Step::Ended(ended));
        let retry_at = match role {
            Role::Twin => None,
            Role::Forged => self.again_at(id, desk.now),
            Role::Genuine if acknowledged => self.acknowledge(desk, id),
            Role::Genuine => self.fail(desk, id, retry_after),
        };
        if let Some(Step::Ended(ended)) = desk.steps.get_mut(place) {
            ended.retry_at = retry_at;
        }
    }

    fn acknowledge(&mut self, desk: &mut Desk<'_>, id: i64) -> Option<Moment> {
        self.budget.succeeded(desk.now);
        let update = self.loaded.get_mut(&id)?;
        let removed = desk.queue.forget(id, Removal::Confirmed);
        if update.reissues
            && let Some(removed) = &removed
        {
            desk.steps.push(Step::Reissue(removed.slot.clone()));
        }
        desk.steps.extend(removed.map(Step::Removed));
        update.reissues = false;
        update.confirmed = true;
        if std::mem::take(&mut update.repeats) {
            return self.again_at(id, desk.now);
        }
        self.next_of_domain(id);
        None
    }

    fn fail(&mut self, desk: &mut Desk<'_>, id: i64, retry_after: u64) -> Option<Moment> {
        let update = self.loaded.get_mut(&id)?;
        let wait = update.schedule.failed(retry_after, &mut self.rng);
        let retry_at = desk.now + wait;
        let in_time = desk.now.unix_seconds() + wait.as_secs().cast_signed() <= update.expires_at;
        if in_time && !update.confirmed {
            return self.again_at(id, retry_at);
        }
        let removed = desk.queue.forget(id, Removal::Expired);
        desk.steps.extend(removed.map(Step::Removed));
        self.next_of_domain(id);
        None
    }

    /// Lets the first update of a domain be posted again.
    fn again_at(&mut self, id: i64, at: Moment) -> Option<Moment> {
        let update = self.loaded.get_mut(&id)?;
        update.wake_at = at;
        self.waiting.insert((at, update.domain));
        Some(at)
    }

    /// Takes the first update out of its domain and lets the next one be posted.
    fn next_of_domain(&mut self, id: i64) {
        let Some(update) = self.loaded.remove(&id) else {
            return;
        };
        let Some(queue) = self.domains.get_mut(&update.domain) else {
            return;
        };
        queue.pop_front();
        match queue.front().and_then(|next| self.loaded.get(next)) {
            Some(next) => {
                self.waiting.insert((next.wake_at, update.domain));
            }
            None => {
                self.domains.remove(&update.domain);
            }
        }
    }
}

fn new_connection(desk: &mut Desk<'_>) -> WebhookConnection {
    let connection = WebhookConnection::new(desk.numbers.next());
    desk.steps.push(Step::Open(connection));
    connection
}
