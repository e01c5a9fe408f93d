//! A token that is accepted is one and does not show itself; a server that is accepted leads to addresses that begin with it
//! and say what they should; a file path cannot change the address around it.
//!
//! The bytes are a line with a token, a line with a server and a file path.

use actogram::{
    api::{Server, Token, TokenError},
    fuzzing::{file_url, method_url},
};

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (token, server, path) = (line(), line(), line());

    check_token(token);
    check_server(server, path);
}

fn check_token(text: &str) {
    match Token::parse(text) {
        Ok(token) => {
            let (id, secret) = text.trim().split_once(':').expect("a token has a colon");
            assert_eq!(token.bot_id().to_string(), id);
            assert!(!secret.is_empty() && text.trim().len() <= 80 && text.trim().is_ascii());
            let shown = format!("Token({id}:redacted)");
            assert_eq!((format!("{token:?}"), token.to_string()), (shown.clone(), shown));
            assert_eq!(Token::parse(text.trim()), Ok(token));
        }
        Err(error) => {
            use TokenError::{BotId, Empty, NoColon, Secret, TooLong};
            let known = [Empty, TooLong, NoColon, BotId, Secret].map(|error| format!("{error} {error:?}"));
            assert!(
                known.contains(&format!("{error} {error:?}")),
                "the error depends on the text"
            );
        }
    }
}

fn check_server(text: &str, path: &str) {
    let Ok(server) = Server::parse(text) else {
        return;
    };
    let root = server.to_string();
    assert_eq!(Server::parse(&root).as_ref(), Ok(&server), "{root}");
    assert!(
        root.starts_with("http://") || root.starts_with("https://"),
        "{root}"
    );
    assert!(!root.contains(['?', '#', '\r', '\n', ' ']), "{root}");

    assert_eq!(method_url(&server, "getMe"), Some(format!("{root}/bot1:x/getMe")));
    let url = file_url(&server, path).expect("the token is well formed");
    let inside = url
        .strip_prefix(&format!("{root}/file/bot1:x/"))
        .expect("a path cannot change what is before it");
    assert!(
        inside
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)),
        "{inside}"
    );
    assert_eq!(decoded(inside), path.as_bytes());
}

/// Undoes percent encoding.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(byte) = rest.as_bytes().first() {
        let hex = rest.get(1..3).filter(|_| *byte == b'%');
        bytes.push(hex.map_or(*byte, |hex| {
            u8::from_str_radix(hex, 16).expect("two hexadecimals")
        }));
        rest = &rest[if hex.is_some() { 3 } else { 1 }..];
    }
    bytes
}
