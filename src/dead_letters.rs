//! Dead letters as the owner of a running bot sees them.

use std::{fmt, num::ParseIntError, str::FromStr, time::SystemTime};

use actogram_actors::Lane;

use crate::{
    error::Error,
    queue::{
        Journal, QueueError,
        store::{self, DamagedRow, DeadFilter, DeadReason, DeadRetry, Filter, RowId},
    },
    update::Update,
};

/// Identity of a dead letter in its journal; the command line tool shows the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(i64);

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeadLetterId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

#[cfg(feature = "monitor")]
impl DeadLetterId {
    pub(crate) fn of(number: i64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> i64 {
        self.0
    }
}

/// Why an update became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Its attempts are used up, or its last error cannot be mended by another one.
    Failed,
    /// The process ended again and again while it was handled.
    Crashed,
    /// The process ended while it was handled, and it must not be handled twice.
    Interrupted,
}

impl From<DeadReason> for DeadLetterReason {
    fn from(reason: DeadReason) -> Self {
        match reason {
            DeadReason::Failed => Self::Failed,
            DeadReason::Crashed => Self::Crashed,
            DeadReason::Interrupted => Self::Interrupted,
        }
    }
}

impl From<DeadLetterReason> for DeadReason {
    fn from(reason: DeadLetterReason) -> Self {
        match reason {
            DeadLetterReason::Failed => Self::Failed,
            DeadLetterReason::Crashed => Self::Crashed,
            DeadLetterReason::Interrupted => Self::Interrupted,
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DeadReason::from(*self).fmt(f)
    }
}

/// An update that was given up, without its text; [`BotHandle::dead_letter`](crate::BotHandle::dead_letter) returns
/// both.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its identity.
    pub id: DeadLetterId,
    /// Bot that received it.
    pub bot_id: u64,
    /// Its `update_id`.
    pub update_id: i64,
    /// Name of its kind as the [Bot API](https://core.telegram.org/bots/api#update) calls it, such as `message`.
    pub kind: String,
    /// Its lane, which it returns to when it is retried.
    pub lane: Lane,
    /// Length of its JSON text in bytes.
    pub bytes: u64,
    /// When it was received.
    pub received_at: SystemTime,
    /// When it was given up.
    pub died_at: SystemTime,
    /// Why.
    pub reason: DeadLetterReason,
    /// Number of its last attempt.
    pub attempt: u32,
    /// How often its handler asked to wait.
    pub waits: u32,
    /// How often the process ended during an attempt.
    pub crashes: u32,
    /// What went wrong, oldest first; at most 16 errors of at most 2 KiB each.
    pub errors: Vec<String>,
}

impl From<store::DeadLetter> for DeadLetter {
    fn from(letter: store::DeadLetter) -> Self {
        Self {
            id: DeadLetterId(letter.row.0),
            bot_id: letter.bot,
            update_id: letter.update_id,
            kind: letter.kind,
            lane: letter.lane,
            bytes: letter.bytes,
            received_at: letter.received_at.into(),
            died_at: letter.died_at.into(),
            reason: letter.reason.into(),
            attempt: letter.attempt,
            waits: letter.waits,
            crashes: letter.crashes,
            errors: letter.errors,
        }
    }
}

/// Which dead letters to list; the default is the first 100 of all.
#[derive(Debug, Clone)]
#[must_use]
pub struct DeadLetterFilter {
    lane: Option<Lane>,
    reason: Option<DeadLetterReason>,
    after: Option<DeadLetterId>,
    limit: u32,
}

impl DeadLetterFilter {
    /// Dead letters of one page.
    pub const DEFAULT_LIMIT: u32 = 100;

    /// Returns the filter that chooses the first 100 of all.
    pub fn new() -> Self {
        Self {
            lane: None,
            reason: None,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }

    /// Chooses only those of this lane.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Chooses only those that were given up for this reason.
    pub fn reason(mut self, reason: DeadLetterReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Chooses only those behind this one: [`DeadLetterPage::next`] of the page before.
    pub fn after(mut self, id: DeadLetterId) -> Self {
        self.after = Some(id);
        self
    }

    /// Chooses at most this many; default [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT). Each may hold 32 KiB of errors.
    pub fn limit(mut self, letters: u32) -> Self {
        self.limit = letters;
        self
    }
}

impl Default for DeadLetterFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// A page of dead letters; from [`BotHandle::dead_letters`](crate::BotHandle::dead_letters).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The letters, in order of their arrival as updates.
    pub letters: Vec<DeadLetter>,
    /// Letters of this page that do not match their checksums. They can only be dropped.
    pub damaged: Vec<DeadLetterId>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<DeadLetterId>,
}

pub(crate) async fn page(journal: &Journal, filter: DeadLetterFilter) -> Result<DeadLetterPage, Error> {
    let (limit, after) = (filter.limit, filter.after.map(|id| RowId(id.0)));
    let filter = DeadFilter {
        of: Filter {
            bot: None,
            lane: filter.lane,
        },
        reason: filter.reason.map(DeadReason::from),
    };
    // One more, to know whether there is one.
    let mut found = journal
        .dead_letters(filter, after, limit.saturating_add(1))
        .await
        .map_err(failed)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let mut page = DeadLetterPage::default();
    let mut last = None;
    for letter in found {
        match letter {
            Ok(letter) => {
                last = Some(DeadLetterId(letter.row.0));
                page.letters.push(letter.into());
            }
            Err(damaged) => {
                last = Some(DeadLetterId(damaged.row.0));
                page.damaged.extend(last);
            }
        }
    }
    page.next = last.filter(|_| more);
    Ok(page)
}

pub(crate) async fn show(journal: &Journal, id: DeadLetterId) -> Result<Option<(DeadLetter, Update)>, Error> {
    let found = journal.dead_letter(RowId(id.0)).await.map_err(failed)?;
    match found {
        None => Ok(None),
        Some(Ok((letter, update))) => Ok(Some((letter.into(), update))),
        Some(Err(DamagedRow { damage, .. })) => Err(damaged(id, damage.as_str())),
    }
}

pub(crate) async fn retry(journal: &Journal, id: DeadLetterId) -> Result<bool, Error> {
    match journal.retry_dead(RowId(id.0)).await.map_err(failed)? {
        DeadRetry::Queued(_) => Ok(true),
        DeadRetry::Missing => Ok(false),
        DeadRetry::Damaged(damage) => Err(damaged(id, damage.as_str())),
    }
}

pub(crate) async fn forget(journal: &Journal, id: DeadLetterId) -> Result<bool, Error> {
    journal.drop_dead(RowId(id.0)).await.map_err(failed)
}

/// A dead letter does not match its checksums.
#[derive(Debug, thiserror::Error)]
#[error("dead letter {id} is damaged, {damage}; it can only be dropped")]
struct DamagedLetter {
    id: DeadLetterId,
    damage: &'static str,
}

fn damaged(id: DeadLetterId, damage: &'static str) -> Error {
    Error::Journal(Box::new(DamagedLetter { id, damage }))
}

/// Returns whether an error says that the letter itself is damaged.
#[cfg(feature = "monitor")]
pub(crate) fn is_damaged(error: &Error) -> bool {
    matches!(error, Error::Journal(cause) if cause.is::<DamagedLetter>())
}

fn failed(error: QueueError) -> Error {
    Error::Journal(Box::new(error))
}
