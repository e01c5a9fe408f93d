//! Which deliveries are finished without a gap before them. Pure.

use std::collections::VecDeque;

use crate::delivery::Seq;

/// Book of the deliveries that were given out and not yet settled, in order of arrival.
///
/// It knows only the seqs it was given and never invents the ones in between: seqs have gaps.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: VecDeque<Entry>,
    settled_through: Option<Seq>,
}

#[derive(Debug)]
struct Entry {
    seq: Seq,
    settled: bool,
}

impl Ledger {
    /// Notes a delivery that was given out. Returns whether it is new: a seq at or below one given before is not.
    pub(crate) fn give(&mut self, seq: Seq) -> bool {
        let newest = self.open.back().map(|entry| entry.seq).or(self.settled_through);
        if newest.is_some_and(|newest| seq <= newest) {
            return false;
        }
        self.open.push_back(Entry { seq, settled: false });
        true
    }

    /// Notes that a delivery is finished. Returns whether it was open.
    pub(crate) fn settle(&mut self, seq: Seq) -> bool {
        let Ok(index) = self.open.binary_search_by_key(&seq, |entry| entry.seq) else {
            return false;
        };
        if std::mem::replace(&mut self.open[index].settled, true) {
            return false;
        }
        while self.open.front().is_some_and(|entry| entry.settled) {
            self.settled_through = self.open.pop_front().map(|entry| entry.seq);
        }
        true
    }

    /// Returns the highest seq at or below which everything given out is settled.
    pub(crate) fn settled_through(&self) -> Option<Seq> {
        self.settled_through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsettled(ledger: &Ledger) -> usize {
        ledger.open.iter().filter(|entry| !entry.settled).count()
    }

    fn given(seqs: impl IntoIterator<Item = u64>) -> Ledger {
        let mut ledger = Ledger::default();
        for seq in seqs {
            assert!(ledger.give(Seq(seq)));
        }
        ledger
    }

    #[test]
    fn nothing_is_settled_through_before_the_first_one_is() {
        let mut ledger = given([10, 20, 30]);

        ledger.settle(Seq(20));
        ledger.settle(Seq(30));

        assert_eq!(ledger.settled_through(), None);
        assert_eq!(unsettled(&ledger), 1);
    }

    #[test]
    fn closing_a_gap_releases_all_above_it() {
        let mut ledger = given([10, 20, 30, 45]);
        ledger.settle(Seq(30));
        ledger.settle(Seq(20));

        ledger.settle(Seq(10));

        assert_eq!(ledger.settled_through(), Some(Seq(30)));
    }

    #[test]
    fn settling_twice_or_settling_the_unknown_changes_nothing() {
        let mut ledger = given([10, 20]);
        ledger.settle(Seq(20));

        assert!(!ledger.settle(Seq(20)));
        assert!(!ledger.settle(Seq(15)));

        assert_eq!(unsettled(&ledger), 1);
    }

    #[test]
    fn a_seq_that_does_not_rise_is_refused() {
        let mut ledger = given([10]);

        assert!(!ledger.give(Seq(10)));
        assert!(!ledger.give(Seq(9)));

        ledger.settle(Seq(10));
        assert!(!ledger.give(Seq(10)));
        assert!(ledger.give(Seq(11)));
    }

    #[test]
    fn any_order_of_settling_ends_with_everything_settled() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let mut next = 0;
            let mut seqs: Vec<u64> = (0..random.usize(1..60))
                .map(|_| {
                    next += random.u64(1..9);
                    next
                })
                .collect();
            let mut ledger = given(seqs.clone());
            let sorted = seqs.clone();
            random.shuffle(&mut seqs);

            let mut settled = Vec::new();
            for seq in seqs {
                assert!(ledger.settle(Seq(seq)));
                settled.push(seq);
                let expected = sorted.iter().take_while(|seq| settled.contains(seq)).last();
                assert_eq!(ledger.settled_through(), expected.map(|seq| Seq(*seq)));
            }

            assert_eq!(unsettled(&ledger), 0);
        }
    }
}
