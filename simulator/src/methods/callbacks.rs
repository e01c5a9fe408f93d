//! `answerCallbackQuery`: <https://core.telegram.org/bots/api#answercallbackquery>.

use std::time::Duration;

use serde_json::json;

use crate::Moment;
use crate::account::Account;
use crate::params::Params;
use crate::reply::{Failure, Success};

/// How long after the press an answer is accepted: the lifetime of the update.
const ANSWERABLE: Duration = Duration::from_secs(150);
/// The longest answer in code points.
const MAX_ANSWER: usize = 200;

/// Accepts the first answer to a press that is young enough.
pub(crate) fn answer_callback_query(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    if params
        .get("text")
        .is_some_and(|text| text.chars().count() > MAX_ANSWER)
    {
        return Err(Failure::bad_request("MESSAGE_TOO_LONG"));
    }
    let query = account
        .callbacks
        .remove(params.get("callback_query_id").unwrap_or_default());
    if query.is_some_and(|query| now.since(query.pressed_at) <= ANSWERABLE) {
        Ok(Success::new(json!(true)))
    } else {
        Err(Failure::bad_request(
            "query is too old and response timeout expired or query ID is invalid",
        ))
    }
}
