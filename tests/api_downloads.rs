//! What a user sent can be downloaded without anybody seeing the token.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use actogram::api::{ApiError, NotSentCause};
use frankenstein::types::File;
use scripted_server::{SECRET, ScriptedServer, error, raw};

fn file(path: Option<&str>) -> File {
    let builder = File::builder().file_id("id").file_unique_id("unique");
    builder.maybe_file_path(path.map(str::to_owned)).build()
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
