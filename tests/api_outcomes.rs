//! Every way in which a call can end is told apart, above all whether it may have been executed.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod scripted_server;

use std::{
    io::{ErrorKind, Read},
    net::TcpListener,
    thread,
    time::Duration,
};

use actogram::api::{Api, ApiError, NotSentCause, UnknownCause};
use scripted_server::{LONG, MESSAGE, Reply, ScriptedServer, config_for, error, ok, raw};
use serde_json::json;

/// Sends a text to a server that answers as told and returns the error.
async fn outcome(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ApiError {
    let server = ScriptedServer::start(move |_| reply());
    server.api().send_text(7, "hi").await.unwrap_err()
}

fn assert_unknown(error: &ApiError) {
    assert!(
        matches!(error, ApiError::Unknown { method, .. } if method == "sendMessage"),
        "{error:?}"
    );
    assert!(error.may_have_been_sent() && error.is_transient(), "{error:?}");
}

fn assert_not_sent(error: &ApiError) {
    assert!(
        matches!(error, ApiError::NotSent { method, .. } if method == "sendMessage"),
        "{error:?}"
    );
    assert!(!error.may_have_been_sent() && error.is_transient(), "{error:?}");
}

fn assert_not_an_answer(error: &ApiError) {
    assert_unknown(error);
    assert!(
        matches!(
            error,
            ApiError::Unknown {
                status: Some(200),
                source: UnknownCause::NotAnAnswer,
                ..
            }
        ),
        "{error:?}"
    );
}

#[actix::test]
async fn a_sent_message_comes_back() {
    let server = ScriptedServer::start(|_| ok(MESSAGE));

    let message = server.api().send_text(7, "hi").await.unwrap();

    assert_eq!((message.message_id, message.chat.id), (1, 7));
    let request = server.requests()[0].clone();
    assert_eq!(request.body_text(), r#"{"chat_id":7,"text":"hi"}"#);
}

#[actix::test]
async fn a_refused_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let error = Api::start(config_for(&url)).send_text(7, "hi").await.unwrap_err();

    assert_not_sent(&error);
    assert!(
        matches!(&error, ApiError::NotSent { source: NotSentCause::Connect(error), .. }
            if error.kind() == ErrorKind::ConnectionRefused),
        "{error:?}"
    );
}

#[actix::test]
async fn an_unknown_host_is_not_sent() {
    let config = config_for("http://bot-api.invalid").connect_timeout(LONG);

    let error = Api::start(config).send_text(7, "hi").await.unwrap_err();

    assert_not_sent(&error);
    assert!(
        matches!(
            error,
            ApiError::NotSent {
                source: NotSentCause::Resolve(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[actix::test]
async fn a_server_that_closes_instead_of_answering_leaves_the_outcome_unknown() {
    assert_unknown(&outcome(|| Reply::Close).await);
}

#[actix::test]
async fn a_connection_reset_by_the_server_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        // Closing while bytes are unread resets the connection.
        stream.read_exact(&mut [0; 1]).unwrap();
    });

    let error = Api::start(config_for(&url)).send_text(7, "hi").await.unwrap_err();

    script.join().unwrap();
    assert_unknown(&error);
}

#[actix::test]
async fn a_server_that_never_answers_leaves_the_outcome_unknown_at_the_deadline() {
    let (closed, closing) = std::sync::mpsc::channel();
    let server = ScriptedServer::start(move |_| Reply::Stall(closed.clone()));
    let deadline = Duration::from_secs(1);
    let api = Api::start(server.config().timeout(deadline));

    let error = api.send_text(7, "hi").await.unwrap_err();

    assert_unknown(&error);
    assert!(
        matches!(&error, ApiError::Unknown { status: None, source: UnknownCause::TimedOut(after), .. }
            if *after == deadline),
        "{error:?}"
    );
    closing.recv_timeout(LONG).expect("the connection is closed");
}

#[actix::test]
async fn a_response_that_stops_in_the_middle_leaves_the_outcome_unknown_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = thread::spawn(move || {
        use std::io::Write;
        let mut stream = listener.accept().unwrap().0;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"ok\":")
            .unwrap();
        // Until the client gives up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let api = Api::start(config_for(&url).timeout(Duration::from_secs(1)));

    let error = api.send_text(7, "hi").await.unwrap_err();

    assert_unknown(&error);
    drop(api);
    script.join().unwrap();
}

#[actix::test]
async fn server_errors_leave_the_outcome_unknown() {
    let json = outcome(|| error(500, "Internal Server Error: restart")).await;
    let html = outcome(|| raw("502 Bad Gateway\r\ncontent-length: 6", "<html>")).await;

    for (error, status, text) in [
        (json, 500, "Internal Server Error: restart"),
        (html, 502, "Bad Gateway"),
    ] {
        assert_unknown(&error);
        assert!(
            matches!(&error, ApiError::Unknown { status: Some(code), source: UnknownCause::Server { description }, .. }
                if *code == status && description == text),
            "{error:?}"
        );
    }
}

#[actix::test]
async fn an_empty_success_leaves_the_outcome_unknown() {
    assert_not_an_answer(&outcome(|| raw("200 OK\r\ncontent-length: 0", "")).await);
}

#[actix::test]
async fn a_truncated_success_leaves_the_outcome_unknown() {
    assert_unknown(&outcome(|| raw("200 OK\r\ncontent-length: 100", "{\"ok\":true,\"res")).await);
    assert_unknown(&outcome(|| raw("200 OK\r\ntransfer-encoding: chunked", "f\r\n{\"ok\":tr")).await);
    assert_not_an_answer(&outcome(|| raw("200 OK\r\ncontent-length: 10", "{\"ok\":true")).await);
}

#[actix::test]
async fn a_success_that_is_not_json_leaves_the_outcome_unknown() {
    assert_not_an_answer(&outcome(|| raw("200 OK\r\ncontent-length: 6", "<html>")).await);
}

#[actix::test]
async fn a_response_that_is_not_http_leaves_the_outcome_unknown() {
    assert_unknown(&outcome(|| Reply::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())).await);
}

#[actix::test]
async fn a_bad_token_is_refused() {
    let error = outcome(|| error(401, "Unauthorized")).await;

    assert!(
        error.is_unauthorized() && !error.is_transient() && !error.may_have_been_sent(),
        "{error:?}"
    );
}

#[actix::test]
async fn a_blocked_bot_is_refused() {
    let error = outcome(|| error(403, "Forbidden: bot was blocked by the user")).await;

    assert!(
        matches!(&error, ApiError::Refused { code: 403, description, .. }
            if description == "Forbidden: bot was blocked by the user"),
        "{error:?}"
    );
}

#[actix::test]
async fn a_second_poller_is_a_conflict() {
    let error = outcome(|| error(409, "Conflict: terminated by other getUpdates request")).await;

    assert!(error.is_conflict(), "{error:?}");
}

#[actix::test]
async fn an_upgraded_group_names_its_supergroup() {
    let error = outcome(|| {
        let body = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat",
            "parameters":{"migrate_to_chat_id":-1001}}"#;
        Reply::Json(400, body.to_owned())
    })
    .await;

    assert!(
        matches!(
            error,
            ApiError::Refused {
                migrate_to_chat_id: Some(-1001),
                ..
            }
        ),
        "{error:?}"
    );
}

#[actix::test]
async fn a_rejection_without_a_body_is_refused_with_the_status_text() {
    for reply in [
        || raw("413 Whatever\r\ncontent-length: 0", ""),
        || raw("413 Whatever\r\ncontent-length: 10", "cut"),
    ] {
        let error = outcome(reply).await;

        assert!(
            matches!(&error, ApiError::Refused { code: 413, description, .. } if description == "Payload Too Large"),
            "{error:?}"
        );
    }
}

#[actix::test]
async fn a_redirect_is_refused_and_not_followed() {
    let server = ScriptedServer::start(|_| {
        raw(
            "301 Moved Permanently\r\nlocation: /elsewhere\r\ncontent-length: 0",
            "",
        )
    });

    let error = server.api().send_text(7, "hi").await.unwrap_err();

    assert!(matches!(error, ApiError::Refused { code: 301, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[actix::test]
async fn a_result_of_another_shape_was_executed_but_cannot_be_decoded() {
    let error = outcome(|| ok("true")).await;

    assert!(
        matches!(&error, ApiError::Decode { method, .. } if method == "sendMessage"),
        "{error:?}"
    );
    assert!(error.may_have_been_sent() && !error.is_transient());
}

#[actix::test]
async fn a_body_of_three_mebibytes_is_read() {
    let text = "x".repeat(3 << 20);
    let result = format!("\"{text}\"");
    let expected = result.clone();
    let server = ScriptedServer::start(move |_| ok(&result));

    let raw = server.api().call_raw("getText", &json!({}), None).await.unwrap();

    assert_eq!(raw.get(), expected);
}

#[actix::test]
async fn a_body_beyond_the_limit_leaves_the_outcome_unknown() {
    let error = outcome(|| raw("200 OK\r\ncontent-length: 33554433", "{")).await;

    assert!(
        matches!(
            error,
            ApiError::Unknown {
                source: UnknownCause::TooLarge { limit: 33_554_432 },
                ..
            }
        ),
        "{error:?}"
    );
}

#[actix::test]
async fn a_call_waits_longer_than_the_five_seconds_of_the_http_client() {
    let server = ScriptedServer::start(|_| {
        // The slowness is the behaviour under test, not a way to wait for something.
        thread::sleep(Duration::from_millis(5_500));
        ok("[]")
    });

    let raw = server
        .api()
        .call_raw("getUpdates", &json!({"timeout": 5}), Some(LONG))
        .await
        .unwrap();

    assert_eq!(raw.get(), "[]");
}

#[actix::test]
async fn raw_parameters_leave_out_what_is_null() {
    let server = ScriptedServer::start(|_| ok("true"));
    let api = server.api();

    api.call_raw("sendMessage", &json!({"chat_id": 7, "parse_mode": null}), None)
        .await
        .unwrap();
    api.call_raw("getMe", &json!(null), None).await.unwrap();

    let requests = server.requests();
    assert_eq!(requests[0].body_text(), r#"{"chat_id":7}"#);
    assert_eq!(requests[1].body_text(), "{}");
}

#[actix::test]
async fn raw_parameters_that_are_not_an_object_are_not_sent() {
    let server = ScriptedServer::start(|_| ok("true"));
    let api = server.api();

    let list = api.call_raw("getMe", &json!([1]), None).await.unwrap_err();
    let text = api.call_json("getMe", "[1]".into(), None).await.unwrap_err();
    let broken = api.call_json("getMe", "{\"a\":".into(), None).await.unwrap_err();
    let name = api.call_raw("getMe/../x", &json!({}), None).await.unwrap_err();

    for error in [list, text, broken] {
        assert!(matches!(error, ApiError::Encode { .. }), "{error:?}");
    }
    assert!(matches!(name, ApiError::Method { .. }), "{name:?}");
    assert!(server.requests().is_empty());
}

#[actix::test]
async fn an_edited_message_may_come_back_as_true() {
    use actogram::api::Api;
    use frankenstein::{methods::EditMessageTextParams, response::MessageOrBool};
    let server = ScriptedServer::start(|_| ok("true"));
    let api: Api = server.api();
    let params = EditMessageTextParams::builder()
        .inline_message_id("i")
        .text("new")
        .build();

    let edited = api.edit_message_text(&params).await.unwrap();

    assert_eq!(edited, MessageOrBool::Bool(true));
}

/// The typed model needs so much stack that some twenty messages inside one another overflow a usual thread, and an
/// overflow ends the process.
#[actix::test]
async fn a_result_that_nests_deeply_does_not_end_the_process() {
    let head = MESSAGE.trim_end().strip_suffix('}').unwrap();
    let nested = format!(
        r#"{}{MESSAGE}{}"#,
        format!(r#"{head},"reply_to_message":"#).repeat(60),
        "}".repeat(60)
    );
    let server = ScriptedServer::start(move |_| ok(&nested));

    let message = server.api().send_text(7, "hi").await.unwrap();

    let replies = std::iter::successors(Some(&message), |message| message.reply_to_message.as_deref());
    assert_eq!(replies.count(), 61);
}
