//! The writer keeps the file small.

use std::time::Instant;

use super::{CHECKPOINT_AT, COMPACT_PAGES, IDLE, UPKEEP_PAUSE, Writer, is_passing};
use crate::queue::store::{CheckpointMode, Durability, JournalError, Swept, Timestamp};

impl Writer {
    /// Keeps the file small. Done between the orders, so that nobody waits for it in front of an fsync.
    pub(super) fn maintain(&mut self, now: Instant) -> Result<(), JournalError> {
        let due = now >= self.upkeep_at;
        if self.blocked.is_some() || !(due || self.written >= CHECKPOINT_AT) {
            return Ok(());
        }
        self.written = 0;
        let kept_small = self.keep_small(due.then_some(now));
        match kept_small {
            // The next time will do.
            Err(error) if is_passing(&error) => Ok(()),
            result => result,
        }
    }

    fn keep_small(&mut self, due: Option<Instant>) -> Result<(), JournalError> {
        if let Some(now) = due {
            self.upkeep_at = now + IDLE;
            match self.drop_outdated(Timestamp::now()) {
                Ok(true) => self.upkeep_at = now + UPKEEP_PAUSE,
                Ok(false) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.store.checkpoint(CheckpointMode::Passive)?;
        Ok(())
    }

    /// Takes a step in forgetting and dropping what need not be kept any longer; returns whether there is more.
    fn drop_outdated(&mut self, wall: Timestamp) -> Result<bool, JournalError> {
        let (forgotten, swept, more) = self.store.transaction(Durability::Kill, |work| {
            Ok((work.prune(wall)?, work.sweep(wall)?, work.sweep_broadcasts(wall)?))
        })?;
        tell(&swept);
        self.store.compact(COMPACT_PAGES)?;
        Ok(swept.more || more || forgotten >= self.prune_ids)
    }
}

/// Nothing goes silently.
fn tell(swept: &Swept) {
    for gone in &swept.letters {
        tracing::warn!(
            letter = gone.row.map(|row| row.0),
            bot = gone.bot,
            update_id = gone.update_id,
            bound = gone.bound.as_str(),
            "dead letter dropped, it was outside the bounds of the journal"
        );
    }
    for gone in &swept.set_aside {
        tracing::warn!(
            row = gone.row.map(|row| row.0),
            bot = gone.bot,
            update_id = gone.update_id,
            bound = gone.bound.as_str(),
            "damaged row dropped, it was outside the bounds of the journal"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::super::{super::JournalSettings, Push};
    use super::*;
    use crate::{queue::store::StoreOptions, update::Update};

    /// A writer that has just kept so many updates, each in a lane of its own.
    fn writer_with(updates: i64, options: StoreOptions, folder: &tempfile::TempDir) -> (Writer, Instant) {
        let path = folder.path().join("a.db");
        let mut writer = Writer::open(&path, 7, JournalSettings::default(), options).unwrap();
        let now = writer.upkeep_at - UPKEEP_PAUSE;
        let updates = (1..=updates).map(|id| {
            let raw = format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#);
            let update = Update::from_json(&raw).unwrap();
            (update.lane().clone(), update)
        });
        let (updates, reply) = (updates.collect(), oneshot::channel().0);
        writer.pushes.push(Push { updates, reply });
        writer.write(now).unwrap();
        (writer, now)
    }

    #[test]
    fn what_does_not_fit_into_one_step_is_done_a_moment_later_and_not_at_the_next_turn() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            dedup_ids: 3,
            prune_ids: 5,
            ..StoreOptions::default()
        };
        let (mut writer, now) = writer_with(12, options, &folder);
        let remembered = |writer: &Writer| writer.store.totals().unwrap().dedup_ids;

        writer.maintain(now).unwrap();
        assert_eq!(remembered(&writer), 12, "starting comes first");
        let mut at = now;
        let mut seen = Vec::new();
        for _ in 0..3 {
            at += writer.patience(at);
            writer.maintain(at).unwrap();
            seen.push(remembered(&writer));
        }

        assert_eq!(seen, [7, 3, 3]);
        assert_eq!(at - now, 2 * UPKEEP_PAUSE + IDLE);
    }

    #[test]
    fn while_nothing_can_be_written_nobody_wakes_up_for_maintenance() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, now) = writer_with(1, StoreOptions::default(), &folder);
        writer.blocked = Some(now + Duration::from_secs(20));

        assert_eq!(
            writer.patience(now + Duration::from_secs(10)),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn letters_outside_the_bounds_are_dropped_in_the_course_of_maintenance() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            dead_letters: 1,
            ..StoreOptions::default()
        };
        let (mut writer, now) = writer_with(3, options, &folder);
        for row in [1, 2, 3] {
            let row = crate::queue::store::RowId(row);
            let reason = crate::queue::store::DeadReason::Failed;
            let died =
                |work: &mut crate::queue::store::Work<'_>| work.bury(row, reason, &[], Timestamp::now());
            writer.store.transaction(Durability::Kill, died).unwrap();
        }

        writer.maintain(now + UPKEEP_PAUSE).unwrap();

        let totals = writer.store.totals().unwrap();
        assert_eq!((totals.dead, totals.dead_swept), (1, 2));
    }
}
