//! How the calls through one handle differ from those through another.

use std::time::Duration;

use super::{
    handle::Api,
    pacing::Pacing,
    progress::{Progress, ProgressHook},
};

/// What the gateway has to know of the handle through which a call was made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallOptions {
    pub(crate) pacing: Option<Pacing>,
    pub(crate) repeat_unknown: bool,
    pub(crate) max_wait: Option<Duration>,
}

/// Each returns another handle to the same gateway; the handle itself does not change.
///
/// ```no_run
/// # async fn example(api: &actogram::api::Api) -> Result<(), actogram::api::ApiError> {
/// use std::time::Duration;
///
/// use actogram::api::Pacing;
///
/// let bulk = api.paced(Pacing::bulk()).max_wait(Duration::from_secs(3600));
/// for chat in 1..=1000 {
///     bulk.send_text(chat, "News").await?;
/// }
/// # Ok(())
/// # }
/// ```
impl Api {
    /// Returns a handle whose calls into chats keep to a pace. The default is
    /// [`ApiConfig::pacing`](super::ApiConfig::pacing).
    ///
    /// Handles with the same pacing share its budget, whoever made them.
    #[must_use]
    pub fn paced(&self, pacing: Pacing) -> Self {
        self.with_options(|options| options.pacing = Some(pacing))
    }

    /// Returns a handle whose calls are repeated after an [unknown outcome](super::ApiError::Unknown), whatever the
    /// method, as often as [`ApiConfig::attempts`](super::ApiConfig::attempts) allows. A message may then be sent more
    /// than once; by default only methods are repeated for which that makes no difference.
    ///
    /// If no attempt has a definite success, the unknown outcome is reported.
    #[must_use]
    pub fn repeat_unknown(&self) -> Self {
        self.with_options(|options| options.repeat_unknown = true)
    }

    /// Returns a handle whose calls wait at most this long before they are made, as with
    /// [`ApiConfig::max_wait`](super::ApiConfig::max_wait).
    #[must_use]
    pub fn max_wait(&self, wait: Duration) -> Self {
        self.with_options(|options| options.max_wait = Some(wait))
    }

    /// Returns a handle that reports how far its uploads and downloads are, each from its own beginning. Other calls
    /// report nothing.
    ///
    /// The hook runs in the task that waits for the call, so it should be quick, and a panic is that task's own. It is
    /// called for the latest state when there is a new one: steps may be left out, the last one is not. When a call is
    /// repeated, its bytes begin at 0 again. A [`FileStream`](super::FileStream) reports nothing; its reader knows.
    #[must_use]
    pub fn on_progress(&self, hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        let mut api = self.clone();
        api.progress = Some(ProgressHook::new(hook));
        api
    }

    /// Returns a handle whose downloads may be this many bytes long, as with
    /// [`ApiConfig::max_download`](super::ApiConfig::max_download).
    #[must_use]
    pub fn max_download(&self, bytes: u64) -> Self {
        let mut api = self.clone();
        api.max_download = bytes;
        api
    }

    fn with_options(&self, change: impl FnOnce(&mut CallOptions)) -> Self {
        let mut api = self.clone();
        change(&mut api.options);
        api
    }
}
