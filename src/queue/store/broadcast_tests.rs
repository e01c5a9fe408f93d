use std::{borrow::Borrow, time::Duration};

use super::super::{
    Store, StoreOptions, broadcast_chats,
    testing::{BOT, NOW, Place},
};
use super::*;
use crate::broadcast::{ChatsFilter, Ended, Mark, Marked};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn opening(name: &str) -> Opening {
    Opening {
        name: name.to_owned(),
        repeat_unknown: false,
        anew: false,
    }
}

fn open(store: &mut Store, opening: &Opening) -> (i64, OutcomeCounts, bool) {
    match store.run(|work| work.open_broadcast(BOT, opening, NOW)) {
        OpenedBroadcast::Open { id, counts, resumed } => (id, counts, resumed),
        ended => panic!("{ended:?}"),
    }
}

fn mark(store: &mut Store, id: i64, mark: impl Borrow<Mark>) -> Option<Marked> {
    store.run(|work| work.mark(id, mark.borrow(), NOW))
}

fn end(store: &mut Store, id: i64, chat: i64, outcome: ChatOutcome) {
    let ended = Ended {
        chat,
        outcome,
        moved_to: None,
        reason: None,
    };
    assert_eq!(mark(store, id, Mark::End(ended)), Some(Marked::Noted));
}

const GO: Option<Marked> = Some(Marked::Go { again: false });
const KNOWN: Option<Marked> = Some(Marked::Known { moved_to: None });

fn listed(store: &Store, id: i64) -> Vec<(i64, ChatOutcome)> {
    let filter = ChatsFilter {
        limit: 100,
        ..ChatsFilter::default()
    };
    let page = broadcast_chats::page(store.connection(), id, filter).unwrap();
    page.iter()
        .map(|record| (record.chat_id, record.outcome))
        .collect()
}

#[test]
fn a_chat_is_begun_once_whatever_became_of_it() {
    let place = Place::new();
    let mut store = place.open();
    let (id, _, resumed) = open(&mut store, &opening("news"));
    assert!(!resumed);

    assert_eq!(mark(&mut store, id, Mark::Begin(1)), GO);
    assert_eq!(mark(&mut store, id, Mark::Begin(1)), KNOWN, "it runs");
    for (chat, outcome) in (2..).zip(ChatOutcome::ALL) {
        assert_eq!(mark(&mut store, id, Mark::Begin(chat)), GO);
        end(&mut store, id, chat, outcome);
        assert_eq!(mark(&mut store, id, Mark::Begin(chat)), KNOWN, "{outcome}");
    }
}

#[test]
fn a_chat_that_was_released_can_be_begun_again_and_one_that_has_ended_cannot() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for chat in [1, 2] {
        mark(&mut store, id, Mark::Begin(chat));
    }
    end(&mut store, id, 2, ChatOutcome::Sent);

    for chat in [1, 2] {
        mark(&mut store, id, Mark::Release(chat));
    }

    assert_eq!(mark(&mut store, id, Mark::Begin(1)), GO);
    assert_eq!(mark(&mut store, id, Mark::Begin(2)), KNOWN);
}

#[test]
fn what_was_begun_when_the_process_died_is_unknown_and_not_begun_again() {
    let before = Place::new();
    let mut store = before.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for chat in [1, 2] {
        mark(&mut store, id, Mark::Begin(chat));
    }
    end(&mut store, id, 2, ChatOutcome::Sent);

    let place = Place::after_a_kill(store.path());
    let mut store = place.open();
    let (again, counts, resumed) = open(&mut store, &opening("news"));

    assert_eq!((again, resumed), (id, true));
    assert_eq!((counts.sent, counts.unknown), (1, 1));
    assert_eq!(
        listed(&store, id),
        [(1, ChatOutcome::Unknown), (2, ChatOutcome::Sent)]
    );
    assert_eq!(mark(&mut store, id, Mark::Begin(1)), KNOWN);
}

#[test]
fn what_is_unknown_is_begun_again_once_when_that_is_wished() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for chat in [1, 2, 3] {
        mark(&mut store, id, Mark::Begin(chat));
    }
    end(&mut store, id, 2, ChatOutcome::Unknown);
    end(&mut store, id, 3, ChatOutcome::Failed);
    let wish = Opening {
        repeat_unknown: true,
        ..opening("news")
    };

    let (_, counts, _) = open(&mut store, &wish);

    assert_eq!(
        (counts.unknown, counts.failed),
        (2, 1),
        "until they are begun again"
    );
    let fresh = broadcast_chats::fresh(store.connection(), id, &[1, 2, 3, 4]).unwrap();
    assert_eq!(fresh, [1, 2, 4]);
    for chat in [1, 2] {
        assert_eq!(
            mark(&mut store, id, Mark::Begin(chat)),
            Some(Marked::Go { again: true })
        );
        end(&mut store, id, chat, ChatOutcome::Unknown);
        assert_eq!(
            mark(&mut store, id, Mark::Begin(chat)),
            KNOWN,
            "not in the same run"
        );
    }
    let (_, counts, _) = open(&mut store, &opening("news"));
    assert_eq!(counts.unknown, 2, "nothing is repeated without the wish");
    assert_eq!(mark(&mut store, id, Mark::Begin(1)), KNOWN);
}

#[test]
fn a_group_that_was_moved_leads_to_its_supergroup() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    let moved = Ended {
        chat: -1,
        outcome: ChatOutcome::Moved,
        moved_to: Some(-1001),
        reason: None,
    };
    mark(&mut store, id, Mark::Begin(-1));
    mark(&mut store, id, Mark::End(moved));

    let known = Some(Marked::Known {
        moved_to: Some(-1001),
    });
    assert_eq!(mark(&mut store, id, Mark::Begin(-1)), known);
    let fresh = broadcast_chats::fresh(store.connection(), id, &[-1]).unwrap();
    assert_eq!(fresh, [-1], "the supergroup may not have it");
}

#[test]
fn a_broadcast_that_has_ended_takes_no_marks_and_keeps_its_counts() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for (chat, outcome) in (1..).zip(ChatOutcome::ALL) {
        mark(&mut store, id, Mark::Begin(chat));
        end(&mut store, id, chat, outcome);
    }

    let counts = store.run(|work| work.end_broadcast(id, true, NOW)).unwrap();

    assert_eq!(ChatOutcome::ALL.map(|outcome| counts.of(outcome)), [1; 5]);
    assert_eq!(mark(&mut store, id, Mark::Begin(9)), None);
    assert_eq!(store.run(|work| work.end_broadcast(id, false, NOW)), None);
    let opened = store.run(|work| work.open_broadcast(BOT, &opening("news"), NOW));
    assert_eq!(
        opened,
        OpenedBroadcast::Ended {
            cancelled: true,
            counts
        }
    );
}

#[test]
fn a_name_can_be_used_anew_and_belongs_to_one_bot() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    mark(&mut store, id, Mark::Begin(1));
    let others = store.run(|work| work.open_broadcast(BOT + 1, &opening("news"), NOW));
    assert!(
        matches!(others, OpenedBroadcast::Open { resumed: false, .. }),
        "{others:?}"
    );

    let anew = Opening {
        anew: true,
        ..opening("news")
    };
    let (new, counts, resumed) = open(&mut store, &anew);

    assert_ne!(new, id);
    assert_eq!((counts, resumed), (OutcomeCounts::default(), false));
    assert_eq!(mark(&mut store, id, Mark::Begin(2)), None, "the old one is over");
    assert_eq!(mark(&mut store, new, Mark::Begin(1)), GO);
    assert_eq!(list(store.connection(), None).unwrap().len(), 2);
    assert_eq!(list(store.connection(), Some(BOT + 1)).unwrap().len(), 1);
}

#[test]
fn a_damaged_record_is_unknown_and_nobody_gets_the_message_twice_because_of_it() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for chat in [1, 2] {
        mark(&mut store, id, Mark::Begin(chat));
        end(&mut store, id, chat, ChatOutcome::Sent);
    }
    drop(store);
    place.meddle("UPDATE broadcast_chats SET state = 6 WHERE chat = 1");

    let mut store = place.open();
    open(&mut store, &opening("news"));

    assert_eq!(mark(&mut store, id, Mark::Begin(1)), KNOWN);
    assert_eq!(
        listed(&store, id),
        [(1, ChatOutcome::Unknown), (2, ChatOutcome::Sent)]
    );
}

#[test]
fn a_broadcast_whose_identity_is_damaged_does_not_go_on() {
    let place = Place::new();
    let mut store = place.open();
    open(&mut store, &opening("news"));
    open(&mut store, &opening("other"));
    drop(store);
    place.meddle("UPDATE broadcasts SET name = 'olds' WHERE name = 'news'");

    let mut store = place.open();
    let refused = store
        .transaction(super::super::Durability::Power, |work| {
            work.open_broadcast(BOT, &opening("olds"), NOW)
        })
        .unwrap_err();

    assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
}

#[test]
fn chats_go_thirty_days_after_the_end_and_the_name_stays() {
    let place = Place::new();
    let options = StoreOptions {
        sweep_rows: 4,
        ..StoreOptions::default()
    };
    let (mut store, _) = place.try_open(options).unwrap();
    let (id, ..) = open(&mut store, &opening("news"));
    let (open_one, ..) = open(&mut store, &opening("open"));
    for chat in 1..=10 {
        for id in [id, open_one] {
            mark(&mut store, id, Mark::Begin(chat));
            end(&mut store, id, chat, ChatOutcome::Sent);
        }
    }
    store.run(|work| work.end_broadcast(id, false, NOW));

    assert!(!store.run(|work| work.sweep_broadcasts(NOW.plus(29 * DAY))));
    let left = [0; 4].map(|_| {
        let more = store.run(|work| work.sweep_broadcasts(NOW.plus(31 * DAY)));
        (listed(&store, id).len(), more)
    });

    assert_eq!(left, [(6, true), (2, true), (0, true), (0, false)]);
    assert_eq!(listed(&store, open_one).len(), 10, "it has not ended");
    let opened = store.run(|work| work.open_broadcast(BOT, &opening("news"), NOW));
    assert!(
        matches!(opened, OpenedBroadcast::Ended { counts, .. } if counts.sent == 10),
        "{opened:?}"
    );
    while store.run(|work| work.sweep_broadcasts(NOW.plus(401 * DAY))) {}
    assert_eq!(list(store.connection(), None).unwrap().len(), 1);
}

#[test]
fn what_was_dropped_goes_step_by_step() {
    let place = Place::new();
    let options = StoreOptions {
        sweep_rows: 4,
        ..StoreOptions::default()
    };
    let (mut store, _) = place.try_open(options).unwrap();
    let (id, ..) = open(&mut store, &opening("news"));
    for chat in 1..=6 {
        mark(&mut store, id, Mark::Begin(chat));
        end(&mut store, id, chat, ChatOutcome::Sent);
    }

    assert!(store.run(|work| work.drop_broadcast(BOT, "news")));
    assert!(!store.run(|work| work.drop_broadcast(BOT, "news")));
    while store.run(|work| work.sweep_broadcasts(NOW)) {}

    let left: i64 = store
        .connection()
        .query_row(
            "SELECT (SELECT count(*) FROM broadcasts) + (SELECT count(*) FROM broadcast_chats)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_page_holds_what_was_asked_for() {
    let place = Place::new();
    let mut store = place.open();
    let (id, ..) = open(&mut store, &opening("news"));
    for (chat, outcome) in [
        (1, ChatOutcome::Sent),
        (2, ChatOutcome::Blocked),
        (3, ChatOutcome::Sent),
        (4, ChatOutcome::Sent),
    ] {
        mark(&mut store, id, Mark::Begin(chat));
        end(&mut store, id, chat, outcome);
    }
    mark(&mut store, id, Mark::Begin(5));
    let filter = ChatsFilter {
        outcome: Some(ChatOutcome::Sent),
        after: Some(1),
        limit: 1,
    };

    let page = broadcast_chats::page(store.connection(), id, filter).unwrap();

    assert_eq!(page.len(), 1);
    assert_eq!((page[0].chat_id, page[0].outcome), (3, ChatOutcome::Sent));
    assert_eq!(listed(&store, id).len(), 4, "what is under way has no outcome");
}
