//! The dispatcher in virtual time.

mod order;

mod retries;

mod faults;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::action::{WebhookAnswer, WebhookConnection};
use super::dispatcher::Dispatcher;
use super::faults::WebhookFaultScript;
use super::step::{Desk, Ended, Step};
use crate::Moment;
use crate::account::Numbering;
use crate::ledger::{Fate, Issued};
use crate::updates::queue::UpdateQueue;

const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));
const DAY: i64 = 86_400;

/// A dispatcher with its queue, and the clock of the test.
struct Bench {
    dispatcher: Dispatcher,
    queue: UpdateQueue,
    faults: WebhookFaultScript,
    issued: Vec<Issued>,
    numbers: Numbering,
    now: Moment,
    halted: bool,
    /// Posts that wait for an answer, in the order they were sent.
    in_flight: Vec<(WebhookConnection, i64)>,
    ended: Vec<Ended>,
    opened: usize,
    closed: usize,
    gone: bool,
}

impl Bench {
    fn new(max_connections: usize) -> Self {
        Self {
            dispatcher: Dispatcher::new(START, max_connections, fastrand::Rng::with_seed(7)),
            queue: UpdateQueue::new(fastrand::Rng::with_seed(7)),
            faults: WebhookFaultScript::default(),
            issued: Vec::new(),
            numbers: Numbering::default(),
            now: START,
            halted: false,
            in_flight: Vec::new(),
            ended: Vec::new(),
            opened: 0,
            closed: 0,
            gone: false,
        }
    }

    /// A bench whose endpoint has just acknowledged something, so that connections are opened freely.
    fn warm(max_connections: usize) -> Self {
        let mut bench = Self::new(max_connections);
        bench.say(-1);
        bench.answer_all(200);
        bench.ended.clear();
        bench
    }

    fn push(&mut self, kind: &'static str, body: &Value, life: i64) -> i64 {
        let content = Bytes::from(format!("\"{kind}\":{body}"));
        let expires_at = self.now.unix_seconds() + life;
        let (id, _) = self.queue.push(content, expires_at, self.issued.len()).unwrap();
        self.issued.push(Issued {
            id,
            kind: Cow::Borrowed(kind),
            chat_id: body["chat"]["id"].as_i64(),
            text: None,
            issued_at: self.now,
            confirmed_at: None,
            fate: Fate::Pending,
        });
        self.dispatcher.update_arrived(self.now);
        id
    }

    /// Queues a message of a chat, and lets the dispatcher see it.
    fn say(&mut self, chat: i64) -> i64 {
        let id = self.push("message", &json!({"chat": {"id": chat}}), DAY);
        self.turn();
        id
    }

    fn decide(&mut self, decide: impl FnOnce(&mut Dispatcher, &mut Desk<'_>)) {
        let mut desk = Desk {
            now: self.now,
            queue: &mut self.queue,
            faults: &mut self.faults,
            issued: &self.issued,
            numbers: &self.numbers,
            halted: self.halted,
            steps: Vec::new(),
        };
        decide(&mut self.dispatcher, &mut desk);
        for step in desk.steps {
            match step {
                Step::Open(_) => self.opened += 1,
                Step::Post(sending) => self.in_flight.push((sending.connection, sending.update_id)),
                Step::Ended(ended) => {
                    self.in_flight
                        .retain(|(connection, _)| *connection != ended.connection);
                    self.ended.push(ended);
                }
                Step::Gone => self.gone = true,
                Step::Reissue(slot) => {
                    let expires_at = slot.expires_at;
                    let (id, _) = self.queue.push(slot.content, expires_at, slot.record).unwrap();
                    self.dispatcher.update_arrived(self.now);
                    self.dispatcher.spare(id);
                }
                Step::Close(_) => self.closed += 1,
                Step::Removed(_) => {}
            }
        }
    }

    fn turn(&mut self) {
        self.decide(Dispatcher::turn);
    }

    /// Lets time pass, with a turn whenever one is due.
    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.dispatcher.wake_at().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = end;
    }

    /// Answers the post of an update, the oldest one.
    fn answer(&mut self, id: i64, answer: &WebhookAnswer) {
        let place = self.in_flight.iter().position(|(_, sent)| *sent == id);
        let (connection, _) = self.in_flight[place.unwrap()];
        self.decide(|dispatcher, desk| dispatcher.answered(desk, connection, answer));
        self.turn();
    }

    fn answer_all(&mut self, status: u16) {
        for (_, id) in self.in_flight.clone() {
            self.answer(id, &WebhookAnswer::new(status, ""));
        }
    }

    fn fails(&mut self, id: i64) {
        self.fails_to(id, 500);
    }

    fn fails_to(&mut self, id: i64, status: u16) {
        self.answer(id, &WebhookAnswer::new(status, ""));
    }

    fn acknowledges(&mut self, id: i64) {
        self.answer(id, &WebhookAnswer::new(200, ""));
    }

    fn posted(&self) -> Vec<i64> {
        self.in_flight.iter().map(|(_, id)| *id).collect()
    }

    /// Seconds between the end of the latest post and the next one.
    fn retry_in(&self) -> Option<u64> {
        let retry_at = self.ended.last().unwrap().retry_at;
        retry_at.map(|at| at.since(self.now).as_secs())
    }
}
