//! Downloading what users sent.

use bytes::Bytes;
use frankenstein::types::File;

use super::{
    error::{ApiError, NotSentCause},
    handle::Api,
    request::RequestBody,
};

/// What stands for the method in the errors of a download.
const DOWNLOAD: &str = "download";

impl Api {
    /// Downloads a file into memory.
    ///
    /// `file` is what [`Api::get_file`] returned less than an hour ago. Telegram's own server lets bots download up to
    /// 20 MB (<https://core.telegram.org/bots/api#getfile>); the limit here is 32 MiB. A local Bot API server returns
    /// absolute paths of its own disk instead: read those from there.
    ///
    /// # Errors
    ///
    /// As for every call, with `download` for the method; [`ApiError::NotSent`] if `file` has no path that can be
    /// downloaded. A download can always be repeated.
    pub async fn download(&self, file: &File) -> Result<Bytes, ApiError> {
        let path = file.file_path.as_deref().unwrap_or_default();
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            let cause = "the file has no path below the server's root; call getFile first";
            let source = NotSentCause::Client(cause.to_owned());
            return Err(ApiError::NotSent {
                method: DOWNLOAD.to_owned(),
                source,
            });
        }
        let len = file.file_size.unwrap_or_default();
        let body = RequestBody::Download {
            file_path: path.to_owned(),
            len,
        };
        Ok(self.exchange(DOWNLOAD, body, None).await?.result)
    }
}
