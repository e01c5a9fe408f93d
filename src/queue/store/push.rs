//! Updates enter the journal, each once.

use actogram_actors::Lane;
use rusqlite::OptionalExtension;

use super::{
    checksum::{Header, payload_hash},
    entry::RowId,
    error::JournalError,
    schema::mark_of,
    time::Timestamp,
    transaction::Work,
};
use crate::update::Update;

impl Work<'_> {
    /// Appends updates of one bot, each with the lane that keeps it in order, and returns their places.
    ///
    /// `None` stands for an update that was pushed before: same bot, same `update_id`, same payload, within the dedup
    /// window. Ids alone do not count, because the server may start them anew.
    ///
    /// An update with which a lane ends moves the lane, and everything in it, before the first of them is appended. What
    /// comes in a lane that was moved is appended to the one as which it goes on.
    pub(crate) fn push<'u>(
        &mut self,
        bot: u64,
        updates: impl IntoIterator<Item = (&'u Update, &'u Lane), IntoIter: Clone>,
        now: Timestamp,
    ) -> Result<Vec<Option<RowId>>, JournalError> {
        let updates = updates.into_iter();
        for (from, to) in updates.clone().filter_map(|(update, _)| update.moves_lane()) {
            self.move_lane(&from, &to, now)?;
        }
        let mut last = None;
        let rows: Vec<_> = updates
            .map(|(update, lane)| {
                let hash = payload_hash(update.raw().as_bytes());
                if !self.see(bot, update.id(), hash, now)? {
                    return Ok(None);
                }
                last = Some(update.id());
                let kind = update.kind_name();
                self.append(
                    bot,
                    update.id(),
                    kind,
                    lane.as_str(),
                    now,
                    hash,
                    update.raw(),
                    None,
                )
                .map(Some)
            })
            .collect::<Result<_, JournalError>>()?;
        if let Some(last) = last {
            self.conn
                .prepare_cached(
                    "INSERT INTO last_ids VALUES (?1, ?2) ON CONFLICT (bot) DO UPDATE SET update_id = ?2",
                )?
                .execute((bot.cast_signed(), last))?;
        }
        Ok(rows)
    }

    /// Notes the identity of an update; returns false if it was noted within the window.
    fn see(&mut self, bot: u64, update_id: i64, hash: i64, now: Timestamp) -> Result<bool, JournalError> {
        let bot = bot.cast_signed();
        let new = self
            .conn
            .prepare_cached(
                "INSERT INTO seen (bot, update_id, hash, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?
            .execute((bot, update_id, hash, now.0))?;
        if new == 1 {
            self.counts.seen += 1;
            return Ok(true);
        }
        // Pruning may be late; the window is not.
        let forgotten = now.minus(self.options.dedup_age);
        let expired = self
            .conn
            .prepare_cached(
                "UPDATE seen SET at = ?4 WHERE bot = ?1 AND update_id = ?2 AND hash = ?3 AND at < ?5",
            )?
            .execute((bot, update_id, hash, now.0, forgotten.0))?;
        Ok(expired == 1)
    }

    /// Appends a row for a first attempt, in the lane as which the given one goes on.
    #[expect(
        clippy::too_many_arguments,
        reason = "the columns of a row; private to two callers"
    )]
    pub(super) fn append(
        &mut self,
        bot: u64,
        update_id: i64,
        kind: &str,
        lane: &str,
        received_at: Timestamp,
        hash: i64,
        raw: &str,
        errors: Option<&str>,
    ) -> Result<RowId, JournalError> {
        // Only groups get another id, and theirs are negative.
        let moved = if lane.starts_with("chat:-") {
            self.moved_lane(lane)?
        } else {
            None
        };
        let lane = moved.as_deref().unwrap_or(lane);
        let seq = self.next_seq()?;
        let header = Header {
            seq,
            bot: bot.cast_signed(),
            update_id,
            kind: kind.as_bytes(),
            lane: lane.as_bytes(),
            received_at: received_at.0,
            bytes: i64::try_from(raw.len()).unwrap_or(i64::MAX),
            hash,
        };
        self.conn
            .prepare_cached(concat!(
                "INSERT INTO updates (seq, bot, update_id, kind, lane, received_at, state, attempt, waits, crashes, ",
                "mark, errors, sum, hash, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 1, 0, 0, ",
                mark_of!("0", "1", "0", "0", "NULL"),
                ", ?7, ?8, ?9, ?10)"
            ))?
            .execute((
                seq,
                header.bot,
                update_id,
                kind,
                lane,
                received_at.0,
                errors,
                header.sum(),
                hash,
                raw,
            ))?;
        self.counts.rows += 1;
        self.counts.bytes += header.bytes;
        Ok(RowId(seq))
    }

    /// Returns the next free place. The checksum of a row covers its place, so it must be known before the row is
    /// written.
    fn next_seq(&mut self) -> Result<i64, JournalError> {
        let next = match self.next {
            Some(next) => next,
            None => {
                // SQLite's own memory of the last place, and what would contradict it if it were damaged.
                let last: Option<i64> = self
                    .conn
                    .prepare_cached(
                        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'updates'), 0),
                                    coalesce((SELECT max(seq) FROM updates), 0),
                                    coalesce((SELECT max(seq) FROM dead), 0))",
                    )?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                last.unwrap_or(0) + 1
            }
        };
        self.next = Some(next + 1);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        StoreOptions,
        testing::{BOT, NOW, Place, update, updates},
    };
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn updates_come_back_as_they_were_pushed_and_in_order() {
        let place = Place::new();
        let mut store = place.open();
        let pushed = [
            Update::from_json(r#" {"update_id":9,"message":{"chat":{"id":-7},"text":"é \u00e9\n"}} "#)
                .unwrap(),
            Update::from_json(r#"{"update_id":3,"brand_new":{"deep":[1,2,{"x":null}]}}"#).unwrap(),
            Update::from_json(r#"{"update_id":4}"#).unwrap(),
        ];

        let rows = store.push_new(&pushed);

        assert!(rows.is_sorted());
        for (row, pushed) in rows.iter().zip(&pushed) {
            let stored = store.intact(*row);
            assert_eq!(stored.update.raw(), pushed.raw());
            assert_eq!(stored.entry.lane, *pushed.lane());
            assert_eq!(stored.entry.update_id, pushed.id());
            assert_eq!(stored.entry.bytes, pushed.raw().len() as u64);
            assert_eq!((stored.entry.bot, stored.received_at), (BOT, NOW));
            assert_eq!(
                (stored.entry.attempt, stored.entry.waits, stored.entry.crashes),
                (1, 0, 0)
            );
            assert!(!stored.started && stored.errors.is_empty());
        }
        assert_eq!(store.ids(), [9, 3, 4]);
    }

    #[test]
    fn the_id_that_was_kept_last_is_remembered_for_each_bot() {
        let place = Place::new();
        let mut store = place.open();
        assert_eq!(store.last_id(BOT).unwrap(), None);
        let batch = [update(7, 1), update(9, 1), update(8, 1)];
        store.push_new(&batch);
        store.push_at(&batch[..1], NOW);
        store.push_at(&[], NOW);
        store.run(|work| work.push(BOT + 1, [(&batch[1], batch[1].lane())], NOW));
        drop(store);

        let store = place.open();

        assert_eq!(store.last_id(BOT).unwrap(), Some(8));
        assert_eq!(store.last_id(BOT + 1).unwrap(), Some(9));
    }

    #[test]
    fn the_lane_is_the_one_that_was_given() {
        let place = Place::new();
        let mut store = place.open();
        let (update, lane) = (update(1, 7), Lane::new("everything"));

        let rows = store.run(|work| work.push(BOT, [(&update, &lane)], NOW));

        assert_eq!(store.intact(rows[0].unwrap()).entry.lane, lane);
    }

    #[test]
    fn a_second_delivery_is_noticed_even_when_the_first_is_finished() {
        let place = Place::new();
        let mut store = place.open();
        let batch = updates(3);
        let rows = store.push_new(&batch);
        store.run(|work| work.finish(rows[1]));

        assert_eq!(store.push_at(&batch, NOW.plus(DAY)), [None; 3]);
        assert_eq!(store.ids(), [1, 3]);
        drop(store);
        assert_eq!(place.open().push_at(&batch, NOW.plus(DAY)), [None; 3]);
    }

    #[test]
    fn a_second_delivery_within_a_batch_is_noticed() {
        let place = Place::new();
        let mut store = place.open();

        let rows = store.push_at(&[update(1, 7), update(1, 7)], NOW);

        assert!(rows[0].is_some() && rows[1].is_none());
    }

    #[test]
    fn the_same_id_with_another_payload_or_of_another_bot_is_another_update() {
        let place = Place::new();
        let mut store = place.open();
        let first = update(1, 7);
        store.push_new(std::slice::from_ref(&first));

        assert!(store.push_at(&[update(1, 8)], NOW)[0].is_some());
        let other_bot = store.run(|work| work.push(BOT + 1, [(&first, first.lane())], NOW));
        assert!(other_bot[0].is_some());
        assert_eq!(store.ids(), [1, 1, 1]);
    }

    #[test]
    fn an_update_is_new_again_outside_the_window_though_nothing_was_pruned() {
        let place = Place::new();
        let mut store = place.open();
        let batch = updates(1);
        store.push_new(&batch);

        assert_eq!(
            store.push_at(&batch, NOW.plus(2 * DAY)),
            [None],
            "the window is inclusive"
        );
        let later = NOW.plus(2 * DAY).plus(Duration::from_millis(1));
        assert!(store.push_at(&batch, later)[0].is_some());
        assert_eq!(
            store.push_at(&batch, later.plus(DAY)),
            [None],
            "the window starts anew"
        );
        assert_eq!(store.totals().unwrap().dedup_ids, 1);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nothing() {
        let place = Place::new();
        let mut store = place.open();
        let batch = updates(1);
        store.push_new(&batch);

        assert_eq!(store.push_at(&batch, NOW.minus(300 * DAY)), [None]);
    }

    #[test]
    fn an_update_whose_transaction_failed_may_come_again() {
        let place = Place::new();
        let mut store = place.open();
        let update = update(1, 7);
        let failed: Result<(), _> = store.transaction(super::super::Durability::Power, |work| {
            work.push(BOT, [(&update, update.lane())], NOW)?;
            Err(JournalError::contents("test"))
        });
        failed.unwrap_err();

        assert_eq!(store.push_new(&[update]).len(), 1);
    }

    #[test]
    fn places_are_never_used_twice() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(3));
        store.run(|work| rows.iter().try_for_each(|row| work.finish(*row).map(drop)));
        drop(store);

        let next = place.open().push_new(&[update(4, 1)]);

        assert!(next[0] > rows[2], "{next:?}");
    }

    #[test]
    fn a_lost_memory_of_the_last_place_does_not_give_a_place_away_twice() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(3));
        store.run(|work| work.bury(rows[2], super::super::DeadReason::Failed, &[], NOW));
        drop(store);
        place.meddle("DELETE FROM sqlite_sequence");

        let next = place.open().push_new(&[update(4, 1)]);

        assert!(next[0] > rows[2], "{next:?}");
    }

    #[test]
    fn every_push_is_counted() {
        let place = Place::new();
        let mut store = place.open();
        let batch = updates(40);
        store.push_new(&batch);
        store.push_at(&batch, NOW);

        let totals = store.totals().unwrap();

        let bytes: usize = batch.iter().map(|update| update.raw().len()).sum();
        assert_eq!(
            (totals.rows, totals.bytes, totals.dedup_ids),
            (40, bytes as u64, 40)
        );
    }

    #[test]
    fn options_default_to_what_is_documented() {
        let options = StoreOptions::default();

        assert_eq!((options.dedup_age, options.dedup_ids), (2 * DAY, 1_000_000));
    }
}
