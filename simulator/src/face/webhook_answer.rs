//! Reads the answer of a webhook from its connection.

use std::io::{self, ErrorKind, Read};

use bytes::{Buf, Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::webhook::action::WebhookAnswer;

/// The largest head of an answer.
const MAX_HEAD_BYTES: usize = 256 << 10;
/// The largest body, before and after decompression.
const MAX_BODY_BYTES: usize = 64 << 20;
/// The largest number of headers.
const MAX_HEADERS: usize = 128;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

struct Head {
    answer: WebhookAnswer,
    length: Length,
    encoding: Option<String>,
}

/// Reads one answer. `buffer` keeps what came behind it.
///
/// # Errors
///
/// Returns `UnexpectedEof` when the connection ends in order before the answer is complete, `InvalidData` for what is
/// not HTTP, and what the system says otherwise.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> io::Result<WebhookAnswer> {
    let head = loop {
        match parse_head(buffer)? {
            // Interim answers come before the real one.
            Some(head) if head.answer.status < 200 => {}
            Some(head) => break head,
            None if buffer.len() > MAX_HEAD_BYTES => return Err(invalid("the head is too long")),
            None => read_more(stream, buffer).await?,
        }
    };
    let body = match head.length {
        Length::Known(length) => {
            while buffer.len() < length {
                read_more(stream, buffer).await?;
            }
            buffer.split_to(length).freeze()
        }
        Length::Chunked => read_chunks(stream, buffer).await?,
    };
    Ok(WebhookAnswer {
        body: decompressed(body, head.encoding.as_deref())?,
        ..head.answer
    })
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> io::Result<()> {
    if buffer.len() > MAX_BODY_BYTES {
        return Err(invalid("the answer is too long"));
    }
    match stream.read_buf(buffer).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Takes a complete head out of the buffer.
fn parse_head(buffer: &mut BytesMut) -> io::Result<Option<Head>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let parsed = response
        .parse(buffer)
        .map_err(|_| invalid("the answer is not HTTP"))?;
    let Status::Complete(head_length) = parsed else {
        return Ok(None);
    };
    let header = |name: &str| {
        let mut named = response
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named
            .next()
            .map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let status = response.code.unwrap_or_default();
    let says =
        |name: &str, word: &str| header(name).is_some_and(|value| value.to_ascii_lowercase().contains(word));
    let length = if matches!(status, 100..=199 | 204 | 304) {
        Length::Known(0)
    } else if says("transfer-encoding", "chunked") {
        Length::Chunked
    } else {
        match header("content-length").map(|length| length.trim().parse()) {
            Some(Ok(length)) if length <= MAX_BODY_BYTES => Length::Known(length),
            Some(_) => return Err(invalid("the length of the answer is not a number in bounds")),
            // The Bot API server does not read until the end of the connection.
            None => Length::Known(0),
        }
    };
    let keep_alive = if response.version == Some(1) {
        !says("connection", "close")
    } else {
        says("connection", "keep-alive")
    };
    let head = Head {
        answer: WebhookAnswer {
            status,
            reason: response.reason.unwrap_or_default().to_owned(),
            retry_after: header("retry-after"),
            content_type: header("content-type"),
            keep_alive,
            body: Bytes::new(),
        },
        length,
        encoding: header("content-encoding"),
    };
    buffer.advance(head_length);
    Ok(Some(head))
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let size = loop {
            match httparse::parse_chunk_size(buffer) {
                Ok(Status::Complete((line, size))) => {
                    buffer.advance(line);
                    break usize::try_from(size).map_err(|_| invalid("a chunk is too long"))?;
                }
                Ok(Status::Partial) => read_more(stream, buffer).await?,
                Err(_) => return Err(invalid("a chunk has no size")),
            }
        };
        if size > MAX_BODY_BYTES || body.len() + size > MAX_BODY_BYTES {
            return Err(invalid("the answer is too long"));
        }
        if size == 0 {
            skip_trailers(stream, buffer).await?;
            return Ok(body.freeze());
        }
        while buffer.len() < size + 2 {
            read_more(stream, buffer).await?;
        }
        body.extend_from_slice(&buffer[..size]);
        buffer.advance(size + 2);
    }
}

/// Reads up to the empty line behind the last chunk.
async fn skip_trailers<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> io::Result<()> {
    loop {
        match buffer.windows(2).position(|pair| pair == b"\r\n") {
            Some(0) => {
                buffer.advance(2);
                return Ok(());
            }
            Some(end) => buffer.advance(end + 2),
            None => read_more(stream, buffer).await?,
        }
    }
}

fn decompressed(body: Bytes, encoding: Option<&str>) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    let limit = MAX_BODY_BYTES as u64;
    match encoding
        .map(|encoding| encoding.trim().to_ascii_lowercase())
        .as_deref()
    {
        None | Some("identity" | "") => return Ok(body),
        Some("gzip") => MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut plain),
        Some("deflate") => ZlibDecoder::new(&*body).take(limit).read_to_end(&mut plain),
        Some(_) => return Err(invalid("the encoding of the answer was not offered")),
    }
    .map_err(|_| invalid("the answer can't be decompressed"))?;
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Reads answers that come in pieces of `step` bytes.
    async fn answers(bytes: &[u8], step: usize) -> Vec<io::Result<WebhookAnswer>> {
        let (mut here, mut there) = tokio::io::duplex(step);
        let bytes = bytes.to_vec();
        let writer = async move {
            use tokio::io::AsyncWriteExt;
            // The reader may give up first.
            let _ = there.write_all(&bytes).await;
        };
        let reader = async move {
            let mut buffer = BytesMut::new();
            let mut all = Vec::new();
            loop {
                let answer = read(&mut here, &mut buffer).await;
                let last = answer.is_err();
                all.push(answer);
                if last {
                    return all;
                }
            }
        };
        tokio::join!(writer, reader).1
    }

    async fn first(bytes: &[u8]) -> io::Result<WebhookAnswer> {
        let whole = answers(bytes, 1 << 16).await.remove(0);
        let in_pieces = answers(bytes, 1).await.remove(0);
        assert_eq!(whole.as_ref().ok(), in_pieces.as_ref().ok());
        whole
    }

    #[actix_web::test]
    async fn bodies_of_every_length_are_read_one_after_the_other() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nhi\
                      HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n\
                      HTTP/1.1 204 No Content\r\n\r\n\
                      HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n\
                      HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy Now\r\nRetry-After: 7\r\n\r\nnot HTTP\r\n";

        for step in [1, 7, 1 << 16] {
            let all = answers(bytes, step).await;
            let read: Vec<_> = all[..5].iter().map(|answer| answer.as_ref().unwrap()).collect();
            assert_eq!((read[0].status, &*read[0].body), (200, &b"hi"[..]));
            assert_eq!(read[0].content_type.as_deref(), Some("text/plain"));
            assert_eq!(&*read[1].body, b"abcd");
            assert_eq!((read[2].status, read[2].keep_alive), (204, true));
            assert_eq!((read[3].status, read[3].keep_alive), (200, true));
            assert_eq!((read[4].status, read[4].reason.as_str()), (503, "Busy Now"));
            assert_eq!(read[4].retry_after.as_deref(), Some("7"));
            assert!(read[3].body.is_empty() && read[4].body.is_empty());
            assert_eq!(all[5].as_ref().unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[actix_web::test]
    async fn connections_are_kept_unless_the_answer_says_otherwise() {
        for (head, kept) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\n", false),
            ("HTTP/1.0 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true),
        ] {
            let answer = first(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await;
            assert_eq!(answer.unwrap().keep_alive, kept, "{head}");
        }
    }

    #[actix_web::test]
    async fn a_compressed_body_is_unpacked() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"{\"method\":\"sendMessage\"}").unwrap();
        let packed = encoder.finish().unwrap();
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            packed.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&packed);

        let answer = first(&bytes).await.unwrap();

        assert_eq!(&*answer.body, b"{\"method\":\"sendMessage\"}");
    }

    #[actix_web::test]
    async fn what_is_cut_and_what_is_not_http_are_told_apart() {
        let cut = first(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await;
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(first(b"").await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(
            first(b"SSH-2.0-x\r\n\r\n").await.unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        let length = first(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").await;
        assert_eq!(length.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
