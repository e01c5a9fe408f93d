//! Why a webhook could not be started.

use std::{io, path::PathBuf};

use crate::api::ApiError;

/// Why a webhook could not be started, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The server does not want the webhook. What it says tells what to change: most often the address, which has to be
    /// HTTPS, public, and on port 443, 80, 88 or 8443 (<https://core.telegram.org/bots/webhooks>).
    #[error("the bot api server refused the webhook; check what was given to `register(..)`")]
    Refused(#[source] ApiError),
    /// The file of the certificate that is to be uploaded cannot be read.
    #[error("cannot read {}, given to `certificate(..)`", path.display())]
    CertificateFile {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// The address to listen on is not free, or is none.
    #[error("the webhook cannot listen on its address; is another process there already?")]
    Listen(#[source] io::Error),
    /// The HTTP server could not be started, or ended.
    #[error("the http server of the webhook failed")]
    Server(#[source] io::Error),
    /// A file for TLS cannot be read.
    #[error("cannot read {}, given to `tls(..)`", path.display())]
    TlsFile {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A file for TLS holds something else.
    #[error("{} holds no {wanted} in PEM format", path.display())]
    TlsContent {
        /// Path of the file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The certificate and the key are of no use together.
    #[error("the certificate and the key given to `tls(..)` do not fit: {reason}")]
    TlsPair {
        /// What the TLS library objects to.
        reason: String,
    },
}
