//! Two processes and one journal.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
};

use super::{
    JournalError, Store, StoreOptions,
    testing::{NOW, Place, updates},
};

/// Set for the second process: where the journal is.
const CHILD: &str = "ACTOGRAM_TEST_JOURNAL";

/// The test starts itself once more; the other process opens the journal, says so, and waits to be killed.
#[test]
fn a_journal_in_use_by_another_process_is_refused_until_that_process_is_killed() {
    if let Some(path) = env::var_os(CHILD) {
        let (mut store, _) = Store::open(path.as_ref(), StoreOptions::default(), NOW).unwrap();
        store.push_new(&updates(3));
        println!("\nopened");
        io::stdout().flush().unwrap();
        loop {
            thread::park();
        }
    }
    let place = Place::new();
    let name = thread::current().name().unwrap().to_owned();
    let mut other = Command::new(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(CHILD, place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(other.stdout.take().unwrap());
    let opened = output.lines().map_while(Result::ok).any(|line| line == "opened");

    let refused = place.try_open(StoreOptions::default());
    other.kill().unwrap();
    other.wait().unwrap();

    assert!(opened, "the other process ended early");
    let Err(JournalError::Locked { holder, .. }) = refused else {
        panic!("{refused:?}")
    };
    let holder = holder.unwrap();
    assert!(
        holder.starts_with(&format!("process {} on host ", other.id())),
        "{holder}"
    );
    let (store, _) = place.recover();
    assert_eq!(store.ids(), [1, 2, 3]);
}
