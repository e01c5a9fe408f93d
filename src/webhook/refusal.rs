//! Why a request is not acknowledged, and what is answered.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};

/// Why a request is not acknowledged. The answer says no more than its status: whoever asks may be anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(feature = "journal"),
    expect(dead_code, reason = "only a journal is full or fails")
)]
pub(super) enum Refusal {
    WrongMethod,
    WrongNetwork,
    WrongSecret,
    TooLarge,
    TooSlow,
    CutOff,
    NotAnUpdate,
    /// The journal has no room, or its disk.
    Full,
    /// Without a journal: as many updates are in hand as may be.
    Busy,
    /// Without a journal: the handler takes longer than the request may.
    StillRunning,
    /// The bot is paused, stops, or has stopped.
    Closed,
    /// The journal failed.
    Failed,
}

impl Refusal {
    /// Returns the reason for logs.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::WrongMethod => "wrong method",
            Self::WrongNetwork => "not from telegram's networks",
            Self::WrongSecret => "wrong or missing secret",
            Self::TooLarge => "body too large",
            Self::TooSlow => "body too slow",
            Self::CutOff => "body cut off",
            Self::NotAnUpdate => "body is not an update",
            Self::Full => "journal full",
            Self::Busy => "too many updates in hand",
            Self::StillRunning => "handler still running",
            Self::Closed => "paused or stopping",
            Self::Failed => "journal failed",
        }
    }

    /// Never 410: a webhook that answers nothing else for 23 h is deleted by the server. And nothing in the 200s but 200
    /// itself, because all of them acknowledge.
    fn status(self) -> StatusCode {
        match self {
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            // The same for both, so that nobody learns which of the two was right.
            Self::WrongNetwork | Self::WrongSecret => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::CutOff | Self::NotAnUpdate => StatusCode::BAD_REQUEST,
            Self::Full | Self::Busy | Self::StillRunning | Self::Closed | Self::Failed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Returns after how many seconds the server should send the update again.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::Busy => Some(1),
            Self::Full | Self::Closed => Some(5),
            Self::StillRunning => Some(10),
            Self::Failed => Some(30),
            _ => None,
        }
    }

    pub(super) fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        match self {
            Self::WrongMethod => {
                response.insert_header((header::ALLOW, "POST"));
            }
            // The rest of the body is not waited for.
            Self::TooLarge | Self::TooSlow | Self::CutOff => {
                response.force_close();
            }
            _ => {}
        }
        response.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server reads the status first and then the header; everything but 200 makes it send the update again.
    #[test]
    fn each_refusal_has_its_status_and_says_when_to_come_again_if_that_helps() {
        for (refusal, status, retry_after) in [
            (Refusal::WrongMethod, 405, None),
            (Refusal::WrongNetwork, 403, None),
            (Refusal::WrongSecret, 403, None),
            (Refusal::TooLarge, 413, None),
            (Refusal::TooSlow, 408, None),
            (Refusal::CutOff, 400, None),
            (Refusal::NotAnUpdate, 400, None),
            (Refusal::Full, 503, Some("5")),
            (Refusal::Busy, 503, Some("1")),
            (Refusal::StillRunning, 503, Some("10")),
            (Refusal::Closed, 503, Some("5")),
            (Refusal::Failed, 503, Some("30")),
        ] {
            let response = refusal.response();

            let told = response.headers().get(header::RETRY_AFTER);
            assert_eq!(response.status(), status, "{refusal:?}");
            assert_eq!(
                told.map(|value| value.to_str().unwrap()),
                retry_after,
                "{refusal:?}"
            );
        }
    }
}
