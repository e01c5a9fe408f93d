//! One send to one chat: begun on record, made, judged, and its outcome recorded.

use std::{panic::AssertUnwindSafe, pin::Pin, rc::Rc, time::Duration};

use futures_util::FutureExt;

use super::{
    error::BroadcastError,
    judge::{Halt, Verdict, judge},
    ledger::Ledger,
    record::{ChatOutcome, Ended, Mark, Marked},
    send_error::SendError,
};
use crate::api::Api;

/// What sends the message to a chat.
pub(super) type Send =
    Box<dyn Fn(Api, i64) -> Pin<Box<dyn Future<Output = Result<(), SendError>>>> + std::marker::Send>;

/// Ids that a chat may have had one after the other. Telegram upgrades a group once.
const MOST_MOVES: usize = 3;

/// What the attempts share.
pub(super) struct Means {
    pub(super) ledger: Ledger,
    pub(super) api: Api,
    pub(super) send: Send,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Done {
    /// The chat as the source named it.
    pub(super) chat: i64,
    /// Outcomes that were recorded, in order: a group that moved has one of its own.
    pub(super) outcomes: Vec<ChatOutcome>,
    /// Whether an unknown outcome of an earlier run was taken back.
    pub(super) again: bool,
    pub(super) next: Next,
}

/// How it goes on.
#[derive(Debug)]
pub(super) enum Next {
    /// With other chats: this one has ended, now or earlier.
    Others,
    /// With this one, after this time.
    Later(Duration),
    /// With this one, when calls can be made again.
    Hold(String),
    /// Not at all.
    Stop(BroadcastError),
}

/// Sends the message to a chat unless it has it. A chat that moved is followed.
pub(super) async fn attempt(means: Rc<Means>, chat: i64) -> Done {
    let mut done = Done {
        chat,
        outcomes: Vec::new(),
        again: false,
        next: Next::Others,
    };
    if let Err(error) = steps(&means, &mut done).await {
        done.next = Next::Stop(error);
    }
    done
}

async fn steps(means: &Means, done: &mut Done) -> Result<(), BroadcastError> {
    let ledger = &means.ledger;
    let mut target = done.chat;
    for _ in 0..MOST_MOVES {
        match ledger.mark(Mark::Begin(target)).await? {
            Marked::Go { again } => done.again |= again,
            Marked::Known { moved_to: Some(to) } => {
                target = to;
                continue;
            }
            Marked::Known { moved_to: None } | Marked::Noted => return Ok(()),
        }
        let sending = async { (means.send)(means.api.clone(), target).await };
        let result = AssertUnwindSafe(sending).catch_unwind().await;
        let (outcome, moved_to, reason) = match judge(result.ok()) {
            Verdict::Ended(outcome, reason) => (outcome, None, reason),
            Verdict::Moved(to) => (ChatOutcome::Moved, Some(to), None),
            Verdict::Later(wait) => {
                done.next = Next::Later(wait);
                return ledger.mark(Mark::Release(target)).await.map(drop);
            }
            Verdict::Hold(why) => {
                done.next = Next::Hold(why);
                return ledger.mark(Mark::Release(target)).await.map(drop);
            }
            Verdict::Halt(halt) => {
                ledger.mark(Mark::Release(target)).await?;
                return Err(match halt {
                    Halt::Refused(error) => BroadcastError::Refused(error.into()),
                    Halt::GatewayGone => BroadcastError::BotStopped,
                });
            }
        };
        let ended = Ended {
            chat: target,
            outcome,
            moved_to,
            reason,
        };
        ledger.mark(Mark::End(ended)).await?;
        done.outcomes.push(outcome);
        match moved_to {
            Some(to) => target = to,
            None => return Ok(()),
        }
    }
    Ok(())
}
