//! Which updates are too old to be worth handling. Pure: `now` is an argument.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::update::{Update, UpdateKind};

/// Longest useful age of updates, by kind.
///
/// Queries are useless once their answer would be refused: after
/// [150 s](https://core.telegram.org/bots/api#answercallbackquery) for callback, shipping and pre-checkout queries,
/// after 30 s for inline queries. Other kinds have no limit unless one is set.
#[derive(Debug, Clone)]
pub(crate) struct MaxAges(HashMap<UpdateKind, Duration>);

impl Default for MaxAges {
    fn default() -> Self {
        let (query, inline) = (Duration::from_secs(150), Duration::from_secs(30));
        Self(HashMap::from([
            (UpdateKind::CallbackQuery, query),
            (UpdateKind::ShippingQuery, query),
            (UpdateKind::PreCheckoutQuery, query),
            (UpdateKind::InlineQuery, inline),
        ]))
    }
}

impl MaxAges {
    /// Sets the limit of a kind, or takes it away.
    pub(crate) fn set(&mut self, kind: UpdateKind, age: Option<Duration>) {
        match age {
            Some(age) => self.0.insert(kind, age),
            None => self.0.remove(&kind),
        };
    }

    /// Returns whether an update is older than its kind may be. Its age counts from its own date where it has one, and
    /// from its arrival here otherwise; a clock that was set back makes nothing old.
    pub(crate) fn is_stale(&self, update: &Update, now: SystemTime) -> bool {
        let Some(limit) = self.0.get(&update.kind()) else {
            return false;
        };
        let dated = update
            .date()
            .and_then(|date| u64::try_from(date).ok())
            .and_then(|date| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date)));
        let since = dated.unwrap_or_else(|| update.received_at());
        now.duration_since(since).is_ok_and(|age| age > *limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(kind: &str, body: &str) -> Update {
        Update::from_json(&format!(r#"{{"update_id":1,"{kind}":{body}}}"#)).unwrap()
    }

    #[test]
    fn queries_are_useless_after_their_time_and_messages_never() {
        let ages = MaxAges::default();
        for (kind, limit) in [
            ("callback_query", Some(150)),
            ("shipping_query", Some(150)),
            ("pre_checkout_query", Some(150)),
            ("inline_query", Some(30)),
            ("message", None),
            ("moon_phase", None),
        ] {
            let update = update(kind, r#"{"from":{"id":1}}"#);
            let after = |secs| ages.is_stale(&update, update.received_at() + Duration::from_secs(secs));
            match limit {
                Some(limit) => assert_eq!((after(limit), after(limit + 1)), (false, true), "{kind}"),
                None => assert!(!after(1_000_000), "{kind}"),
            }
        }
    }

    #[test]
    fn a_message_counts_from_its_date() {
        let mut ages = MaxAges::default();
        ages.set(UpdateKind::Message, Some(Duration::from_secs(3600)));
        let update = update("message", r#"{"date":1000000,"chat":{"id":1}}"#);
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);

        assert!(!ages.is_stale(&update, at(1_003_600)));
        assert!(ages.is_stale(&update, at(1_003_601)));
        assert!(
            !ages.is_stale(&update, at(5)),
            "a clock that was set back makes nothing old"
        );
    }

    #[test]
    fn a_limit_can_be_taken_away() {
        let mut ages = MaxAges::default();
        ages.set(UpdateKind::InlineQuery, None);
        let update = update("inline_query", r#"{"from":{"id":1}}"#);

        assert!(!ages.is_stale(&update, update.received_at() + Duration::from_secs(9999)));
    }
}
