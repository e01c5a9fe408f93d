//! Lanes that go on as others.

use std::collections::{HashMap, VecDeque};

use actogram_actors::Lane;

/// Which lanes go on as which others. At most [`MOST`](Self::MOST) are remembered, the oldest are forgotten first.
#[derive(Debug)]
pub(crate) struct MovedLanes {
    most: usize,
    /// Always leads to the end: no lane in here leads to another one in here.
    to: HashMap<Lane, Lane>,
    /// The lanes in `to`, oldest first.
    order: VecDeque<Lane>,
}

impl Default for MovedLanes {
    fn default() -> Self {
        Self::remembering(Self::MOST)
    }
}

impl MovedLanes {
    /// Lanes that are remembered at most.
    pub(crate) const MOST: usize = 10_000;

    /// Returns an empty one that remembers at most this many.
    pub(crate) fn remembering(most: usize) -> Self {
        Self {
            most,
            to: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Notes that `from` goes on as `to`. Returns where `from` leads now, or `None` when it was moved before, or `to` leads
    /// back to it.
    pub(crate) fn note(&mut self, from: &Lane, to: &Lane) -> Option<Lane> {
        let to = self.find(to).clone();
        if to == *from || self.to.contains_key(from) {
            return None;
        }
        for end in self.to.values_mut().filter(|end| *end == from) {
            *end = to.clone();
        }
        self.to.insert(from.clone(), to.clone());
        self.order.push_back(from.clone());
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.to.remove(&oldest);
        }
        Some(to)
    }

    /// Returns the lane as which this one goes on; itself, if it was not moved.
    pub(crate) fn find<'a>(&'a self, lane: &'a Lane) -> &'a Lane {
        self.to.get(lane).unwrap_or(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(number: usize) -> Lane {
        Lane::new(format!("chat:{number}"))
    }

    #[test]
    fn a_lane_that_was_moved_leads_to_the_other_one() {
        let mut moved = MovedLanes::default();

        assert_eq!(moved.note(&lane(1), &lane(2)), Some(lane(2)));

        assert_eq!(moved.note(&lane(1), &lane(2)), None, "that is known");
        assert_eq!(moved.note(&lane(1), &lane(3)), None, "a lane ends once");
        assert_eq!(
            [*moved.find(&lane(1)) == lane(2), *moved.find(&lane(3)) == lane(3)],
            [true; 2]
        );
    }

    #[test]
    fn a_chain_leads_to_its_end_in_whatever_order_it_was_told() {
        for order in [[(1, 2), (2, 3)], [(2, 3), (1, 2)]] {
            let mut moved = MovedLanes::default();
            for (from, to) in order {
                assert_eq!(
                    moved.note(&lane(from), &lane(to)),
                    Some(lane(if to == 2 && order[0].0 == 2 { 3 } else { to }))
                );
            }

            assert_eq!([moved.find(&lane(1)), moved.find(&lane(2))], [&lane(3); 2]);
        }
    }

    #[test]
    fn a_circle_is_not_closed() {
        let mut moved = MovedLanes::default();
        moved.note(&lane(1), &lane(2));
        moved.note(&lane(2), &lane(3));

        assert_eq!(moved.note(&lane(3), &lane(1)), None);

        assert_eq!(moved.find(&lane(3)), &lane(3));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut moved = MovedLanes::remembering(10);
        for n in 0..=10 {
            moved.note(&lane(2 * n), &lane(2 * n + 1));
        }

        assert_eq!(moved.find(&lane(0)), &lane(0));
        assert_eq!(moved.find(&lane(2)), &lane(3));
        assert_eq!(moved.to.len(), 10);
        assert_eq!(MovedLanes::default().most, MovedLanes::MOST);
    }

    #[cfg(feature = "journal")]
    #[test]
    fn as_many_are_remembered_as_in_the_journal() {
        assert_eq!(MovedLanes::MOST as i64, crate::queue::store::MOST_MOVED);
    }
}
