//! Where the Bot API is served.

use std::{fmt, str::FromStr};

use awc::http::Uri;
use thiserror::Error;

use crate::token::Token;

/// Root of a Bot API server: scheme, host, port and an optional path prefix.
///
/// The default is `https://api.telegram.org`. Set another one to use a
/// [local Bot API server](https://core.telegram.org/bots/api#using-a-local-bot-api-server), a reverse proxy (the HTTP
/// client speaks no proxy protocol) or a simulator.
///
/// ```
/// use actogram::api::Server;
///
/// let local = Server::parse("http://localhost:8081/")?;
///
/// assert_eq!(local.to_string(), "http://localhost:8081");
/// # Ok::<(), actogram::api::ServerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    root: String,
    test_environment: bool,
}

impl Server {
    /// Root of Telegram's own server.
    pub const TELEGRAM: &'static str = "https://api.telegram.org";

    /// Parses the root of a Bot API server. White space around it and a trailing slash are ignored.
    ///
    /// # Errors
    ///
    /// Returns the first rule that the text breaks. The error does not quote the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, ServerError> {
        let text = text.trim();
        if text.contains(['?', '#']) {
            return Err(ServerError::Query);
        }
        if text.starts_with('/') || !text.contains("://") {
            return Err(ServerError::Scheme);
        }
        let uri = Uri::try_from(text).map_err(|_| ServerError::Invalid)?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = scheme.ok_or(ServerError::Scheme)?;
        let authority = uri.authority().ok_or(ServerError::Host)?;
        if authority.as_str().contains('@') {
            return Err(ServerError::UserInfo);
        }
        // An empty host would make the HTTP client panic later, so it must not pass.
        if authority.host().is_empty() || authority.host() == "[]" {
            return Err(ServerError::Host);
        }
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(ServerError::Port);
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            root: format!("{scheme}://{authority}{path}"),
            test_environment: false,
        })
    }

    /// Chooses the [test environment](https://core.telegram.org/bots/features#dedicated-test-environment), which
    /// has accounts, bots and tokens of its own. Off by default.
    #[must_use]
    pub fn test_environment(mut self, enabled: bool) -> Self {
        self.test_environment = enabled;
        self
    }

    /// Address of a method. It contains the token: it may go to the HTTP client and nowhere else.
    pub(crate) fn method_url(&self, token: &Token, method: &str) -> String {
        format!(
            "{}/bot{}{}/{method}",
            self.root,
            token.secret(),
            self.environment()
        )
    }

    /// Address of a file that `getFile` named. It contains the token like [`Server::method_url`].
    pub(crate) fn file_url(&self, token: &Token, file_path: &str) -> String {
        let mut url = format!("{}/file/bot{}{}/", self.root, token.secret(), self.environment());
        for byte in file_path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
        url
    }

    fn environment(&self) -> &'static str {
        if self.test_environment { "/test" } else { "" }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            root: Self::TELEGRAM.to_owned(),
            test_environment: false,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        if self.test_environment {
            f.write_str(" (test environment)")
        } else {
            Ok(())
        }
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        Self::parse(text)
    }
}

/// Why a text is not the root of a Bot API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Not a URL at all.
    #[error("the bot api server is not a valid url; write it like https://api.telegram.org")]
    Invalid,
    /// Neither `http` nor `https`.
    #[error("the bot api server must begin with http:// or https://")]
    Scheme,
    /// No host.
    #[error("the bot api server has no host; write it like https://api.telegram.org")]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("the port of the bot api server must be a number from 1 to 65535")]
    Port,
    /// A user name or a password before the host.
    #[error("the bot api server must not contain a user name or password; protect it in another way")]
    UserInfo,
    /// A query or a fragment.
    #[error("the bot api server must not contain a query or a fragment; give only its root")]
    Query,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::parse("123:secret").unwrap()
    }

    #[test]
    fn the_default_is_telegram() {
        let server = Server::default();

        assert_eq!(server, Server::parse(Server::TELEGRAM).unwrap());
        assert_eq!(
            server.method_url(&token(), "getMe"),
            "https://api.telegram.org/bot123:secret/getMe"
        );
    }

    #[test]
    fn a_path_prefix_is_kept_without_its_trailing_slash() {
        let server = Server::parse(" http://localhost:8081/proxy/telegram// ").unwrap();

        assert_eq!(
            server.method_url(&token(), "getMe"),
            "http://localhost:8081/proxy/telegram/bot123:secret/getMe"
        );
    }

    #[test]
    fn the_test_environment_has_paths_of_its_own() {
        let server = Server::default().test_environment(true);

        assert_eq!(
            server.method_url(&token(), "getMe"),
            "https://api.telegram.org/bot123:secret/test/getMe"
        );
        assert_eq!(
            server.file_url(&token(), "photos/1.jpg"),
            "https://api.telegram.org/file/bot123:secret/test/photos/1.jpg"
        );
    }

    #[test]
    fn a_file_path_cannot_change_the_address() {
        let url = Server::default().file_url(&token(), "docs/a b?c#d%e/ä.pdf");

        assert_eq!(
            url,
            "https://api.telegram.org/file/bot123:secret/docs/a%20b%3Fc%23d%25e/%C3%A4.pdf"
        );
    }

    #[test]
    fn addresses_that_could_not_work_are_refused() {
        for (text, error) in [
            ("", ServerError::Scheme),
            ("api.telegram.org", ServerError::Scheme),
            ("localhost:8081", ServerError::Scheme),
            ("/telegram", ServerError::Scheme),
            ("ftp://api.telegram.org", ServerError::Scheme),
            ("https://", ServerError::Invalid),
            ("https:///path", ServerError::Invalid),
            ("https://user:password@host", ServerError::UserInfo),
            ("https://user@host", ServerError::UserInfo),
            ("https://:8081", ServerError::Host),
            ("https://host:0", ServerError::Port),
            ("https://host:99999", ServerError::Port),
            ("https://host:", ServerError::Port),
            ("https://host/?a=b", ServerError::Query),
            ("https://host/#a", ServerError::Query),
            ("https://ho st/", ServerError::Invalid),
        ] {
            assert_eq!(Server::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_ipv6_address_is_a_host() {
        assert_eq!(
            Server::parse("http://[::1]:8081").unwrap().to_string(),
            "http://[::1]:8081"
        );
        assert_eq!(Server::parse("http://[::1]").unwrap().to_string(), "http://[::1]");
    }

    #[test]
    fn the_test_environment_shows_in_the_text() {
        let server = Server::default().test_environment(true);

        assert_eq!(server.to_string(), "https://api.telegram.org (test environment)");
    }
}
