//! What the result of a send means for its chat, and for the broadcast. Pure.

use std::{error::Error, time::Duration};

use super::{
    record::{ChatOutcome, clip},
    send_error::SendError,
};
use crate::api::{ApiError, NotSentCause};

/// Time after which a chat is tried again that had too much to do.
const BUSY_PAUSE: Duration = Duration::from_secs(10);

/// What is to be done after a send.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The chat has this outcome.
    Ended(ChatOutcome, Option<String>),
    /// Nothing was sent: the chat has another id.
    Moved(i64),
    /// Nothing was sent to this chat, and it should not be called before this time has passed.
    Later(Duration),
    /// Nothing was sent, and nothing can be sent to anybody for a while.
    Hold(String),
    /// Nothing was sent, and nothing will be sent to anybody.
    Halt(Halt),
}

/// Why a broadcast cannot go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The server does not accept the bot.
    Refused(ApiError),
    /// Nobody makes calls any more.
    GatewayGone,
}

/// Judges the result of a send; `None` stands for a panic.
pub(super) fn judge(result: Option<Result<(), SendError>>) -> Verdict {
    let ended = |outcome, reason: String| Verdict::Ended(outcome, Some(clip(reason)));
    let error = match result {
        Some(Ok(())) => return Verdict::Ended(ChatOutcome::Sent, None),
        // It may have sent something before.
        None => return ended(ChatOutcome::Unknown, "the closure panicked".to_owned()),
        Some(Err(SendError::Api(error))) => error,
        Some(Err(error)) => return ended(ChatOutcome::Failed, chain(&error)),
    };
    match error {
        ApiError::Refused {
            migrate_to_chat_id: Some(to),
            ..
        } => Verdict::Moved(to),
        // Neither says anything about the chat: the token is wrong, or the method.
        ApiError::Refused { code: 401 | 404, .. } => Verdict::Halt(Halt::Refused(error)),
        ApiError::Refused {
            code: 403,
            description,
            ..
        } => ended(ChatOutcome::Blocked, description),
        ApiError::Refused { description, .. } => ended(ChatOutcome::Failed, description),
        ApiError::FloodWait { retry_after, .. } => Verdict::Later(retry_after),
        ApiError::NotSent {
            source: NotSentCause::Client(_),
            ..
        } => ended(ChatOutcome::Failed, chain(&error)),
        // Usually there is too much to do in this chat, so the others go on.
        ApiError::WaitedTooLong { .. } | ApiError::QueueFull { of_chat: true, .. } => {
            Verdict::Later(BUSY_PAUSE)
        }
        ApiError::NotSent { .. } | ApiError::QueueFull { .. } => Verdict::Hold(chain(&error)),
        ApiError::Unknown { .. } => ended(ChatOutcome::Unknown, chain(&error)),
        // The server has executed it.
        ApiError::Decode { .. } => Verdict::Ended(ChatOutcome::Sent, None),
        ApiError::Encode { .. }
        | ApiError::Method { .. }
        | ApiError::File { .. }
        | ApiError::TooLarge { .. } => ended(ChatOutcome::Failed, chain(&error)),
        ApiError::Stopped { .. } => Verdict::Halt(Halt::GatewayGone),
    }
}

/// Returns an error with all its causes on one line.
fn chain(error: &dyn Error) -> String {
    let levels = std::iter::successors(Some(error), |error| (*error).source());
    levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::api::UnknownCause;

    fn refused(code: u16, description: &str, migrate_to_chat_id: Option<i64>) -> ApiError {
        ApiError::Refused {
            method: "sendMessage".to_owned(),
            code,
            description: description.to_owned(),
            migrate_to_chat_id,
        }
    }

    fn judged(error: impl Into<SendError>) -> Verdict {
        judge(Some(Err(error.into())))
    }

    fn outcome(error: impl Into<SendError>) -> (ChatOutcome, String) {
        match judged(error) {
            Verdict::Ended(outcome, reason) => (outcome, reason.unwrap_or_default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_says_whether_the_bot_is_blocked_or_the_message_failed() {
        let blocked = "Forbidden: bot was blocked by the user";
        let missing = "Bad Request: chat not found";

        assert_eq!(
            outcome(refused(403, blocked, None)),
            (ChatOutcome::Blocked, blocked.to_owned())
        );
        assert_eq!(
            outcome(refused(400, missing, None)),
            (ChatOutcome::Failed, missing.to_owned())
        );
    }

    #[test]
    fn a_group_that_moved_is_followed_and_not_failed() {
        let moved = refused(400, "Bad Request: group chat was upgraded", Some(-1007));

        assert!(matches!(judged(moved), Verdict::Moved(-1007)));
    }

    #[test]
    fn a_wrong_token_ends_everything_and_no_chat() {
        for code in [401, 404] {
            let verdict = judged(refused(code, "Unauthorized", None));

            assert!(matches!(verdict, Verdict::Halt(Halt::Refused(_))), "{verdict:?}");
        }
    }

    #[test]
    fn only_a_lost_answer_leaves_the_outcome_unknown() {
        let unknown = ApiError::Unknown {
            method: "sendMessage".to_owned(),
            status: None,
            source: UnknownCause::Closed,
        };
        let decode = ApiError::Decode {
            method: "sendMessage".to_owned(),
            source: serde_json::from_str::<u8>("x").unwrap_err(),
        };

        assert_eq!(outcome(unknown).0, ChatOutcome::Unknown);
        assert_eq!(outcome(decode).0, ChatOutcome::Sent);
        let panicked = judge(None);
        assert!(
            matches!(panicked, Verdict::Ended(ChatOutcome::Unknown, Some(_))),
            "{panicked:?}"
        );
    }

    #[test]
    fn what_was_not_sent_is_tried_again() {
        let flood = ApiError::FloodWait {
            method: "sendMessage".to_owned(),
            retry_after: Duration::from_secs(77),
        };
        let not_sent = ApiError::NotSent {
            method: "sendMessage".to_owned(),
            source: NotSentCause::Connect(io::Error::other("cable cut")),
        };
        let late = ApiError::WaitedTooLong {
            method: "sendMessage".to_owned(),
            limit: Duration::ZERO,
        };

        assert!(matches!(judged(flood), Verdict::Later(wait) if wait == Duration::from_secs(77)));
        assert!(matches!(judged(not_sent), Verdict::Hold(why) if why.contains("cable cut")));
        assert!(matches!(judged(late), Verdict::Later(BUSY_PAUSE)));
    }

    #[test]
    fn a_part_that_was_sent_is_never_repeated() {
        let flood = ApiError::FloodWait {
            method: "sendMessage".to_owned(),
            retry_after: Duration::from_secs(77),
        };

        let (partly, reason) = outcome(SendError::partly(flood));

        assert_eq!(partly, ChatOutcome::Failed);
        assert!(reason.starts_with("only a part was sent: "), "{reason}");
    }
}
