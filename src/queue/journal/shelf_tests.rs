use super::*;

fn slot(ticket: i64) -> Slot {
    let raw = format!(r#"{{"update_id":{ticket},"message":{{"chat":{{"id":1}}}}}}"#);
    let update = Update::from_json(&raw).unwrap();
    Slot {
        ticket: Ticket(ticket),
        bytes: 100,
        attempt: 1,
        waits: 0,
        crashes: 0,
        suspect: false,
        update: Some(update),
    }
}

fn crashed(ticket: i64, crashes: u32) -> Slot {
    Slot {
        crashes,
        ..slot(ticket)
    }
}

fn tickets(leases: &[Lease]) -> Vec<i64> {
    leases.iter().map(|lease| lease.ticket.0).collect()
}

fn lease(shelf: &mut Shelf, limit: usize) -> Vec<i64> {
    tickets(&shelf.lease(limit, Instant::now()))
}

#[test]
fn only_the_head_of_a_lane_is_on_lease() {
    let mut shelf = Shelf::new(10_000);
    shelf.push(&Lane::new("a"), slot(1));
    shelf.push(&Lane::new("a"), slot(2));
    shelf.push(&Lane::new("b"), slot(3));

    assert_eq!(lease(&mut shelf, 10), [1, 3]);
    assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
    assert!(shelf.finish(Ticket(1)));

    assert_eq!(lease(&mut shelf, 10), [2]);
}

#[test]
fn a_lane_waits_for_its_retry_and_no_other_does() {
    let now = Instant::now();
    let mut shelf = Shelf::new(10_000);
    shelf.push(&Lane::new("a"), slot(1));
    shelf.push(&Lane::new("a"), slot(2));
    shelf.push(&Lane::new("b"), slot(3));
    shelf.lease(1, now);

    assert!(shelf.retry(Ticket(1), now + Duration::from_secs(60)));

    assert_eq!(tickets(&shelf.lease(10, now)), [3]);
    assert_eq!(shelf.next_wake(), Some(now + Duration::from_secs(60)));
    assert_eq!(tickets(&shelf.lease(10, now + Duration::from_secs(60))), [1]);
}

#[test]
fn updates_beyond_the_cache_are_left_to_the_file() {
    let mut shelf = Shelf::new(250);
    for ticket in 1..=4 {
        shelf.push(&Lane::new(format!("lane:{ticket}")), slot(ticket));
    }

    let leases = shelf.lease(10, Instant::now());
    let cached: Vec<_> = leases.iter().map(|lease| lease.update.is_some()).collect();
    assert_eq!(cached, [true, true, false, false]);
    assert_eq!(shelf.bytes(), 400);

    shelf.push(&Lane::new("later"), slot(5));
    assert!(
        shelf.lease(1, Instant::now())[0].update.is_some(),
        "leased updates are not cached any more"
    );
}

#[test]
fn what_an_earlier_process_left_comes_back_in_order_with_its_retry_time() {
    let now = Instant::now();
    let mut shelf = Shelf::new(10_000);
    let later = Duration::from_secs(9);
    shelf.restore(
        vec![
            (Lane::new("a"), slot(1), later),
            (Lane::new("b"), slot(2), Duration::ZERO),
            (Lane::new("a"), slot(3), Duration::ZERO),
        ],
        now,
    );

    assert_eq!(tickets(&shelf.lease(10, now)), [2]);
    assert_eq!(tickets(&shelf.lease(10, now + later)), [1]);
    assert_eq!((shelf.len(), shelf.bytes()), (3, 300));
}

#[test]
fn suspects_run_alone_one_after_the_other_before_anything_else() {
    let mut shelf = Shelf::new(10_000);
    shelf.restore(
        vec![
            (Lane::new("a"), slot(1), Duration::ZERO),
            (Lane::new("b"), crashed(2, 2), Duration::ZERO),
            (Lane::new("c"), crashed(3, 1), Duration::ZERO),
            (Lane::new("d"), crashed(4, 5), Duration::ZERO),
        ],
        Instant::now(),
    );

    assert_eq!(lease(&mut shelf, 10), [2]);
    assert_eq!(
        lease(&mut shelf, 10),
        [] as [i64; 0],
        "nothing runs beside a suspect"
    );
    shelf.finish(Ticket(2));
    assert_eq!(lease(&mut shelf, 10), [4]);
    assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
    shelf.retry(Ticket(4), Instant::now() + Duration::from_secs(60));

    assert_eq!(
        lease(&mut shelf, 10),
        [1, 3],
        "a suspect that did not end the process is none any more"
    );
}

#[test]
fn ending_what_is_not_on_lease_changes_nothing() {
    let mut shelf = Shelf::new(10_000);
    shelf.push(&Lane::new("a"), slot(1));

    assert!(!shelf.finish(Ticket(1)));
    assert!(!shelf.retry(Ticket(7), Instant::now()));

    assert_eq!(shelf.len(), 1);
}

#[test]
fn a_suspect_whose_attempt_did_not_begin_runs_alone_all_the_same() {
    let now = Instant::now();
    let mut shelf = Shelf::new(10_000);
    shelf.restore(
        vec![
            (Lane::new("a"), crashed(1, 2), Duration::ZERO),
            (Lane::new("b"), crashed(2, 0), Duration::ZERO),
            (Lane::new("c"), crashed(3, 2), Duration::ZERO),
        ],
        now,
    );
    assert_eq!(lease(&mut shelf, 10), [1]);

    assert!(shelf.give_back(Ticket(1), now));

    assert_eq!(lease(&mut shelf, 10), [3], "the other suspect is alone");
    shelf.finish(Ticket(3));
    assert_eq!(lease(&mut shelf, 10), [2], "it is not leased beside a suspect");
    assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
    shelf.finish(Ticket(2));
    assert_eq!(lease(&mut shelf, 10), [1]);
    shelf.push(&Lane::new("d"), slot(4));
    assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
    shelf.finish(Ticket(1));
    assert_eq!(lease(&mut shelf, 10), [4]);
}

#[test]
fn a_suspect_that_waits_for_its_retry_holds_up_nobody_and_then_runs_alone() {
    let (now, later) = (Instant::now(), Duration::from_secs(9));
    let mut shelf = Shelf::new(10_000);
    shelf.restore(
        vec![
            (Lane::new("a"), crashed(1, 2), later),
            (Lane::new("b"), slot(2), Duration::ZERO),
        ],
        now,
    );

    assert_eq!(tickets(&shelf.lease(10, now)), [2]);
    assert_eq!(tickets(&shelf.lease(10, now + later)), [] as [i64; 0]);
    shelf.finish(Ticket(2));

    assert_eq!(tickets(&shelf.lease(10, now + later)), [1]);
}

#[test]
fn a_lane_that_moves_stands_in_order_of_arrival_behind_what_is_on_lease() {
    for ends_first in [1, 2] {
        let (old, new) = (Lane::new("old"), Lane::new("new"));
        let mut shelf = Shelf::new(10_000);
        for ticket in 1..=4 {
            shelf.push(if ticket % 2 == 1 { &old } else { &new }, slot(ticket));
        }
        assert_eq!(lease(&mut shelf, 10), [1, 2]);

        shelf.move_lane(&old, &new);

        assert_eq!(lease(&mut shelf, 10), [] as [i64; 0]);
        assert_eq!(shelf.slot(Ticket(1)).unwrap().ticket, Ticket(1));
        assert_eq!(shelf.slot_mut(Ticket(2)).unwrap().ticket, Ticket(2));
        assert!(shelf.finish(Ticket(ends_first)));
        assert_eq!(lease(&mut shelf, 10), [] as [i64; 0], "the other one still runs");
        assert!(shelf.finish(Ticket(3 - ends_first)));
        assert_eq!(lease(&mut shelf, 10), [3]);
        shelf.finish(Ticket(3));
        assert_eq!(lease(&mut shelf, 10), [4]);
        shelf.finish(Ticket(4));
        assert_eq!((shelf.len(), shelf.bytes()), (0, 0));
    }
}

#[test]
fn a_retry_of_the_old_lane_holds_the_new_one() {
    let now = Instant::now();
    let (old, new) = (Lane::new("old"), Lane::new("new"));
    let mut shelf = Shelf::new(10_000);
    shelf.push(&old, slot(1));
    shelf.push(&new, slot(2));
    shelf.lease(1, now);
    shelf.move_lane(&old, &new);

    assert!(shelf.retry(Ticket(1), now + Duration::from_secs(5)));

    assert_eq!(tickets(&shelf.lease(10, now)), [] as [i64; 0]);
    assert_eq!(shelf.next_wake(), Some(now + Duration::from_secs(5)));
    assert_eq!(tickets(&shelf.lease(10, now + Duration::from_secs(5))), [1]);
}

#[test]
fn both_heads_that_a_kill_cut_off_come_back_in_order_of_arrival() {
    let lane = Lane::new("new");
    let mut shelf = Shelf::new(10_000);
    let left = [crashed(1, 2), slot(2), crashed(3, 2), slot(4)];
    shelf.restore(
        left.into_iter()
            .map(|slot| (lane.clone(), slot, Duration::ZERO))
            .collect(),
        Instant::now(),
    );

    for ticket in 1..=4 {
        assert_eq!(lease(&mut shelf, 10), [ticket]);
        shelf.finish(Ticket(ticket));
    }
}

#[test]
fn it_is_exhausted_when_nothing_is_on_lease_and_nothing_wakes_in_time() {
    let (now, mut shelf) = (Instant::now(), Shelf::new(10_000));
    let minute = now + Duration::from_secs(60);
    assert!(shelf.is_exhausted(None), "there is nothing");

    shelf.push(&Lane::new("a"), slot(1));
    shelf.push(&Lane::new("a"), slot(2));
    assert!(!shelf.is_exhausted(Some(now)), "one is ready");
    shelf.lease(1, now);
    assert!(
        !shelf.is_exhausted(Some(now)),
        "one is on lease, another behind it"
    );
    shelf.retry(Ticket(1), minute);

    assert!(shelf.is_exhausted(Some(minute - Duration::from_secs(1))));
    assert!(!shelf.is_exhausted(Some(minute)));
    assert!(!shelf.is_exhausted(None));
}

#[test]
fn what_is_left_is_what_a_later_start_would_handle() {
    let mut shelf = Shelf::new(10_000);
    for ticket in 1..=3 {
        shelf.push(&Lane::new(format!("lane:{ticket}")), slot(ticket));
    }
    lease(&mut shelf, 2);

    assert_eq!((shelf.left(false), shelf.left(true)), (3, 1));
    shelf.acknowledge(Ticket(1));
    assert_eq!(shelf.left(false), 2);
    shelf.finish(Ticket(1));
    shelf.acknowledge(Ticket(1));

    assert_eq!(shelf.left(false), 2);
}
