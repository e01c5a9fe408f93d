//! Parameters with files: the form that a caller builds.
//!
//! A [`MultipartForm`] holds paths, not file contents. Opening it checks every file before anything is sent.

use std::{fmt, io, path::PathBuf};

use actix_rt::task::spawn_blocking;
use bytes::Bytes;
use serde_json::Value;

use super::{
    chat::Target,
    error::ApiError,
    form_body::{FileFault, FormBody},
};

/// Parameters and files of one call, sent as `multipart/form-data`.
///
/// The limits are the server's: 50 MB per file (10 MB for a photo) on Telegram's own server, 2000 MB on a
/// [local one](https://core.telegram.org/bots/api#using-a-local-bot-api-server); see
/// <https://core.telegram.org/bots/api#sending-files>.
///
/// ```
/// use actogram::api::MultipartForm;
///
/// let form = MultipartForm::new()
///     .text("chat_id", "42")
///     .file("document", "report.pdf")
///     .bytes("thumbnail", "thumbnail.jpg", vec![0xff, 0xd8]);
/// # let _ = form;
/// ```
#[derive(Clone, Default)]
pub struct MultipartForm {
    parts: Vec<Part>,
}

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) content: Content,
}

#[derive(Clone)]
pub(crate) enum Content {
    Text(String),
    Bytes { file_name: String, bytes: Bytes },
    File(PathBuf),
}

impl MultipartForm {
    /// Returns a form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter. Strings go as they are, everything else as JSON text.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parts.push(Part {
            name: name.into(),
            content: Content::Text(value.into()),
        });
        self
    }

    /// Adds a file from disk. It is opened when the call is made, and again when the call is repeated after a flood
    /// wait.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.parts.push(Part {
            name: name.into(),
            content: Content::File(path.into()),
        });
        self
    }

    /// Adds a file from memory.
    #[must_use]
    pub fn bytes(
        mut self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let content = Content::Bytes {
            file_name: file_name.into(),
            bytes: bytes.into(),
        };
        self.parts.push(Part {
            name: name.into(),
            content,
        });
        self
    }

    /// Flattens parameters: strings as they are, everything else as JSON text. A parameter that has a file of its own
    /// is left out, because its value only says where the file is.
    pub(crate) fn from_params(params: Value, files: &[(&str, PathBuf)]) -> Self {
        let mut form = Self::new();
        if let Value::Object(fields) = params {
            for (name, value) in fields {
                if files.iter().any(|(file, _)| *file == name) {
                    continue;
                }
                form = match value {
                    Value::Null => form,
                    Value::String(text) => form.text(name, text),
                    other => form.text(name, other.to_string()),
                };
            }
        }
        files
            .iter()
            .fold(form, |form, (name, path)| form.file(*name, path))
    }

    /// Whom the call concerns, for flood control.
    pub(crate) fn target(&self, method: &str) -> Target {
        let field = |wanted: &str| {
            self.parts.iter().find_map(|part| match &part.content {
                Content::Text(value) if part.name == wanted => Some(value.as_str()),
                _ => None,
            })
        };
        Target::from_fields(method, field("chat_id"), field("business_connection_id"))
    }

    /// Opens every file and returns the body.
    ///
    /// # Errors
    ///
    /// Returns [`ApiError::File`] for the first file that cannot be opened or is not a regular file.
    pub(crate) async fn open(&self) -> Result<FormBody, ApiError> {
        let parts = self.parts.clone();
        let opened = spawn_blocking(move || FormBody::open(parts)).await;
        // The closure does not panic, so a failure to join means that the runtime is going down.
        let opened =
            opened.unwrap_or_else(|error| Err(FileFault::new(PathBuf::new(), io::Error::other(error))));
        opened.map_err(ApiError::from)
    }

    /// As [`open`](Self::open), blocking this thread.
    pub(crate) fn open_here(&self) -> Result<FormBody, ApiError> {
        FormBody::open(self.parts.clone()).map_err(ApiError::from)
    }
}

impl fmt::Debug for MultipartForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.parts.iter().map(|part| &part.name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, future::poll_fn, pin::Pin};

    use actix_http::body::MessageBody;
    use serde_json::json;

    use super::*;

    async fn text_of(form: &MultipartForm) -> String {
        let mut body = form.open().await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            all.extend(piece.unwrap());
        }
        String::from_utf8(all).unwrap()
    }

    #[actix::test]
    async fn a_missing_file_and_a_folder_are_errors_that_name_the_path() {
        let folder = tempfile::tempdir().unwrap();

        for wrong in [folder.path().join("missing"), folder.path().to_owned()] {
            let error = MultipartForm::new()
                .file("photo", &wrong)
                .open()
                .await
                .err()
                .unwrap();

            assert!(matches!(error, ApiError::File { path, .. } if path == wrong));
        }
    }

    #[actix::test]
    async fn parameters_are_flattened_and_give_way_to_their_files() {
        let params = json!({
            "chat_id": 7, "caption": "say \"hi\"", "reply_markup": {"a": [1]}, "has_spoiler": true,
            "photo": {"path": "secret/path"}, "absent": null,
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jpg");
        fs::write(&path, "jpg").unwrap();

        let text = text_of(&MultipartForm::from_params(params, &[("photo", path)])).await;

        for (name, value) in [
            ("chat_id", "7"),
            ("caption", "say \"hi\""),
            ("reply_markup", "{\"a\":[1]}"),
            ("has_spoiler", "true"),
        ] {
            assert!(
                text.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n")),
                "{name}: {text}"
            );
        }
        assert!(
            !text.contains("secret/path") && !text.contains("absent"),
            "{text}"
        );
        assert_eq!(text.matches("name=\"photo\"").count(), 1);
    }

    #[test]
    fn debug_shows_names_and_no_contents() {
        let form = MultipartForm::new()
            .text("caption", "private")
            .bytes("photo", "p.jpg", &b"private"[..]);

        assert_eq!(format!("{form:?}"), r#"["caption", "photo"]"#);
    }
}
