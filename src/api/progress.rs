//! How far an upload or a download is.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

/// How far an upload or a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes so far: of an upload those given to the connection, with everything around the files; of a download those
    /// received.
    pub bytes: u64,
    /// Bytes in all, when they are known. Always known for an upload.
    pub total: Option<u64>,
}

/// What a caller wants to be called with.
#[derive(Clone)]
pub(crate) struct ProgressHook(Arc<dyn Fn(Progress) + Send + Sync>);

impl ProgressHook {
    pub(crate) fn new(hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Waits for the end of a call, calling the hook meanwhile.
    pub(crate) async fn watch<T>(
        &self,
        mut watched: watch::Receiver<Progress>,
        outcome: impl Future<Output = T>,
    ) -> T {
        let mut outcome = std::pin::pin!(outcome);
        let mut reported = Progress::default();
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut outcome => break ended,
                changed = watched.changed() => match changed {
                    Ok(()) => {
                        reported = *watched.borrow_and_update();
                        (self.0)(reported);
                    }
                    Err(_no_more) => break outcome.await,
                },
            }
        };
        let last = *watched.borrow();
        if last != reported {
            (self.0)(last);
        }
        ended
    }
}

impl fmt::Debug for ProgressHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressHook")
    }
}

/// Counts the bytes of one call, for whoever watches.
#[derive(Debug, Clone)]
pub(crate) struct ProgressSender(watch::Sender<Progress>);

impl ProgressSender {
    pub(crate) fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(sender), receiver)
    }

    /// Begins an attempt.
    pub(crate) fn begin(&self, total: Option<u64>) {
        self.0.send_replace(Progress { bytes: 0, total });
    }

    pub(crate) fn advance(&self, bytes: usize) {
        self.0.send_modify(|progress| progress.bytes += bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;

    use super::*;

    type Seen = Arc<Mutex<Vec<(u64, Option<u64>)>>>;

    fn collecting() -> (ProgressHook, Seen) {
        let seen = Seen::default();
        let hook = {
            let seen = Arc::clone(&seen);
            ProgressHook::new(move |progress| seen.lock().unwrap().push((progress.bytes, progress.total)))
        };
        (hook, seen)
    }

    #[test]
    fn the_last_state_is_reported_although_the_call_ended_at_once() {
        let (hook, seen) = collecting();
        let (sender, watched) = ProgressSender::new();

        let call = async move {
            sender.begin(Some(7));
            sender.advance(3);
            sender.advance(4);
            "done"
        };
        let ended = hook.watch(watched, call).now_or_never();

        assert_eq!(ended, Some("done"));
        assert_eq!(*seen.lock().unwrap(), [(7, Some(7))]);
    }

    #[test]
    fn the_last_state_is_reported_once() {
        let (hook, seen) = collecting();
        let (sender, watched) = ProgressSender::new();

        let call = async {
            sender.begin(None);
            sender.advance(3);
            tokio::task::yield_now().await;
        };
        hook.watch(watched, call).now_or_never();

        assert_eq!(*seen.lock().unwrap(), [(3, None)]);
    }

    #[test]
    fn a_call_without_a_file_reports_nothing() {
        let (hook, seen) = collecting();
        let (sender, watched) = ProgressSender::new();

        hook.watch(watched, async move { drop(sender) }).now_or_never();

        assert!(seen.lock().unwrap().is_empty());
    }
}
