//! What a user sent can be downloaded without anybody seeing the token.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use actix_rt::time::timeout;
use actogram::api::{Api, ApiError, NotSentCause};
use frankenstein::types::File;
use futures_util::TryStreamExt;
use scripted_server::{LONG, Reply, SECRET, ScriptedServer, error, raw};

fn file(path: Option<&str>) -> File {
    let builder = File::builder().file_id("id").file_unique_id("unique");
    builder.maybe_file_path(path.map(str::to_owned)).build()
}

fn sized(path: &str, len: u64) -> File {
    let mut file = file(Some(path));
    file.file_size = Some(len);
    file
}

/// A server that sends a body of this announced length as its pieces come.
fn dripping(length: u64) -> (mpsc::Sender<Vec<u8>>, ScriptedServer) {
    let (pieces, drip) = mpsc::channel();
    let drip = Arc::new(Mutex::new(drip));
    let server = ScriptedServer::start(move |_| Reply::Pieces(length, Arc::clone(&drip)));
    (pieces, server)
}

/// A body that ends with the connection, as HTTP/1.0 has it.
fn until_close(body: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.0 200 OK\r\n\r\n{body}").into_bytes())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[actix::test]
async fn a_file_is_downloaded_from_its_path() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 4", "\u{1}\u{2}{}"));

    let bytes = server
        .api()
        .download(&file(Some("documents/file 1.bin")))
        .await
        .unwrap();

    assert_eq!(&bytes[..], b"\x01\x02{}");
    let head = server.requests()[0].head.clone();
    let path = format!("get /file/bot123456:{SECRET}/documents/file%201.bin http/1.1\n").to_lowercase();
    assert!(head.starts_with(&path), "{head}");
}

#[actix::test]
async fn an_expired_path_is_refused() {
    let server = ScriptedServer::start(|_| error(404, "Not Found"));

    let error = server
        .api()
        .download(&file(Some("documents/old.bin")))
        .await
        .unwrap_err();

    assert!(matches!(error, ApiError::Refused { code: 404, .. }), "{error:?}");
}

#[actix::test]
async fn a_path_that_is_not_the_servers_is_not_asked_for() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 0", ""));

    for path in [
        None,
        Some(""),
        Some("/var/lib/telegram-bot-api/file"),
        Some("../bot1:x/getMe"),
        Some("a/../b"),
    ] {
        let error = server.api().download(&file(path)).await.unwrap_err();

        assert!(
            matches!(
                error,
                ApiError::NotSent {
                    source: NotSentCause::Client(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.is_transient());
    }
    assert!(server.requests().is_empty());
}

#[actix::test]
async fn a_file_appears_under_its_name_when_it_is_complete() {
    let (pieces, server) = dripping(6);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a.bin");
    let (api, seen) = (server.api(), Arc::new(Mutex::new(Vec::new())));
    let api = api.on_progress({
        let seen = Arc::clone(&seen);
        move |progress| seen.lock().unwrap().push((progress.bytes, progress.total))
    });

    let described = file(Some("documents/a"));
    let mut download = Box::pin(api.download_to(&described, &target));
    pieces.send(b"abc".to_vec()).unwrap();
    timeout(LONG, async {
        while !seen.lock().unwrap().contains(&(3, Some(6))) {
            tokio::select! {
                biased;
                ended = &mut download => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await
    .unwrap();
    assert!(!target.exists());
    pieces.send(b"def".to_vec()).unwrap();
    drop(pieces);
    let len = timeout(LONG, download).await.unwrap().unwrap();

    assert_eq!((len, &*fs::read(&target).unwrap()), (6, &b"abcdef"[..]));
    assert_eq!(names(folder.path()), ["a.bin"]);
    assert_eq!(seen.lock().unwrap().last(), Some(&(6, Some(6))));
}

#[actix::test]
async fn a_download_that_is_cut_leaves_nothing_and_keeps_what_was_there() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 100", "cut"));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a.bin");
    fs::write(&target, "old").unwrap();

    let error = server
        .api()
        .download_to(&file(Some("documents/a")), &target)
        .await
        .unwrap_err();

    assert!(matches!(error, ApiError::Unknown { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 3, "a download is repeated");
    assert_eq!(names(folder.path()), ["a.bin"]);
    assert_eq!(fs::read(&target).unwrap(), b"old");
}

#[actix::test]
async fn a_body_without_a_length_is_measured_by_what_get_file_told() {
    let server = ScriptedServer::start(|_| until_close("short"));
    let api = Api::start(server.config().attempts(1));

    let error = api.download(&sized("documents/a", 100)).await.unwrap_err();
    let whole = api.download(&sized("documents/a", 5)).await.unwrap();

    assert!(matches!(error, ApiError::Unknown { .. }), "{error:?}");
    assert_eq!(&whole[..], b"short");
}

#[actix::test]
async fn a_body_that_does_not_tell_where_it_ends_is_not_taken_for_an_empty_one() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\nconnection: close", "content"));
    let api = Api::start(server.config().attempts(1));

    let error = api.download(&file(Some("documents/a"))).await.unwrap_err();

    assert!(matches!(error, ApiError::Unknown { .. }), "{error:?}");
}

#[actix::test]
async fn a_dropped_download_leaves_nothing() {
    let (pieces, server) = dripping(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let (api, described) = (server.api(), file(Some("documents/a")));

    let mut download = Box::pin(api.download_to(&described, folder.path().join("a.bin")));
    pieces.send(vec![7; 500_000]).unwrap();
    timeout(LONG, async {
        while names(folder.path()).is_empty() {
            tokio::select! {
                biased;
                ended = &mut download => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await
    .unwrap();
    drop(download);

    timeout(LONG, async {
        while !names(folder.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[actix::test]
async fn a_download_into_a_folder_that_is_missing_names_the_file() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 4", "abcd"));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("missing/a.bin");

    let error = server
        .api()
        .download_to(&file(Some("documents/a")), &target)
        .await
        .unwrap_err();

    assert!(
        matches!(&error, ApiError::File { path, .. } if *path == target),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn limits_hold_for_what_is_told_announced_and_received() {
    let announced = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 11", "hello world"));
    let unannounced = ScriptedServer::start(|_| until_close("hello world"));
    let folder = tempfile::tempdir().unwrap();
    let unknown = file(Some("documents/a"));

    for (server, described, requests) in [
        (&announced, &sized("documents/a", 11), 0),
        (&announced, &unknown, 1),
        (&unannounced, &unknown, 1),
    ] {
        let api = server.api().max_download(10);
        let error = api
            .download_to(described, folder.path().join("a.bin"))
            .await
            .unwrap_err();

        assert!(matches!(error, ApiError::TooLarge { limit: 10, .. }), "{error:?}");
        assert!(!error.is_transient());
        assert_eq!(server.requests().len(), requests);
    }
    assert!(names(folder.path()).is_empty());
    let api = announced.api().max_download(11);
    assert_eq!(api.download(&unknown).await.unwrap().len(), 11);
    let large = api
        .max_download(u64::MAX)
        .download(&sized("documents/a", 33 << 20))
        .await;
    assert!(matches!(large, Err(ApiError::TooLarge { .. })), "{large:?}");
}

#[actix::test]
async fn a_stream_gives_what_has_come_before_the_rest_is_there() {
    let (pieces, server) = dripping(6);
    let api = server.api();
    pieces.send(b"abc".to_vec()).unwrap();

    let mut stream = timeout(LONG, api.download_stream(&file(Some("documents/a"))))
        .await
        .unwrap()
        .unwrap();
    let first = timeout(LONG, stream.next_piece())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    pieces.send(b"def".to_vec()).unwrap();
    drop(pieces);
    let rest: Vec<_> = timeout(LONG, stream.try_collect()).await.unwrap().unwrap();

    assert_eq!(&first[..], b"abc");
    assert_eq!(rest.concat(), b"def");
}

#[actix::test]
async fn a_stream_that_is_cut_ends_with_an_error() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 100", "cut"));
    let api = server.api();

    let mut stream = api.download_stream(&file(Some("documents/a"))).await.unwrap();
    let pieces: Result<Vec<_>, _> = timeout(LONG, (&mut stream).try_collect()).await.unwrap();

    assert_eq!(stream.len(), Some(100));
    assert!(matches!(pieces, Err(ApiError::Unknown { .. })), "{pieces:?}");
    assert!(stream.next_piece().await.unwrap().is_none());
}

#[actix::test]
async fn a_stream_that_cannot_begin_is_an_error() {
    let calls = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Close,
        _ => error(404, "Not Found"),
    });

    let error = server
        .api()
        .download_stream(&file(Some("documents/old")))
        .await
        .err()
        .unwrap();

    assert!(matches!(error, ApiError::Refused { code: 404, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 2, "a beginning is repeated");
}

#[actix::test]
async fn a_dropped_stream_gives_its_connection_up() {
    let (_pieces, server) = dripping(6);
    let api = Api::start(server.config().max_connections(1));
    let file = file(Some("documents/a"));

    let stream = timeout(LONG, api.download_stream(&file)).await.unwrap().unwrap();
    assert_eq!(api.stats().await.unwrap().running, 1);
    drop(stream);

    timeout(LONG, async {
        while api.stats().await.unwrap().running > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// The deadline concerns the server, not who reads: this reader lets four deadlines pass.
#[actix::test]
async fn a_slow_reader_may_take_his_time() {
    let body: &'static str = "x".repeat(4 << 20).leak();
    let server =
        ScriptedServer::start(move |_| raw(&format!("200 OK\r\ncontent-length: {}", body.len()), body));
    let api = Api::start(server.config().timeout(Duration::from_millis(300)));

    let mut stream = api.download_stream(&file(Some("documents/a"))).await.unwrap();
    // The slowness is the behaviour under test, not a way to wait for something.
    actix_rt::time::sleep(Duration::from_millis(1_200)).await;
    let mut len = 0;
    while let Some(piece) = timeout(LONG, stream.next_piece()).await.unwrap().unwrap() {
        len += piece.len();
    }

    assert_eq!(len, body.len());
}

#[actix::test]
async fn files_of_a_local_server_are_read_from_the_allowed_folder_only() {
    let server = ScriptedServer::start(|_| raw("200 OK\r\ncontent-length: 0", ""));
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("served");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.txt"), "content").unwrap();
    fs::write(place.path().join("secret.txt"), "secret").unwrap();
    let path = |name: &str| file(Some(root.join(name).to_str().unwrap()));
    let api = Api::start(server.config().local_files(&root));

    let bytes = api.download(&path("a.txt")).await.unwrap();
    let copied = place.path().join("copy.txt");
    let len = api.download_to(&path("a.txt"), &copied).await.unwrap();
    let stream = api.download_stream(&path("a.txt")).await.unwrap();
    let streamed: Vec<_> = stream.try_collect().await.unwrap();

    assert_eq!(
        (&bytes[..], len, &*streamed.concat()),
        (&b"content"[..], 7, &b"content"[..])
    );
    assert_eq!(fs::read(&copied).unwrap(), b"content");
    let mut ways_out = vec!["../secret.txt", "missing.txt", ".", "a.txt/.."];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path().join("secret.txt"), root.join("link.txt")).unwrap();
        ways_out.push("link.txt");
    }
    for name in ways_out {
        let error = api.download(&path(name)).await.unwrap_err();
        assert!(matches!(error, ApiError::File { .. }), "{name}: {error:?}");
    }
    let forbidden = server.api().download(&path("a.txt")).await.unwrap_err();
    assert!(matches!(forbidden, ApiError::NotSent { .. }), "{forbidden:?}");
    assert!(server.requests().is_empty());
}
