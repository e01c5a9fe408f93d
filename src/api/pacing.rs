//! Keeping below the limits of the server instead of running into them: token buckets. Pure; the caller brings the time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::chat::Chat;

/// How fast calls into chats may follow one another. Off by default: the gateway then goes as fast as it is asked to and
/// obeys every 429.
///
/// Meant for bulk sending; set it for everything with [`ApiConfig::pacing`](super::ApiConfig::pacing), or for some calls
/// with [`Api::paced`](super::Api::paced). Calls with the same pacing share it. Calls without one never wait for it, but
/// take from its budget, so that a broadcast leaves room for the replies to people.
///
/// A call counts once, however many messages it sends. Calls that do not write into a chat do not count.
///
/// Telegram's limits are neither exact nor constant; the defaults follow
/// <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a pacing does nothing until it is given to an `Api` or its configuration"]
pub struct Pacing {
    per_second: u32,
    chat_burst: u32,
    group_per_minute: u32,
}

impl Pacing {
    /// Returns the pace that Telegram names for bulk notifications: 30 calls per second in all, 1 per second to one chat
    /// after a burst of 3, and 20 per minute to one group or channel.
    pub const fn bulk() -> Self {
        Self {
            per_second: 30,
            chat_burst: 3,
            group_per_minute: 20,
        }
    }

    /// Sets how many calls may be made per second in all, and at once after a pause. Default: 30; zero counts as 1.
    pub const fn per_second(mut self, calls: u32) -> Self {
        self.per_second = at_least_one(calls);
        self
    }

    /// Sets how many calls may be made at once to one chat that was left alone before; then follows 1 per second.
    /// Default: 3; zero counts as 1.
    pub const fn chat_burst(mut self, calls: u32) -> Self {
        self.chat_burst = at_least_one(calls);
        self
    }

    /// Sets how many calls may be made per minute to one group or channel, and at once after a pause. Default: 20; zero
    /// counts as 1.
    pub const fn group_per_minute(mut self, calls: u32) -> Self {
        self.group_per_minute = at_least_one(calls);
        self
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self::bulk()
    }
}

const fn at_least_one(calls: u32) -> u32 {
    if calls == 0 { 1 } else { calls }
}

/// A token bucket, kept as the time at which it will be full.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Instant,
}

/// Refill interval of one token, and how many fit.
#[derive(Debug, Clone, Copy)]
struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// `burst` calls per `span`.
    fn per(burst: u32, span: Duration) -> Self {
        Self {
            interval: span / burst,
            burst,
        }
    }

    fn span(self) -> Duration {
        self.interval * self.burst
    }
}

impl Bucket {
    fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// The moment from which a token is there.
    fn free_at(self, rate: Rate) -> Option<Instant> {
        self.full_at.checked_sub(rate.interval * (rate.burst - 1))
    }

    /// Takes a token. A bucket without one stays empty: there is no debt.
    fn take(&mut self, rate: Rate, now: Instant) {
        self.full_at = (self.full_at.max(now) + rate.interval).min(now + rate.span());
    }
}

/// The buckets of one [`Pacing`].
#[derive(Debug)]
pub(crate) struct Pacer {
    bot: (Bucket, Rate),
    chats: HashMap<Chat, ChatBuckets>,
    chat: Rate,
    group: Rate,
    /// Number of chats at which those that are full are forgotten.
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct ChatBuckets {
    seconds: Bucket,
    minute: Bucket,
}

impl ChatBuckets {
    fn full_at(self) -> Instant {
        self.seconds.full_at.max(self.minute.full_at)
    }
}

const FIRST_SWEEP: usize = 64;

impl Pacer {
    pub(crate) fn new(pacing: Pacing, now: Instant) -> Self {
        let second = Duration::from_secs(1);
        Self {
            bot: (Bucket::full(now), Rate::per(pacing.per_second, second)),
            chats: HashMap::new(),
            chat: Rate {
                interval: second,
                burst: pacing.chat_burst,
            },
            group: Rate::per(pacing.group_per_minute, Duration::from_secs(60)),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Returns when the next call of all may be made, if that is later than `now`.
    pub(crate) fn next_call(&self, now: Instant) -> Option<Instant> {
        self.bot.0.free_at(self.bot.1).filter(|at| *at > now)
    }

    /// Returns when the next call to this chat may be made as far as the chat goes, if that is later than `now`.
    pub(crate) fn next_call_to(&self, chat: &Chat, now: Instant) -> Option<Instant> {
        let buckets = self.chats.get(chat)?;
        let group = chat
            .is_group()
            .then(|| buckets.minute.free_at(self.group))
            .flatten();
        buckets
            .seconds
            .free_at(self.chat)
            .max(group)
            .filter(|at| *at > now)
    }

    /// Counts a call.
    pub(crate) fn count(&mut self, chat: &Chat, now: Instant) {
        let (bucket, rate) = &mut self.bot;
        bucket.take(*rate, now);
        if self.chats.len() >= self.sweep_at {
            self.sweep(now);
            self.sweep_at = FIRST_SWEEP.max(2 * self.chats.len());
        }
        let buckets = self.chats.entry(chat.clone()).or_insert_with(|| ChatBuckets {
            seconds: Bucket::full(now),
            minute: Bucket::full(now),
        });
        buckets.seconds.take(self.chat, now);
        if chat.is_group() {
            buckets.minute.take(self.group, now);
        }
    }

    /// Forgets chats whose buckets are full again, which is how a chat that is not known counts.
    fn sweep(&mut self, now: Instant) {
        self.chats.retain(|_, buckets| buckets.full_at() > now);
    }

    /// Forgets what is full, and returns when everything will be; `None` when it is.
    pub(crate) fn forget(&mut self, now: Instant) -> Option<Instant> {
        self.sweep(now);
        if self.chats.is_empty() {
            self.chats = HashMap::new();
        }
        let chats = self.chats.values().map(|buckets| buckets.full_at()).max();
        chats.max(Some(self.bot.0.full_at)).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(id: i64) -> Chat {
        Chat::of_id(id)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Makes calls as early as they may be and returns when, in milliseconds.
    fn times(pacing: Pacing, chats: impl IntoIterator<Item = i64>) -> Vec<u128> {
        let start = Instant::now();
        let (mut pacer, mut now) = (Pacer::new(pacing, start), start);
        let mut times = Vec::new();
        for id in chats {
            let free = pacer.next_call(now).max(pacer.next_call_to(&chat(id), now));
            now = free.unwrap_or(now);
            assert_eq!(pacer.next_call(now).max(pacer.next_call_to(&chat(id), now)), None);
            pacer.count(&chat(id), now);
            times.push((now - start).as_millis());
        }
        times
    }

    #[test]
    fn after_a_burst_a_chat_gets_one_call_per_second() {
        assert_eq!(times(Pacing::bulk(), [7; 6]), [0, 0, 0, 1000, 2000, 3000]);
    }

    #[test]
    fn a_group_gets_twenty_calls_per_minute() {
        let times = times(Pacing::bulk().chat_burst(30), [-100; 23]);

        assert_eq!(times[..20], [0; 20]);
        assert_eq!(times[20..], [3000, 6000, 9000]);
    }

    #[test]
    fn all_chats_together_get_thirty_calls_per_second() {
        let times = times(Pacing::bulk(), 1..=90);

        assert_eq!(times[..30], [0; 30]);
        assert!((33..=34).contains(&times[30]), "{}", times[30]);
        assert!((1980..=2000).contains(&times[89]), "{}", times[89]);
    }

    #[test]
    fn no_window_of_a_second_holds_more_than_twice_the_rate() {
        let times = times(Pacing::bulk(), 1..=300);

        for (first, start) in times.iter().enumerate() {
            let within = times[first..].iter().filter(|time| **time - start < 1000).count();
            assert!(within <= 60, "{within} calls within a second");
        }
    }

    #[test]
    fn calls_that_do_not_wait_take_tokens_but_leave_no_debt() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Pacing::bulk(), now);

        for _ in 0..1_000 {
            pacer.count(&chat(1), now);
        }

        assert!(pacer.next_call(now).is_some_and(|at| at <= now + millis(34)));
        assert!(
            pacer
                .next_call_to(&chat(1), now)
                .is_some_and(|at| at <= now + millis(1000))
        );
    }

    #[test]
    fn a_chat_whose_buckets_are_full_is_forgotten() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Pacing::bulk(), now);
        pacer.count(&chat(1), now);
        pacer.count(&chat(-1), now);

        assert_eq!(pacer.forget(now), Some(now + millis(3000)));
        assert_eq!(pacer.forget(now + millis(1500)), Some(now + millis(3000)));
        assert_eq!(pacer.chats.len(), 1);
        assert_eq!(pacer.forget(now + millis(3000)), None);
    }

    #[test]
    fn many_chats_are_swept_while_the_calls_go_on() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(Pacing::bulk().per_second(1_000), now);

        for id in 0..10_000 {
            now += millis(100);
            pacer.count(&chat(id), now);
        }

        assert!(pacer.chats.len() <= FIRST_SWEEP, "{}", pacer.chats.len());
    }

    #[test]
    fn a_rate_of_zero_counts_as_one() {
        let slowest = Pacing::bulk().per_second(0).chat_burst(0).group_per_minute(0);

        assert_eq!(times(slowest, [1, 2, 3]), [0, 1000, 2000]);
        assert_eq!(times(slowest, [-1, -1]), [0, 60_000]);
    }
}
