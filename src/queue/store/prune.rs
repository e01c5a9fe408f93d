//! The dedup window is bounded in time and in size.

use super::{error::JournalError, time::Timestamp, transaction::Work};

/// Finds the oldest by the index over time, and each of them by its key.
const FORGET: &str = "DELETE FROM seen WHERE (bot, update_id, hash) IN
     (SELECT bot, update_id, hash FROM seen WHERE at < ?1 ORDER BY at LIMIT ?2)";

impl Work<'_> {
    /// Forgets ids that are outside the dedup window, by age first, then by count, the oldest first. Returns how many.
    ///
    /// One call forgets at most [`prune_ids`](super::StoreOptions::prune_ids); call again when it returned as many.
    pub(crate) fn prune(&mut self, now: Timestamp) -> Result<u64, JournalError> {
        let limit = i64::from(self.options.prune_ids);
        let too_old = self.forget(now.minus(self.options.dedup_age).0, limit)?;
        let most = i64::try_from(self.options.dedup_ids).unwrap_or(i64::MAX);
        let too_many = (self.counts.seen - most).clamp(0, limit - too_old);
        let removed = too_old + self.forget(i64::MAX, too_many)?;
        Ok(removed.unsigned_abs())
    }

    /// Forgets up to `limit` ids that were noted before a time.
    fn forget(&mut self, before: i64, limit: i64) -> Result<i64, JournalError> {
        if limit == 0 {
            return Ok(0);
        }
        let removed = self.conn.prepare_cached(FORGET)?.execute((before, limit))?;
        let removed = i64::try_from(removed).unwrap_or(i64::MAX);
        self.counts.seen -= removed;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        StoreOptions,
        testing::{NOW, Place, update, updates},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn forgetting_a_few_ids_does_not_read_all_of_them() {
        let place = Place::new();
        let store = place.open();
        let mut plan = store
            .connection()
            .prepare(&format!("EXPLAIN QUERY PLAN {}", super::FORGET))
            .unwrap();
        let steps: Vec<String> = plan
            .query_map((0, 0), |row| row.get("detail"))
            .unwrap()
            .map(Result::unwrap)
            .collect();

        assert!(
            steps.iter().any(|step| step.contains("PRIMARY KEY"))
                && steps.iter().any(|step| step.contains("seen_at")),
            "{steps:?}"
        );
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
    }

    #[test]
    fn old_ids_are_forgotten_and_young_ones_are_not() {
        let place = Place::new();
        let mut store = place.open();
        store.push_at(&updates(10), NOW);
        store.push_at(&[update(11, 1), update(12, 1)], NOW.plus(HOUR));
        let end = NOW.plus(48 * HOUR);

        assert_eq!(store.run(|work| work.prune(end)), 0);
        assert_eq!(store.run(|work| work.prune(end.plus(HOUR))), 10);

        assert_eq!(store.totals().unwrap().dedup_ids, 2);
        assert_eq!(store.push_at(&[update(11, 1)], end.plus(HOUR)), [None]);
    }

    #[test]
    fn the_oldest_ids_above_the_bound_are_forgotten() {
        let options = StoreOptions {
            dedup_ids: 4,
            ..StoreOptions::default()
        };
        let place = Place::new();
        let (mut store, _) = place.try_open(options).unwrap();
        let batch = updates(10);
        for (update, hours) in batch.iter().zip(0..) {
            store.push_at(std::slice::from_ref(update), NOW.plus(hours * HOUR));
        }

        assert_eq!(store.run(|work| work.prune(NOW.plus(10 * HOUR))), 6);

        assert_eq!(store.totals().unwrap().dedup_ids, 4);
        let again = store.push_at(&batch, NOW.plus(10 * HOUR));
        assert!(again[..6].iter().all(Option::is_some), "{again:?}");
        assert_eq!(again[6..], [None; 4]);
    }

    #[test]
    fn one_call_does_a_bounded_amount_of_work() {
        let options = StoreOptions {
            dedup_ids: 20,
            prune_ids: 25,
            ..StoreOptions::default()
        };
        let place = Place::new();
        let (mut store, _) = place.try_open(options).unwrap();
        store.push_at(&updates(30), NOW);
        let later: Vec<_> = (31..=100).map(|id| update(id, 1)).collect();
        store.push_at(&later, NOW.plus(48 * HOUR));
        let end = NOW.plus(49 * HOUR);

        let removed: Vec<_> = (0..5).map(|_| store.run(|work| work.prune(end))).collect();

        assert_eq!(removed, [25, 25, 25, 5, 0]);
        assert_eq!(store.totals().unwrap().dedup_ids, 20);
    }
}
