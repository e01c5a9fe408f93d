//! Faults of webhook delivery by name: what goes wrong, for which updates, how often.

use std::collections::VecDeque;
use std::time::Duration;

/// What goes wrong when an update is posted to a webhook.
///
/// A fault becomes a [`WebhookFaultRule`] with [`on`](Self::on) or [`everywhere`](Self::everywhere) and is injected
/// with [`Bot::webhook_fault`](crate::Bot::webhook_fault). A post that a fault has brought about (the copy, the one after
/// the delay or the forgery) is spared by the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookFault {
    /// The update is posted once more after it was acknowledged, as by a server that restarted; what follows in its
    /// ordering domain comes after that.
    DeliverTwice,
    /// The update is posted on two connections at the same time. Only the answer of the first one counts.
    DeliverTwiceAtOnce,
    /// The update is queued again under a new id when it is acknowledged.
    DeliverUnderNewId,
    /// The answer gets lost on its way, although it was given: the connection ends and the update is posted again.
    LoseAnswer,
    /// The connection ends in the middle of the request body; the update is posted again.
    CutRequest,
    /// The request body arrives in ten pieces, spread over this time of the server's clock. Beyond 60 s it counts as
    /// unanswered.
    SlowRequest(Duration),
    /// The update is posted after this time.
    Delay(Duration),
    /// The update is posted after this many posts of other ordering domains have ended, answered or not; without them it
    /// waits for ever.
    LetOvertake(usize),
    /// The update comes first from somebody who does not know the secret: with another secret token. The answer to
    /// that has no effect, and then the real one comes.
    WrongSecret,
    /// As [`WrongSecret`](Self::WrongSecret), without a secret token.
    NoSecret,
    /// The update comes first with another HTTP method. The answer to that has no effect, and then the real one
    /// comes.
    OtherMethod(String),
}

impl WebhookFault {
    /// Returns a rule for one post of an update of this kind, for example `callback_query`.
    pub fn on(self, kind: &str) -> WebhookFaultRule {
        WebhookFaultRule {
            kind: Some(kind.to_owned()),
            ..self.everywhere()
        }
    }

    /// Returns a rule for one post of any update.
    pub fn everywhere(self) -> WebhookFaultRule {
        WebhookFaultRule {
            fault: self,
            kind: None,
            chat_id: None,
            left: 1,
        }
    }

    /// Returns the name of the fault, as in the control API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DeliverTwice => "deliver_twice",
            Self::DeliverTwiceAtOnce => "deliver_twice_at_once",
            Self::DeliverUnderNewId => "deliver_under_new_id",
            Self::LoseAnswer => "lose_answer",
            Self::CutRequest => "cut_request",
            Self::SlowRequest(_) => "slow_request",
            Self::Delay(_) => "delay",
            Self::LetOvertake(_) => "let_overtake",
            Self::WrongSecret => "wrong_secret",
            Self::NoSecret => "no_secret",
            Self::OtherMethod(_) => "other_method",
        }
    }

    /// Tells whether the post is one that the real server would never make, so that its answer has no effect.
    pub(crate) fn forges(&self) -> bool {
        matches!(self, Self::WrongSecret | Self::NoSecret | Self::OtherMethod(_))
    }
}

/// A webhook fault with its target and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is injected"]
pub struct WebhookFaultRule {
    fault: WebhookFault,
    kind: Option<String>,
    chat_id: Option<i64>,
    left: usize,
}

impl WebhookFaultRule {
    /// Sets how many posts go wrong; default 1.
    pub fn times(mut self, count: usize) -> Self {
        self.left = count;
        self
    }

    /// Lets every matching post go wrong until [`Bot::clear_faults`](crate::Bot::clear_faults).
    pub fn forever(self) -> Self {
        self.times(usize::MAX)
    }

    /// Limits the rule to updates of this chat.
    pub fn to_chat(mut self, chat_id: i64) -> Self {
        self.chat_id = Some(chat_id);
        self
    }

    #[cfg(test)]
    pub(crate) fn fault_name(&self) -> &'static str {
        self.fault.name()
    }

    fn matches(&self, kind: &str, chat_id: Option<i64>) -> bool {
        self.left > 0
            && self.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && self.chat_id.is_none_or(|wanted| chat_id == Some(wanted))
    }
}

impl From<WebhookFault> for WebhookFaultRule {
    fn from(fault: WebhookFault) -> Self {
        fault.everywhere()
    }
}

/// The faults that wait for their posts, in the order they were injected.
#[derive(Debug, Default)]
pub(crate) struct WebhookFaultScript {
    rules: VecDeque<WebhookFaultRule>,
}

impl WebhookFaultScript {
    pub(crate) fn inject(&mut self, rule: WebhookFaultRule) {
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

    /// Takes the first fault that is meant for a post of such an update.
    pub(crate) fn strike(&mut self, kind: &str, chat_id: Option<i64>) -> Option<WebhookFault> {
        let index = self.rules.iter().position(|rule| rule.matches(kind, chat_id))?;
        let rule = &mut self.rules[index];
        let fault = rule.fault.clone();
        if rule.left != usize::MAX {
            rule.left -= 1;
        }
        if rule.left == 0 {
            self.rules.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_and_only_their_kind_and_chat() {
        let mut script = WebhookFaultScript::default();
        script.inject(WebhookFault::LoseAnswer.on("message").times(2));
        script.inject(WebhookFault::CutRequest.everywhere().to_chat(7));

        assert_eq!(script.left(), 3);
        assert_eq!(script.strike("poll", None), None);
        assert_eq!(script.strike("message", Some(7)), Some(WebhookFault::LoseAnswer));
        assert_eq!(script.strike("poll", Some(7)), Some(WebhookFault::CutRequest));
        assert_eq!(script.strike("message", Some(8)), Some(WebhookFault::LoseAnswer));
        assert_eq!(script.left(), 0);
    }

    #[test]
    fn an_endless_rule_stays_until_cleared() {
        let mut script = WebhookFaultScript::default();
        script.inject(WebhookFault::LoseAnswer.everywhere().forever());

        for _ in 0..1000 {
            assert!(script.strike("message", None).is_some());
        }
        script.clear();

        assert!(script.strike("message", None).is_none());
    }
}
