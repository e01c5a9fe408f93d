//! The handles: from any thread, inside and outside of async code.

use std::time::Duration;

use actogram_simulator::{Bot, Chat, FaultRule, Simulator, User};

use crate::support::{PATIENCE, connect};

fn is_shareable<T: Clone + Send + Sync + 'static>() {}

#[test]
fn handles_are_shared_between_threads() {
    is_shareable::<Simulator>();
    is_shareable::<Bot>();
    is_shareable::<User>();
    is_shareable::<Chat>();
    is_shareable::<FaultRule>();
}

#[test]
fn a_blocking_wait_is_woken_by_another_thread() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");

    let (reached, outcome) = std::sync::mpsc::channel();
    let waiting = bot.clone();
    std::thread::spawn(move || {
        // Begins to wait, tells so, and has a timeout that the test does not outlive.
        let told = reached.clone();
        let woken = waiting.wait_for(Duration::MAX, |view| {
            told.send(false).unwrap();
            view.pending_count() == 1
        });
        reached.send(woken).unwrap();
    });
    assert_eq!(outcome.recv_timeout(PATIENCE), Ok(false));

    ann.say("hello");

    assert_eq!(outcome.recv_timeout(PATIENCE), Ok(false));
    assert_eq!(outcome.recv_timeout(PATIENCE), Ok(true));
    assert!(!bot.wait_for(Duration::ZERO, |view| view.pending_count() == 2));
}

#[actix_web::test]
async fn an_async_wait_is_woken_by_another_task() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");

    let waiting = bot.wait_for_async(PATIENCE, |view| view.pending_count() == 1);
    let (woken, _) = tokio::join!(waiting, async { ann.say("hello") });

    assert!(woken);
    assert!(
        !bot.wait_for_async(Duration::ZERO, |view| view.pending_count() == 2)
            .await
    );
}

#[test]
fn an_async_wait_can_move_between_threads() {
    fn is_sendable<T: Send>(_: &T) {}
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();

    is_sendable(&bot.wait_for_async(PATIENCE, |view| view.is_polling()));
}

#[test]
#[should_panic(expected = "uses its view")]
fn a_predicate_that_uses_a_handle_panics_instead_of_hanging() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();

    bot.wait_for(PATIENCE, |_| bot.pending().is_empty());
}

#[test]
fn the_server_ends_with_its_last_handle() {
    let simulator = Simulator::start().unwrap();
    let port: u16 = simulator.url().rsplit(':').next().unwrap().parse().unwrap();
    let open = connect(&simulator);
    let clone = simulator.clone();

    drop(simulator);
    connect(&clone);
    drop(clone);

    drop(open);
    let again = Simulator::builder().port(port).start().unwrap();
    assert_eq!(again.url(), format!("http://127.0.0.1:{port}"));
    assert!(Simulator::builder().port(port).start().is_err());
}
