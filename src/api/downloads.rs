//! Downloading what users sent.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use frankenstein::types::File;
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::{
    error::{ApiError, NotSentCause, UnknownCause},
    fetch::{Fetch, Fetched, Sink, Source, StreamSink},
    gateway::Work,
    handle::Api,
};

/// What stands for the method in the errors of a download.
pub(crate) const DOWNLOAD: &str = "download";

/// Most bytes that are downloaded into memory.
const MEMORY_LIMIT: u64 = 32 << 20;

/// Pieces that a stream holds ready for its reader.
const PIECES_AHEAD: usize = 4;

/// Downloads take what [`Api::get_file`] returned less than an hour ago. Telegram's own server lets bots download up to
/// 20 MB (<https://core.telegram.org/bots/api#getfile>).
///
/// A [local Bot API server](https://core.telegram.org/bots/api#using-a-local-bot-api-server) returns absolute paths of
/// its own disk instead. They are read from the disk if [`ApiConfig::local_files`](super::ApiConfig::local_files) allows
/// it.
///
/// A download can always be repeated, and is, after the errors that [`ApiConfig::attempts`](super::ApiConfig::attempts)
/// names. Its errors have `download` for the method:
///
/// - [`ApiError::NotSent`] if `file` has no path that can be downloaded, or [`ApiError::Refused`] if the path has expired;
/// - [`ApiError::TooLarge`] beyond the limit;
/// - [`ApiError::Unknown`] if the download breaks off;
/// - [`ApiError::File`] if a file cannot be read or written.
impl Api {
    /// Downloads a file into memory: at most 32 MiB, or less if the [limit](Api::max_download) is lower.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn download(&self, file: &File) -> Result<Bytes, ApiError> {
        let limit = self.max_download.min(MEMORY_LIMIT);
        Ok(self.fetch(file, limit, Sink::Memory).await?.bytes)
    }

    /// Downloads a file to a path and returns its length in bytes; memory does not grow with it.
    ///
    /// It is written to a hidden file beside the path, which gets the name when it is complete and replaces what was
    /// there. A download that fails, or whose future is dropped, leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn download_to(&self, file: &File, path: impl Into<PathBuf>) -> Result<u64, ApiError> {
        Ok(self
            .fetch(file, self.max_download, Sink::File(path.into()))
            .await?
            .len)
    }

    /// Begins to download a file and returns its content as a stream, for instance for the body of a request. A few
    /// pieces are held ready; a reader who is slow slows the download down.
    ///
    /// The [deadline](super::ApiConfig::timeout) holds for the beginning, and then for each wait for the server.
    /// The stream occupies one of the connections until it has ended or is dropped.
    ///
    /// # Errors
    ///
    /// As above, while no piece has been read; then as items of the stream. Nothing is repeated then.
    pub async fn download_stream(&self, file: &File) -> Result<FileStream, ApiError> {
        let (begun, beginning) = oneshot::channel();
        let (give, chunks) = mpsc::channel(PIECES_AHEAD);
        let sink = Sink::Stream(StreamSink {
            begun: RefCell::new(Some(begun)),
            chunks: give,
        });
        let mut outcome = self.start_fetch(file, self.max_download, sink).await?;
        let len = match beginning.await {
            Ok(len) => len,
            Err(_it_failed) => {
                return Err(match (&mut outcome).await {
                    Ok(Err(error)) => error,
                    Ok(Ok(_)) | Err(_) => stopped(),
                });
            }
        };
        Ok(FileStream {
            len,
            chunks,
            outcome: Some(outcome),
        })
    }

    async fn fetch(&self, file: &File, limit: u64, sink: Sink) -> Result<Fetched, ApiError> {
        let fetch = self.describe(file, limit, sink)?;
        self.ask(DOWNLOAD, None, true, |reply| Work::Fetch { fetch, reply })
            .await
    }

    async fn start_fetch(
        &self,
        file: &File,
        limit: u64,
        sink: Sink,
    ) -> Result<oneshot::Receiver<Result<Fetched, ApiError>>, ApiError> {
        let fetch = self.describe(file, limit, sink)?;
        let (reply, outcome) = oneshot::channel();
        self.hand_over(DOWNLOAD, None, None, Work::Fetch { fetch, reply })?;
        Ok(outcome)
    }

    fn describe(&self, file: &File, limit: u64, sink: Sink) -> Result<Fetch, ApiError> {
        let path = file.file_path.as_deref().unwrap_or_default();
        let source = match &self.local_files {
            Some(root) if Path::new(path).is_absolute() => Source::Disk {
                path: path.into(),
                root: root.to_path_buf(),
            },
            _ if path.is_empty() || path.split('/').any(|part| part == "..") => {
                return Err(impossible(
                    "the file has no path below the server's root; call getFile first",
                ));
            }
            _ if path.starts_with('/') => {
                return Err(impossible(
                    "the file is on the disk of a local server; allow its folder with ApiConfig::local_files",
                ));
            }
            _ => Source::Server(path.to_owned()),
        };
        if file.file_size.is_some_and(|len| len > limit) {
            return Err(ApiError::TooLarge {
                method: DOWNLOAD.to_owned(),
                limit,
            });
        }
        Ok(Fetch {
            source,
            told_len: file.file_size,
            limit,
            sink,
        })
    }
}

fn impossible(cause: &str) -> ApiError {
    ApiError::NotSent {
        method: DOWNLOAD.to_owned(),
        source: NotSentCause::Client(cause.to_owned()),
    }
}

fn stopped() -> ApiError {
    ApiError::Unknown {
        method: DOWNLOAD.to_owned(),
        status: None,
        source: UnknownCause::Stopped,
    }
}

/// The content of a file while it is downloaded, in pieces; see [`Api::download_stream`]. Dropping it ends the download.
///
/// A stream that ended without an error was complete. After an error nothing follows.
#[derive(Debug)]
#[must_use = "nothing is downloaded unless it is read"]
pub struct FileStream {
    len: Option<u64>,
    chunks: mpsc::Receiver<Result<Bytes, ApiError>>,
    /// Keeps the download alive, and tells a complete one from one whose gateway has gone.
    outcome: Option<oneshot::Receiver<Result<Fetched, ApiError>>>,
}

impl FileStream {
    /// Returns the length of the whole content in bytes, if the server told it.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "the length of what is to come, not of a collection"
    )]
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Waits for the next piece and returns it, `None` after the last one. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// As [`Api::download`].
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
            .await
            .transpose()
    }
}

impl Stream for FileStream {
    type Item = Result<Bytes, ApiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.chunks.poll_recv(cx)) {
            Some(Ok(chunk)) => Poll::Ready(Some(Ok(chunk))),
            Some(Err(error)) => {
                self.outcome = None;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                let Some(outcome) = &mut self.outcome else {
                    return Poll::Ready(None);
                };
                let ended = ready!(Pin::new(outcome).poll(cx));
                self.outcome = None;
                Poll::Ready(match ended {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(Err(error)),
                    Err(_gone) => Some(Err(stopped())),
                })
            }
        }
    }
}
