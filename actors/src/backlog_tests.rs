use super::*;

fn backlog(credit: CreditPolicy) -> Backlog<&'static str> {
    Backlog::new(
        credit,
        2,
        RetryPolicy::new([Duration::from_secs(1)]).jitter(0.0),
        RetryPlace::Engine,
    )
}

fn delivery(seq: u64, lane: &str) -> Delivery<&'static str> {
    Delivery::new(Seq(seq), Lane::new(lane), "payload")
}

fn end(backlog: &mut Backlog<&'static str>, seq: u64, lane: &str, outcome: Outcome) -> Next<&'static str> {
    backlog.attempt_ended(&Lane::new(lane), Seq(seq), outcome, Instant::now(), 0.5)
}

#[test]
fn no_more_run_than_there_are_slots() {
    let mut backlog = backlog(CreditPolicy::Window(10));
    backlog.accept(
        vec![delivery(1, "a"), delivery(2, "b"), delivery(3, "c")],
        Instant::now(),
    );

    assert!(backlog.next().is_some());
    assert!(backlog.next().is_some());
    assert!(backlog.next().is_none());

    assert!(matches!(end(&mut backlog, 1, "a", Outcome::Done), Next::Settled));
    assert_eq!(backlog.next().map(|delivery| delivery.seq), Some(Seq(3)));
}

#[test]
fn window_credit_comes_back_one_by_one() {
    let mut backlog = backlog(CreditPolicy::Window(3));
    backlog.accept(
        vec![delivery(1, "a"), delivery(2, "b"), delivery(3, "c")],
        Instant::now(),
    );
    assert_eq!(backlog.credit(), Credit::NONE);

    backlog.next();
    end(&mut backlog, 1, "a", Outcome::Done);

    assert_eq!(backlog.credit(), Credit(1));
}

#[test]
fn lockstep_credit_comes_back_when_the_whole_batch_has_ended() {
    let mut backlog = backlog(CreditPolicy::Lockstep(100));
    backlog.accept(vec![delivery(1, "a"), delivery(2, "b")], Instant::now());
    backlog.next();
    backlog.next();

    end(&mut backlog, 1, "a", Outcome::Done);
    assert_eq!(backlog.credit(), Credit::NONE);
    end(&mut backlog, 2, "b", Outcome::Expired);

    assert_eq!(backlog.credit(), Credit(100));
    let progress = backlog.take_progress();
    assert_eq!(progress.settled_through, Some(Seq(2)));
    assert_eq!(progress.settled.len(), 2);
    assert!(!backlog.has_news());
}

#[test]
fn a_failed_attempt_is_repeated_with_the_next_number_and_then_buried_with_its_history() {
    let mut backlog = backlog(CreditPolicy::Window(3));
    backlog.accept(vec![delivery(1, "a")], Instant::now());
    backlog.next();

    let next = end(&mut backlog, 1, "a", Outcome::Failed(Failure::transient("first")));
    assert!(matches!(next, Next::Repeats { delay, .. } if delay == Duration::from_secs(1)));
    assert!(backlog.next().is_none());
    backlog.wake(Instant::now() + Duration::from_secs(2));
    assert_eq!(backlog.next().map(|delivery| delivery.attempt), Some(2));

    let next = end(
        &mut backlog,
        1,
        "a",
        Outcome::Failed(Failure::transient("second")),
    );
    let Next::Bury(letter) = next else {
        panic!("expected a dead letter, got {next:?}")
    };
    assert_eq!(letter.history, ["handler failed: first"]);
    assert_eq!(letter.cause.chain(), "handler failed: second");
    assert!(
        !backlog.has_news(),
        "it is not settled before the hook has seen it"
    );

    assert!(backlog.buried(&Lane::new("a"), Seq(1)));
    let errors = vec![
        "handler failed: first".to_owned(),
        "handler failed: second".to_owned(),
    ];
    assert_eq!(
        backlog.take_progress().settled,
        [Settled {
            seq: Seq(1),
            ending: Ending::Dead { errors },
            attempt: 2
        }]
    );
}

#[test]
fn a_source_that_keeps_failed_deliveries_is_told_at_once_and_the_lane_goes_on() {
    let policy = RetryPolicy::new([Duration::from_secs(1)]).jitter(0.0);
    let mut backlog = Backlog::new(CreditPolicy::Window(3), 2, policy, RetryPlace::Source);
    backlog.accept(vec![delivery(1, "a"), delivery(2, "b")], Instant::now());
    backlog.next();
    backlog.next();

    end(&mut backlog, 1, "a", Outcome::Failed(Failure::transient("first")));
    end(
        &mut backlog,
        2,
        "b",
        Outcome::Failed(Failure::not_yet("busy", Duration::from_secs(9))),
    );

    assert!(backlog.is_empty(), "nothing is kept here");
    let endings: Vec<_> = backlog
        .take_progress()
        .settled
        .into_iter()
        .map(|settled| settled.ending)
        .collect();
    let retry = |secs, counts, error: &str| Ending::Retry {
        delay: Duration::from_secs(secs),
        counts,
        error: error.to_owned(),
    };
    assert_eq!(
        endings,
        [
            retry(1, true, "handler failed: first"),
            retry(9, false, "handler failed: busy")
        ]
    );
    backlog.accept(
        vec![Delivery {
            attempt: 2,
            ..delivery(3, "a")
        }],
        Instant::now(),
    );
    backlog.next();
    let next = end(
        &mut backlog,
        3,
        "a",
        Outcome::Failed(Failure::transient("second")),
    );
    assert!(
        matches!(next, Next::Bury(_)),
        "attempts are the source's: {next:?}"
    );
}

#[test]
fn being_told_to_wait_keeps_the_attempt_number() {
    let mut backlog = backlog(CreditPolicy::Window(3));
    backlog.accept(vec![delivery(1, "a")], Instant::now());
    backlog.next();

    end(
        &mut backlog,
        1,
        "a",
        Outcome::Failed(Failure::not_yet("busy", Duration::from_secs(9))),
    );
    backlog.wake(Instant::now() + Duration::from_secs(10));

    assert_eq!(backlog.next().map(|delivery| delivery.attempt), Some(1));
}

#[test]
fn an_outcome_that_comes_after_the_delivery_was_abandoned_is_ignored() {
    let mut backlog = backlog(CreditPolicy::Window(3));
    backlog.accept(vec![delivery(1, "a")], Instant::now());
    backlog.next();

    let abandoned = backlog.abandon();
    let next = end(&mut backlog, 1, "a", Outcome::Done);

    assert_eq!(abandoned.len(), 1);
    assert!(matches!(next, Next::Unknown));
    assert_eq!(
        backlog.take_progress().settled_through,
        None,
        "abandoned is not settled"
    );
}

#[test]
fn a_delivery_whose_seq_does_not_rise_is_refused() {
    let mut backlog = backlog(CreditPolicy::Window(3));
    backlog.accept(vec![delivery(5, "a")], Instant::now());

    let refused = backlog.accept(vec![delivery(5, "a"), delivery(4, "b")], Instant::now());

    assert_eq!(refused, 2);
    assert_eq!(backlog.len(), 1);
}

#[test]
fn history_is_bounded() {
    let mut history = Vec::new();
    for number in 0..40 {
        remember(&mut history, number.to_string());
    }

    assert_eq!(history.len(), DeadLetter::<()>::MAX_HISTORY);
    assert_eq!(history.last().map(String::as_str), Some("39"));
}
