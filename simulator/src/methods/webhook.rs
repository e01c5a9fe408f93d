//! `setWebhook`, `deleteWebhook`, `getWebhookInfo`: settings are checked and kept; [`webhook`](crate::webhook) delivers.
//!
//! <https://core.telegram.org/bots/api#setwebhook>. Host names are not resolved before a connection is opened, so
//! every name is accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};
use crate::updates::kinds::AllowedUpdates;
use crate::webhook::post::Address;

/// The ports a webhook may be on.
const PORTS: &[u16] = &[443, 80, 88, 8443];
/// The largest certificate.
const MAX_CERTIFICATE_BYTES: usize = 3 << 20;
/// The longest secret token.
const MAX_SECRET: usize = 256;

/// Where no webhook of a server in the cloud may be: addresses and the lengths of their prefixes.
const RESERVED: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// The webhook of a bot. It has no `Debug`: URL and token are secrets.
pub(crate) struct Webhook {
    /// The URL as it was given.
    url: String,
    pub(crate) address: Address,
    pub(crate) secret_token: String,
    max_connections: i32,
    /// The address that `ip_address` fixed.
    pub(crate) fixed_ip: Option<IpAddr>,
    /// The address in use, once it is known.
    ip: Option<IpAddr>,
    has_certificate: bool,
}

impl Webhook {
    pub(crate) fn max_connections(&self) -> usize {
        usize::try_from(self.max_connections).expect("the number of connections is clamped to 1 or more")
    }

    /// Notes which address a connection went to.
    pub(crate) fn connected_to(&mut self, ip: IpAddr) {
        self.ip = Some(ip);
    }
}

/// Checks and stores the settings. A change removes the old webhook before the new one is looked at.
pub(crate) fn set_webhook(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    let Some(url) = params.text("url") else {
        return delete_webhook(account, now, params);
    };
    let last_call = account.hook.last_set_call;
    if last_call.is_some_and(|last| now.since(last) < Duration::from_secs(1)) {
        return Err(Failure::too_many_requests(1));
    }
    account.hook.last_set_call = Some(now);

    let secret_token = params.get("secret_token").unwrap_or_default();
    let (default, largest) = if account.rules.local {
        (100, 100_000)
    } else {
        (40, 100)
    };
    let max_connections = params.int("max_connections").unwrap_or(default).clamp(1, largest);
    let fixed_ip = params.text("ip_address");
    let attached = params
        .get("certificate")
        .and_then(|value| value.strip_prefix("attach://"));
    let certificate = params
        .upload("certificate")
        .or_else(|| params.upload(attached.unwrap_or_default()));
    let drops = params.flag("drop_pending_updates");
    let allowed = AllowedUpdates::from_param(params.get("allowed_updates"));
    let unchanged = account.hook.settings.as_ref().is_some_and(|webhook| {
        webhook.url == url
            && webhook.secret_token == secret_token
            && webhook.max_connections == max_connections
            && webhook.fixed_ip.map(|ip| ip.to_string()).as_deref() == fixed_ip
            && !webhook.has_certificate
    });
    if unchanged && certificate.is_none() && !drops {
        if let Some(allowed) = allowed {
            account.allowed = allowed;
        }
        return Ok(Success::described("Webhook is already set"));
    }

    account.end_poll_for_webhook(now);
    account.remove_webhook(now);
    if drops {
        account.drop_pending(now);
    }
    let address = Address::parse(url).ok_or_else(|| Failure::bad_request("invalid webhook URL specified"))?;
    check_secret(secret_token)?;
    if let Some(upload) = certificate
        && upload.bytes.len() > MAX_CERTIFICATE_BYTES
    {
        return Err(Failure::bad_request(&format!(
            "certificate size is too big ({} bytes)",
            upload.bytes.len()
        )));
    }
    if let Some(allowed) = allowed {
        account.allowed = allowed;
    }
    check_address(&address, fixed_ip, account.rules.local)?;
    let fixed_ip = fixed_ip.and_then(|ip| ip.parse().ok());
    let webhook = Webhook {
        url: url.to_owned(),
        ip: fixed_ip.or_else(|| literal(&address.host)),
        address,
        secret_token: secret_token.to_owned(),
        max_connections,
        fixed_ip,
        has_certificate: certificate.is_some(),
    };
    account.hook.start(now, webhook);
    Ok(Success::described("Webhook was set"))
}

fn check_secret(secret_token: &str) -> Result<(), Failure> {
    if secret_token.len() > MAX_SECRET {
        return Err(Failure::bad_request("secret token is too long"));
    }
    if !secret_token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err(Failure::bad_request("secret token contains unallowed characters"));
    }
    Ok(())
}

/// Checks where the webhook is; a local server only wants a readable address.
fn check_address(address: &Address, fixed_ip: Option<&str>, local: bool) -> Result<(), Failure> {
    let bad = |text: &str| Err(Failure::bad_request(&format!("bad webhook: {text}")));
    if !local && !address.tls {
        return bad("An HTTPS URL must be provided for webhook");
    }
    if !local && !PORTS.contains(&address.port) {
        return bad("Webhook can be set up only on ports 80, 88, 443 or 8443");
    }
    if fixed_ip.is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        return bad("Invalid IP address specified");
    }
    if local {
        return Ok(());
    }
    match literal(fixed_ip.unwrap_or(&address.host)) {
        Some(IpAddr::V6(_)) => bad("IPv6-only addresses are not allowed"),
        Some(IpAddr::V4(ip)) if is_reserved(ip) => bad(&format!("IP address {ip} is reserved")),
        _ => Ok(()),
    }
}

fn is_reserved(ip: Ipv4Addr) -> bool {
    RESERVED.iter().any(|(block, prefix)| {
        let differing = u32::from(ip) ^ u32::from_be_bytes(*block);
        differing.leading_zeros() >= *prefix
    })
}

/// Returns the address that a host name is by itself.
fn literal(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match v6 {
        Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// <https://core.telegram.org/bots/api#deletewebhook>
pub(crate) fn delete_webhook(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    let was_set = account.remove_webhook(now);
    if params.flag("drop_pending_updates") {
        account.drop_pending(now);
    }
    Ok(Success::described(if was_set {
        "Webhook was deleted"
    } else {
        "Webhook is already deleted"
    }))
}

/// <https://core.telegram.org/bots/api#getwebhookinfo>
pub(crate) fn get_webhook_info(account: &mut Account, _: Moment, _: &Params) -> Result<Success, Failure> {
    let mut info = json!({
        "url": "",
        "has_custom_certificate": false,
        "pending_update_count": account.queue.len(),
    });
    if let Some(webhook) = &account.hook.settings {
        info["url"] = json!(webhook.url);
        info["has_custom_certificate"] = json!(webhook.has_certificate);
        info["max_connections"] = json!(webhook.max_connections);
        info["ip_address"] = webhook
            .ip
            .map_or_else(|| json!("<unknown>"), |ip| json!(ip.to_string()));
        if let Some((at, message)) = &account.hook.last_error {
            info["last_error_date"] = json!(at.unix_seconds());
            info["last_error_message"] = json!(message);
        }
    }
    if let Some(kinds) = account.allowed.listed() {
        info["allowed_updates"] = Value::from(kinds);
    }
    Ok(Success::new(info))
}
