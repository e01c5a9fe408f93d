//! Which call goes next. Pure: the caller brings the time and makes the calls.
//!
//! Calls wait in *lines*. All calls that write into one chat share a line and go one at a time: the next one starts when
//! the one before has been answered, because the server orders concurrent requests by arrival only. A flooded call goes
//! back to the head of its line. Other calls share a line by what flood control counts them for, and go concurrently.
//!
//! Among the heads of lines that may go, the oldest goes first, as long as a connection is free. A head waits for the
//! [holds](FloodHolds) of its chat and of the bot, and for its [`Pacing`] if it has one.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use super::{
    chat::{Chat, Target},
    holds::FloodHolds,
    pacing::{Pacer, Pacing},
};

/// Names a call, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// What the schedule has to know of a call.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) target: Target,
    /// Whether it takes its turn among the calls to its chat.
    pub(crate) takes_turns: bool,
    pub(crate) pacing: Option<Pacing>,
    /// Longest time it waits for flood control in all.
    pub(crate) max_flood_wait: Duration,
}

/// Why a call may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many calls as may wait for this chat do so.
    LineFull,
    /// It would wait longer for flood control than it may; this is the remaining time.
    Flood(Duration),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make this call.
    Start(Ticket),
    /// Ask again at this time, or earlier when something has changed.
    AskAt(Instant),
    /// Nothing until something changes.
    Rest,
}

/// Counts for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) longest_line: usize,
    pub(crate) held_chats: usize,
    pub(crate) bot_held_until: Option<Instant>,
}

/// Calls that wait and run.
#[derive(Debug)]
pub(crate) struct Schedule {
    connections: usize,
    max_line: usize,
    arrived: u64,
    lines: HashMap<LineKey, Line>,
    /// The line of every call that waits or runs.
    whereabouts: HashMap<Ticket, LineKey>,
    running: HashMap<Ticket, Waiting>,
    /// Heads of lines that may go, as soon as there is a connection.
    ready: BTreeMap<Ticket, LineKey>,
    /// Heads of lines that may go as far as their chat is concerned, and share a pace.
    paced: HashMap<Pacing, BTreeMap<Ticket, LineKey>>,
    /// Heads of lines that may go at a certain time.
    later: BTreeMap<(Instant, Ticket), LineKey>,
    holds: FloodHolds,
    pacers: HashMap<Pacing, Pacer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LineKey {
    target: Target,
    takes_turns: bool,
}

#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<Ticket, Waiting>,
    running: usize,
    /// Where its head stands.
    place: Place,
    /// Until when its calls have been told to wait by flood control.
    held_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    terms: Terms,
    flood_waited: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    Ready(Ticket),
    Paced(Pacing, Ticket),
    Later(Instant, Ticket),
}

impl Schedule {
    /// `connections` calls run at once; `max_line` calls wait for one chat at most.
    pub(crate) fn new(connections: usize, max_line: usize) -> Self {
        Self {
            connections,
            max_line,
            arrived: 0,
            lines: HashMap::new(),
            whereabouts: HashMap::new(),
            running: HashMap::new(),
            ready: BTreeMap::new(),
            paced: HashMap::new(),
            later: BTreeMap::new(),
            holds: FloodHolds::default(),
            pacers: HashMap::new(),
        }
    }

    /// Lets a call wait for its turn.
    pub(crate) fn enter(&mut self, terms: Terms, now: Instant) -> Result<Ticket, Refusal> {
        let held_until = self.holds.until(&terms.target, now);
        let flood_waited = held_until.map_or(Duration::ZERO, |until| until - now);
        if flood_waited > terms.max_flood_wait {
            return Err(Refusal::Flood(flood_waited));
        }
        let key = LineKey {
            target: terms.target.clone(),
            takes_turns: terms.takes_turns,
        };
        if let (Target::Chat(_), Some(line)) = (&key.target, self.lines.get(&key))
            && line.waiting.len() >= self.max_line
        {
            return Err(Refusal::LineFull);
        }
        if let Some(pacing) = terms.pacing {
            self.pacers
                .entry(pacing)
                .or_insert_with(|| Pacer::new(pacing, now));
        }
        let ticket = Ticket(self.arrived);
        self.arrived += 1;
        let line = self.lines.entry(key.clone()).or_default();
        line.held_until = held_until;
        line.waiting.insert(ticket, Waiting { terms, flood_waited });
        self.whereabouts.insert(ticket, key.clone());
        self.place(&key, now);
        Ok(ticket)
    }

    /// Says what to do next.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        if let Some(until) = self.holds.bot_until(now) {
            return if self.whereabouts.len() > self.running.len() {
                Step::AskAt(until)
            } else {
                self.rest(now)
            };
        }
        while let Some(due) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = due.get().clone();
            self.place(&key, now);
        }
        if self.running.len() >= self.connections {
            return Step::Rest;
        }
        loop {
            let paced = self.paced.iter().filter_map(|(pacing, heads)| {
                let pacer = self.pacers.get(pacing)?;
                heads.first_key_value().filter(|_| pacer.next_call(now).is_none())
            });
            let head = self
                .ready
                .first_key_value()
                .into_iter()
                .chain(paced)
                .min_by_key(|(ticket, _)| **ticket);
            let Some((ticket, key)) = head.map(|(ticket, key)| (*ticket, key.clone())) else {
                return self.rest(now);
            };
            // Something else may have taken its chat's tokens since it was placed.
            self.place(&key, now);
            if matches!(self.lines[&key].place, Place::Ready(_) | Place::Paced(..)) {
                self.start(ticket, &key, now);
                return Step::Start(ticket);
            }
        }
    }

    /// Notes that a call was answered for good, or that its caller has gone: it waits and runs no more.
    pub(crate) fn leave(&mut self, ticket: Ticket, now: Instant) {
        let Some(key) = self.whereabouts.remove(&ticket) else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&key) {
            if self.running.remove(&ticket).is_some() {
                line.running -= 1;
            } else {
                line.waiting.remove(&ticket);
            }
        }
        self.place(&key, now);
    }

    /// Notes that a running call was answered with a wait. It goes back to the head of its line. Returns the calls that
    /// will not wait so long, with the remaining time; they have left.
    pub(crate) fn flooded(
        &mut self,
        ticket: Ticket,
        retry_after: Duration,
        now: Instant,
    ) -> Vec<(Ticket, Duration)> {
        let Some(key) = self.whereabouts.get(&ticket).cloned() else {
            return Vec::new();
        };
        let (Some(call), Some(line)) = (self.running.remove(&ticket), self.lines.get_mut(&key)) else {
            return Vec::new();
        };
        line.running -= 1;
        line.waiting.insert(ticket, call);
        let bot_before = self.holds.bot_until(now);
        self.holds.hold(&key.target, retry_after, now);
        let touched: Vec<LineKey> = if self.holds.bot_until(now) == bot_before {
            [true, false]
                .map(|takes_turns| LineKey {
                    takes_turns,
                    ..key.clone()
                })
                .into()
        } else {
            self.lines.keys().cloned().collect()
        };
        let mut impatient = Vec::new();
        for key in touched {
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            let until = self.holds.until(&key.target, now);
            let longer = until.map_or(Duration::ZERO, |until| {
                until - line.held_until.unwrap_or(now).clamp(now, until)
            });
            line.held_until = until;
            let wait = until.map_or(Duration::ZERO, |until| until - now);
            line.waiting.retain(|ticket, call| {
                call.flood_waited = call.flood_waited.saturating_add(longer);
                let stays = call.flood_waited <= call.terms.max_flood_wait;
                if !stays {
                    impatient.push((*ticket, wait));
                }
                stays
            });
            self.place(&key, now);
        }
        for (ticket, _) in &impatient {
            self.whereabouts.remove(ticket);
        }
        impatient
    }

    /// Counts what waits, runs and is held.
    pub(crate) fn census(&mut self, now: Instant) -> Census {
        Census {
            waiting: self.whereabouts.len() - self.running.len(),
            running: self.running.len(),
            longest_line: self
                .lines
                .values()
                .map(|line| line.waiting.len())
                .max()
                .unwrap_or(0),
            held_chats: self.holds.held_chats(now),
            bot_held_until: self.holds.bot_until(now),
        }
    }

    fn start(&mut self, ticket: Ticket, key: &LineKey, now: Instant) {
        let line = self.lines.get_mut(key).expect("a head that is placed has a line");
        let call = line.waiting.remove(&ticket).expect("a head that is placed waits");
        line.running += 1;
        self.running.insert(ticket, call);
        if let Some(chat) = key.paced_chat() {
            for pacer in self.pacers.values_mut() {
                pacer.count(chat, now);
            }
        }
        self.place(key, now);
    }

    /// Puts the head of a line where it belongs, and forgets a line without calls.
    fn place(&mut self, key: &LineKey, now: Instant) {
        let Entry::Occupied(mut entry) = self.lines.entry(key.clone()) else {
            return;
        };
        match std::mem::take(&mut entry.get_mut().place) {
            Place::Nowhere => {}
            Place::Ready(ticket) => {
                self.ready.remove(&ticket);
            }
            Place::Paced(pacing, ticket) => {
                if let Entry::Occupied(mut heads) = self.paced.entry(pacing) {
                    heads.get_mut().remove(&ticket);
                    if heads.get().is_empty() {
                        heads.remove();
                    }
                }
            }
            Place::Later(at, ticket) => {
                self.later.remove(&(at, ticket));
            }
        }
        let line = entry.get();
        let Some((&ticket, head)) = line.waiting.first_key_value() else {
            if line.running == 0 {
                entry.remove();
            }
            return;
        };
        if key.takes_turns && line.running > 0 {
            return;
        }
        let pace = head.terms.pacing.zip(key.paced_chat());
        let paced_until = pace.and_then(|(pacing, chat)| self.pacers.get(&pacing)?.next_call_to(chat, now));
        let place = match (self.holds.target_until(&key.target, now).max(paced_until), pace) {
            (Some(at), _) => {
                self.later.insert((at, ticket), key.clone());
                Place::Later(at, ticket)
            }
            (None, Some((pacing, _))) => {
                self.paced.entry(pacing).or_default().insert(ticket, key.clone());
                Place::Paced(pacing, ticket)
            }
            (None, None) => {
                self.ready.insert(ticket, key.clone());
                Place::Ready(ticket)
            }
        };
        entry.get_mut().place = place;
    }

    /// Says when something may go by itself, or when the last of what is remembered of idle chats can be forgotten.
    fn rest(&mut self, now: Instant) -> Step {
        let paced = self
            .paced
            .keys()
            .filter_map(|pacing| self.pacers.get(pacing)?.next_call(now));
        let mut next = paced
            .chain(self.later.first_key_value().map(|((at, _), _)| *at))
            .min();
        if self.whereabouts.is_empty() {
            let mut full = Vec::new();
            self.pacers.retain(|_, pacer| {
                let at = pacer.forget(now);
                full.extend(at);
                at.is_some()
            });
            next = full.into_iter().max();
        }
        next.map_or(Step::Rest, Step::AskAt)
    }
}

impl LineKey {
    /// The chat whose pace its calls count for.
    fn paced_chat(&self) -> Option<&Chat> {
        match &self.target {
            Target::Chat(chat) if self.takes_turns => Some(chat),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
