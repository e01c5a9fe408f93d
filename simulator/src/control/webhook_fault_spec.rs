//! Webhook faults in JSON: `{"fault": "slow_request", "millis": 500, "chat_id": 7, "times": 3}`.

use std::time::Duration;

use serde::Deserialize;

use crate::webhook::faults::{WebhookFault, WebhookFaultRule};

/// A webhook fault with its target and its count.
#[derive(Debug, Deserialize)]
pub(crate) struct WebhookFaultSpec {
    #[serde(flatten)]
    fault: NamedFault,
    kind: Option<String>,
    chat_id: Option<i64>,
    times: Option<usize>,
    #[serde(default)]
    forever: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
enum NamedFault {
    DeliverTwice,
    DeliverTwiceAtOnce,
    DeliverUnderNewId,
    LoseAnswer,
    CutRequest,
    SlowRequest { millis: u64 },
    Delay { millis: u64 },
    LetOvertake { posts: usize },
    WrongSecret,
    NoSecret,
    OtherMethod { method: String },
}

impl From<WebhookFaultSpec> for WebhookFaultRule {
    fn from(spec: WebhookFaultSpec) -> Self {
        let fault = match spec.fault {
            NamedFault::DeliverTwice => WebhookFault::DeliverTwice,
            NamedFault::DeliverTwiceAtOnce => WebhookFault::DeliverTwiceAtOnce,
            NamedFault::DeliverUnderNewId => WebhookFault::DeliverUnderNewId,
            NamedFault::LoseAnswer => WebhookFault::LoseAnswer,
            NamedFault::CutRequest => WebhookFault::CutRequest,
            NamedFault::SlowRequest { millis } => WebhookFault::SlowRequest(Duration::from_millis(millis)),
            NamedFault::Delay { millis } => WebhookFault::Delay(Duration::from_millis(millis)),
            NamedFault::LetOvertake { posts } => WebhookFault::LetOvertake(posts),
            NamedFault::WrongSecret => WebhookFault::WrongSecret,
            NamedFault::NoSecret => WebhookFault::NoSecret,
            NamedFault::OtherMethod { method } => WebhookFault::OtherMethod(method),
        };
        let mut rule = match spec.kind {
            Some(kind) => fault.on(&kind),
            None => fault.everywhere(),
        };
        rule = if spec.forever {
            rule.forever()
        } else {
            rule.times(spec.times.unwrap_or(1))
        };
        match spec.chat_id {
            Some(chat_id) => rule.to_chat(chat_id),
            None => rule,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let spec = json!({
            "fault": "slow_request", "millis": 500, "kind": "message", "times": 3, "chat_id": 7,
        });

        let rule = WebhookFaultRule::from(serde_json::from_value::<WebhookFaultSpec>(spec).unwrap());

        let fault = WebhookFault::SlowRequest(Duration::from_millis(500));
        assert_eq!(rule, fault.on("message").times(3).to_chat(7));
    }

    #[test]
    fn every_fault_is_known_by_the_name_it_has_in_the_ledger() {
        for spec in [
            json!({"fault": "deliver_twice"}),
            json!({"fault": "deliver_twice_at_once"}),
            json!({"fault": "deliver_under_new_id"}),
            json!({"fault": "lose_answer"}),
            json!({"fault": "cut_request"}),
            json!({"fault": "slow_request", "millis": 1}),
            json!({"fault": "delay", "millis": 1}),
            json!({"fault": "let_overtake", "posts": 1}),
            json!({"fault": "wrong_secret"}),
            json!({"fault": "no_secret"}),
            json!({"fault": "other_method", "method": "PUT"}),
        ] {
            let name = spec["fault"].as_str().unwrap().to_owned();
            let rule = WebhookFaultRule::from(serde_json::from_value::<WebhookFaultSpec>(spec).unwrap());

            assert_eq!(rule.fault_name(), name);
        }
    }
}
