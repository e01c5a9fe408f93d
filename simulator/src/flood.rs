//! Rate limits: sensible buckets, since Telegram's own are neither published nor constant.
//!
//! | what | at once | refilled |
//! |---|---|---|
//! | messages to one chat | 3 | 1 per second |
//! | messages to one group, supergroup or channel | 20 | 20 per minute |
//! | edits in one group, supergroup or channel | 20 | 20 per minute |
//! | everything the bot sends | 30 | 30 per second |
//!
//! The numbers follow <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Moment;

/// The longest wait that a server absorbs before it shows a 429.
const ABSORBED: Duration = Duration::from_secs(8);

/// How strictly the server limits sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FloodProfile {
    /// No limit; the default.
    #[default]
    Off,
    /// Every call above the limit is answered 429 at once.
    Strict,
    /// A call is held back up to 8 s and then succeeds; only a longer wait is answered 429.
    Sensible,
}

/// What a limited call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Message,
    Edit,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Now,
    After(Duration),
    Refused { retry_after: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    capacity: f64,
    per_second: f64,
    at: Moment,
}

impl Bucket {
    fn full(capacity: f64, per_second: f64, now: Moment) -> Self {
        Self {
            tokens: capacity,
            capacity,
            per_second,
            at: now,
        }
    }

    /// Refills and returns the time until a token is there.
    fn wait(&mut self, now: Moment) -> Duration {
        let gained = now.since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.at = now;
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }
}

/// The buckets of one bot.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    whole_bot: Option<Bucket>,
    chat_seconds: HashMap<i64, Bucket>,
    group_minutes: HashMap<i64, Bucket>,
    group_edits: HashMap<i64, Bucket>,
    /// Waits that were announced to the client, by chat.
    announced: HashMap<i64, Moment>,
}

impl Flood {
    /// Decides about one call to `chat_id` and takes its tokens unless it is refused.
    pub(crate) fn admit(
        &mut self,
        profile: FloodProfile,
        now: Moment,
        chat_id: i64,
        is_group: bool,
        load: Load,
    ) -> Admission {
        if profile == FloodProfile::Off {
            return Admission::Now;
        }
        if let Some(until) = self.announced.get(&chat_id)
            && *until > now
        {
            return Admission::Refused {
                retry_after: whole_seconds(until.since(now)),
            };
        }
        let mut buckets = vec![
            self.whole_bot
                .get_or_insert_with(|| Bucket::full(30.0, 30.0, now)),
        ];
        let per_minute = || Bucket::full(20.0, 20.0 / 60.0, now);
        match load {
            Load::Message => {
                let seconds = self.chat_seconds.entry(chat_id);
                buckets.push(seconds.or_insert_with(|| Bucket::full(3.0, 1.0, now)));
                if is_group {
                    buckets.push(self.group_minutes.entry(chat_id).or_insert_with(per_minute));
                }
            }
            Load::Edit if is_group => {
                buckets.push(self.group_edits.entry(chat_id).or_insert_with(per_minute));
            }
            Load::Edit => {}
        }
        let wait = buckets
            .iter_mut()
            .map(|bucket| bucket.wait(now))
            .max()
            .unwrap_or_default();
        let tolerated = if profile == FloodProfile::Strict {
            Duration::ZERO
        } else {
            ABSORBED
        };
        if wait > tolerated {
            let retry_after = whole_seconds(wait);
            self.announced
                .insert(chat_id, now + Duration::from_secs(retry_after));
            return Admission::Refused { retry_after };
        }
        for bucket in buckets {
            bucket.tokens -= 1.0;
        }
        if wait.is_zero() {
            Admission::Now
        } else {
            Admission::After(wait)
        }
    }

    /// Forgets every bucket and every announced wait.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix(Duration::from_secs(1_800_000_000));

    fn message(flood: &mut Flood, profile: FloodProfile, millis: u64, chat: i64) -> Admission {
        flood.admit(
            profile,
            START + Duration::from_millis(millis),
            chat,
            chat < 0,
            Load::Message,
        )
    }

    #[test]
    fn a_chat_takes_three_at_once_and_one_per_second() {
        let mut flood = Flood::default();
        let mut strict = |millis| message(&mut flood, FloodProfile::Strict, millis, 1);

        assert_eq!([strict(0), strict(0), strict(0)], [Admission::Now; 3]);
        assert_eq!(strict(0), Admission::Refused { retry_after: 1 });
        assert_eq!(strict(1_000), Admission::Now);
    }

    #[test]
    fn the_announced_wait_is_never_cut_short() {
        let mut flood = Flood::default();
        for _ in 0..20 {
            message(&mut flood, FloodProfile::Sensible, 0, -1);
        }
        let refused = |admission| match admission {
            Admission::Refused { retry_after } => retry_after,
            other => panic!("{other:?}"),
        };

        let first = refused(message(&mut flood, FloodProfile::Sensible, 0, -1));
        assert!(first > 8, "{first}");
        assert_eq!(
            refused(message(&mut flood, FloodProfile::Sensible, 1_500, -1)),
            first - 1
        );
    }

    #[test]
    fn other_chats_are_not_affected_until_the_bot_as_a_whole_is() {
        let mut flood = Flood::default();

        for chat in 1..=30 {
            assert_eq!(
                message(&mut flood, FloodProfile::Strict, 0, chat),
                Admission::Now,
                "{chat}"
            );
        }
        assert_eq!(
            message(&mut flood, FloodProfile::Strict, 0, 31),
            Admission::Refused { retry_after: 1 }
        );
    }

    #[test]
    fn the_sensible_profile_holds_calls_back_one_after_the_other() {
        let mut flood = Flood::default();
        let mut sensible = || message(&mut flood, FloodProfile::Sensible, 0, 1);

        assert_eq!([sensible(), sensible(), sensible()], [Admission::Now; 3]);
        for second in 1..=8 {
            assert_eq!(sensible(), Admission::After(Duration::from_secs(second)));
        }
        assert_eq!(sensible(), Admission::Refused { retry_after: 9 });
    }

    #[test]
    fn edits_in_groups_have_their_own_twenty_per_minute() {
        let mut flood = Flood::default();
        let mut edit = |chat: i64| flood.admit(FloodProfile::Strict, START, chat, chat < 0, Load::Edit);

        for _ in 0..20 {
            assert_eq!(edit(-1), Admission::Now);
        }
        assert_eq!(edit(-1), Admission::Refused { retry_after: 3 });
        assert_eq!(edit(1), Admission::Now);
    }

    #[test]
    fn without_a_profile_nothing_is_limited() {
        let mut flood = Flood::default();

        for _ in 0..1000 {
            assert_eq!(message(&mut flood, FloodProfile::Off, 0, 1), Admission::Now);
        }
    }
}
