//! The whole state machine in virtual time.

mod polls;

mod conflicts;

mod queue;

mod calls;

mod sends;

mod limits;

mod webhooks;

use std::time::Duration;

use serde_json::Value;

use crate::account::Account;
use crate::request::BotKey;
use crate::{Moment, Params, Reply, Request, Rules, Ticket, Verdict, World, WorldBot};

const TOKEN: &str = "42:test-token";
const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));

/// A world with one bot and one user, and the clock of the test.
struct Stage {
    world: World,
    now: Moment,
    ann: i64,
}

impl Stage {
    fn new(rules: Rules) -> Self {
        let mut world = World::new(rules, 7);
        let ann = world.bot(START, TOKEN).unwrap().add_user("Ann");
        Self {
            world,
            now: START,
            ann,
        }
    }

    fn bot(&mut self) -> WorldBot<'_> {
        self.world.bot(self.now, TOKEN).unwrap()
    }

    fn account(&mut self) -> &mut Account {
        self.world
            .account_mut(&BotKey {
                token: TOKEN.to_owned(),
                test: false,
            })
            .unwrap()
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.world.advance(self.now);
    }

    fn begin(&mut self, method: &str, params: &[(&str, &str)]) -> Verdict {
        self.world
            .call(self.now, Request::new(TOKEN, method, Params::from_pairs(params)))
    }

    fn call(&mut self, method: &str, params: &[(&str, &str)]) -> Reply {
        match self.begin(method, params) {
            Verdict::Reply(reply) => reply,
            Verdict::Later(_) => panic!("{method} waits"),
        }
    }

    fn poll(&mut self, params: &[(&str, &str)]) -> Ticket {
        match self.begin("getUpdates", params) {
            Verdict::Later(ticket) => ticket,
            Verdict::Reply(reply) => panic!("answered at once: {}", String::from_utf8_lossy(&reply.body)),
        }
    }

    fn say(&mut self, text: &str) -> i64 {
        let ann = self.ann;
        self.bot().say(ann, Some(ann), text).unwrap()
    }

    fn violations(&mut self) -> Vec<&'static str> {
        self.bot()
            .view()
            .violations()
            .iter()
            .map(crate::Violation::name)
            .collect()
    }
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn ids(reply: &Reply) -> Vec<i64> {
    let body = body(reply);
    body["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|update| update["update_id"].as_i64().unwrap())
        .collect()
}

fn description(reply: &Reply) -> String {
    body(reply)["description"].as_str().unwrap().to_owned()
}
