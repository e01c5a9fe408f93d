//! Settings of the journal.

use std::time::Duration;

use crate::{
    error::ConfigError,
    queue::{JournalSettings, store::StoreOptions},
};

/// Settings of the journal, for [`Bot::journal_config`](crate::Bot::journal_config). Each has a default that suits most
/// bots. A value that makes no sense is reported when the bot is started.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn echo(_: actogram::Context) {}
/// let bot = actogram::Bot::from_env()
///     .journal("bot.db")
///     .journal_config(|config| {
///         config
///             .max_updates(50_000)
///             .keep_dead_letters_for(Duration::from_secs(7 * 24 * 3600))
///     })
///     .handlers(|| echo);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing until they are given to `Bot::journal_config`"]
pub struct JournalConfig {
    max_updates: usize,
    max_bytes: u64,
    memory: u64,
    keep_ids: u64,
    keep_ids_for: Duration,
    keep_dead_letters: Option<u64>,
    keep_dead_letters_for: Option<Duration>,
}

impl JournalConfig {
    /// Unfinished updates at which polling pauses: 1,000,000, ten times what
    /// [the server keeps](https://core.telegram.org/bots/api#getting-updates). Each has a small entry in memory.
    pub const DEFAULT_MAX_UPDATES: usize = 1_000_000;

    /// Bytes of unfinished updates at which polling pauses: 1 GiB, so that a bot that stands still does not fill a
    /// disk.
    pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;

    /// Bytes of waiting updates that are kept in memory as well: 16 MiB, many thousand usual messages, so that a bot that
    /// keeps up never reads its file.
    pub const DEFAULT_MEMORY: u64 = 16 << 20;

    /// Ids that are remembered: 1,000,000, at 12 updates per second those of a whole day. They take some 70 MB of disk.
    pub const DEFAULT_KEEP_IDS: u64 = 1_000_000;

    /// Time for which ids are remembered: 48 h, twice as long as
    /// [the server keeps an update](https://core.telegram.org/bots/api#getting-updates).
    pub const DEFAULT_KEEP_IDS_FOR: Duration = Duration::from_secs(48 * 60 * 60);

    /// Dead letters that are kept: 100,000, with usual messages some 50 MB of disk.
    pub const DEFAULT_KEEP_DEAD_LETTERS: u64 = 100_000;

    /// Time for which dead letters are kept: 30 days. Somebody who was away can still look, and what people wrote does
    /// not lie around for ever.
    pub const DEFAULT_KEEP_DEAD_LETTERS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    pub(crate) fn new() -> Self {
        Self {
            max_updates: Self::DEFAULT_MAX_UPDATES,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            memory: Self::DEFAULT_MEMORY,
            keep_ids: Self::DEFAULT_KEEP_IDS,
            keep_ids_for: Self::DEFAULT_KEEP_IDS_FOR,
            keep_dead_letters: Some(Self::DEFAULT_KEEP_DEAD_LETTERS),
            keep_dead_letters_for: Some(Self::DEFAULT_KEEP_DEAD_LETTERS_FOR),
        }
    }

    /// Sets how many unfinished updates the journal takes; default
    /// [`DEFAULT_MAX_UPDATES`](Self::DEFAULT_MAX_UPDATES), at least 1. At the bound polling pauses until some are
    /// finished; the updates wait at the server, which drops them after 24 h.
    pub fn max_updates(mut self, updates: usize) -> Self {
        self.max_updates = updates;
        self
    }

    /// Sets how many bytes of unfinished updates the journal takes; default
    /// [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES), at least 1. Polling pauses as soon as the bound is reached, so it may
    /// be passed by one batch of up to 100 updates; by webhook by one for each connection of the server, up to 256. The file
    /// itself is larger, by about a third.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many bytes of waiting updates are kept in memory besides the file; default
    /// [`DEFAULT_MEMORY`](Self::DEFAULT_MEMORY). What is beyond is read from the file when it is due, so zero is slower
    /// and otherwise the same.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets how many ids are remembered so that an update that is delivered twice is handled once; default
    /// [`DEFAULT_KEEP_IDS`](Self::DEFAULT_KEEP_IDS), at least 1,000, ten batches. The oldest are forgotten first.
    pub fn keep_ids(mut self, ids: u64) -> Self {
        self.keep_ids = ids;
        self
    }

    /// Sets how long ids are remembered; default [`DEFAULT_KEEP_IDS_FOR`](Self::DEFAULT_KEEP_IDS_FOR), at least 1 minute.
    /// Below 24 h an update that the server offers again late is handled again.
    pub fn keep_ids_for(mut self, age: Duration) -> Self {
        self.keep_ids_for = age;
        self
    }

    /// Sets how many dead letters are kept; default [`DEFAULT_KEEP_DEAD_LETTERS`](Self::DEFAULT_KEEP_DEAD_LETTERS), at
    /// least 1, `None` for no bound. Those that died first go first. Rows that were set aside as damaged are kept in
    /// the same number, counted by themselves.
    ///
    /// Whatever goes is named in the log and counted
    /// ([`dead_letters_dropped`](crate::JournalStats::dead_letters_dropped)). It goes within about half a minute.
    pub fn keep_dead_letters(mut self, letters: impl Into<Option<u64>>) -> Self {
        self.keep_dead_letters = letters.into();
        self
    }

    /// Sets how long dead letters, and rows that were set aside as damaged, are kept; default
    /// [`DEFAULT_KEEP_DEAD_LETTERS_FOR`](Self::DEFAULT_KEEP_DEAD_LETTERS_FOR), at least 1 minute, `None` for no bound. The
    /// age counts from their death, by the wall clock; it is told as [above](Self::keep_dead_letters).
    pub fn keep_dead_letters_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.keep_dead_letters_for = age.into();
        self
    }

    /// Returns the settings for the queue and for its file.
    pub(crate) fn resolve(&self, at_most_once: bool) -> Result<(JournalSettings, StoreOptions), ConfigError> {
        const MINUTE: Duration = Duration::from_secs(60);
        let checks = [
            (self.max_updates >= 1, "journal_config.max_updates", "at least 1"),
            (self.max_bytes >= 1, "journal_config.max_bytes", "at least 1"),
            (self.keep_ids >= 1000, "journal_config.keep_ids", "at least 1000"),
            (
                self.keep_ids_for >= MINUTE,
                "journal_config.keep_ids_for",
                "at least 1 minute",
            ),
            (
                self.keep_dead_letters != Some(0),
                "journal_config.keep_dead_letters",
                "at least 1, or `None` for no bound",
            ),
            (
                self.keep_dead_letters_for.is_none_or(|age| age >= MINUTE),
                "journal_config.keep_dead_letters_for",
                "at least 1 minute, or `None` for no bound",
            ),
        ];
        for (holds, setting, bound) in checks {
            if !holds {
                return Err(ConfigError::Setting { setting, bound });
            }
        }
        let settings = JournalSettings {
            rows: self.max_updates,
            bytes: self.max_bytes,
            cached_bytes: self.memory,
            at_most_once,
        };
        let options = StoreOptions {
            dedup_age: self.keep_ids_for,
            dedup_ids: self.keep_ids,
            dead_age: self.keep_dead_letters_for.unwrap_or(Duration::MAX),
            dead_letters: self.keep_dead_letters.unwrap_or(u64::MAX),
            ..StoreOptions::default()
        };
        Ok((settings, options))
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_queue_and_its_file() {
        let (settings, options) = JournalConfig::new().resolve(false).unwrap();

        assert_eq!(
            format!("{settings:?}"),
            format!("{:?}", JournalSettings::default())
        );
        assert_eq!(format!("{options:?}"), format!("{:?}", StoreOptions::default()));
    }

    #[test]
    fn each_setting_reaches_what_it_is_for() {
        let day = Duration::from_secs(24 * 3600);
        let config = JournalConfig::new()
            .max_updates(1)
            .max_bytes(2)
            .memory(3)
            .keep_ids(4000)
            .keep_ids_for(5 * day)
            .keep_dead_letters(6)
            .keep_dead_letters_for(7 * day);

        let (settings, options) = config.resolve(true).unwrap();

        assert_eq!((settings.rows, settings.bytes, settings.cached_bytes), (1, 2, 3));
        assert!(settings.at_most_once);
        assert_eq!((options.dedup_ids, options.dedup_age), (4000, 5 * day));
        assert_eq!((options.dead_letters, options.dead_age), (6, 7 * day));
        let unbounded = config.keep_dead_letters(None).keep_dead_letters_for(None);
        let (_, options) = unbounded.resolve(false).unwrap();
        assert_eq!(
            (options.dead_letters, options.dead_age),
            (u64::MAX, Duration::MAX)
        );
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        type Change = fn(JournalConfig) -> JournalConfig;
        let cases: [(Change, &str); 6] = [
            (
                |config| config.max_updates(0),
                "journal_config.max_updates must be at least 1",
            ),
            (
                |config| config.max_bytes(0),
                "journal_config.max_bytes must be at least 1",
            ),
            (
                |config| config.keep_ids(999),
                "journal_config.keep_ids must be at least 1000",
            ),
            (
                |config| config.keep_ids_for(Duration::from_secs(59)),
                "journal_config.keep_ids_for must be at least 1 minute",
            ),
            (
                |config| config.keep_dead_letters(0),
                "journal_config.keep_dead_letters must be at least 1, or `None` for no bound",
            ),
            (
                |config| config.keep_dead_letters_for(Duration::from_secs(59)),
                "journal_config.keep_dead_letters_for must be at least 1 minute, or `None` for no bound",
            ),
        ];
        for (change, told) in cases {
            let refused = change(JournalConfig::new()).resolve(false).unwrap_err();
            assert_eq!(refused.to_string(), told);
        }
    }
}
