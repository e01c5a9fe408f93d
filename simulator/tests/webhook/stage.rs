//! A simulator with one bot, its webhook, and the waits that the tests share.

use std::time::Duration;

use actogram_simulator::{Bot, PostOutcome, PostRecord, Simulator, SimulatorBuilder, View};
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{PATIENCE, call};

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) bot: Bot,
    pub(crate) receiver: Receiver,
}

impl Stage {
    /// A webhook that has been set.
    pub(crate) fn new() -> Self {
        Self::with(&json!({}))
    }

    /// A webhook that has been set with more parameters.
    pub(crate) fn with(params: &Value) -> Self {
        let stage = Self::bare();
        stage.set(params);
        stage
    }

    /// A webhook that has been set and works: connections are opened without delay.
    pub(crate) fn warm(params: &Value) -> Self {
        let stage = Self::with(params);
        stage.bot.user("Warm").say("warm");
        stage.until("the first update is acknowledged", |view| {
            view.confirmed().len() == 1
        });
        stage
    }

    /// A receiver that the server does not know.
    pub(crate) fn bare() -> Self {
        Self::started_by(Simulator::builder().local(true).control(0))
    }

    /// The same with other settings of the server.
    pub(crate) fn started_by(builder: SimulatorBuilder) -> Self {
        let simulator = builder.start().unwrap();
        Self {
            bot: simulator.bot(),
            simulator,
            receiver: Receiver::start(),
        }
    }

    pub(crate) fn set(&self, params: &Value) {
        let mut all = json!({"url": self.receiver.url});
        for (name, value) in params.as_object().unwrap() {
            all[name] = value.clone();
        }
        let answer = self.call("setWebhook", &all);
        assert_eq!(answer["description"], "Webhook was set", "{answer}");
    }

    pub(crate) fn call(&self, method: &str, params: &Value) -> Value {
        call(&self.simulator, &self.bot, method, params).json()
    }

    pub(crate) fn info(&self) -> Value {
        self.call("getWebhookInfo", &json!({}))["result"].clone()
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl FnMut(&View<'_>) -> bool) {
        let reached = self.bot.wait_for(PATIENCE, holds);
        assert!(reached, "waited too long until {what}: {:?}", self.bot.posts());
    }

    /// Waits until so many posts have ended, and returns them all.
    #[track_caller]
    pub(crate) fn until_ended(&self, count: usize) -> Vec<PostRecord> {
        self.until("posts have ended", |view| {
            let ended = view.posts().iter().filter(|post| post.ended_at.is_some());
            ended.count() >= count
        });
        self.bot.posts()
    }

    #[track_caller]
    pub(crate) fn until_confirmed(&self, id: i64) {
        self.until("an update is acknowledged", |view| view.confirmed().contains(&id));
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.simulator.advance_clock(Duration::from_millis(millis));
    }

    pub(crate) fn outcomes(&self) -> Vec<PostOutcome> {
        self.bot.posts().iter().map(|post| post.outcome).collect()
    }
}
