//! How calls and files travel: encodings, paths, limits, uploads and downloads.

use std::io::Write;

use actogram_simulator::Simulator;
use serde_json::json;

use crate::support::{Exchange, call, connect, send};

const BOUNDARY: &str = "multipart/form-data; boundary=XYZ";

/// A multipart body with one text field and one file.
fn upload(chat_id: i64, field: &str, file_name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--XYZ\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n{chat_id}\r\n--XYZ\r\n\
         Content-Disposition: form-data; name=\"{field}\"; filename=\"{file_name}\"\r\nContent-Type: text/plain\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--XYZ--\r\n");
    body
}

#[test]
fn every_encoding_reaches_the_same_method() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let path = format!("/bot{}/sendMessage", bot.token());
    let id = ann.id();
    let fields = format!(
        "--XYZ\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n{id}\r\n--XYZ\r\n\
         Content-Disposition: form-data; name=\"text\"\r\n\r\nmultipart\r\n--XYZ--\r\n"
    );

    let json = json!({"chat_id": id, "text": "json"}).to_string();
    let form = format!("chat_id={id}&text=form%20body");
    let query = format!("{path}?chat_id={id}&text=query");
    let requests = [
        (path.as_str(), "application/json", json.as_bytes()),
        (
            path.as_str(),
            "application/x-www-form-urlencoded",
            form.as_bytes(),
        ),
        (path.as_str(), BOUNDARY, fields.as_bytes()),
        (query.as_str(), "text/plain", b"ignored".as_slice()),
    ];
    for (path, content_type, body) in requests {
        assert_eq!(
            send(&simulator, path, content_type, body)
                .answer()
                .unwrap()
                .status,
            200,
            "{content_type}"
        );
    }

    assert_eq!(ann.heard(), ["json", "form body", "multipart", "query"]);
}

#[test]
fn malformed_json_runs_with_what_was_read() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let body = format!(
        "{{\"chat_id\":{},\"text\":\"sent\",\"reply_markup\":{{\"inline",
        ann.id()
    );

    let answer = send(
        &simulator,
        &format!("/bot{}/sendMessage", bot.token()),
        "application/json",
        body.as_bytes(),
    );

    assert_eq!(answer.answer().unwrap().status, 200);
    assert_eq!(ann.heard(), ["sent"]);
}

#[test]
fn a_get_request_calls_a_method_in_any_case() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let mut stream = connect(&simulator);
    let token = bot.token().replace(':', "%3A");
    write!(
        stream,
        "GET /bot{token}/GETME HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();

    let answer = Exchange { stream }.answer().unwrap();

    assert_eq!(answer.json()["result"]["id"], bot.id());
    assert_eq!(answer.json()["result"]["is_bot"], true);
}

#[test]
fn paths_outside_of_bots_are_not_found() {
    let simulator = Simulator::start().unwrap();

    let answer = send(&simulator, "/", "application/json", b"{}").answer().unwrap();

    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"ok": false, "error_code": 404, "description": "Not Found"})
    );
}

#[test]
fn what_the_http_layer_rejects_has_an_empty_body() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let path = format!("/bot{}/sendMessage", bot.token());

    let mut stream = connect(&simulator);
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let method = Exchange { stream }.answer().unwrap();
    assert_eq!((method.status, method.body.len()), (501, 0));

    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20));
    let parameters = send(&simulator, &path, "application/json", large.as_bytes())
        .answer()
        .unwrap();
    assert_eq!((parameters.status, parameters.body.len()), (413, 0));

    let boundary = send(&simulator, &path, "multipart/form-data", b"")
        .answer()
        .unwrap();
    assert_eq!((boundary.status, boundary.body.len()), (400, 0));
}

#[test]
fn a_document_is_uploaded_found_and_downloaded() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let body = upload(ann.id(), "document", "data.txt", &content);

    let sent = send(
        &simulator,
        &format!("/bot{}/sendDocument", bot.token()),
        BOUNDARY,
        &body,
    )
    .answer()
    .unwrap();
    let document = sent.json()["result"]["document"].clone();
    assert_eq!(document["file_name"], "data.txt");
    assert_eq!(document["mime_type"], "text/plain");
    assert_eq!(document["file_size"], 3_000_000);

    let file = call(
        &simulator,
        &bot,
        "getFile",
        &json!({"file_id": document["file_id"]}),
    )
    .json();
    let file_path = file["result"]["file_path"].as_str().unwrap();
    let path = format!("/file/bot{}/{file_path}", bot.token());
    let download = send(&simulator, &path, "text/plain", b"").answer().unwrap();
    assert_eq!(download.status, 200);
    assert!(download.body == content);

    let again = json!({"chat_id": ann.id(), "document": document["file_id"], "caption": "again"});
    let resent = call(&simulator, &bot, "sendDocument", &again).json();
    assert_eq!(
        resent["result"]["document"]["file_unique_id"],
        document["file_unique_id"]
    );
    assert_eq!(bot.sent()[1].text.as_deref(), Some("again"));
}

#[test]
fn an_attached_upload_is_found_by_its_name() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let path = format!("/bot{}/sendPhoto?photo=attach://picture", bot.token());
    let body = upload(ann.id(), "picture", "cat.jpg", b"JPEG");

    let sent = send(&simulator, &path, BOUNDARY, &body).answer().unwrap().json();

    assert_eq!(sent["result"]["photo"][0]["file_size"], 4);
}

#[test]
fn a_body_above_the_upload_limit_is_refused_without_a_body() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let mut stream = connect(&simulator);
    let length = 60 << 20;
    let head = format!(
        "POST /bot{}/sendDocument HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BOUNDARY}\r\nContent-Length: \
         {length}\r\n\r\n",
        bot.token()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    // The server stops reading at its limit, so the last chunks may not be taken any more.
    for _ in 0..52 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }

    let answer = Exchange { stream }.answer().unwrap();

    assert_eq!((answer.status, answer.body.len()), (413, 0));
    assert!(bot.sent().is_empty());
}

#[test]
fn too_large_photos_and_unknown_files_are_refused() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let path = format!("/bot{}/sendPhoto", bot.token());
    let body = upload(ann.id(), "photo", "large.jpg", &vec![0; (10 << 20) + 1]);

    let refused = send(&simulator, &path, BOUNDARY, &body).answer().unwrap().json();
    assert_eq!(
        refused["description"],
        "Bad Request: file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes"
    );
    let missing = call(&simulator, &bot, "sendPhoto", &json!({"chat_id": ann.id()})).json();
    assert_eq!(
        missing["description"],
        "Bad Request: there is no photo in the request"
    );
    let unknown = call(&simulator, &bot, "getFile", &json!({"file_id": "x"})).json();
    assert_eq!(
        unknown["description"],
        "Bad Request: wrong file_id or the file is temporarily unavailable"
    );
}

#[test]
fn a_photo_of_a_person_can_be_downloaded() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    bot.user("Ann").send_photo(&b"JPEG"[..]);

    let updates = call(&simulator, &bot, "getUpdates", &json!({})).json();
    let photo = updates["result"][0]["message"]["photo"][0].clone();
    let file = call(&simulator, &bot, "getFile", &json!({"file_id": photo["file_id"]})).json();
    let path = format!(
        "/file/bot{}/{}",
        bot.token(),
        file["result"]["file_path"].as_str().unwrap()
    );

    assert_eq!(
        send(&simulator, &path, "text/plain", b"").answer().unwrap().body,
        b"JPEG"
    );
}

#[test]
fn the_test_environment_is_another_bot_behind_the_same_token() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let path = format!("/bot{}/test/getUpdates", bot.token());
    assert_eq!(
        send(&simulator, &path, "application/json", b"{}")
            .answer()
            .unwrap()
            .status,
        401
    );

    let id = bot.test_environment().user("Ann").say("hello");

    assert_eq!(
        send(&simulator, &path, "application/json", b"{}")
            .answer()
            .unwrap()
            .ids(),
        [id]
    );
    assert!(bot.issued().is_empty());
}

#[test]
fn no_debug_output_shows_a_token() {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let secret = bot.token().split(':').nth(1).unwrap();

    let builder = Simulator::builder().token(bot.token());
    let shown = format!(
        "{simulator:?} {builder:?} {bot:?} {ann:?} {:?}",
        bot.group("Group")
    );

    assert!(!shown.contains(secret), "{shown}");
}
