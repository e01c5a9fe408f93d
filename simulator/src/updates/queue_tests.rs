use super::*;

const NOW: i64 = 1_800_000_000;
const LATER: i64 = NOW + 86_400;

/// A queue that holds the ids 1000 to 1004, so that H = 1000 and T = 1005.
fn five() -> UpdateQueue {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    queue.continue_at(1000);
    for _ in 0..5 {
        queue
            .push(Bytes::from_static(b"\"message\":{}"), LATER, 0)
            .unwrap();
    }
    queue
}

fn returned(read: &Read) -> Vec<i64> {
    read.updates.iter().map(|(id, _)| *id).collect()
}

fn confirmed(read: &Read) -> Vec<i64> {
    read.removed
        .iter()
        .filter(|gone| gone.why == Removal::Confirmed)
        .map(|gone| gone.id)
        .collect()
}

#[test]
fn a_fresh_queue_starts_at_a_random_id_of_the_documented_range() {
    for seed in 0..100 {
        let queue = UpdateQueue::new(fastrand::Rng::with_seed(seed));

        assert!(FIRST_IDS.contains(&queue.tail()), "seed {seed}: {}", queue.tail());
    }
}

#[test]
fn no_offset_confirms_nothing_and_reads_from_the_head() {
    let mut queue = five();

    let read = queue.read(0, 100, NOW);

    assert_eq!(returned(&read), [1000, 1001, 1002, 1003, 1004]);
    assert!(read.removed.is_empty());
}

#[test]
fn an_offset_between_head_and_tail_confirms_strictly_less() {
    let mut queue = five();

    let read = queue.read(1003, 100, NOW);

    assert_eq!(confirmed(&read), [1000, 1001, 1002]);
    assert_eq!(returned(&read), [1003, 1004]);
}

#[test]
fn the_tail_as_offset_confirms_everything() {
    let mut queue = five();

    let read = queue.read(1005, 100, NOW);

    assert_eq!(confirmed(&read).len(), 5);
    assert!(read.updates.is_empty());
}

#[test]
fn an_offset_up_to_ten_above_the_tail_swallows_updates_that_arrive_later() {
    let mut queue = five();

    let read = queue.read(1015, 100, NOW);
    assert_eq!(confirmed(&read).len(), 5);
    assert_eq!(read.kept_offset, 1015);

    for _ in 0..12 {
        queue
            .push(Bytes::from_static(b"\"message\":{}"), LATER, 0)
            .unwrap();
    }
    let read = queue.read(read.kept_offset, 100, NOW);
    assert_eq!(confirmed(&read), (1005..1015).collect::<Vec<_>>());
    assert_eq!(returned(&read), [1015, 1016]);
}

#[test]
fn an_offset_more_than_ten_above_the_tail_is_ignored() {
    let mut queue = five();

    let read = queue.read(1016, 100, NOW);

    assert!(read.removed.is_empty());
    assert_eq!(returned(&read).len(), 5);
}

#[test]
fn an_offset_below_the_head_confirms_nothing() {
    let mut queue = five();

    let read = queue.read(999, 100, NOW);

    assert!(read.removed.is_empty());
    assert_eq!(returned(&read).len(), 5);
}

#[test]
fn an_offset_far_below_the_head_confirms_nothing_either() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    queue.continue_at(500_000);
    queue
        .push(Bytes::from_static(b"\"message\":{}"), LATER, 0)
        .unwrap();

    let read = queue.read(1, 100, NOW);

    assert!(read.removed.is_empty());
    assert_eq!(returned(&read), [500_000]);
}

#[test]
fn a_negative_offset_keeps_only_the_newest() {
    let mut queue = five();

    let read = queue.read(-2, 100, NOW);

    assert_eq!(confirmed(&read), [1000, 1001, 1002]);
    assert_eq!(returned(&read), [1003, 1004]);
    assert_eq!(queue.head(), 1003);
}

#[test]
fn a_negative_offset_beyond_the_queue_confirms_nothing() {
    let mut queue = five();

    let read = queue.read(-9, 100, NOW);

    assert!(read.removed.is_empty());
    assert_eq!(returned(&read).len(), 5);
}

#[test]
fn the_limit_bounds_the_answer_and_hides_nothing() {
    let mut queue = five();

    assert_eq!(returned(&queue.read(0, 2, NOW)), [1000, 1001]);
    assert_eq!(returned(&queue.read(1001, 1, NOW)), [1001]);
    assert_eq!(queue.len(), 4);
}

#[test]
fn ids_continue_after_everything_is_confirmed_or_cleared() {
    let mut queue = five();
    queue.read(1005, 100, NOW);
    assert_eq!(queue.push(Bytes::new(), LATER, 0).unwrap().0, 1005);

    queue.clear();

    assert_eq!(queue.push(Bytes::new(), LATER, 0).unwrap().0, 1006);
}

#[test]
fn an_answer_stays_below_four_mebibytes() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    let largest = Bytes::from(vec![b'x'; MAX_UPDATE_BYTES]);
    for _ in 0..10 {
        queue.push(largest.clone(), LATER, 0).unwrap();
    }

    assert_eq!(queue.read(0, 100, NOW).updates.len(), 7);
}

#[test]
fn an_update_above_512_kibibytes_is_discarded_and_takes_no_id() {
    let mut queue = five();

    let outcome = queue.push(Bytes::from(vec![b'x'; MAX_UPDATE_BYTES + 1]), LATER, 0);

    assert_eq!(outcome.unwrap_err(), Discarded::UpdateTooLarge);
    assert_eq!(queue.tail(), 1005);
}

#[test]
fn a_full_queue_discards_the_new_update_and_keeps_the_old() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    for _ in 0..MAX_UPDATES {
        queue.push(Bytes::new(), LATER, 0).unwrap();
    }
    let (head, tail) = (queue.head(), queue.tail());

    assert_eq!(
        queue.push(Bytes::new(), LATER, 0).unwrap_err(),
        Discarded::CountExceeded
    );
    assert_eq!((queue.head(), queue.tail()), (head, tail));
}

#[test]
fn the_sum_of_bytes_is_bounded_and_freed_by_confirmation() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    let largest = Bytes::from(vec![b'x'; MAX_UPDATE_BYTES]);
    for _ in 0..MAX_TOTAL_BYTES / MAX_UPDATE_BYTES {
        queue.push(largest.clone(), LATER, 0).unwrap();
    }
    assert_eq!(
        queue.push(Bytes::from_static(b"x"), LATER, 0).unwrap_err(),
        Discarded::BytesExceeded
    );

    queue.read(queue.head() + 1, 1, NOW);

    queue.push(largest, LATER, 0).unwrap();
}

#[test]
fn an_update_is_gone_after_its_time_but_not_at_it() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    queue.continue_at(1000);
    queue.push(Bytes::new(), NOW + 30, 0).unwrap();
    queue.push(Bytes::new(), LATER, 0).unwrap();

    assert_eq!(returned(&queue.read(0, 100, NOW + 30)), [1000, 1001]);
    let read = queue.read(0, 100, NOW + 31);

    assert_eq!(returned(&read), [1001]);
    assert_eq!(read.removed[0].why, Removal::Expired);
    assert_eq!(queue.head(), 1001);
}

#[test]
fn a_sweep_takes_out_what_no_read_has_seen() {
    let mut queue = five();
    queue.push(Bytes::new(), NOW - 1, 0).unwrap();

    let removed = queue.sweep(NOW);

    assert_eq!(removed.len(), 1);
    assert_eq!(queue.len(), 5);
}

#[test]
fn the_id_limit_drops_the_queue_and_starts_again_at_random() {
    let mut queue = UpdateQueue::new(fastrand::Rng::with_seed(1));
    queue.continue_at(ID_LIMIT - 1);
    let (last, _) = queue.push(Bytes::new(), LATER, 0).unwrap();
    assert_eq!(last, ID_LIMIT - 1);

    let (id, pushed_out) = queue.push(Bytes::new(), LATER, 0).unwrap();

    assert!(FIRST_IDS.contains(&id));
    assert_eq!(pushed_out.len(), 1);
    assert_eq!(queue.len(), 1);
}

#[test]
fn after_a_jump_down_the_old_offset_confirms_nothing() {
    let mut queue = five();
    queue.clear();
    queue.continue_at(500);
    queue.push(Bytes::new(), LATER, 0).unwrap();

    let read = queue.read(1005, 100, NOW);

    assert_eq!(returned(&read), [500]);
    assert!(read.removed.is_empty());
}

#[test]
fn a_lost_confirmation_comes_back_under_its_old_id() {
    let mut queue = five();
    let read = queue.read(1002, 100, NOW);

    for gone in read.removed {
        assert!(queue.put_back(gone.id, gone.slot));
    }

    assert_eq!(returned(&queue.read(0, 100, NOW)), [1000, 1001, 1002, 1003, 1004]);
}
