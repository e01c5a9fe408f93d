//! Which offset long polling may send. Pure.
//!
//! The server forgets every update below the offset the moment it receives the request
//! (<https://core.telegram.org/bots/api#getupdates>), so the offset moves only behind what is finished, and never above
//! the highest id received plus one: the server would discard updates that nobody has seen.

use std::collections::VecDeque;

use actogram_actors::Seq;

/// Step between two ids in a row from which on it counts as a jump.
const LARGE_GAP: i64 = 1000;

/// Tells whether an id does not follow the one before it. Small gaps are normal: the server drops queries that nobody
/// fetched in time. Large ones, and ids that go down, mean that its queue was lost or began anew.
pub(crate) fn is_jump(last: i64, next: i64) -> bool {
    !(0..=LARGE_GAP).contains(&next.saturating_sub(last))
}

/// Book of the updates that were handed over and are not confirmed.
#[derive(Debug, Default)]
pub(crate) struct OffsetBook {
    open: VecDeque<(Seq, i64)>,
    next: Option<i64>,
    told: Option<i64>,
    carried: Option<i64>,
}

impl OffsetBook {
    /// Notes an update that is handed over.
    pub(crate) fn give(&mut self, seq: Seq, update_id: i64) {
        self.open.push_back((seq, update_id));
    }

    /// Moves the offset behind everything given at or below `through`, all of which is finished.
    ///
    /// Ids may restart lower, so the offset follows the updates that were finished last, not the highest ones ever
    /// seen; and it stays at or below every id that is still open.
    pub(crate) fn finish(&mut self, through: Seq) {
        let mut highest: Option<i64> = None;
        while let Some((_, update_id)) = self.open.front().copied().filter(|(seq, _)| *seq <= through) {
            highest = highest.max(Some(update_id));
            self.open.pop_front();
        }
        let Some(highest) = highest else { return };
        let after = highest.saturating_add(1);
        let lowest_open = self.open.iter().map(|(_, update_id)| *update_id).min();
        self.next = Some(lowest_open.map_or(after, |open| open.min(after)));
    }

    /// Returns the offset to send with the next request; `None` before anything was finished.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// Notes that the server has received a request with this offset.
    pub(crate) fn told(&mut self, offset: Option<i64>) {
        self.told = offset;
    }

    /// Notes that a request with this offset was on its way when it was given up.
    pub(crate) fn carried(&mut self, offset: Option<i64>) {
        self.carried = offset;
    }

    /// Returns whether a request that was given up may have told the server everything that is finished.
    pub(crate) fn may_be_told(&self) -> bool {
        self.carried.is_some() && self.carried == self.next
    }

    /// Returns whether the server knows everything that is finished.
    pub(crate) fn is_told(&self) -> bool {
        self.next == self.told
    }

    /// Returns the id of an update that was handed over and is not finished.
    pub(crate) fn update_id(&self, seq: Seq) -> Option<i64> {
        self.open
            .iter()
            .find(|(open, _)| *open == seq)
            .map(|(_, update_id)| *update_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(updates: impl IntoIterator<Item = (u64, i64)>) -> OffsetBook {
        let mut book = OffsetBook::default();
        for (seq, update_id) in updates {
            book.give(Seq(seq), update_id);
        }
        book
    }

    #[test]
    fn nothing_is_sent_before_anything_is_finished() {
        let book = book([(1, 100)]);

        assert_eq!(book.next(), None);
        assert!(book.is_told());
    }

    #[test]
    fn a_finished_batch_is_confirmed_by_its_highest_id_plus_one() {
        let mut book = book([(1, 100), (2, 103), (3, 104)]);

        book.finish(Seq(3));

        assert_eq!(book.next(), Some(105));
        assert!(!book.is_told());
        book.told(Some(105));
        assert!(book.is_told());
    }

    #[test]
    fn a_finished_prefix_is_confirmed_up_to_its_last_id() {
        let mut book = book([(1, 100), (2, 103), (3, 104)]);

        book.finish(Seq(2));

        assert_eq!(book.next(), Some(104));
        assert_eq!(book.update_id(Seq(3)), Some(104));
    }

    #[test]
    fn ids_that_restart_lower_take_the_offset_down_with_them() {
        let mut book = book([(1, 727_334_708)]);
        book.finish(Seq(1));
        book.give(Seq(2), 117_314_199);

        book.finish(Seq(2));

        assert_eq!(book.next(), Some(117_314_200));
    }

    #[test]
    fn an_open_update_with_a_lower_id_is_never_confirmed_by_one_above_it() {
        let mut book = book([(1, 50), (2, 40), (3, 60)]);

        book.finish(Seq(1));

        assert_eq!(book.next(), Some(40));
    }

    #[test]
    fn a_request_that_was_given_up_counts_only_for_the_offset_it_carried() {
        let mut book = book([(1, 100), (2, 101)]);
        book.finish(Seq(1));
        book.carried(Some(101));
        assert!(book.may_be_told() && !book.is_told());

        book.finish(Seq(2));

        assert!(!book.may_be_told());
    }

    #[test]
    fn ids_that_go_down_or_far_up_are_a_jump() {
        assert!([0, 1, 1000].into_iter().all(|step| !is_jump(5, 5 + step)));
        assert!(
            [4, 1006, i64::MAX, i64::MIN]
                .into_iter()
                .all(|next| is_jump(5, next))
        );
    }

    #[test]
    fn finishing_nothing_leaves_the_offset() {
        let mut book = book([(5, 100)]);

        book.finish(Seq(4));

        assert_eq!(book.next(), None);
    }
}
