//! Faults by name: what goes wrong, for which method, how often.

use std::collections::VecDeque;
use std::time::Duration;

use crate::reply::{Delivery, Failure, Reply};

/// What goes wrong with a call.
///
/// A fault becomes a [`FaultRule`] with [`on`](Self::on) or [`everywhere`](Self::everywhere) and is injected with
/// [`Bot::fault`](crate::Bot::fault). Faults that replace the answer leave the call unprocessed unless the rule says
/// [`after_processing`](FaultRule::after_processing); faults that damage the answer process it first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection ends as soon as the request has been read; nothing is processed.
    DropBeforeProcessing,
    /// The call is processed, then the connection ends without an answer.
    DropAfterProcessing,
    /// The call is processed; half of the body arrives, then the connection ends.
    CutBody,
    /// The request is read and never answered, nor processed.
    Stall,
    /// The call is processed after this time.
    DelayProcessing(Duration),
    /// The call is processed at once and answered after this time.
    DelayResponse(Duration),
    /// `429 Too Many Requests` with this `retry_after` in seconds.
    FloodWait(u64),
    /// `500 Internal Server Error: restart`.
    Restart,
    /// `401 Unauthorized`, as after a revoked token.
    Unauthorized,
    /// An error of a front-end: this status (502, 503, 504, ...) with a page in HTML.
    GatewayHtml(u16),
    /// An error of a front-end: this status with a JSON envelope.
    GatewayJson(u16),
    /// This status with an empty body.
    EmptyBody(u16),
    /// The call is processed; status 200, and a body that ends in the middle of its JSON.
    TruncatedJson,
    /// The call is processed; status 200, and a body that is not JSON.
    NotJson,
    /// An error envelope of your own.
    Error {
        /// The HTTP status and `error_code`.
        code: u16,
        /// The whole `description`.
        description: String,
    },
}

impl Fault {
    /// Returns a rule for one call of `method`, in any case.
    pub fn on(self, method: &str) -> FaultRule {
        FaultRule {
            method: Some(method.to_owned()),
            ..self.everywhere()
        }
    }

    /// Returns a rule for one call of any method.
    pub fn everywhere(self) -> FaultRule {
        FaultRule {
            fault: self,
            method: None,
            chat_id: None,
            left: 1,
            after_processing: false,
        }
    }

    /// Tells whether the call takes effect although it goes wrong.
    fn processes(&self) -> bool {
        matches!(
            self,
            Self::DropAfterProcessing
                | Self::CutBody
                | Self::DelayProcessing(_)
                | Self::DelayResponse(_)
                | Self::TruncatedJson
                | Self::NotJson
        )
    }
}

/// A fault with its target and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is injected"]
pub struct FaultRule {
    fault: Fault,
    method: Option<String>,
    chat_id: Option<String>,
    left: usize,
    after_processing: bool,
}

impl FaultRule {
    /// Sets how many calls go wrong; default 1.
    pub fn times(mut self, count: usize) -> Self {
        self.left = count;
        self
    }

    /// Lets every matching call go wrong until [`Bot::clear_faults`](crate::Bot::clear_faults).
    pub fn forever(self) -> Self {
        self.times(usize::MAX)
    }

    /// Limits the rule to calls whose `chat_id` parameter is `chat_id`.
    pub fn to_chat(mut self, chat_id: i64) -> Self {
        self.chat_id = Some(chat_id.to_string());
        self
    }

    /// Lets the call take effect before its answer is replaced: the message is sent, the client sees an error.
    pub fn after_processing(mut self) -> Self {
        self.after_processing = true;
        self
    }

    fn matches(&self, method: &str, chat_id: Option<&str>) -> bool {
        self.left > 0
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.chat_id.as_ref().is_none_or(|wanted| chat_id == Some(wanted))
    }
}

/// A fault that has met its call.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    pub(crate) processes: bool,
}

impl Struck {
    /// Returns the answer of a call that is not processed.
    pub(crate) fn answer_instead(&self) -> Reply {
        self.damage(Reply::result_text("true"))
    }

    /// Returns what the client gets in place of `reply`.
    pub(crate) fn damage(&self, mut reply: Reply) -> Reply {
        match &self.fault {
            Fault::DropBeforeProcessing | Fault::DropAfterProcessing => Reply::undelivered(Delivery::Close),
            Fault::Stall => Reply::undelivered(Delivery::Never),
            Fault::CutBody => {
                reply.delivery = Delivery::CutAfter(reply.body.len() / 2);
                reply
            }
            Fault::DelayProcessing(_) | Fault::DelayResponse(_) => reply,
            Fault::FloodWait(seconds) => Failure::too_many_requests(*seconds).into(),
            Fault::Restart => Failure::exact(500, "Internal Server Error: restart").into(),
            Fault::Unauthorized => Failure::exact(401, "Unauthorized").into(),
            Fault::GatewayHtml(status) => {
                let name = status_name(*status);
                let page = format!(
                    "<html>\r\n<head><title>{status} {name}</title></head>\r\n<body>\r\n<center><h1>{status} \
                     {name}</h1></center>\r\n</body>\r\n</html>\r\n"
                );
                Reply::raw(*status, "text/html", page)
            }
            Fault::GatewayJson(status) => Failure::exact(*status, status_name(*status)).into(),
            Fault::EmptyBody(status) => Reply::empty(*status),
            Fault::TruncatedJson => {
                reply.body.truncate(reply.body.len() / 2);
                reply
            }
            Fault::NotJson => Reply::raw(200, "application/json", "everything is fine"),
            Fault::Error { code, description } => Failure::exact(*code, description.as_str()).into(),
        }
    }

    /// Tells whether a client can take the answer for a real one.
    pub(crate) fn keeps_answer(&self) -> bool {
        matches!(self.fault, Fault::DelayProcessing(_) | Fault::DelayResponse(_))
    }
}

fn status_name(status: u16) -> &'static str {
    actix_web::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason())
        .unwrap_or("Error")
}

/// The faults that wait for their calls, in the order they were injected.
#[derive(Debug, Default)]
pub(crate) struct FaultScript {
    rules: VecDeque<FaultRule>,
}

impl FaultScript {
    pub(crate) fn inject(&mut self, rule: FaultRule) {
        self.rules.push_back(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn left(&self) -> usize {
        self.rules
            .iter()
            .fold(0, |sum, rule| sum.saturating_add(rule.left))
    }

    /// Takes the first fault that is meant for this call.
    pub(crate) fn strike(&mut self, method: &str, chat_id: Option<&str>) -> Option<Struck> {
        let index = self.rules.iter().position(|rule| rule.matches(method, chat_id))?;
        let rule = &mut self.rules[index];
        let struck = Struck {
            fault: rule.fault.clone(),
            processes: rule.after_processing || rule.fault.processes(),
        };
        if rule.left != usize::MAX {
            rule.left -= 1;
        }
        if rule.left == 0 {
            self.rules.remove(index);
        }
        Some(struck)
    }
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        fault.everywhere()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_and_only_their_method() {
        let mut script = FaultScript::default();
        script.inject(Fault::FloodWait(5).on("getupdates").times(2));
        script.inject(Fault::Stall.on("getUpdates"));
        script.inject(Fault::Restart.everywhere());

        assert_eq!(script.left(), 4);
        let mut strike = |method| script.strike(method, None).map(|struck| struck.fault);
        assert_eq!(strike("getUpdates"), Some(Fault::FloodWait(5)));
        assert_eq!(strike("sendMessage"), Some(Fault::Restart));
        assert_eq!(strike("getUpdates"), Some(Fault::FloodWait(5)));
        assert_eq!(strike("getUpdates"), Some(Fault::Stall));
        assert_eq!(strike("getUpdates"), None);
    }

    #[test]
    fn a_rule_for_one_chat_spares_the_others() {
        let mut script = FaultScript::default();
        script.inject(Fault::FloodWait(5).on("sendMessage").to_chat(7));

        assert!(script.strike("sendMessage", Some("8")).is_none());
        assert!(script.strike("sendMessage", None).is_none());
        assert!(script.strike("sendMessage", Some("7")).is_some());
    }

    #[test]
    fn an_endless_rule_stays_until_cleared() {
        let mut script = FaultScript::default();
        script.inject(Fault::GatewayHtml(502).everywhere().forever());

        for _ in 0..1000 {
            assert!(script.strike("getMe", None).is_some());
        }
        script.clear();

        assert!(script.strike("getMe", None).is_none());
    }

    #[test]
    fn an_answer_that_replaces_does_not_process_unless_told_to() {
        let mut script = FaultScript::default();
        script.inject(Fault::GatewayHtml(502).everywhere());
        script.inject(Fault::GatewayHtml(502).everywhere().after_processing());
        script.inject(Fault::DropAfterProcessing.everywhere());

        let mut processes = || script.strike("sendMessage", None).map(|struck| struck.processes);
        assert_eq!(processes(), Some(false));
        assert_eq!(processes(), Some(true));
        assert_eq!(processes(), Some(true));
    }

    #[test]
    fn a_gateway_answers_html_or_json() {
        let strike = |fault| {
            Struck {
                fault,
                processes: false,
            }
            .answer_instead()
        };

        let page = strike(Fault::GatewayHtml(502));
        assert_eq!((page.status, page.content_type), (502, "text/html"));
        assert!(page.body.starts_with(b"<html>"));

        let json = strike(Fault::GatewayJson(504));
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&json.body).unwrap(),
            serde_json::json!({"ok": false, "error_code": 504, "description": "Gateway Timeout"})
        );
    }

    #[test]
    fn a_truncated_answer_is_complete_http_and_broken_json() {
        let struck = Struck {
            fault: Fault::TruncatedJson,
            processes: true,
        };

        let reply = struck.damage(Reply::result_text("[1,2,3]"));

        assert_eq!((reply.status, reply.delivery), (200, Delivery::Whole));
        assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_err());
    }
}
