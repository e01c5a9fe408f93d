//! Faults in JSON: `{"fault": "flood_wait", "retry_after": 5, "method": "sendMessage", "times": 3}`.

use std::time::Duration;

use serde::Deserialize;

use crate::faults::{Fault, FaultRule};

/// A fault with its target and its count.
#[derive(Debug, Deserialize)]
pub(crate) struct FaultSpec {
    #[serde(flatten)]
    fault: NamedFault,
    method: Option<String>,
    chat_id: Option<i64>,
    times: Option<usize>,
    #[serde(default)]
    forever: bool,
    #[serde(default)]
    after_processing: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
enum NamedFault {
    DropBeforeProcessing,
    DropAfterProcessing,
    CutBody,
    Stall,
    DelayProcessing { millis: u64 },
    DelayResponse { millis: u64 },
    FloodWait { retry_after: u64 },
    Restart,
    Unauthorized,
    GatewayHtml { status: u16 },
    GatewayJson { status: u16 },
    EmptyBody { status: u16 },
    TruncatedJson,
    NotJson,
    Error { code: u16, description: String },
}

impl From<FaultSpec> for FaultRule {
    fn from(spec: FaultSpec) -> Self {
        let fault = match spec.fault {
            NamedFault::DropBeforeProcessing => Fault::DropBeforeProcessing,
            NamedFault::DropAfterProcessing => Fault::DropAfterProcessing,
            NamedFault::CutBody => Fault::CutBody,
            NamedFault::Stall => Fault::Stall,
            NamedFault::DelayProcessing { millis } => Fault::DelayProcessing(Duration::from_millis(millis)),
            NamedFault::DelayResponse { millis } => Fault::DelayResponse(Duration::from_millis(millis)),
            NamedFault::FloodWait { retry_after } => Fault::FloodWait(retry_after),
            NamedFault::Restart => Fault::Restart,
            NamedFault::Unauthorized => Fault::Unauthorized,
            NamedFault::GatewayHtml { status } => Fault::GatewayHtml(status),
            NamedFault::GatewayJson { status } => Fault::GatewayJson(status),
            NamedFault::EmptyBody { status } => Fault::EmptyBody(status),
            NamedFault::TruncatedJson => Fault::TruncatedJson,
            NamedFault::NotJson => Fault::NotJson,
            NamedFault::Error { code, description } => Fault::Error { code, description },
        };
        let mut rule = spec
            .method
            .map_or_else(|| fault.clone().everywhere(), |method| fault.clone().on(&method));
        rule = if spec.forever {
            rule.forever()
        } else {
            rule.times(spec.times.unwrap_or(1))
        };
        if let Some(chat_id) = spec.chat_id {
            rule = rule.to_chat(chat_id);
        }
        if spec.after_processing {
            rule.after_processing()
        } else {
            rule
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
            "fault": "flood_wait", "retry_after": 5, "method": "sendMessage", "times": 3, "chat_id": 7,
        });

        let rule = FaultRule::from(serde_json::from_value::<FaultSpec>(spec).unwrap());

        assert_eq!(rule, Fault::FloodWait(5).on("sendMessage").times(3).to_chat(7));
    }

    #[test]
    fn a_rule_without_target_is_for_one_call_of_any_method() {
        let spec = json!({"fault": "drop_before_processing"});

        let rule = FaultRule::from(serde_json::from_value::<FaultSpec>(spec).unwrap());

        assert_eq!(rule, Fault::DropBeforeProcessing.everywhere());
    }
}
