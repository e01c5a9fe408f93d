//! Webhooks: what is set, what is posted, and what answers do.

mod checks;

mod settings;

mod posts;

mod retries;

mod replies;

use serde_json::Value;

use super::{Stage, body};
use crate::{
    Queued, Reply, Rules, WebhookAction, WebhookAnswer, WebhookConnection, WebhookEvent, WebhookPost,
};

const URL: &str = "http://127.0.0.1:9000/hook";

/// A stage with a webhook, and the requests that wait for an answer.
struct Hooked {
    stage: Stage,
    in_flight: Vec<(WebhookConnection, WebhookPost)>,
    closed: Vec<WebhookConnection>,
}

impl Hooked {
    /// A local server with a webhook that has not been set yet.
    fn bare() -> Self {
        Self::with(Rules {
            local: true,
            ..Rules::default()
        })
    }

    fn with(rules: Rules) -> Self {
        Self {
            stage: Stage::new(rules),
            in_flight: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn new() -> Self {
        let mut hooked = Self::bare();
        hooked.set(&[]);
        hooked
    }

    /// Sets the webhook with more parameters.
    fn set(&mut self, params: &[(&str, &str)]) -> Reply {
        let mut all = params.to_vec();
        if !params.iter().any(|(name, _)| *name == "url") {
            all.push(("url", URL));
        }
        self.stage.wait(1_000);
        let reply = self.stage.call("setWebhook", &all);
        self.pump();
        reply
    }

    /// Takes what is to be sent.
    fn pump(&mut self) {
        self.stage.world.advance(self.stage.now);
        for action in self.stage.world.take_webhook_actions() {
            match action {
                WebhookAction::Connect { .. } => {}
                WebhookAction::Post { connection, post } => self.in_flight.push((connection, post)),
                WebhookAction::Close { connection } => {
                    self.in_flight.retain(|(open, _)| *open != connection);
                    self.closed.push(connection);
                }
            }
        }
    }

    fn wait(&mut self, millis: u64) {
        self.stage.wait(millis);
        self.pump();
    }

    fn say(&mut self, text: &str) -> i64 {
        let id = self.stage.say(text);
        self.pump();
        id
    }

    fn event(&mut self, connection: WebhookConnection, event: WebhookEvent) {
        if !matches!(event, WebhookEvent::Written) {
            self.in_flight.retain(|(open, _)| *open != connection);
        }
        self.stage.world.webhook_event(self.stage.now, connection, event);
        self.pump();
    }

    /// Answers the oldest request.
    fn answer(&mut self, answer: WebhookAnswer) {
        let connection = self.in_flight[0].0;
        self.event(connection, WebhookEvent::Written);
        self.event(connection, WebhookEvent::Answered(answer));
    }

    fn status(&mut self, status: u16, reason: &str) {
        self.answer(WebhookAnswer::new(status, reason));
    }

    /// Makes `id` the next update id.
    fn jump(&mut self, id: i64) {
        let now = self.stage.now;
        self.stage.account().jump_ids(now, id, Queued::Kept).unwrap();
        self.pump();
    }

    fn posted(&self) -> Vec<i64> {
        self.in_flight.iter().map(|(_, post)| post.update_id).collect()
    }

    fn info(&mut self) -> Value {
        body(&self.stage.call("getWebhookInfo", &[]))["result"].clone()
    }
}
