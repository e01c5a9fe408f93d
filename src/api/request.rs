//! The body of a request, and whether any of it has left.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::{
    chat::Target,
    error::ApiError,
    form_body::{FileFault, FormBody},
    multipart::MultipartForm,
};

/// Parameters of a call in the form in which they are sent. Cloning is cheap; it is what a repetition needs.
#[derive(Debug, Clone)]
pub(crate) enum RequestBody {
    /// No parameters.
    Empty,
    /// A JSON object.
    Json(Bytes),
    /// Parameters with files.
    Form(MultipartForm),
    /// No call of a method: the request for a file that `getFile` named.
    Download {
        file_path: String,
        /// Expected length in bytes.
        len: u64,
    },
}

impl RequestBody {
    /// Whom the call concerns, for flood control.
    pub(crate) fn target(&self, method: &str) -> Target {
        match self {
            Self::Empty | Self::Download { .. } => Target::Method(method.to_owned()),
            Self::Json(params) => Target::from_json(method, params),
            Self::Form(form) => form.target(method),
        }
    }

    /// Opens the files, if there are any.
    pub(crate) async fn open(self) -> Result<OpenBody, ApiError> {
        Ok(match self {
            // The server treats an empty object and no body alike; with an object every call has a body, and `SentMark`
            // works for all of them.
            Self::Empty => OpenBody::Bytes(Bytes::from_static(b"{}")),
            Self::Json(params) => OpenBody::Bytes(params),
            Self::Form(form) => OpenBody::Form(form.open().await?),
            Self::Download { .. } => OpenBody::Nothing,
        })
    }
}

/// A body that is ready to be sent.
pub(crate) enum OpenBody {
    Nothing,
    Bytes(Bytes),
    Form(FormBody),
}

impl OpenBody {
    pub(crate) fn content_type(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Bytes(_) => Some("application/json".to_owned()),
            Self::Form(form) => Some(form.content_type()),
        }
    }

    pub(crate) fn marking(self, mark: SentMark) -> MarkedBody {
        // The client never asks for a body that is not there.
        mark.0.set(matches!(self, Self::Nothing));
        MarkedBody { body: self, mark }
    }
}

/// Remembers whether the HTTP client has asked for the body. It does so once it has a connection, so before that
/// nothing can have been written.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentMark(Rc<Cell<bool>>);

impl SentMark {
    pub(crate) fn is_set(&self) -> bool {
        self.0.get()
    }
}

/// A body that sets its mark when the HTTP client asks for it.
pub(crate) struct MarkedBody {
    body: OpenBody,
    mark: SentMark,
}

impl MessageBody for MarkedBody {
    type Error = FileFault;

    fn size(&self) -> BodySize {
        match &self.body {
            OpenBody::Nothing => BodySize::None,
            OpenBody::Bytes(bytes) => BodySize::Sized(bytes.len() as u64),
            OpenBody::Form(form) => form.size(),
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FileFault>>> {
        self.mark.0.set(true);
        match &mut self.body {
            OpenBody::Nothing => Poll::Ready(None),
            OpenBody::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            OpenBody::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            OpenBody::Form(form) => Pin::new(form).poll_next(cx),
        }
    }
}
