//! The certificate with which a bot without a host serves HTTPS.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{error::WebhookError, settings::TlsFiles};

/// Reads the files.
pub(super) fn load(files: &TlsFiles) -> Result<ServerConfig, WebhookError> {
    let text = read(&files.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if chain.is_empty() {
        return Err(content(&files.certificate, "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|_not_one| content(&files.key, "private key"))?;
    let pair = |error: rustls::Error| WebhookError::TlsPair {
        reason: error.to_string(),
    };
    // The provider is named: a second one in the user's binary cannot make this panic.
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)
}

fn read(path: &Path) -> Result<Vec<u8>, WebhookError> {
    fs::read(path).map_err(|source| WebhookError::TlsFile {
        path: path.to_owned(),
        source,
    })
}

fn content(path: &Path, wanted: &'static str) -> WebhookError {
    WebhookError::TlsContent {
        path: path.to_owned(),
        wanted,
    }
}
