use tempfile::TempDir;

use super::*;
use crate::queue::conformance::{Bench, exercise};

/// Journals in a folder of their own; each kill goes on with a copy of what was on disk at that moment.
struct Folders(std::cell::RefCell<Vec<TempDir>>);

impl Folders {
    fn new() -> Self {
        Self(std::cell::RefCell::new(vec![tempfile::tempdir().unwrap()]))
    }

    fn path(&self) -> PathBuf {
        self.0.borrow().last().unwrap().path().join("journal.db")
    }
}

impl Bench for Folders {
    type Queue = Journal;

    async fn open(&self) -> Journal {
        Journal::open(&self.path(), 42, JournalSettings::default())
            .await
            .unwrap()
    }

    async fn close(&self, journal: Journal) {
        journal.close().await;
    }

    async fn kill(&self, journal: Journal) {
        let (from, to) = (self.path(), tempfile::tempdir().unwrap());
        for ending in ["", "-wal"] {
            let file = from.with_file_name(format!("journal.db{ending}"));
            if file.exists() {
                std::fs::copy(&file, to.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        self.0.borrow_mut().push(to);
        drop(journal);
    }
}

#[actix_rt::test]
async fn the_journal_keeps_every_rule_of_a_queue() {
    exercise(async || Folders::new()).await;
}

#[actix_rt::test]
async fn a_full_queue_has_no_room_until_something_ends() {
    let folder = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        rows: 2,
        ..JournalSettings::default()
    };
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, 42, settings).await.unwrap();
    let update = |id: i64| {
        let update = Update::from_json(&format!(
            r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#
        ))
        .unwrap();
        (update.lane().clone(), update)
    };
    assert_eq!(journal.room().await.unwrap(), 2);
    journal.push(vec![update(1), update(2)]).await.unwrap();

    let mut room = Box::pin(journal.room());
    let waits = tokio::time::timeout(Duration::from_millis(50), &mut room).await;
    assert!(waits.is_err(), "there is no room");
    let leased = journal.lease(1).await.unwrap();
    let verdict = crate::queue::Verdict::Finished;
    journal.settle(vec![Settlement {
        ticket: leased[0].ticket,
        verdict,
    }]);

    assert_eq!(room.await.unwrap(), 1);
    journal.close().await;
}

#[actix_rt::test]
async fn a_closed_journal_answers_with_an_error_and_can_be_opened_again() {
    let folders = Folders::new();
    let journal = folders.open().await;
    journal.close().await;
    journal.close().await;

    assert!(journal.push(Vec::new()).await.is_err());
    assert!(journal.lease(1).await.is_err());

    folders.open().await.close().await;
}

/// Returns the handle of a journal whose writer is the caller.
fn without_a_writer() -> (Journal, mpsc::Receiver<Order>) {
    let (orders, inbox) = mpsc::channel();
    let journal = Journal {
        orders,
        pending: Arc::default(),
        closed: Arc::default(),
        at_most_once: false,
    };
    (journal, inbox)
}

#[actix_rt::test]
async fn what_is_dropped_when_the_journal_fails_learns_why() {
    let (journal, inbox) = without_a_writer();
    let no_disk = QueueError {
        reason: "no disk".to_owned(),
    };
    let writer = thread::spawn(move || {
        for order in inbox {
            if let Order::Ask(question) = order {
                question.refuse(&no_disk);
            }
        }
    });

    let leased = journal.lease(1).await.unwrap_err();
    let room = journal.room().await.unwrap_err();

    assert_eq!([leased.reason, room.reason], ["no disk", "no disk"]);
    drop(journal);
    writer.join().unwrap();
}

#[actix_rt::test]
async fn a_journal_whose_thread_was_lost_does_not_say_that_it_was_closed() {
    let (journal, inbox) = without_a_writer();
    drop(inbox);

    let lost = journal.room().await.unwrap_err();
    journal.close().await;
    let closed = journal.room().await.unwrap_err();

    assert!(lost.reason.contains("lost to a panic"), "{lost}");
    assert_eq!(closed.reason, "it is closed");
}

#[actix_rt::test]
async fn updates_that_do_not_fit_into_the_cache_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        cached_bytes: 0,
        ..JournalSettings::default()
    };
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, 42, settings).await.unwrap();
    let raw = r#"{"update_id":7,"message":{"chat":{"id":1},"text":"kept"}}"#;
    let update = Update::from_json(raw).unwrap();
    journal.push(vec![(update.lane().clone(), update)]).await.unwrap();

    let leased = journal.lease(1).await.unwrap();

    assert_eq!(leased[0].update.raw(), raw);
    journal.close().await;
}

fn update(id: i64) -> (Lane, Update) {
    let raw = format!(r#"{{"update_id":{id},"message":{{"chat":{{"id":{id}}}}}}}"#);
    let update = Update::from_json(&raw).unwrap();
    (update.lane().clone(), update)
}

async fn is_empty(journal: &Journal) -> bool {
    let lease = journal.lease(10);
    tokio::time::timeout(Duration::from_millis(100), lease)
        .await
        .is_err()
}

#[actix_rt::test]
async fn at_most_once_gives_up_what_a_kill_interrupted_and_nothing_else() {
    let folders = Folders::new();
    let settings = JournalSettings {
        at_most_once: true,
        ..JournalSettings::default()
    };
    let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
    journal.push(vec![update(1), update(2)]).await.unwrap();
    assert_eq!(journal.lease(1).await.unwrap()[0].update.id(), 1);
    folders.kill(journal).await;

    let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();

    assert_eq!(
        journal.lease(10).await.unwrap()[0].update.id(),
        2,
        "what had not begun is given out"
    );
    assert!(is_empty(&journal).await, "what had begun is not");
    journal.close().await;
}

#[actix_rt::test]
async fn a_lease_that_nobody_saw_has_not_begun() {
    let folders = Folders::new();
    let settings = JournalSettings {
        at_most_once: true,
        ..JournalSettings::default()
    };
    let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
    {
        let mut lease = Box::pin(journal.lease(10));
        let nothing = tokio::time::timeout(Duration::from_millis(20), &mut lease).await;
        assert!(nothing.is_err());
        // It is granted now, and dropped before anybody looks.
        journal.push(vec![update(1)]).await.unwrap();
    }
    journal.close().await;

    let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();

    assert_eq!(journal.lease(10).await.unwrap()[0].update.id(), 1);
    journal.close().await;
}

#[actix_rt::test]
async fn at_most_once_counts_what_has_begun_as_ended() {
    let folders = Folders::new();
    let settings = JournalSettings {
        at_most_once: true,
        ..JournalSettings::default()
    };
    let journal = Journal::open(&folders.path(), 42, settings).await.unwrap();
    journal.push(vec![update(1), update(2)]).await.unwrap();
    journal.lease(1).await.unwrap();

    assert_eq!(journal.unfinished().await.unwrap(), 1);
    journal.close().await;
}

#[actix_rt::test]
async fn what_was_acknowledged_does_not_come_back_after_a_kill() {
    let folders = Folders::new();
    let journal = folders.open().await;
    journal.push(vec![update(1)]).await.unwrap();
    let leased = journal.lease(1).await.unwrap();

    journal.acknowledge(leased[0].ticket).await.unwrap();
    assert_eq!(journal.unfinished().await.unwrap(), 0);
    folders.kill(journal).await;
    let journal = folders.open().await;

    assert!(is_empty(&journal).await);
    journal.close().await;
}
