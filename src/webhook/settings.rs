//! What a webhook can be told.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use actix_web::http::header::HeaderName;

use super::{origin::SenderAddress, registration::Target, secret::Secret};
use crate::{bot::variable, error::ConfigError};

/// Environment variable with the secret.
const SECRET_VARIABLE: &str = "TELEGRAM_WEBHOOK_SECRET";

/// Environment variable with the public address.
const URL_VARIABLE: &str = "TELEGRAM_WEBHOOK_URL";

/// Settings of a webhook: the secret, where it is, and what it accepts. All but the secret have a default.
///
/// ```
/// use actogram::Webhook;
///
/// let webhook = Webhook::new("a-secret-of-at-least-16-characters")
///     .path("/bots/echo")
///     .register("https://bots.example.org/bots/echo");
/// # let _ = webhook;
/// ```
///
/// A wrong setting is reported when the bot is started.
#[must_use = "a webhook does nothing until a bot is started with it"]
pub struct Webhook {
    pub(super) secret: Result<Secret, ConfigError>,
    pub(super) path: String,
    pub(super) body_limit: usize,
    pub(super) body_timeout: Duration,
    pub(super) senders: Option<Result<SenderAddress, ConfigError>>,
    pub(super) answer_within: Duration,
    pub(super) register: Option<String>,
    pub(super) target: Target,
    pub(super) tls: Option<TlsFiles>,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither of the addresses: people put secrets into them.
        f.debug_struct("Webhook")
            .field("body_limit", &self.body_limit)
            .field("body_timeout", &self.body_timeout)
            .field("senders", &self.senders)
            .field("answer_within", &self.answer_within)
            .field("registers", &self.register.is_some())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// Path when none is set.
    pub const DEFAULT_PATH: &str = "/telegram";

    /// Most bytes of a request: 1 MiB. An update has up to 512 KiB and grows when its text is escaped.
    pub const DEFAULT_BODY_LIMIT: usize = 1 << 20;

    /// Time in which a request has to arrive: 10 s.
    pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// Time after which a request is answered although the handler still runs: 50 s, below the 60 s after which the
    /// server gives up.
    pub const DEFAULT_ANSWER_WITHIN: Duration = Duration::from_secs(50);

    /// Returns the settings with this secret, which the server repeats in the header `X-Telegram-Bot-Api-Secret-Token` of
    /// each request (<https://core.telegram.org/bots/api#setwebhook>). Without it anybody who knows the address could make
    /// up updates.
    ///
    /// 16 to 256 characters `A-Z`, `a-z`, `0-9`, `_` and `-`. Every process that serves the same bot needs the same one,
    /// now and after a restart: make it up once (`openssl rand -hex 16`) and keep it beside the token.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self::with_secret(
            Secret::parse(secret.as_ref()).map_err(|source| ConfigError::WebhookSecret {
                variable: None,
                source,
            }),
        )
    }

    /// Returns the settings with the secret in `TELEGRAM_WEBHOOK_SECRET`, [registered](Self::register) at the address in
    /// `TELEGRAM_WEBHOOK_URL` if that is set.
    pub fn from_env() -> Self {
        let secret = variable(SECRET_VARIABLE).and_then(|secret| {
            let secret = secret.ok_or(ConfigError::MissingWebhookSecret {
                variable: SECRET_VARIABLE,
            })?;
            Secret::parse(&secret).map_err(|source| ConfigError::WebhookSecret {
                variable: Some(SECRET_VARIABLE),
                source,
            })
        });
        match variable(URL_VARIABLE) {
            Ok(register) => Self {
                register,
                ..Self::with_secret(secret)
            },
            Err(error) => Self::with_secret(secret.and(Err(error))),
        }
    }

    fn with_secret(secret: Result<Secret, ConfigError>) -> Self {
        Self {
            secret,
            path: Self::DEFAULT_PATH.to_owned(),
            body_limit: Self::DEFAULT_BODY_LIMIT,
            body_timeout: Self::DEFAULT_BODY_TIMEOUT,
            senders: None,
            answer_within: Self::DEFAULT_ANSWER_WITHIN,
            register: None,
            target: Target::default(),
            tls: None,
        }
    }

    /// Sets the path of the route, below the scope it is mounted in; default
    /// [`DEFAULT_PATH`](Self::DEFAULT_PATH). It begins with a slash and is taken literally. Several bots in one application
    /// need several paths.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the most bytes of a request; default [`DEFAULT_BODY_LIMIT`](Self::DEFAULT_BODY_LIMIT), at least 1 KiB. An
    /// update above the limit is refused each time it comes, and holds its chat until the server drops it after a day.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets the time in which the body of a request has to arrive; default
    /// [`DEFAULT_BODY_TIMEOUT`](Self::DEFAULT_BODY_TIMEOUT).
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Refuses requests whose connection does not come from the networks of Telegram's own server
    /// (<https://core.telegram.org/bots/webhooks>). Default: whoever knows the secret is believed.
    ///
    /// Only for a process that the server reaches directly: behind a proxy every connection comes from the proxy. Not for a
    /// [local Bot API server](https://core.telegram.org/bots/api#using-a-local-bot-api-server).
    pub fn only_from_telegram(mut self) -> Self {
        self.senders = Some(Ok(SenderAddress::Peer));
        self
    }

    /// As [`only_from_telegram`](Self::only_from_telegram), behind a proxy that puts the address of its client into this
    /// header, such as `X-Forwarded-For` or `X-Real-IP`. Of several addresses the last one counts.
    ///
    /// **Dangerous** when the port can be reached past the proxy, or the proxy leaves the header as the client sent it:
    /// then anybody can claim to be Telegram, and only the secret protects.
    pub fn only_from_telegram_by_header(mut self, header: impl AsRef<str>) -> Self {
        let name = HeaderName::from_bytes(header.as_ref().as_bytes());
        self.senders = Some(
            name.map(SenderAddress::Header)
                .map_err(|_invalid| ConfigError::Setting {
                    setting: "header of only_from_telegram_by_header",
                    bound: "the name of an http header",
                }),
        );
        self
    }

    /// Sets when a request is answered `503` although the handler of its update still runs; default
    /// [`DEFAULT_ANSWER_WITHIN`](Self::DEFAULT_ANSWER_WITHIN), above zero and below 60 s. The handler goes on; the server
    /// sends the update again, and gets its `200` when the handler has ended. Set it below the timeout of a proxy in front.
    ///
    /// Only for a bot [without a journal](crate::Bot::direct); with one the answer does not wait for the handler.
    pub fn answer_within(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }

    /// Lets the bot set its webhook at the server when it starts, at this public address: `https://`, a host that the
    /// server can reach, port 443, 80, 88 or 8443 (<https://core.telegram.org/bots/webhooks>), and the path under which the
    /// route can be reached from outside. Default: the webhook is somebody else's business.
    ///
    /// Sets the secret and the bot's [`allowed_updates`](crate::Bot::allowed_updates) as well, and never drops what the
    /// server keeps. The call is made at each start, because the secret at the server cannot be read; the server takes one
    /// that changes nothing as nothing. What fails is repeated with a backoff: starting waits for up to 10 s, then it goes on
    /// in the background ([`WebhookCounts::registration`](super::WebhookCounts::registration)). There also a refusal is
    /// repeated, once a minute, because some pass: a name that the server cannot resolve, for instance.
    ///
    /// The webhook stays set when the bot stops, so that the server keeps sending to whoever replaces it.
    pub fn register(mut self, url: impl Into<String>) -> Self {
        self.register = Some(url.into());
        self
    }

    /// Sets how many requests the server may make at the same time, with [`register`](Self::register); from 1 to 100, or to
    /// 100,000 for a local server. Default: the server's own, 40.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.target.max_connections = Some(connections);
        self
    }

    /// Sets the address to which the server connects instead of looking the host up, with [`register`](Self::register).
    pub fn ip_address(mut self, address: IpAddr) -> Self {
        self.target.ip_address = Some(address);
        self
    }

    /// Sets the file of a self-signed certificate, in PEM format, that is uploaded with [`register`](Self::register) so that
    /// the server trusts it (<https://core.telegram.org/bots/self-signed>). Default: the certificate has to be one that
    /// everybody trusts.
    pub fn certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.target.certificate = Some(file.into());
        self
    }

    /// Serves HTTPS with the certificate chain and the private key in these files, in PEM format, for
    /// [`Bot::run_webhook`](crate::Bot::run_webhook). Default: plain HTTP, for a proxy in front. A host that mounts the
    /// route serves it as it likes. The files are read once: restart the bot after the certificate was renewed.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(TlsFiles {
            certificate: certificate.into(),
            key: key.into(),
        });
        self
    }

    /// Returns the files to serve HTTPS with.
    pub(crate) fn tls_files(&self) -> Option<TlsFiles> {
        self.tls.clone()
    }

    /// Returns the first setting that is out of its bounds.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let literal = |byte: u8| byte.is_ascii_graphic() && !b"{}*?#%\\".contains(&byte);
        let rules = [
            (
                self.path.starts_with('/') && self.path.bytes().all(literal),
                "path of the webhook",
                "a slash and what follows it, without spaces, escapes, braces, `*`, `?` and `#`",
            ),
            (self.body_limit >= 1024, "body_limit", "at least 1 KiB"),
            (!self.body_timeout.is_zero(), "body_timeout", "above zero"),
            (
                !self.answer_within.is_zero() && self.answer_within < Duration::from_secs(60),
                "answer_within",
                "above zero and below 60 s",
            ),
            (
                self.target
                    .max_connections
                    .is_none_or(|connections| (1..=100_000).contains(&connections)),
                "max_connections",
                "from 1 to 100, or to 100,000 for a local server",
            ),
            (
                self.register.as_ref().is_none_or(|url| !url.trim().is_empty()),
                "address given to register",
                "the public address of the webhook; an empty one would delete it",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, bound)) => Err(ConfigError::Setting { setting, bound }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AbC_0123-4567890";

    #[test]
    fn a_setting_out_of_its_bounds_is_named() {
        let webhook = || Webhook::new(SECRET);
        assert!(webhook().check().is_ok());
        for (wrong, name) in [
            (webhook().path(""), "path"),
            (webhook().path("telegram"), "path"),
            (webhook().path("/{bot}"), "path"),
            (webhook().path("/bots*"), "path"),
            (webhook().path("/a b"), "path"),
            (webhook().body_limit(1023), "body_limit"),
            (webhook().body_timeout(Duration::ZERO), "body_timeout"),
            (webhook().answer_within(Duration::from_secs(60)), "answer_within"),
            (webhook().answer_within(Duration::ZERO), "answer_within"),
            (webhook().max_connections(0), "max_connections"),
            (webhook().max_connections(100_001), "max_connections"),
            (webhook().register(""), "register"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_secret_shows_neither_in_settings_nor_in_errors() {
        assert!(!format!("{:?}", Webhook::new(SECRET)).contains(SECRET));
        let wrong = format!("{:?}", Webhook::new("wrong.secret.with.dots").secret.unwrap_err());
        assert!(!wrong.contains("wrong"), "{wrong}");
    }
}
