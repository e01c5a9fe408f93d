//! The connections to webhooks: one task each, which sends what it is told and reports what happens.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::rt::task::JoinHandle;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::webhook_answer;
use crate::shared::Shared;
use crate::webhook::action::{
    WebhookAction, WebhookAnswer, WebhookConnection, WebhookEndpoint, WebhookEvent, WebhookPost,
};

/// How many pieces a slow body comes in.
const PIECES: u32 = 10;
/// What is said about `https`.
const NO_TLS: &str = "SSL error {the simulator does not speak TLS, use an http URL}";

/// The far end of a connection task.
struct Line {
    posts: UnboundedSender<WebhookPost>,
    task: JoinHandle<()>,
}

/// Carries out actions for ever.
pub(crate) async fn run(shared: Arc<Shared>, mut actions: UnboundedReceiver<WebhookAction>) {
    let mut lines: HashMap<WebhookConnection, Line> = HashMap::new();
    while let Some(action) = actions.recv().await {
        match action {
            WebhookAction::Connect { connection, endpoint } => {
                lines.retain(|_, line| !line.task.is_finished());
                let (posts, receiver) = unbounded_channel();
                let task = actix_web::rt::spawn(serve(shared.clone(), connection, endpoint, receiver));
                lines.insert(connection, Line { posts, task });
            }
            WebhookAction::Post { connection, post } => {
                if let Some(line) = lines.get(&connection) {
                    // A task that has ended has reported so, and its post with it.
                    let _ = line.posts.send(post);
                }
            }
            WebhookAction::Close { connection } => {
                if let Some(line) = lines.remove(&connection) {
                    line.task.abort();
                }
            }
        }
    }
}

/// One connection, from its opening to its end.
async fn serve(
    shared: Arc<Shared>,
    connection: WebhookConnection,
    endpoint: WebhookEndpoint,
    posts: UnboundedReceiver<WebhookPost>,
) {
    let report = |event| shared.change(|state, now| state.world.webhook_event(now, connection, event));
    let error = match connect(&endpoint).await {
        Ok(stream) => {
            if let Ok(peer) = stream.peer_addr() {
                report(WebhookEvent::Connected { ip: peer.ip() });
            }
            converse(&shared, stream, posts, &report)
                .await
                .err()
                .and_then(|error| text_of(&error))
        }
        Err(error) => Some(error),
    };
    report(WebhookEvent::Closed { error });
}

async fn connect(endpoint: &WebhookEndpoint) -> Result<TcpStream, String> {
    if endpoint.tls {
        return Err(NO_TLS.to_owned());
    }
    let address = match endpoint.ip {
        Some(ip) => SocketAddr::new(ip, endpoint.port),
        None => resolve(endpoint).await?,
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| text_of(&error).unwrap_or_default())?;
    // Head and body are written apart; without this the body waits for an acknowledgement of the head.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Finds the address of a host; the Bot API server prefers IPv4.
async fn resolve(endpoint: &WebhookEndpoint) -> Result<SocketAddr, String> {
    let host = endpoint.host.trim_matches(['[', ']']);
    let found = lookup_host((host, endpoint.port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|error| format!("Failed to resolve host: {error}"))?
        .collect();
    let v4 = found.iter().find(|address| address.is_ipv4());
    v4.or(found.first())
        .copied()
        .ok_or_else(|| "Failed to resolve host: no address".to_owned())
}

/// Sends posts and reads their answers until the connection ends.
async fn converse(
    shared: &Shared,
    mut stream: TcpStream,
    mut posts: UnboundedReceiver<WebhookPost>,
    report: &impl Fn(WebhookEvent),
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let post = tokio::select! {
            biased;
            post = posts.recv() => post,
            // Nothing may come between an answer and the next request, except the end.
            read = stream.read_buf(&mut buffer) => match read? {
                0 => return Ok(()),
                _ => return Err(ErrorKind::InvalidData.into()),
            },
        };
        let Some(post) = post else {
            return Ok(());
        };
        let Some(mut answer) = exchange(shared, &mut stream, &mut buffer, &post, report).await? else {
            return Ok(());
        };
        // What comes behind an answer would be taken for the next one.
        let more = !buffer.is_empty() || matches!(stream.try_read_buf(&mut buffer), Ok(1..));
        answer.keep_alive &= !more;
        let keep_alive = answer.keep_alive;
        report(WebhookEvent::Answered(answer));
        if !keep_alive {
            return Ok(());
        }
    }
}

/// Sends a request and reads its answer, which may come before all of it is sent; `None` when it was cut on purpose.
async fn exchange(
    shared: &Shared,
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    post: &WebhookPost,
    report: &impl Fn(WebhookEvent),
) -> io::Result<Option<WebhookAnswer>> {
    let (mut reading, mut writing) = stream.split();
    let answer = webhook_answer::read(&mut reading, buffer);
    tokio::pin!(answer);
    tokio::select! {
        biased;
        early = &mut answer => {
            // The rest of the request is not sent, and nothing else can follow without it.
            return Ok(Some(WebhookAnswer { keep_alive: false, ..early? }));
        }
        written = write(shared, &mut writing, post) => if !written? {
            return Ok(None);
        },
    }
    report(WebhookEvent::Written);
    answer.await.map(Some)
}

/// Writes a request and returns whether all of it was to be written.
async fn write(shared: &Shared, stream: &mut WriteHalf<'_>, post: &WebhookPost) -> io::Result<bool> {
    stream.write_all(&post.head).await?;
    if let Some(length) = post.cut_after {
        stream
            .write_all(&post.body[..length.min(post.body.len())])
            .await?;
        stream.shutdown().await?;
        return Ok(false);
    }
    match post.spread_over {
        None => stream.write_all(&post.body).await?,
        Some(span) => {
            let size = post.body.len().div_ceil(PIECES as usize).max(1);
            for (piece, number) in post.body.chunks(size).zip(1..) {
                shared.sleep_until(post.sent_at + span * number / PIECES).await;
                stream.write_all(piece).await?;
            }
        }
    }
    Ok(true)
}

/// Returns what a system says about a connection that has ended, `None` when it ended in order.
fn text_of(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        ErrorKind::UnexpectedEof => return None,
        ErrorKind::ConnectionRefused => "Connection refused",
        ErrorKind::ConnectionReset => "Connection reset by peer",
        ErrorKind::BrokenPipe => "Broken pipe",
        ErrorKind::TimedOut => "Connection timed out",
        _ => return Some(error.to_string()),
    };
    Some(text.to_owned())
}
