//! What a 429 means: who has to wait, and until when. Pure; the caller brings the time.
//!
//! The answer does not say whether a wait concerns one chat or the whole bot
//! (<https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>). The reading here:
//!
//! - A call with a chat holds that chat.
//! - Holds on [`SEVERAL_CHATS`] chats at once look like a limit of the bot: everything waits for the shortest of them.
//! - A call without a chat holds its method, and everything if the wait is short ([`LONGEST_BOT_WAIT`]). Long waits
//!   belong to methods with a budget of their own, such as `setMyName` with its hours; they must not silence the bot.
//!
//! A wrong guess costs one more 429, which corrects it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::chat::Target;

/// Chats that must be held at once before the bot is held. Two busy groups are ordinary.
const SEVERAL_CHATS: usize = 3;

/// Longest wait of a call without a chat that is taken for a wait of the whole bot. The server's own limits for a
/// bot ask for 5 s (restart) and 60 s (overload).
const LONGEST_BOT_WAIT: Duration = Duration::from_secs(60);

/// Longest hold that is kept, above anything Telegram asks for (14 days); keeps the arithmetic in range.
const LONGEST_HOLD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Waits in force.
#[derive(Debug, Default)]
pub(crate) struct FloodHolds {
    targets: HashMap<Target, Instant>,
    bot: Option<Instant>,
}

impl FloodHolds {
    /// Notes that a call to `target` was answered with a wait of `retry_after` at `now`. Holds only grow: answers to
    /// concurrent calls arrive in any order.
    pub(crate) fn hold(&mut self, target: &Target, retry_after: Duration, now: Instant) {
        self.targets.retain(|_, until| *until > now);
        let until = now + retry_after.min(LONGEST_HOLD);
        let held = self.targets.entry(target.clone()).or_insert(until);
        *held = until.max(*held);
        let bot = match target {
            Target::Chat(_) => self.shortest_of_several(),
            Target::Method(_) => (retry_after <= LONGEST_BOT_WAIT).then_some(until),
        };
        self.bot = self.bot.max(bot);
    }

    /// Returns until when a call to `target` has to wait, or `None` if it may go now.
    pub(crate) fn until(&self, target: &Target, now: Instant) -> Option<Instant> {
        self.target_until(target, now).max(self.bot_until(now))
    }

    /// Returns until when everything has to wait.
    pub(crate) fn bot_until(&self, now: Instant) -> Option<Instant> {
        self.bot.filter(|until| *until > now)
    }

    /// Returns until when `target` has to wait, whatever holds for the bot.
    pub(crate) fn target_until(&self, target: &Target, now: Instant) -> Option<Instant> {
        self.targets.get(target).copied().filter(|until| *until > now)
    }

    /// Forgets holds that have passed and returns how many chats are held.
    pub(crate) fn held_chats(&mut self, now: Instant) -> usize {
        self.targets.retain(|_, until| *until > now);
        self.chats().count()
    }

    fn chats(&self) -> impl Iterator<Item = Instant> {
        self.targets
            .iter()
            .filter(|(target, _)| matches!(target, Target::Chat(_)))
            .map(|(_, until)| *until)
    }

    fn shortest_of_several(&self) -> Option<Instant> {
        if self.chats().count() < SEVERAL_CHATS {
            return None;
        }
        self.chats().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(id: i64) -> Target {
        Target::from_fields("sendMessage", Some(&id.to_string()), None)
    }

    fn method(name: &str) -> Target {
        Target::Method(name.to_owned())
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    impl FloodHolds {
        fn wait_for(&self, target: &Target, now: Instant) -> Option<Duration> {
            self.until(target, now).map(|until| until - now)
        }
    }

    #[test]
    fn a_chat_is_held_until_its_wait_has_passed_and_others_go_on() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), seconds(10), now);

        assert_eq!(holds.wait_for(&chat(1), now), Some(seconds(10)));
        assert_eq!(holds.wait_for(&chat(1), now + seconds(4)), Some(seconds(6)));
        assert_eq!(holds.wait_for(&chat(1), now + seconds(10)), None);
        assert_eq!(holds.wait_for(&chat(2), now), None);
        assert_eq!(holds.wait_for(&method("getMe"), now), None);
    }

    #[test]
    fn two_held_chats_leave_the_bot_alone() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), seconds(10), now);
        holds.hold(&chat(2), seconds(10), now);

        assert_eq!(holds.wait_for(&chat(3), now), None);
    }

    #[test]
    fn several_held_chats_hold_the_bot_for_the_shortest_wait() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), seconds(3600), now);
        holds.hold(&chat(2), seconds(7), now);
        holds.hold(&chat(3), seconds(30), now);

        assert_eq!(holds.wait_for(&chat(4), now), Some(seconds(7)));
        assert_eq!(holds.wait_for(&method("getMe"), now), Some(seconds(7)));
        assert_eq!(holds.wait_for(&chat(1), now), Some(seconds(3600)));
        assert_eq!(holds.wait_for(&chat(4), now + seconds(7)), None);
    }

    #[test]
    fn holds_that_have_passed_do_not_count_as_several() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), seconds(5), now);
        holds.hold(&chat(2), seconds(5), now);
        let later = now + seconds(5);
        holds.hold(&chat(3), seconds(5), later);

        assert_eq!(holds.wait_for(&chat(4), later), None);
        assert_eq!(holds.targets.len(), 1);
    }

    #[test]
    fn the_same_chat_several_times_is_one_chat() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        for _ in 0..SEVERAL_CHATS {
            holds.hold(&chat(1), seconds(5), now);
        }

        assert_eq!(holds.wait_for(&chat(2), now), None);
    }

    #[test]
    fn a_short_wait_without_a_chat_holds_the_bot() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&method("answerCallbackQuery"), seconds(60), now);

        assert_eq!(holds.wait_for(&chat(1), now), Some(seconds(60)));
        assert_eq!(
            holds.wait_for(&method("getMe"), now + seconds(59)),
            Some(seconds(1))
        );
        assert_eq!(holds.wait_for(&chat(1), now + seconds(60)), None);
    }

    #[test]
    fn a_long_wait_without_a_chat_holds_its_method_only() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&method("setMyName"), seconds(80_000), now);

        assert_eq!(holds.wait_for(&method("setMyName"), now), Some(seconds(80_000)));
        assert_eq!(holds.wait_for(&method("getMe"), now), None);
        assert_eq!(holds.wait_for(&chat(1), now), None);
    }

    #[test]
    fn a_shorter_wait_never_shortens_a_hold() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), seconds(10), now);
        holds.hold(&chat(1), seconds(2), now);

        assert_eq!(holds.wait_for(&chat(1), now), Some(seconds(10)));
    }

    #[test]
    fn a_wait_of_any_size_is_taken() {
        let (mut holds, now) = (FloodHolds::default(), Instant::now());

        holds.hold(&chat(1), Duration::from_secs(u64::MAX), now);
        holds.hold(&chat(2), seconds(1_209_600), now);

        assert_eq!(holds.wait_for(&chat(1), now), Some(LONGEST_HOLD));
        assert_eq!(holds.wait_for(&chat(2), now), Some(seconds(1_209_600)));
    }

    #[test]
    fn waits_of_random_calls_never_outlast_what_was_asked_for() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut holds, mut now) = (FloodHolds::default(), Instant::now());
        let mut asked = HashMap::new();

        for _ in 0..2_000 {
            now += Duration::from_millis(random.u64(0..3_000));
            let target = if random.u8(..) < 200 {
                chat(random.i64(0..6))
            } else {
                method("getMe")
            };
            if random.bool() {
                let wait = seconds(random.u64(1..90));
                holds.hold(&target, wait, now);
                let until = asked.entry(target.clone()).or_insert(now);
                *until = (*until).max(now + wait);
            }

            let latest = asked.values().copied().max().unwrap_or(now);
            if let Some(wait) = holds.wait_for(&target, now) {
                assert!(now + wait <= latest, "waits longer than any answer asked for");
            }
            if let Some(until) = asked.get(&target).filter(|until| **until > now) {
                assert!(
                    holds.wait_for(&target, now) >= Some(*until - now),
                    "goes before its own wait"
                );
            }
        }
    }
}
