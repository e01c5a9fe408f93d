//! One download: from the server, or from the disk of a local one, into memory, a file or a stream.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{
    downloads::DOWNLOAD,
    error::{ApiError, UnknownCause},
    part_file::{PartFile, on_disk},
    progress::ProgressSender,
    response,
    transport::{Incoming, Transport},
};

/// Bytes read from the disk at a time.
const PIECE_LEN: u64 = 256 * 1024;

/// What to download, and where to.
pub(crate) struct Fetch {
    pub(crate) source: Source,
    /// Length that `getFile` told.
    pub(crate) told_len: Option<u64>,
    pub(crate) limit: u64,
    pub(crate) sink: Sink,
}

pub(crate) enum Source {
    /// A path below the server's root.
    Server(String),
    /// A file of a local server, and the folder it must be in.
    Disk { path: PathBuf, root: PathBuf },
}

pub(crate) enum Sink {
    Memory,
    File(PathBuf),
    Stream(StreamSink),
}

/// The sending half of a [`FileStream`](super::FileStream). Once the stream has begun, its errors go into it.
pub(crate) struct StreamSink {
    pub(crate) begun: RefCell<Option<oneshot::Sender<Option<u64>>>>,
    pub(crate) chunks: mpsc::Sender<Result<Bytes, ApiError>>,
}

/// A download that has ended.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// The content, if it was downloaded into memory.
    pub(crate) bytes: Bytes,
    pub(crate) len: u64,
}

impl Fetched {
    /// No refusal of a repetition means that an earlier download has delivered anything.
    pub(crate) fn never() -> Option<Self> {
        None
    }
}

/// Content on its way.
enum Content {
    Http(Box<Incoming>),
    Disk { file: Option<File>, path: PathBuf },
}

impl Fetch {
    pub(crate) fn expected_len(&self) -> u64 {
        self.told_len.unwrap_or(0)
    }

    /// Downloads it once.
    pub(crate) async fn run(
        &self,
        transport: &Transport,
        timeout: Duration,
        progress: Option<&ProgressSender>,
    ) -> Result<Fetched, ApiError> {
        let deadline = Instant::now() + timeout;
        let open = self.open(transport, timeout);
        let (mut content, len) = timeout_at(deadline, open)
            .await
            .unwrap_or_else(|_| Err(timed_out(timeout)))?;
        if len.is_some_and(|len| len > self.limit) {
            return Err(self.too_large());
        }
        if let Some(progress) = progress {
            progress.begin(len.or(self.told_len));
        }
        let passing = Passing {
            fetch: self,
            content: &mut content,
            len,
            received: 0,
            progress,
        };
        match &self.sink {
            Sink::Stream(sink) => Ok(passing.into_stream(sink, timeout).await),
            Sink::Memory => {
                let all = passing.into_memory();
                timeout_at(deadline, all)
                    .await
                    .unwrap_or_else(|_| Err(timed_out(timeout)))
            }
            Sink::File(target) => {
                let all = passing.into_file(target);
                timeout_at(deadline, all)
                    .await
                    .unwrap_or_else(|_| Err(timed_out(timeout)))
            }
        }
    }

    /// Opens the source and returns its length, if that is known.
    async fn open(
        &self,
        transport: &Transport,
        timeout: Duration,
    ) -> Result<(Content, Option<u64>), ApiError> {
        match &self.source {
            Source::Server(path) => {
                let incoming = transport.fetch(DOWNLOAD, path, timeout).await?;
                if incoming.status() != 200 {
                    let answer = response::read(DOWNLOAD, transport.token(), incoming.into_raw().await?);
                    return Err(answer.err().unwrap_or_else(|| unknown(UnknownCause::NotAnAnswer)));
                }
                if !incoming.is_delimited() {
                    return Err(unknown(UnknownCause::Http("its length is not told".to_owned())));
                }
                let len = incoming.len();
                Ok((Content::Http(Box::new(incoming)), len))
            }
            Source::Disk { path, root } => {
                let (wanted, root) = (path.clone(), root.clone());
                let (file, len) = on_disk(path.clone(), move || open_below(&root, &wanted)).await?;
                let content = Content::Disk {
                    file: Some(file),
                    path: path.clone(),
                };
                Ok((content, Some(len)))
            }
        }
    }

    fn too_large(&self) -> ApiError {
        ApiError::TooLarge {
            method: DOWNLOAD.to_owned(),
            limit: self.limit,
        }
    }
}

/// A download between its first and its last byte.
struct Passing<'a> {
    fetch: &'a Fetch,
    content: &'a mut Content,
    /// Length that the source told.
    len: Option<u64>,
    received: u64,
    progress: Option<&'a ProgressSender>,
}

impl Passing<'_> {
    async fn into_memory(mut self) -> Result<Fetched, ApiError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched {
            bytes: bytes.freeze(),
            len: self.received,
        })
    }

    async fn into_file(mut self, target: &Path) -> Result<Fetched, ApiError> {
        let mut file = PartFile::create(target).await?;
        while let Some(chunk) = self.next().await? {
            file.write(&chunk).await?;
        }
        file.finish().await?;
        Ok(Fetched {
            bytes: Bytes::new(),
            len: self.received,
        })
    }

    /// The deadline holds for each wait for the source; the time that the reader takes is his own.
    async fn into_stream(mut self, sink: &StreamSink, timeout: Duration) -> Fetched {
        if let Some(begun) = sink.begun.take() {
            // A reader who has gone makes the next send fail.
            let _ = begun.send(self.len);
        }
        loop {
            let next = tokio::time::timeout(timeout, self.next()).await;
            let item = match next.unwrap_or_else(|_| Err(timed_out(timeout))) {
                Ok(None) => break,
                Ok(Some(chunk)) => Ok(chunk),
                Err(error) => Err(error),
            };
            let last = item.is_err();
            if sink.chunks.send(item).await.is_err() || last {
                break;
            }
        }
        Fetched {
            bytes: Bytes::new(),
            len: self.received,
        }
    }

    /// Returns the next piece, `None` after the last one. A download that ends early is an error.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let piece = match &mut *self.content {
            Content::Http(incoming) => incoming.chunk().await.map_err(unknown)?,
            Content::Disk { file, path } => match file.take() {
                Some(open) => {
                    let (open, piece) = on_disk(path.clone(), move || read_piece(open)).await?;
                    *file = Some(open);
                    Some(piece).filter(|piece| !piece.is_empty())
                }
                None => None,
            },
        };
        let Some(piece) = piece else {
            // Without a length from the source, its end looks like a cut connection; what `getFile` told must do.
            return match self.len.or(self.fetch.told_len) {
                Some(len) if len > self.received => Err(unknown(UnknownCause::Closed)),
                _ => Ok(None),
            };
        };
        self.received += piece.len() as u64;
        if self.received > self.fetch.limit {
            return Err(self.fetch.too_large());
        }
        if let Some(progress) = self.progress {
            progress.advance(piece.len());
        }
        Ok(Some(piece))
    }
}

/// Opens a file if it is below a folder, wherever links lead.
fn open_below(root: &Path, path: &Path) -> io::Result<(File, u64)> {
    let path = path.canonicalize()?;
    if !path.starts_with(root.canonicalize()?) {
        let text = "the file is not below the folder of the local server's files";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    // Asked before opening, because opening a named pipe waits for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

fn read_piece(mut file: File) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::new();
    (&mut file).take(PIECE_LEN).read_to_end(&mut piece)?;
    Ok((file, piece.into()))
}

fn unknown(source: UnknownCause) -> ApiError {
    ApiError::Unknown {
        method: DOWNLOAD.to_owned(),
        status: None,
        source,
    }
}

fn timed_out(timeout: Duration) -> ApiError {
    unknown(UnknownCause::TimedOut(timeout))
}
