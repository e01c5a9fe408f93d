//! The HTTP request that carries an update.

use std::fmt;
use std::fmt::Write as _;

use actix_web::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::action::WebhookPost;
use super::faults::WebhookFault;
use crate::Moment;

/// What a forger sends in place of the secret token, in the same alphabet.
const FORGED_SECRET: &str = "not-the-secret-of-this-webhook";

/// The parts of a webhook URL that go into its requests.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    userinfo: Option<String>,
    path: String,
}

/// Leaves out path and user: bots like to put secrets there.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads a URL; without a scheme it is `https`. `None` when it is no URL of a webhook.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let with_scheme = if url.contains("://") {
            url.to_owned()
        } else {
            format!("https://{url}")
        };
        let uri: Uri = with_scheme.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_owned();
        let authority = uri.authority()?.as_str();
        let userinfo = authority.rsplit_once('@').map(|(user, _)| user.to_owned());
        Some(Self {
            tls,
            host,
            port: port_of(authority, if tls { 443 } else { 80 })?,
            userinfo,
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }

    /// Returns the request for an update whose JSON text after the id is `content`.
    pub(crate) fn post(
        &self,
        now: Moment,
        secret: &str,
        update_id: i64,
        content: &[u8],
        fault: Option<&WebhookFault>,
    ) -> WebhookPost {
        let body = Bytes::from(format!(
            "{{\"update_id\":{update_id},\n{}}}",
            String::from_utf8_lossy(content)
        ));
        let method = match fault {
            Some(WebhookFault::OtherMethod(method)) => method,
            _ => "POST",
        };
        let secret = match fault {
            Some(WebhookFault::WrongSecret) => FORGED_SECRET,
            Some(WebhookFault::NoSecret) => "",
            _ => secret,
        };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.host);
        // Writing to a `String` cannot fail.
        if let Some(userinfo) = &self.userinfo {
            let _ = write!(head, "Authorization: Basic {}\r\n", STANDARD.encode(userinfo));
        }
        if !secret.is_empty() {
            let _ = write!(head, "X-Telegram-Bot-Api-Secret-Token: {secret}\r\n");
        }
        let _ = write!(
            head,
            "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\
             Accept-Encoding: gzip, deflate\r\n\r\n",
            body.len()
        );
        WebhookPost {
            update_id,
            head: Bytes::from(head),
            cut_after: (fault == Some(&WebhookFault::CutRequest)).then_some(body.len() / 2),
            sent_at: now,
            spread_over: match fault {
                Some(WebhookFault::SlowRequest(span)) => Some(*span),
                _ => None,
            },
            body,
        }
    }
}

/// Returns the port that an authority names, or the default; `None` when what it names is no port.
fn port_of(authority: &str, default: u16) -> Option<u16> {
    let host_and_port = authority.rsplit('@').next()?;
    let Some((_, port)) = host_and_port
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    else {
        return Some(default);
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(url: &str, secret: &str, fault: Option<&WebhookFault>) -> String {
        let address = Address::parse(url).unwrap();
        let post = address.post(Moment::default(), secret, 7, b"\"message\":{}", fault);
        String::from_utf8(post.head.to_vec()).unwrap()
    }

    #[test]
    fn a_request_looks_like_one_of_the_server() {
        let address = Address::parse("http://me:pw@127.0.0.1:8443/hook?x=1").unwrap();

        let post = address.post(Moment::default(), "hush", 7, b"\"message\":{}", None);

        assert_eq!(post.body, "{\"update_id\":7,\n\"message\":{}}");
        assert_eq!(
            post.head,
            "POST /hook?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic bWU6cHc=\r\n\
             X-Telegram-Bot-Api-Secret-Token: hush\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\
             Connection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n\r\n"
        );
        assert_eq!((address.port, address.tls), (8443, false));
    }

    #[test]
    fn without_scheme_path_and_secret_there_are_defaults() {
        let address = Address::parse("bot.example.org").unwrap();
        let request = head("bot.example.org", "", None);

        assert_eq!((address.port, address.tls), (443, true));
        assert!(request.starts_with("POST / HTTP/1.1\r\nHost: bot.example.org\r\nContent-Type"));
        assert_eq!(Address::parse("http://bot.example.org").unwrap().port, 80);
        assert_eq!(Address::parse("ftp://x"), None);
        assert_eq!(Address::parse("https://"), None);
    }

    #[test]
    fn forged_requests_differ_in_what_the_fault_names() {
        let url = "http://bot.example.org/";
        let token = "X-Telegram-Bot-Api-Secret-Token";

        let wrong = head(url, "hush", Some(&WebhookFault::WrongSecret));
        assert!(wrong.contains(token) && !wrong.contains("hush"), "{wrong}");
        assert!(!head(url, "hush", Some(&WebhookFault::NoSecret)).contains(token));
        let other = WebhookFault::OtherMethod("PUT".to_owned());
        let other = head(url, "hush", Some(&other));
        assert!(
            other.starts_with("PUT / HTTP/1.1\r\n") && other.contains("hush"),
            "{other}"
        );
    }

    #[test]
    fn an_address_shows_neither_path_nor_user() {
        let address = Address::parse("http://me:pw@bot.example.org/1:secret").unwrap();

        let shown = format!("{address:?}");

        assert!(!shown.contains("secret") && !shown.contains("pw"), "{shown}");
    }
}
