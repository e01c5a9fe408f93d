//! The body of a request, and whether any of it has left.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::{
    chat::Target,
    connection::Exchange,
    error::ApiError,
    form_body::{FileFault, FormBody},
    multipart::MultipartForm,
    progress::ProgressSender,
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
}

impl RequestBody {
    /// Whom the call concerns, for flood control.
    pub(crate) fn target(&self, method: &str) -> Target {
        match self {
            Self::Empty => Target::Method(method.to_owned()),
            Self::Json(params) => Target::from_json(method, params),
            Self::Form(form) => form.target(method),
        }
    }

    /// Opens the files, if there are any.
    pub(crate) async fn open(self) -> Result<OpenBody, ApiError> {
        Ok(match self {
            // The server treats an empty object and no body alike; with an object every call has a body, and shows when it is
            // asked for.
            Self::Empty => OpenBody::Bytes(Bytes::from_static(b"{}")),
            Self::Json(params) => OpenBody::Bytes(params),
            Self::Form(form) => OpenBody::Form(form.open().await?),
        })
    }
}

/// A body that is ready to be sent.
pub(crate) enum OpenBody {
    Bytes(Bytes),
    Form(FormBody),
}

impl OpenBody {
    pub(crate) fn content_type(&self) -> String {
        match self {
            Self::Bytes(_) => "application/json".to_owned(),
            Self::Form(form) => form.content_type(),
        }
    }

    /// Returns a body that shows how far the exchange is. Only a form reports its progress.
    pub(crate) fn marking(self, exchange: &Exchange, progress: Option<&ProgressSender>) -> MarkedBody {
        let progress = match &self {
            Self::Form(form) => progress
                .cloned()
                .inspect(|progress| progress.begin(Some(form.len()))),
            Self::Bytes(_) => None,
        };
        MarkedBody {
            body: self,
            exchange: exchange.clone(),
            progress,
        }
    }
}

/// A body that tells when the HTTP client asks for it, which it does once it has a connection, and how much it took.
pub(crate) struct MarkedBody {
    body: OpenBody,
    exchange: Exchange,
    progress: Option<ProgressSender>,
}

impl MessageBody for MarkedBody {
    type Error = FileFault;

    fn size(&self) -> BodySize {
        match &self.body {
            OpenBody::Bytes(bytes) => BodySize::Sized(bytes.len() as u64),
            OpenBody::Form(form) => form.size(),
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FileFault>>> {
        self.exchange.begin();
        let next = match &mut self.body {
            OpenBody::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            OpenBody::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            OpenBody::Form(form) => Pin::new(form).poll_next(cx),
        };
        if let (Poll::Ready(Some(Ok(piece))), Some(progress)) = (&next, &self.progress) {
            progress.advance(piece.len());
        }
        next
    }
}
