//! The part of a stop in which the source is emptied: fetching goes on until there is nothing more to give out in time.

use std::{convert::Infallible, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use crate::{error::SourceError, poller::PollerHandle};

/// Time between two lines of the log that say how many deliveries are left.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Time for counting them, before the first line does without.
const COUNT_PATIENCE: Duration = Duration::from_millis(250);

/// Why emptying has to end before its time.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// Nobody waits for work any more.
    Hurry,
    /// Nothing more is fetched: a part was lost, or the source has failed, with this error unless it is reported already.
    PollerEnded(Option<SourceError>),
}

/// How emptying ended.
#[derive(Debug)]
pub(crate) enum Emptied {
    /// The source has nothing more to give out in time.
    Exhausted,
    /// Time is up, or nobody waits any more.
    CutShort,
    /// The source has failed, or a part was lost.
    Failed(Option<SourceError>),
}

/// Waits until the source of the poller has nothing more to give out within `time`, at most for that long. Before `all_kept`
/// is closed, something may still be on its way to the source.
pub(crate) async fn empty(
    poller: &PollerHandle,
    all_kept: oneshot::Receiver<Infallible>,
    time: Duration,
    mut interruptions: mpsc::UnboundedReceiver<Interruption>,
) -> Emptied {
    let ends_at = Instant::now().checked_add(time);
    let exhausted = async {
        let left = timeout(COUNT_PATIENCE, poller.kept()).await.ok().flatten();
        tracing::info!(left, ?time, "emptying the source");
        // It ends with an error in any case, since nothing can be sent.
        let _ = all_kept.await;
        let rest = ends_at.map_or(time, |at| at.saturating_duration_since(Instant::now()));
        poller.exhausted(rest).await
    };
    tokio::select! {
        // An order to hurry first: it may have come before this began.
        biased;
        Some(interruption) = interruptions.recv() => match interruption {
            Interruption::Hurry => Emptied::CutShort,
            Interruption::PollerEnded(error) => {
                tracing::error!("fetching has ended, the source is not emptied");
                Emptied::Failed(error)
            }
        },
        result = exhausted => match result {
            Ok(Ok(())) => {
                tracing::info!("the source has nothing more to give out");
                Emptied::Exhausted
            }
            Ok(Err(error)) => {
                tracing::error!(error = error.chain(), "source failed, it is not emptied");
                Emptied::Failed(Some(error))
            }
            Err(_gone) => Emptied::Failed(None),
        },
        () = sleep(time) => {
            tracing::info!("the time for emptying the source is up");
            Emptied::CutShort
        }
        never = tell_what_is_left(poller) => match never {},
    }
}

async fn tell_what_is_left(poller: &PollerHandle) -> Infallible {
    loop {
        sleep(TELL_EVERY).await;
        let left = poller.kept().await;
        tracing::info!(left, "still emptying the source");
    }
}
