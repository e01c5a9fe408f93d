//! Answers that several routes give.

use actix_web::{
    HttpResponse,
    error::{InternalError, ResponseError},
    http::StatusCode,
    web::{JsonConfig, QueryConfig},
};
use serde_json::json;

/// Longest body of a request.
const MAX_BODY: usize = 64 << 10;

/// Returns an answer that says what is wrong.
pub(super) fn refusal(status: StatusCode, error: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": error }))
}

pub(super) async fn not_found() -> HttpResponse {
    refusal(StatusCode::NOT_FOUND, "there is nothing here")
}

pub(super) fn query_errors() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let answer = refusal(StatusCode::BAD_REQUEST, &error.to_string());
        InternalError::from_response(error, answer).into()
    })
}

pub(super) fn json_errors() -> JsonConfig {
    JsonConfig::default().limit(MAX_BODY).error_handler(|error, _| {
        let answer = refusal(error.status_code(), &error.to_string());
        InternalError::from_response(error, answer).into()
    })
}
