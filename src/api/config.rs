//! Settings of the [`Api`](super::Api).

use std::{path::PathBuf, time::Duration};

use super::{pacing::Pacing, server::Server};
use crate::token::Token;

/// Most connections that the HTTP client handles well. Above about 128 idle ones it misjudges which of them the
/// server has closed.
const MAX_CONNECTIONS: usize = 100;

/// Speed of a file that the default deadline allows for, in bytes per second.
const SLOWEST_TRANSFER: u64 = 64 * 1024;

/// Largest file that a Bot API server handles, in bytes.
const LARGEST_FILE: u64 = 4_000 << 20;

/// Most attempts that a call may have.
const MOST_ATTEMPTS: u32 = 10;

/// How much longer than for flood control a call may wait in all, by default.
const BESIDES_FLOOD: Duration = Duration::from_secs(60);

/// Settings of the [`Api`](super::Api). Each has a default; only the token is required.
///
/// ```
/// use std::time::Duration;
///
/// use actogram::api::{ApiConfig, Server, Token};
///
/// let config = ApiConfig::new(Token::parse("123456:AbCdEf_GhIjKl-MnOpQr")?)
///     .server(Server::parse("http://localhost:8081")?)
///     .timeout(Duration::from_secs(10));
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until they are given to `Api::start`"]
pub struct ApiConfig {
    pub(crate) token: Token,
    pub(crate) server: Server,
    pub(crate) timeout: Duration,
    pub(crate) max_flood_wait: Duration,
    max_wait: Option<Duration>,
    pub(crate) max_waiting: usize,
    pub(crate) max_waiting_per_chat: usize,
    pub(crate) attempts: u32,
    pub(crate) pacing: Option<Pacing>,
    pub(crate) max_connections: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) max_download: u64,
    pub(crate) local_files: Option<PathBuf>,
}

impl ApiConfig {
    /// Returns the default settings for a bot.
    pub fn new(token: Token) -> Self {
        Self {
            token,
            server: Server::default(),
            timeout: Duration::from_secs(30),
            max_flood_wait: Duration::from_secs(60),
            max_wait: None,
            max_waiting: 10_000,
            max_waiting_per_chat: 1_000,
            attempts: 3,
            pacing: None,
            max_connections: MAX_CONNECTIONS,
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(10),
            max_download: LARGEST_FILE,
            local_files: None,
        }
    }

    /// Sets the Bot API server. Default: Telegram's own.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Sets the deadline of a call, from its connection to the last byte of its response. Default: 30 s.
    ///
    /// An upload or a download gets one more second for every 64 KiB, so that a 20 MB file has about 5 minutes. A call
    /// that is given a deadline of its own keeps to that.
    ///
    /// Repetitions share the deadline; time that a call spends [waiting](ApiConfig::max_wait) does not count. After a flood
    /// wait the deadline begins anew. Keep it well above 8 s: the server itself absorbs flood waits of up to 8 s before it answers, so a shorter deadline turns slow
    /// successes into unknown outcomes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a call may wait for flood control in all before it ends with
    /// [`ApiError::FloodWait`](super::ApiError::FloodWait). Default: 60 s. Zero hands every wait to the caller.
    ///
    /// A call whose next wait would pass the limit ends at once; it does not wait in vain.
    pub fn max_flood_wait(mut self, wait: Duration) -> Self {
        self.max_flood_wait = wait;
        self
    }

    /// Sets how long a call may wait in all before it is made: for earlier calls to its chat, for a connection, for flood
    /// control and for its pace. Then it ends with [`ApiError::WaitedTooLong`](super::ApiError::WaitedTooLong). Default:
    /// 60 s more than [`max_flood_wait`](Self::max_flood_wait).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Sets how many calls may wait at once, in all and for one chat. A call beyond that ends at once with
    /// [`ApiError::QueueFull`](super::ApiError::QueueFull). Default: 10,000 and 1,000.
    ///
    /// Connections that are free count as places in the total.
    pub fn max_waiting(mut self, in_all: usize, per_chat: usize) -> Self {
        // What a semaphore can count.
        self.max_waiting = in_all.min(usize::MAX >> 4);
        self.max_waiting_per_chat = per_chat;
        self
    }

    /// Sets how often a call may be attempted in quick succession, when it was not sent or when its outcome is unknown and
    /// it may be executed twice. Default: 3, from 1 (no repetition) to 10. The pauses begin with about 0.15 s and double; all
    /// attempts share the [deadline](Self::timeout).
    ///
    /// Attempts after a flood wait do not count.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.clamp(1, MOST_ATTEMPTS);
        self
    }

    /// Sets the pace of all calls into chats. Default: none, which lets a bot answer as fast as it can; flood control is
    /// obeyed in any case. [`Api::paced`](super::Api::paced) sets it for some calls only.
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = Some(pacing);
        self
    }

    /// Sets how many calls may be on the wire at once; others wait in order of arrival. Default and largest value:
    /// 100, smallest: 1. Values outside are set to the nearest of the two.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, MAX_CONNECTIONS);
        self
    }

    /// Sets how long the name look-up with the connection, and then the TLS handshake, may take each. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a connection without work is kept for the next call. Default: 10 s.
    ///
    /// Keep it below what the server, or a proxy before it, allows: a connection that the server closes at the moment in
    /// which a message is sent leaves the outcome of that message unknown. Zero makes a connection for each call.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// Sets how large a download to a file or a stream may be, in bytes. Default: 4000 MiB, the most a server handles.
    /// Downloads into memory have 32 MiB at most.
    pub fn max_download(mut self, bytes: u64) -> Self {
        self.max_download = bytes;
        self
    }

    /// Allows downloads to read files below this folder of the disk. Default: none.
    ///
    /// A [local Bot API server](https://core.telegram.org/bots/api#using-a-local-bot-api-server) names its files by
    /// absolute paths instead of offering them for download; give the folder where it keeps them (its `--dir`), as this
    /// process sees it. A path that leads out of the folder, also by links, is not read.
    pub fn local_files(mut self, folder: impl Into<PathBuf>) -> Self {
        self.local_files = Some(folder.into());
        self
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        let by_default = || self.max_flood_wait.saturating_add(BESIDES_FLOOD);
        self.max_wait.unwrap_or_else(by_default)
    }

    /// The deadline of a call that carries a file of `len` bytes.
    pub(crate) fn transfer_timeout(&self, len: u64) -> Duration {
        self.timeout + Duration::from_secs(len.div_ceil(SLOWEST_TRANSFER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ApiConfig {
        ApiConfig::new(Token::parse("123:secret").unwrap())
    }

    #[test]
    fn connections_stay_within_what_the_client_handles() {
        assert_eq!(config().max_connections(0).max_connections, 1);
        assert_eq!(config().max_connections(7).max_connections, 7);
        assert_eq!(config().max_connections(500).max_connections, MAX_CONNECTIONS);
    }

    #[test]
    fn a_call_may_wait_longer_in_all_than_for_flood_control() {
        let seconds = Duration::from_secs;

        assert_eq!(config().longest_wait(), seconds(120));
        assert_eq!(
            config().max_flood_wait(seconds(7200)).longest_wait(),
            seconds(7260)
        );
        assert_eq!(config().max_wait(seconds(5)).longest_wait(), seconds(5));
        assert_eq!(
            config().max_flood_wait(Duration::MAX).longest_wait(),
            Duration::MAX
        );
    }

    #[test]
    fn there_is_at_least_one_attempt_and_not_too_many() {
        assert_eq!(config().attempts(0).attempts, 1);
        assert_eq!(config().attempts(99).attempts, MOST_ATTEMPTS);
    }

    #[test]
    fn files_get_time_for_their_size() {
        assert_eq!(config().transfer_timeout(0), Duration::from_secs(30));
        assert_eq!(
            config().transfer_timeout(20_000_000),
            Duration::from_secs(30 + 306)
        );
    }

    #[test]
    fn the_token_does_not_show() {
        assert!(!format!("{:?}", config()).contains("secret"));
    }
}
