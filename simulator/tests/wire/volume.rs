//! Many updates: nothing on the way from issue to confirmation may grow with the square of their number.

use actogram_simulator::Simulator;
use serde_json::json;

use crate::support::{Exchange, PATIENCE, connect, write_request};

const UPDATES: usize = 100_000;

/// Reads everything over one connection, a hundred at a time. Quadratic work would take hours here, so that the
/// bounds of the waits are the assertion.
#[test]
fn a_hundred_thousand_updates_are_issued_polled_and_confirmed() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let ids = ann.say_all((0..UPDATES).map(|number| number.to_string()));
    assert_eq!(bot.issued().len(), UPDATES);
    assert_eq!(ann.say("one more than fits"), 0);

    let mut exchange = Exchange {
        stream: connect(&simulator),
    };
    let path = format!("/bot{}/getUpdates", bot.token());
    let mut received = Vec::with_capacity(UPDATES);
    let mut offset = 0;
    while received.len() < UPDATES {
        let params = json!({"offset": offset, "timeout": 0}).to_string();
        write_request(&mut exchange.stream, &path, "application/json", params.as_bytes());
        let batch = exchange.read_answer().unwrap().ids();
        assert_eq!(batch.len(), 100);
        offset = batch[99] + 1;
        received.extend(batch);
    }
    let params = json!({"offset": offset}).to_string();
    write_request(&mut exchange.stream, &path, "application/json", params.as_bytes());

    assert!(bot.wait_for(PATIENCE, |view| view.confirmed().len() == UPDATES));
    assert_eq!(received, ids);
    assert_eq!(bot.violations(), []);
}
