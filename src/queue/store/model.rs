//! The journal as a few maps: what the store must be equal to after every step.

use std::{collections::BTreeMap, time::Duration};

use super::{
    DeadReason, RowId, Timestamp,
    testing::{BOT, NOW},
};
use crate::update::Update;

/// Bounds that random histories reach.
pub(super) const DEDUP_IDS: usize = 8;
pub(super) const PRUNE_IDS: usize = 3;
pub(super) const DEDUP_AGE: Duration = Duration::from_secs(48 * 3600);

/// An update by what makes it up: its bot, its id, which of two payloads with that id it is, and whether its chat goes on
/// as another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) second_bot: bool,
    pub(super) id: i64,
    pub(super) other_payload: bool,
    pub(super) goes_on: Option<i64>,
}

impl Name {
    pub(super) fn bot(self) -> u64 {
        BOT + u64::from(self.second_bot)
    }

    /// Returns its chat: -1, -2 or -3.
    pub(super) fn chat(self) -> i64 {
        -1 - self.id % 3
    }

    pub(super) fn update(self) -> Update {
        let (id, chat) = (self.id, self.chat());
        let service = self
            .goes_on
            .map(|chat| format!(r#","migrate_to_chat_id":{chat}"#))
            .unwrap_or_default();
        let text = if self.other_payload {
            "other".repeat(300)
        } else {
            "one".to_owned()
        };
        Update::from_json(&format!(
            r#"{{"update_id":{id},"message":{{"chat":{{"id":{chat}}},"text":"{text}"{service}}}}}"#
        ))
        .unwrap()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: Name,
    /// The chat that its lane is named after.
    pub(super) chat: i64,
    pub(super) started: bool,
    pub(super) attempt: u32,
    pub(super) waits: u32,
    pub(super) crashes: u32,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) errors: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) now: Timestamp,
    pub(super) rows: BTreeMap<RowId, Row>,
    pub(super) dead: BTreeMap<RowId, (Row, DeadReason)>,
    pub(super) seen: BTreeMap<Name, Timestamp>,
    pub(super) set_aside: u64,
    pub(super) expired: u64,
    /// Which chats go on as which others, step by step.
    moved: BTreeMap<i64, i64>,
    last: i64,
}

/// One step of a history. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Push(Vec<Name>),
    Start(usize),
    Release(usize),
    Retry {
        pick: usize,
        costs_attempt: bool,
    },
    Finish(usize),
    Expire(usize),
    Bury(usize, DeadReason),
    SetAside(usize),
    RetryDead(usize),
    DropDead(usize),
    Prune,
    PassTime(Duration),
    Checkpoint,
    Compact,
    /// A transaction that pushes, finishes, and then fails.
    Fail(Vec<Name>),
    CloseAndOpen,
    /// Opens what a kill would have left.
    Crash,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            now: NOW,
            rows: BTreeMap::new(),
            dead: BTreeMap::new(),
            seen: BTreeMap::new(),
            set_aside: 0,
            expired: 0,
            moved: BTreeMap::new(),
            last: 0,
        }
    }

    pub(super) fn pick(&self, number: usize) -> Option<RowId> {
        let index = number.checked_rem(self.rows.len())?;
        self.rows.keys().nth(index).copied()
    }

    pub(super) fn pick_dead(&self, number: usize) -> Option<RowId> {
        let index = number.checked_rem(self.dead.len())?;
        self.dead.keys().nth(index).copied()
    }

    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::Push(names) => {
                for name in names {
                    self.push(*name);
                }
            }
            Step::Start(pick) => self.change(*pick, |row| {
                row.started = true;
                row.retry_at = None;
            }),
            Step::Release(pick) => self.change(*pick, |row| row.started = false),
            Step::Retry { pick, costs_attempt } => {
                let at = self.now.plus(Duration::from_secs(5));
                self.change(*pick, |row| {
                    row.started = false;
                    row.retry_at = Some(at);
                    row.errors.push(format!("attempt {}", row.attempt));
                    row.attempt += u32::from(*costs_attempt);
                    row.waits += u32::from(!*costs_attempt);
                });
            }
            Step::Finish(pick) => {
                self.remove(*pick);
            }
            Step::Expire(pick) => self.expired += u64::from(self.remove(*pick).is_some()),
            Step::SetAside(pick) => self.set_aside += u64::from(self.remove(*pick).is_some()),
            Step::Bury(pick, reason) => {
                if let Some((place, mut row)) = self.remove(*pick) {
                    row.errors.push("last".to_owned());
                    self.dead.insert(place, (row, *reason));
                }
            }
            Step::RetryDead(pick) => {
                let letter = self.pick_dead(*pick).and_then(|place| self.dead.remove(&place));
                if let Some((row, _)) = letter {
                    self.append(row.name, row.chat, row.errors);
                }
            }
            Step::DropDead(pick) => {
                self.pick_dead(*pick).and_then(|place| self.dead.remove(&place));
            }
            Step::Prune => self.prune(),
            Step::PassTime(duration) => self.now = self.now.plus(*duration),
            Step::Checkpoint | Step::Compact | Step::Fail(_) => {}
            // An orderly stop that leaves a started attempt behind has not waited for it: that is a crash, too.
            Step::CloseAndOpen | Step::Crash => {
                for row in self.rows.values_mut() {
                    row.crashes += u32::from(row.started);
                    row.started = false;
                }
            }
        }
    }

    fn push(&mut self, name: Name) {
        // No two at once, so that it is known which of them is the oldest.
        self.now = self.now.plus(Duration::from_millis(1));
        let now = self.now;
        if let Some(to) = name.goes_on {
            self.go_on(name.chat(), to);
        }
        let noted = self.seen.get(&name).copied();
        if noted.is_none_or(|at| at < now.minus(DEDUP_AGE)) {
            self.seen.insert(name, now);
            self.append(name, name.chat(), Vec::new());
        }
    }

    fn end_of(&self, chat: i64) -> i64 {
        self.moved.get(&chat).map_or(chat, |next| self.end_of(*next))
    }

    fn go_on(&mut self, from: i64, to: i64) {
        let to = self.end_of(to);
        if to != from && !self.moved.contains_key(&from) {
            self.moved.insert(from, to);
            for row in self.rows.values_mut().filter(|row| row.chat == from) {
                row.chat = to;
            }
        }
    }

    fn append(&mut self, name: Name, chat: i64, errors: Vec<String>) {
        self.last += 1;
        let row = Row {
            name,
            chat: self.end_of(chat),
            started: false,
            attempt: 1,
            waits: 0,
            crashes: 0,
            retry_at: None,
            errors,
        };
        self.rows.insert(RowId(self.last), row);
    }

    fn change(&mut self, pick: usize, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.pick(pick).and_then(|place| self.rows.get_mut(&place)) {
            change(row);
        }
    }

    fn remove(&mut self, pick: usize) -> Option<(RowId, Row)> {
        let place = self.pick(pick)?;
        self.rows.remove_entry(&place)
    }

    fn prune(&mut self) {
        let mut oldest: Vec<_> = self.seen.iter().map(|(name, at)| (*at, *name)).collect();
        oldest.sort_unstable();
        let too_old = oldest
            .iter()
            .filter(|(at, _)| *at < self.now.minus(DEDUP_AGE))
            .count();
        let too_many = self.seen.len().saturating_sub(DEDUP_IDS);
        for (_, name) in oldest.into_iter().take(too_old.max(too_many).min(PRUNE_IDS)) {
            self.seen.remove(&name);
        }
    }
}
