//! What happens when the webhook fails.

use std::net::TcpListener;
use std::time::Duration;

use actogram_simulator::{Fate, PostOutcome, Restart, Simulator};
use serde_json::json;

use crate::receiver::Says;
use crate::stage::Stage;

#[test]
fn a_failed_update_comes_again_at_once_and_then_after_two_and_four_seconds() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.answer_next([
        Says::status(500),
        Says::status(302).with("Location", "/elsewhere"),
        Says::status(403),
    ]);
    let id = stage.bot.user("Ann").say("hello");

    for (ended, wait) in [(3, 2), (4, 4)] {
        let posts = stage.until_ended(ended);
        let last = &posts[ended - 1];
        let retry_in = last.retry_at.unwrap().since(last.ended_at.unwrap());
        assert_eq!(retry_in, Duration::from_secs(wait));
        assert_eq!(posts.len(), ended);
        stage.advance(wait * 1000);
    }

    stage.until_confirmed(id);
    let statuses: Vec<_> = stage.bot.posts().iter().map(|post| post.status).collect();
    assert_eq!(statuses[1..], [Some(500), Some(302), Some(403), Some(200)]);
    assert!(stage.receiver.seen().iter().all(|seen| seen.path == "/hook"));
    assert_eq!(
        stage.info()["last_error_message"],
        "Wrong response from the webhook: 403 Forbidden"
    );
}

#[test]
fn retry_after_is_obeyed() {
    let stage = Stage::warm(&json!({}));
    stage
        .receiver
        .answer_next([Says::status(503).with("Retry-After", "30")]);
    let id = stage.bot.user("Ann").say("hello");

    let posts = stage.until_ended(2);
    let last = posts.last().unwrap();
    assert_eq!(
        last.retry_at.unwrap().since(last.ended_at.unwrap()),
        Duration::from_secs(30)
    );
    assert!(stage.bot.pending().contains(&id));
    stage.advance(30_000);

    stage.until_confirmed(id);
}

#[test]
fn an_update_that_is_not_answered_for_a_minute_comes_again_while_the_first_still_waits() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.hold("hello");
    let id = stage.bot.user("Ann").say("hello");
    stage.receiver.until_seen(2);

    stage.advance(60_000);

    let posts = stage.until_ended(2);
    assert_eq!(posts[1].outcome, PostOutcome::TimedOut);
    stage.receiver.until_seen(3);
    stage.receiver.release();
    stage.until_confirmed(id);
}

#[test]
fn an_update_expires_when_it_is_refused_for_too_long() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.answer_next((0..10).map(|_| Says::status(500)));
    let query = json!({"inline_query": {"id": "1", "from": {"id": 5}, "query": "", "offset": ""}});
    let id = stage.bot.push(&query);
    stage.until_ended(3);

    stage.advance(29_000);

    stage.until("the update expires", |view| {
        let fate = view
            .issued()
            .iter()
            .find(|issued| issued.id == id)
            .map(|issued| issued.fate);
        fate == Some(Fate::Expired)
    });
    assert_eq!(stage.bot.posts().last().unwrap().retry_at, None);
    assert!(stage.bot.pending().is_empty());
}

#[test]
fn an_endpoint_that_is_not_there_is_an_error_in_the_info() {
    let stage = Stage::bare();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    stage.set(&json!({"url": format!("http://127.0.0.1:{port}/")}));
    stage.bot.user("Ann").say("hello");

    let posts = stage.until_ended(1);

    assert_eq!(posts[0].outcome, PostOutcome::Unanswered);
    let info = stage.info();
    assert_eq!(info["last_error_message"], "Connection refused");
    assert!(info["last_error_date"].is_i64());
    assert_eq!(info["pending_update_count"], 1);
}

#[test]
fn an_https_endpoint_fails_and_says_why() {
    let stage = Stage::bare();
    stage.set(&json!({"url": stage.receiver.url.replace("http:", "https:")}));
    stage.bot.user("Ann").say("hello");

    let posts = stage.until_ended(1);

    assert!(posts[0].error.as_ref().unwrap().contains("does not speak TLS"));
    assert!(stage.receiver.seen().is_empty());
}

#[test]
fn off_the_network_nothing_is_posted_and_afterwards_everything() {
    let stage = Stage::warm(&json!({}));
    stage.receiver.hold("cut");
    let ann = stage.bot.user("Ann");
    ann.say("cut");
    stage.receiver.until_seen(2);

    stage.simulator.go_down();
    assert_eq!(stage.bot.posts()[1].outcome, PostOutcome::Unanswered);
    let later = ann.say("later");
    stage.advance(10_000);
    assert_eq!(stage.bot.posts().len(), 2);
    stage.receiver.release();
    stage.simulator.go_up();

    stage.until_confirmed(later);
    assert_eq!(stage.receiver.texts(), ["warm", "cut", "cut", "later"]);
}

#[test]
fn a_killed_server_posts_what_it_does_not_remember_as_acknowledged() {
    let stage = Stage::warm(&json!({}));
    let id = stage.bot.user("Ann").say("hello");
    stage.until_confirmed(id);

    stage
        .simulator
        .restart(Restart::LoseConfirmationsSince(Duration::from_secs(3600)));

    let seen = stage.receiver.until_seen(4);
    let mut again: Vec<&str> = seen[2..].iter().map(|seen| seen.text()).collect();
    again.sort_unstable();
    assert_eq!(again, ["hello", "warm"]);
    stage.until("all are acknowledged", |view| view.pending_count() == 0);
}

#[test]
fn on_a_fast_clock_a_minute_of_retries_passes_in_a_moment() {
    let simulator = Simulator::builder().local(true).clock_rate(100);
    let stage = Stage::started_by(simulator);
    stage.set(&json!({}));
    stage.receiver.answer_next((0..6).map(|_| Says::status(500)));

    let id = stage.bot.user("Ann").say("hello");

    stage.until_confirmed(id);
    let posts = stage.bot.posts();
    let span = posts.last().unwrap().sent_at.since(posts[0].sent_at);
    assert!(span >= Duration::from_secs(2 + 4 + 8 + 16 + 32), "{span:?}");
}

#[test]
fn a_bot_that_dies_and_comes_back_gets_everything_in_order() {
    let simulator = Simulator::builder().local(true).clock_rate(100);
    let mut stage = Stage::started_by(simulator);
    stage.set(&json!({"max_connections": 4}));
    let users: Vec<_> = (0..6)
        .map(|number| stage.bot.user(&format!("User {number}")))
        .collect();

    for life in 0..5 {
        for (user, text) in users.iter().flat_map(|user| (0..5).map(move |text| (user, text))) {
            user.say(&(life * 5 + text).to_string());
        }
        stage.receiver.until_seen(3 + life * 8);
        stage.receiver.restart();
    }
    stage.until("all are acknowledged", |view| view.pending_count() == 0);
    assert!(
        stage.outcomes().contains(&PostOutcome::Unanswered),
        "the run is void: no death met a request"
    );

    for user in &users {
        let mut texts: Vec<usize> = Vec::new();
        for one in stage.receiver.seen().iter().filter(|one| one.update.is_some()) {
            if one.update.as_ref().unwrap()["message"]["chat"]["id"] == user.chat_id() {
                let number = one.text().parse().unwrap();
                // A request whose answer died with the bot comes again.
                if texts.last() != Some(&number) {
                    texts.push(number);
                }
            }
        }
        assert_eq!(texts, (0..25).collect::<Vec<_>>());
    }
    assert!(stage.bot.violations().is_empty());
}
