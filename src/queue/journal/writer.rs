//! The thread that owns the file.
//!
//! All orders that wait at one moment share one transaction (group commit): one fsync makes a whole batch and every
//! settlement beside it durable. What is known in memory changes only after the commit. A full disk and another program
//! that writes are waited out; any other failure of the file is final, because nothing written afterwards could be
//! trusted.

mod takeover;
mod leasing;
mod upkeep;
mod foreign;
mod answers;
mod broadcasts;
mod ending;

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use actogram_actors::Lane;
use tokio::sync::oneshot;

use self::{ending::chain, foreign::Foreign};
use super::{
    JournalSettings,
    broadcasts::ToMark,
    questions::Question,
    shelf::{Shelf, Slot},
};
use crate::{
    lane::MovedLanes,
    queue::{
        Leased, Pushed, QueueError, Seam, Settlement, Ticket, Verdict,
        store::{
            CheckpointMode, DeadReason, Durability, JournalError, Retry, RowId, Store, StoreOptions,
            Timestamp,
        },
    },
    update::Update,
};

/// Longest time without looking at the clock; maintenance is done this often at the latest.
const IDLE: Duration = Duration::from_secs(30);

/// Pause between two steps of maintenance, while there is more to do than fits into one, and before the first one.
const UPKEEP_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two tries to write to a full disk, or beside another program.
const BLOCKED_PAUSE: Duration = Duration::from_secs(1);

/// Bytes written after which the write-ahead log is moved into the database. Small, because a damaged log loses its
/// tail.
const CHECKPOINT_AT: u64 = 4 << 20;

/// What a transaction takes in the log, roughly: each page it touches is written as a whole.
const TRANSACTION_BYTES: u64 = 16 << 10;

/// What a change takes in the log beside that and its payload, roughly.
const CHANGE_BYTES: u64 = 1 << 10;

/// Pages that are given back to the file system in one go.
const COMPACT_PAGES: u32 = 2_000;

/// Longest time that is spent on giving pages back when the journal is closed.
const SHRINK_TIME: Duration = Duration::from_millis(500);

/// Deaths of the process during attempts at one update until it is given up. From the second one on it runs alone.
const MAX_CRASHES: u32 = 6;

/// What the writer can be asked for.
#[derive(Debug)]
pub(super) enum Order {
    Push {
        updates: Vec<(Lane, Update)>,
        reply: Reply<Pushed>,
    },
    Settle(Vec<Settlement>),
    Lease {
        limit: usize,
        reply: Reply<Vec<Leased>>,
    },
    /// Forget the lease that waits; nobody does any more.
    Withdraw,
    /// These leases were granted and never seen.
    Return(Vec<Ticket>),
    Acknowledge {
        ticket: Ticket,
        reply: Reply<()>,
    },
    Room(Reply<usize>),
    /// Wait until nothing is on lease and nothing can be leased by then (`None` is never).
    AwaitExhausted {
        by: Option<Instant>,
        reply: Reply<()>,
    },
    Flush(Reply<()>),
    Mark(ToMark),
    Ask(Question),
    Close(oneshot::Sender<()>),
}

pub(super) type Reply<R> = oneshot::Sender<Result<R, QueueError>>;

#[derive(Debug)]
struct Push {
    updates: Vec<(Lane, Update)>,
    reply: Reply<Pushed>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Writer {
    store: Store,
    bot: u64,
    settings: JournalSettings,
    shelf: Shelf,
    /// The id of the update that an earlier process kept last, until something was pushed.
    last_id: Option<i64>,
    /// As the file has them.
    moved: MovedLanes,
    pushes: Vec<Push>,
    settlements: Vec<Settlement>,
    acknowledgements: Vec<(Ticket, Reply<()>)>,
    returned: Vec<Ticket>,
    flushes: Vec<Reply<()>>,
    rooms: Vec<Reply<usize>>,
    exhausted: Vec<(Option<Instant>, Reply<()>)>,
    questions: Vec<Question>,
    /// Of chats of broadcasts.
    marks: Vec<ToMark>,
    lease: Option<(usize, Reply<Vec<Leased>>)>,
    /// Set while nothing can be written, because the disk is full or another program writes: when to try again.
    blocked: Option<Instant>,
    /// Whether settlements were written since the last fsync.
    unsynced: bool,
    /// When to keep the file small again.
    upkeep_at: Instant,
    /// Ids that one step of maintenance forgets at most.
    prune_ids: u64,
    /// Bytes written since the last checkpoint, roughly.
    written: u64,
    foreign: Foreign,
    pushed: Pushed,
}

impl Writer {
    /// Opens the file and takes over what an earlier process left.
    pub(super) fn open(
        path: &Path,
        bot: u64,
        settings: JournalSettings,
        options: StoreOptions,
    ) -> Result<Self, JournalError> {
        let options = StoreOptions {
            bot: Some(bot),
            ..options
        };
        let prune_ids = options.prune_ids.into();
        let (wall, now) = (Timestamp::now(), Instant::now());
        let (store, recovered) = Store::open(path, options, wall)?;
        let last_id = store.last_id(bot)?;
        let mut writer = Self {
            store,
            bot,
            settings,
            shelf: Shelf::new(settings.cached_bytes),
            last_id,
            moved: MovedLanes::default(),
            pushes: Vec::new(),
            settlements: Vec::new(),
            acknowledgements: Vec::new(),
            returned: Vec::new(),
            flushes: Vec::new(),
            rooms: Vec::new(),
            exhausted: Vec::new(),
            questions: Vec::new(),
            marks: Vec::new(),
            lease: None,
            blocked: None,
            unsynced: false,
            upkeep_at: now + UPKEEP_PAUSE,
            prune_ids,
            written: 0,
            foreign: Foreign::new(now),
            pushed: Pushed::default(),
        };
        writer.take_over(recovered, wall, now)?;
        // Processes that never live long must not let the log grow from one to the next.
        match writer.store.checkpoint(CheckpointMode::Passive) {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(writer),
        }
    }

    /// Works until it is closed or every handle is gone.
    pub(super) fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            let closing = match inbox.recv_timeout(self.patience(Instant::now())) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.shut();
                    return;
                }
            };
            // Whatever waits now shares the transaction.
            let closing = closing.or_else(|| inbox.try_iter().find_map(|order| self.take(order)));
            if let Some(reply) = closing {
                self.shut();
                // The asker may have stopped waiting.
                let _ = reply.send(());
                return;
            }
            if let Err(error) = self.round() {
                self.fail(&error, inbox);
                return;
            }
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        if !self.returned.is_empty() && self.blocked.is_none() {
            return Duration::ZERO;
        }
        let wake = self.lease.as_ref().and_then(|_| self.shelf.next_wake());
        let look = self.lease.as_ref().map(|_| self.foreign.next_look());
        let upkeep = self.blocked.is_none().then_some(self.upkeep_at);
        let next = [wake, look, upkeep, self.blocked].into_iter().flatten().min();
        next.map_or(IDLE, |at| at.saturating_duration_since(now))
            .min(IDLE)
    }

    /// Notes an order; returns the reply of a request to close.
    fn take(&mut self, order: Order) -> Option<oneshot::Sender<()>> {
        match order {
            Order::Push { updates, reply } => self.pushes.push(Push { updates, reply }),
            Order::Settle(settlements) => self.settlements.extend(settlements),
            Order::Lease { limit, reply } => self.lease = Some((limit, reply)),
            Order::Withdraw => self.lease = None,
            Order::Return(tickets) => self.returned.extend(tickets),
            Order::Acknowledge { ticket, reply } => self.acknowledgements.push((ticket, reply)),
            Order::Room(reply) => self.rooms.push(reply),
            Order::AwaitExhausted { by, reply } => self.exhausted.push((by, reply)),
            Order::Flush(reply) => self.flushes.push(reply),
            Order::Mark(mark) => self.marks.push(mark),
            Order::Ask(question) => self.questions.push(question),
            Order::Close(reply) => return Some(reply),
        }
        None
    }

    /// Does everything that can be done now.
    fn round(&mut self) -> Result<(), JournalError> {
        let now = Instant::now();
        if self.blocked.is_none_or(|until| now >= until) {
            match self.write(now).and_then(|()| self.write_marks()) {
                Ok(()) => {
                    if self.blocked.take().is_some() {
                        tracing::info!("the journal can be written again");
                    }
                }
                // Nothing was kept, so nothing is in doubt.
                Err(error) if is_passing(&error) => {
                    if self.blocked.is_none() {
                        tracing::error!(error = chain(&error), "journal cannot be written, intake waits");
                    }
                    self.blocked = Some(now + BLOCKED_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        self.look_around(now)?;
        self.answer_questions()?;
        self.answer_rooms();
        self.give_out(now)?;
        self.answer_exhausted();
        self.maintain(now)
    }

    /// Writes pushes and settlements. When the disk is full, the settlements alone are tried: they make room.
    fn write(&mut self, now: Instant) -> Result<(), JournalError> {
        let nothing = self.pushes.is_empty()
            && self.settlements.is_empty()
            && self.acknowledgements.is_empty()
            && self.returned.is_empty()
            && self.flushes.is_empty();
        if nothing {
            return Ok(());
        }
        match self.write_all(now, true) {
            Err(JournalError::Full { .. }) if !self.settlements.is_empty() && !self.pushes.is_empty() => {
                self.write_all(now, false)?;
                self.write_all(now, true)?;
            }
            result => result?,
        }
        self.answer_flushes()
    }

    /// Tells those who wait for it that every settlement so far is durable. A transaction that changes nothing syncs
    /// nothing, and a checkpoint nothing that a reader keeps it from moving; so the log itself is synced.
    fn answer_flushes(&mut self) -> Result<(), JournalError> {
        if !self.flushes.is_empty() && self.unsynced {
            self.store.sync()?;
            self.unsynced = false;
        }
        for reply in self.flushes.drain(..) {
            // Whoever stopped waiting does not need the answer; the same holds for the replies below.
            let _ = reply.send(Ok(()));
        }
        Ok(())
    }

    fn write_all(&mut self, now: Instant, with_pushes: bool) -> Result<(), JournalError> {
        let wall = Timestamp::now();
        let (bot, shelf) = (self.bot, &self.shelf);
        let pushes: &[Push] = if with_pushes { &self.pushes } else { &[] };
        let settlements = &self.settlements;
        let dead = settlements
            .iter()
            .any(|settlement| matches!(settlement.verdict, Verdict::Dead { .. }));
        let acknowledged: Vec<Ticket> = self.acknowledgements.iter().map(|(ticket, _)| *ticket).collect();
        let returned = &self.returned;
        let durable = !pushes.is_empty() || dead || !acknowledged.is_empty() || !self.flushes.is_empty();
        let durability = if durable {
            Durability::Power
        } else {
            Durability::Kill
        };
        let (changed, rows, moves) = self.store.transaction(durability, |work| {
            let mut changed = false;
            for ticket in &acknowledged {
                changed |= work.finish(RowId(ticket.0))?;
            }
            for ticket in returned {
                changed |= work.release(RowId(ticket.0))?;
            }
            for Settlement { ticket, verdict } in settlements {
                let row = RowId(ticket.0);
                let Some(slot) = shelf.slot(*ticket) else { continue };
                changed |= match verdict {
                    Verdict::Finished => work.finish(row)?,
                    Verdict::Expired => work.expire(row)?,
                    Verdict::Retry { delay, counts, error } => {
                        let retry = Retry {
                            attempt: slot.attempt + u32::from(*counts),
                            waits: slot.waits + u32::from(!*counts),
                            at: wall.plus(*delay),
                            delay: *delay,
                            error: Some(error),
                        };
                        work.retry(row, &retry)?
                    }
                    Verdict::Dead { errors } => work.bury(row, DeadReason::Failed, errors, wall)?,
                };
            }
            let push = |push: &Push| {
                work.push(
                    bot,
                    push.updates.iter().map(|(lane, update)| (update, lane)),
                    wall,
                )
            };
            let rows = pushes.iter().map(push).collect::<Result<Vec<_>, _>>()?;
            let moves = std::mem::take(&mut work.moves);
            changed |= rows.iter().flatten().any(Option::is_some) || !moves.is_empty();
            Ok((changed, rows, moves))
        })?;
        if changed {
            self.unsynced = !durable;
        }
        self.written += TRANSACTION_BYTES + CHANGE_BYTES * settlements.len() as u64;

        for Settlement { ticket, verdict } in self.settlements.drain(..) {
            match verdict {
                Verdict::Finished | Verdict::Expired | Verdict::Dead { .. } => {
                    self.shelf.finish(ticket);
                }
                Verdict::Retry { delay, counts, .. } => {
                    if let Some(slot) = self.shelf.slot_mut(ticket) {
                        slot.attempt += u32::from(counts);
                        slot.waits += u32::from(!counts);
                    }
                    self.shelf.retry(ticket, now + delay);
                }
            }
        }
        for ticket in self.returned.drain(..) {
            self.shelf.give_back(ticket, now);
        }
        for (ticket, reply) in self.acknowledgements.drain(..) {
            self.shelf.acknowledge(ticket);
            // Whoever stopped waiting does not need the answer; the same holds for the replies below.
            let _ = reply.send(Ok(()));
        }
        for (from, to) in moves {
            tracing::info!(%from, %to, "chat has another id, its lane moves");
            self.moved.note(&from, &to);
            self.shelf.move_lane(&from, &to);
        }
        if with_pushes {
            if let Some(first) = rows.iter().flatten().flatten().next() {
                self.take_up_before(*first)?;
            }
            for (push, rows) in std::mem::take(&mut self.pushes).into_iter().zip(rows) {
                self.shelve(push, rows);
            }
        }
        Ok(())
    }

    fn shelve(&mut self, push: Push, rows: Vec<Option<RowId>>) {
        let mut pushed = Pushed::default();
        if let (Some((_, update)), Some(place)) = (push.updates.first(), rows.first()) {
            // What comes again, because its confirmation was lost, is no seam: it was kept before the restart.
            let new = place.map(|_| update.id());
            let both = self.last_id.take().zip(new);
            pushed.seam = both.map(|(last, first)| Seam { last, first });
        }
        for ((lane, update), row) in push.updates.into_iter().zip(rows) {
            let Some(row) = row else {
                pushed.duplicates += 1;
                continue;
            };
            pushed.kept += 1;
            self.foreign.note(row);
            let bytes = update.raw().len() as u64;
            self.written += bytes + CHANGE_BYTES;
            let ticket = Ticket(row.0);
            let slot = Slot {
                ticket,
                bytes,
                attempt: 1,
                waits: 0,
                crashes: 0,
                suspect: false,
                update: Some(update),
            };
            self.shelf.push(self.moved.find(&lane), slot);
        }
        self.pushed.kept += pushed.kept;
        self.pushed.duplicates += pushed.duplicates;
        let _ = push.reply.send(Ok(pushed));
    }

    /// Returns how many updates fit: none beyond the bounds that are set.
    fn free_rows(&self) -> usize {
        if self.shelf.bytes() < self.settings.bytes {
            self.settings.rows.saturating_sub(self.shelf.len())
        } else {
            0
        }
    }

    fn answer_rooms(&mut self) {
        let rows = self.free_rows();
        if rows > 0 && self.blocked.is_none() {
            for reply in self.rooms.drain(..) {
                let _ = reply.send(Ok(rows));
            }
        }
    }
}

/// Tells whether the same may work later: nothing of it was kept, and nothing else was harmed.
fn is_passing(error: &JournalError) -> bool {
    matches!(error, JournalError::Full { .. } | JournalError::Busy { .. })
}
