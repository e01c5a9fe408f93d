//! A form on its way to the server: `multipart/form-data`, streamed from disk with a known length.
//!
//! Opening fixes the lengths, so that the body can carry a `Content-Length`. Reading happens in pieces on a blocking
//! thread: the arbiter never waits for a disk, and memory does not grow with the file.

use std::{
    collections::VecDeque,
    fs::File,
    future::Future,
    io::{self, Read},
    mem,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_http::body::{BodySize, MessageBody};
use actix_rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;
use thiserror::Error;

use super::{
    error::ApiError,
    multipart::{Content, Part},
};

/// Bytes read from a file at a time. One piece per upload is in memory.
const PIECE_LEN: u64 = 64 * 1024;

/// A file that failed while its form was opened or sent.
#[derive(Debug, Error)]
#[error("cannot read {}", path.display())]
pub(crate) struct FileFault {
    path: PathBuf,
    source: io::Error,
}

impl FileFault {
    pub(crate) fn new(path: PathBuf, source: io::Error) -> Self {
        Self { path, source }
    }
}

impl From<FileFault> for ApiError {
    fn from(FileFault { path, source }: FileFault) -> Self {
        Self::File { path, source }
    }
}

enum Segment {
    Bytes(Bytes),
    File(FileSegment),
}

/// The rest of a file.
struct FileSegment {
    path: PathBuf,
    remaining: u64,
    state: FileState,
}

enum FileState {
    /// Waiting to be asked for the next piece.
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    /// A read has failed, or there is nothing left.
    Ended,
}

impl FileSegment {
    /// Reads the next piece on a blocking thread; `None` at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FileFault>>> {
        loop {
            match mem::replace(&mut self.state, FileState::Ended) {
                FileState::Idle(file) if self.remaining > 0 => {
                    let len = PIECE_LEN.min(self.remaining);
                    self.state = FileState::Reading(spawn_blocking(move || read_piece(file, len)));
                }
                FileState::Reading(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
                        self.state = FileState::Reading(reading);
                        return Poll::Pending;
                    };
                    let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
                    return Poll::Ready(Some(match read {
                        Ok((file, piece)) => {
                            self.remaining -= piece.len() as u64;
                            self.state = FileState::Idle(file);
                            Ok(piece)
                        }
                        Err(source) => Err(FileFault::new(self.path.clone(), source)),
                    }));
                }
                FileState::Idle(_) | FileState::Ended => return Poll::Ready(None),
            }
        }
    }
}

/// An opened form on its way to the server.
pub(crate) struct FormBody {
    boundary: String,
    segments: VecDeque<Segment>,
    len: u64,
}

impl FormBody {
    /// Opens every file, blocking the thread.
    pub(crate) fn open(parts: Vec<Part>) -> Result<Self, FileFault> {
        // 128 random bits, so that no content contains the boundary by accident.
        let boundary = format!("actogram-{:032x}", fastrand::u128(..));
        let mut body = Self {
            boundary,
            segments: VecDeque::new(),
            len: 0,
        };
        for Part { name, content } in parts {
            let name = escape(&name);
            let begin = format!(
                "--{}\r\nContent-Disposition: form-data; name=\"{name}\"",
                body.boundary
            );
            match content {
                Content::Text(value) => body.push(format!("{begin}\r\n\r\n{value}\r\n")),
                Content::Bytes { file_name, bytes } => {
                    body.push(file_head(&begin, &file_name));
                    body.push(bytes);
                    body.push("\r\n");
                }
                Content::File(path) => {
                    let (file, remaining) = match open_file(&path) {
                        Ok(opened) => opened,
                        Err(source) => return Err(FileFault::new(path, source)),
                    };
                    let file_name = path
                        .file_name()
                        .map_or("file".into(), |name| name.to_string_lossy());
                    body.push(file_head(&begin, &file_name));
                    body.len += remaining;
                    let state = FileState::Idle(file);
                    body.segments.push_back(Segment::File(FileSegment {
                        path,
                        remaining,
                        state,
                    }));
                    body.push("\r\n");
                }
            }
        }
        let end = format!("--{}--\r\n", body.boundary);
        body.push(end);
        Ok(body)
    }

    fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.len += bytes.len() as u64;
        self.segments.push_back(Segment::Bytes(bytes));
    }

    /// Length of the whole body in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }
}

impl MessageBody for FormBody {
    type Error = FileFault;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.len)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FileFault>>> {
        loop {
            match self.segments.front_mut() {
                None => return Poll::Ready(None),
                Some(Segment::Bytes(bytes)) if !bytes.is_empty() => {
                    return Poll::Ready(Some(Ok(mem::take(bytes))));
                }
                Some(Segment::Bytes(_)) => {}
                Some(Segment::File(file)) => match ready!(file.poll_piece(cx)) {
                    Some(Err(fault)) => {
                        // The announced length cannot be met any more.
                        self.segments.clear();
                        return Poll::Ready(Some(Err(fault)));
                    }
                    Some(piece) => return Poll::Ready(Some(piece)),
                    None => {}
                },
            }
            self.segments.pop_front();
        }
    }
}

fn file_head(begin: &str, file_name: &str) -> String {
    let file_name = escape(file_name);
    format!("{begin}; filename=\"{file_name}\"\r\nContent-Type: application/octet-stream\r\n\r\n")
}

/// Escapes what would end a quoted name, as browsers do.
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn open_file(path: &Path) -> io::Result<(File, u64)> {
    // Asked before opening, because opening a named pipe waits for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// Reads exactly `len` bytes. A file that has shrunk since it was opened is an error, because the announced length
/// cannot be met any more.
fn read_piece(mut file: File, len: u64) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::new();
    (&mut file).take(len).read_to_end(&mut piece)?;
    if (piece.len() as u64) < len {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file became shorter during the upload",
        ));
    }
    Ok((file, piece.into()))
}

#[cfg(test)]
mod tests {
    use std::{fs, future::poll_fn};

    use super::{super::multipart::MultipartForm, *};

    async fn next(body: &mut FormBody) -> Option<Result<Bytes, FileFault>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await
    }

    async fn read_all(form: &MultipartForm) -> (FormBody, String) {
        let mut body = form.open().await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = next(&mut body).await {
            all.extend(piece.unwrap());
        }
        assert_eq!(all.len() as u64, body.len(), "the announced length");
        let text = String::from_utf8(all).unwrap().replace(&body.boundary, "B");
        (body, text)
    }

    #[actix::test]
    async fn texts_and_files_become_parts_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "content").unwrap();
        let form = MultipartForm::new()
            .text("chat_id", "7")
            .file("document", path)
            .bytes("thumbnail", "t.jpg", &b"jpg"[..]);

        let (body, text) = read_all(&form).await;

        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
             --B\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\ncontent\r\n\
             --B\r\nContent-Disposition: form-data; name=\"thumbnail\"; filename=\"t.jpg\"\r\n\
             Content-Type: application/octet-stream\r\n\r\njpg\r\n\
             --B--\r\n"
        );
        assert!(body.content_type().ends_with(&body.boundary));
        assert!(body.boundary.len() <= 70, "the server's limit");
    }

    #[actix::test]
    async fn a_file_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        fs::write(&path, vec![7; 2 * PIECE_LEN as usize + 1]).unwrap();

        let mut body = MultipartForm::new().file("document", path).open().await.unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = next(&mut body).await {
            pieces.push(piece.unwrap().len() as u64);
        }

        assert_eq!(pieces[1..4], [PIECE_LEN, PIECE_LEN, 1]);
    }

    #[actix::test]
    async fn an_empty_file_is_an_empty_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        fs::write(&path, "").unwrap();

        let (_, text) = read_all(&MultipartForm::new().file("document", path)).await;

        assert!(text.ends_with("octet-stream\r\n\r\n\r\n--B--\r\n"), "{text}");
    }

    #[actix::test]
    async fn a_file_that_shrinks_on_the_way_ends_the_body_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shrinking");
        fs::write(&path, vec![7; 2 * PIECE_LEN as usize]).unwrap();
        let mut body = MultipartForm::new().file("document", &path).open().await.unwrap();
        let _head = next(&mut body).await.unwrap().unwrap();
        let _first = next(&mut body).await.unwrap().unwrap();

        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(PIECE_LEN + 1)
            .unwrap();
        let error = next(&mut body).await.unwrap().unwrap_err();

        assert_eq!(error.source.kind(), io::ErrorKind::UnexpectedEof);
        assert!(next(&mut body).await.is_none());
    }

    #[actix::test]
    async fn a_file_that_grows_on_the_way_is_sent_with_the_announced_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        fs::write(&path, "content").unwrap();
        let mut body = MultipartForm::new().file("document", &path).open().await.unwrap();

        fs::write(&path, "content and more").unwrap();
        let mut all = Vec::new();
        while let Some(piece) = next(&mut body).await {
            all.extend(piece.unwrap());
        }

        assert_eq!(all.len() as u64, body.len());
    }

    #[actix::test]
    async fn names_cannot_break_out_of_their_quotes() {
        let form = MultipartForm::new().bytes("a\"b", "x\"\r\ny", &b""[..]);

        let (_, text) = read_all(&form).await;

        assert!(
            text.contains("name=\"a%22b\"; filename=\"x%22%0D%0Ay\"\r\n"),
            "{text}"
        );
    }
}
