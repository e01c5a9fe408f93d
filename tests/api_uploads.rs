//! Files travel as one sized form, whatever way leads to them.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use actogram::api::{ApiError, MultipartForm, Progress};
use frankenstein::{
    AsyncTelegramApi,
    input_file::{FileUpload, InputFile},
    input_media::{InputMediaPhoto, InputMediaVideo, MediaGroupInputMedia},
    methods::{SendDocumentParams, SendMediaGroupParams, SendPhotoParams, SetWebhookParams},
};
use scripted_server::{MESSAGE, Request, ScriptedServer, flood_wait, ok};
use tempfile::TempDir;

fn folder_with(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn assert_is_sized_form(request: &Request) {
    assert!(
        request
            .head
            .contains("content-type: multipart/form-data; boundary="),
        "{}",
        request.head
    );
    assert!(
        request
            .head
            .contains(&format!("content-length: {}", request.body.len())),
        "{}",
        request.head
    );
    assert!(!request.head.contains("transfer-encoding"), "{}", request.head);
}

fn assert_has_text(request: &Request, name: &str, value: &str) {
    let part = format!("name=\"{name}\"\r\n\r\n{value}\r\n");
    assert!(
        request.body_text().contains(&part),
        "{part}: {}",
        request.body_text()
    );
}

fn assert_has_file(request: &Request, name: &str, file_name: &str, content: &str) {
    let part = format!(
        "name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
    );
    assert!(
        request.body_text().contains(&part),
        "{part}: {}",
        request.body_text()
    );
}

#[actix::test]
async fn a_photo_from_disk_is_uploaded() {
    let (_folder, path) = folder_with("cat.jpg", "meow");
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let params = SendPhotoParams::builder()
        .chat_id(7)
        .photo(path)
        .caption("a \"cat\"")
        .build();

    server.api().send_photo(&params).await.unwrap();

    let request = server.requests()[0].clone();
    assert_eq!(request.method, "sendphoto");
    assert_is_sized_form(&request);
    assert_has_text(&request, "chat_id", "7");
    assert_has_text(&request, "caption", "a \"cat\"");
    assert_has_file(&request, "photo", "cat.jpg", "meow");
}

#[actix::test]
async fn a_photo_known_to_telegram_is_sent_by_its_id() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let params = SendPhotoParams::builder()
        .chat_id(7)
        .photo(FileUpload::String("id".to_owned()))
        .build();

    server.api().send_photo(&params).await.unwrap();

    assert_eq!(server.requests()[0].body_text(), r#"{"chat_id":7,"photo":"id"}"#);
}

#[actix::test]
async fn a_thumbnail_travels_beside_a_document_that_has_an_id() {
    let (_folder, path) = folder_with("small.jpg", "tiny");
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let params = SendDocumentParams::builder()
        .chat_id(7)
        .document(FileUpload::String("id".to_owned()))
        .thumbnail(path)
        .build();

    server.api().send_document(&params).await.unwrap();

    let request = server.requests()[0].clone();
    assert_has_text(&request, "document", "id");
    assert_has_file(&request, "thumbnail", "small.jpg", "tiny");
}

#[actix::test]
async fn an_album_attaches_its_files_by_name() {
    let (folder, first) = folder_with("1.jpg", "one");
    let second = folder.path().join("2.jpg");
    fs::write(&second, "two").unwrap();
    let server = ScriptedServer::start(|_| ok(&format!("[{MESSAGE},{MESSAGE}]")));
    let photo = |path| MediaGroupInputMedia::Photo(InputMediaPhoto::builder().media(path).build());
    let params = SendMediaGroupParams::builder()
        .chat_id(7)
        .media(vec![photo(first), photo(second)])
        .build();
    let api = server.api();

    let inherent = api.send_media_group(&params).await.unwrap();
    let through_trait = AsyncTelegramApi::send_media_group(&api, &params).await.unwrap();

    assert_eq!((inherent.len(), through_trait.result.len()), (2, 2));
    for request in server.requests().iter() {
        assert_is_sized_form(request);
        assert!(
            request.body_text().contains("\"media\":\"attach://file0\""),
            "{}",
            request.body_text()
        );
        assert_has_file(request, "file0", "1.jpg", "one");
        assert_has_file(request, "file1", "2.jpg", "two");
    }
}

#[actix::test]
async fn a_webhook_certificate_is_uploaded() {
    let (_folder, path) = folder_with("cert.pem", "PEM");
    let server = ScriptedServer::start(|_| ok("true"));
    let params = SetWebhookParams::builder()
        .url("https://example.org/hook")
        .certificate(InputFile { path })
        .max_connections(5_u32)
        .build();

    assert!(server.api().set_webhook(&params).await.unwrap());

    let request = server.requests()[0].clone();
    assert_has_text(&request, "max_connections", "5");
    assert_has_file(&request, "certificate", "cert.pem", "PEM");
}

#[actix::test]
async fn a_file_from_memory_is_uploaded() {
    let server = ScriptedServer::start(|_| ok("true"));
    let form = MultipartForm::new()
        .text("chat_id", "7")
        .bytes("document", "a.txt", "in memory");

    server.api().call_form("sendDocument", form, None).await.unwrap();

    assert_has_file(&server.requests()[0], "document", "a.txt", "in memory");
}

#[actix::test]
async fn a_missing_file_is_reported_before_anything_is_sent() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.jpg");
    let params = SendPhotoParams::builder()
        .chat_id(7)
        .photo(missing.clone())
        .build();

    let error = server.api().send_photo(&params).await.unwrap_err();

    assert!(!error.may_have_been_sent());
    assert!(
        matches!(&error, ApiError::File { path, .. } if *path == missing),
        "{error:?}"
    );
    assert_eq!(server.connections(), 0);
}

#[actix::test]
async fn an_upload_is_repeated_whole_after_a_flood_wait() {
    let (_folder, path) = folder_with("cat.jpg", "meow");
    let calls = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => flood_wait(1),
        _ => ok(MESSAGE),
    });
    let params = SendPhotoParams::builder().chat_id(7).photo(path).build();

    server.api().send_photo(&params).await.unwrap();

    assert_eq!(server.requests().len(), 2);
    for request in server.requests().iter() {
        assert_has_file(request, "photo", "cat.jpg", "meow");
    }
}

#[actix::test]
async fn a_flooded_upload_holds_its_chat() {
    let (_folder, path) = folder_with("cat.jpg", "meow");
    let server = ScriptedServer::start(|_| flood_wait(61));
    let api = server.api();
    api.send_photo(&SendPhotoParams::builder().chat_id(7).photo(path).build())
        .await
        .unwrap_err();

    let error = api.send_text(7, "hi").await.unwrap_err();

    assert!(matches!(error, ApiError::FloodWait { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn an_album_of_many_kinds_attaches_covers_and_thumbnails_too() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("content of {name}")).unwrap();
        path
    };
    let video = InputMediaVideo::builder()
        .media(write("a.mp4"))
        .cover(write("cover.jpg"))
        .thumbnail(write("thumbnail.jpg"))
        .build();
    let known = InputMediaPhoto::builder()
        .media(FileUpload::String("id".to_owned()))
        .build();
    let photo = InputMediaPhoto::builder()
        .media(write("b.jpg"))
        .caption("two")
        .build();
    let params = SendMediaGroupParams::builder()
        .chat_id(7)
        .media(vec![
            MediaGroupInputMedia::Video(video),
            MediaGroupInputMedia::Photo(known),
            MediaGroupInputMedia::Photo(photo),
        ])
        .build();
    let server = ScriptedServer::start(|_| ok(&format!("[{MESSAGE},{MESSAGE},{MESSAGE}]")));

    server.api().send_media_group(&params).await.unwrap();

    let request = server.requests()[0].clone();
    assert_is_sized_form(&request);
    let body = request.body_text();
    let media = body.split("name=\"media\"\r\n\r\n").nth(1).unwrap();
    let media: serde_json::Value = serde_json::from_str(media.split("\r\n").next().unwrap()).unwrap();
    for (place, name) in [
        (&media[0]["media"], "a.mp4"),
        (&media[0]["cover"], "cover.jpg"),
        (&media[0]["thumbnail"], "thumbnail.jpg"),
        (&media[2]["media"], "b.jpg"),
    ] {
        let part = place.as_str().unwrap().strip_prefix("attach://").unwrap();
        assert_has_file(&request, part, name, &format!("content of {name}"));
    }
    assert_eq!(media[1]["media"], "id");
    assert_eq!(media[2]["caption"], "two");
}

#[actix::test]
async fn an_upload_reports_how_far_it_is_and_begins_anew_when_it_is_repeated() {
    let (_folder, path) = folder_with("big.jpg", &"x".repeat(1_000_000));
    let calls = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => flood_wait(1),
        _ => ok(MESSAGE),
    });
    let seen = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let api = server.api().on_progress({
        let seen = Arc::clone(&seen);
        move |progress| seen.lock().unwrap().push(progress)
    });

    api.send_photo(&SendPhotoParams::builder().chat_id(7).photo(path).build())
        .await
        .unwrap();
    api.send_text(7, "reports nothing").await.unwrap();

    let total = server.requests()[0].body.len() as u64;
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|progress| progress.total == Some(total) && progress.bytes <= total)
    );
    assert_eq!(seen.last().unwrap().bytes, total);
    let ends = seen.iter().filter(|progress| progress.bytes == total).count();
    assert_eq!(ends, 2, "once per attempt: {seen:?}");
    assert!(seen.len() > 4, "steps between: {seen:?}");
}
