//! Settings of the [`Api`](super::Api).

use std::time::Duration;

use super::server::Server;
use crate::token::Token;

/// Most connections that the HTTP client handles well. Above about 128 idle ones it misjudges which of them the
/// server has closed.
const MAX_CONNECTIONS: usize = 100;

/// Speed of a file that the default deadline allows for, in bytes per second.
const SLOWEST_TRANSFER: u64 = 64 * 1024;

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
    pub(crate) max_connections: usize,
    pub(crate) connect_timeout: Duration,
}

impl ApiConfig {
    /// Returns the default settings for a bot.
    pub fn new(token: Token) -> Self {
        Self {
            token,
            server: Server::default(),
            timeout: Duration::from_secs(30),
            max_flood_wait: Duration::from_secs(60),
            max_connections: MAX_CONNECTIONS,
            connect_timeout: Duration::from_secs(5),
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
    /// Time that a call spends waiting for one of the [connections](ApiConfig::max_connections) or for flood control
    /// does not count. After a flood wait the deadline begins anew. Keep it well
    /// above 8 s: the server itself absorbs flood waits of up to 8 s before it answers, so a shorter deadline turns slow
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
