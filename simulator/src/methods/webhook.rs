//! `setWebhook`, `deleteWebhook`, `getWebhookInfo`: settings are checked and kept, nothing is delivered.
//!
//! <https://core.telegram.org/bots/api#setwebhook>. Host names are not resolved, so every name is accepted.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use actix_web::http::Uri;
use serde_json::{Value, json};

use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};
use crate::updates::kinds::AllowedUpdates;

/// The ports a webhook may be on.
const PORTS: &[u16] = &[443, 80, 88, 8443];
/// The largest certificate.
const MAX_CERTIFICATE_BYTES: usize = 3 << 20;
/// The longest secret token.
const MAX_SECRET: usize = 256;

/// The webhook of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) secret_token: String,
    pub(crate) max_connections: i32,
    pub(crate) ip_address: Option<String>,
    pub(crate) has_certificate: bool,
}

/// Checks and stores the settings. A change removes the old webhook before the new one is looked at.
pub(crate) fn set_webhook(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    let Some(url) = params.text("url") else {
        return delete_webhook(account, now, params);
    };
    if account
        .last_webhook_call
        .is_some_and(|last| now.since(last) < Duration::from_secs(1))
    {
        return Err(Failure::too_many_requests(1));
    }
    account.last_webhook_call = Some(now);

    let secret_token = params.get("secret_token").unwrap_or_default().to_owned();
    if secret_token.len() > MAX_SECRET {
        return Err(Failure::bad_request("secret token is too long"));
    }
    if !secret_token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err(Failure::bad_request("secret token contains unallowed characters"));
    }
    let (default, largest) = if account.rules.local {
        (100, 100_000)
    } else {
        (40, 100)
    };
    let attached = params
        .get("certificate")
        .and_then(|value| value.strip_prefix("attach://"));
    let certificate = params.upload(attached.unwrap_or("certificate"));
    let drops = params.flag("drop_pending_updates");
    let allowed = AllowedUpdates::from_param(params.get("allowed_updates"));
    let address = parsed(url)?;
    let webhook = Webhook {
        url: address.to_string(),
        secret_token,
        max_connections: params.int("max_connections").unwrap_or(default).clamp(1, largest),
        ip_address: params.text("ip_address").map(str::to_owned),
        has_certificate: certificate.is_some(),
    };
    let same_filter = allowed.as_ref().is_none_or(|allowed| *allowed == account.allowed);
    if account.webhook.as_ref() == Some(&webhook) && same_filter && certificate.is_none() && !drops {
        return Ok(Success::described("Webhook is already set"));
    }

    account.end_poll_for_webhook(now);
    account.webhook = None;
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
    if drops {
        account.drop_pending(now);
    }
    if !account.rules.local {
        check_address(&address, webhook.ip_address.as_deref())?;
    }
    account.webhook = Some(webhook);
    Ok(Success::described("Webhook was set"))
}

fn parsed(url: &str) -> Result<Uri, Failure> {
    let invalid = || Failure::bad_request("invalid webhook URL specified");
    let with_scheme = if url.contains("://") {
        url.to_owned()
    } else {
        format!("https://{url}")
    };
    let address: Uri = with_scheme.parse().map_err(|_| invalid())?;
    if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    Ok(address)
}

fn check_address(address: &Uri, fixed_ip: Option<&str>) -> Result<(), Failure> {
    let bad = |text: &str| Err(Failure::bad_request(&format!("bad webhook: {text}")));
    if address.scheme_str() != Some("https") {
        return bad("An HTTPS URL must be provided for webhook");
    }
    if !PORTS.contains(&address.port_u16().unwrap_or(443)) {
        return bad("Webhook can be set up only on ports 80, 88, 443 or 8443");
    }
    let host = fixed_ip.or_else(|| address.host()).unwrap_or_default();
    if host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok() {
        return bad("IPv6-only addresses are not allowed");
    }
    let ip = if host.eq_ignore_ascii_case("localhost") {
        Ok(Ipv4Addr::LOCALHOST)
    } else {
        host.parse()
    };
    if let Ok(ip) = ip {
        let ip: Ipv4Addr = ip;
        if ip.is_loopback()
            || ip.is_private()
            || ip.is_link_local()
            || ip.is_unspecified()
            || ip.is_multicast()
        {
            return bad(&format!("IP address {ip} is reserved"));
        }
    }
    Ok(())
}

/// <https://core.telegram.org/bots/api#deletewebhook>
pub(crate) fn delete_webhook(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    if params.flag("drop_pending_updates") {
        account.drop_pending(now);
    }
    Ok(Success::described(match account.webhook.take() {
        Some(_) => "Webhook was deleted",
        None => "Webhook is already deleted",
    }))
}

/// <https://core.telegram.org/bots/api#getwebhookinfo>
pub(crate) fn get_webhook_info(account: &mut Account, _: Moment, _: &Params) -> Result<Success, Failure> {
    let mut info = json!({
        "url": "",
        "has_custom_certificate": false,
        "pending_update_count": account.queue.len(),
    });
    if let Some(webhook) = &account.webhook {
        info["url"] = json!(webhook.url);
        info["has_custom_certificate"] = json!(webhook.has_certificate);
        info["max_connections"] = json!(webhook.max_connections);
        if let Some(ip_address) = &webhook.ip_address {
            info["ip_address"] = json!(ip_address);
        }
    }
    if let Some(kinds) = account.allowed.listed() {
        info["allowed_updates"] = Value::from(kinds);
    }
    Ok(Success::new(info))
}
