//! The handle of a running broadcast.

use std::fmt;

use tokio::sync::watch;

use super::{
    error::BroadcastError,
    ledger::Ledger,
    page::{BroadcastChats, ChatsPage},
    progress::BroadcastProgress,
    report::BroadcastReport,
};

/// What a broadcast is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Run,
    Pause,
    /// End, but not for good.
    Stop,
    /// End for good.
    Cancel,
    /// End without waiting for what runs.
    Abort,
}

/// Gives a command, unless an earlier one is final.
pub(super) fn tell(control: &watch::Sender<Command>, command: Command) {
    control.send_if_modified(|current| {
        let allowed = match *current {
            Command::Run | Command::Pause => true,
            // A person who cancels what just stops means it.
            Command::Stop => matches!(command, Command::Cancel | Command::Abort),
            Command::Cancel => command == Command::Abort,
            Command::Abort => false,
        };
        let changed = allowed && *current != command;
        if changed {
            *current = command;
        }
        changed
    });
}

/// How a broadcast ended, once it has.
pub(super) type Ended = watch::Receiver<Option<Result<BroadcastReport, BroadcastError>>>;

/// Handle of a running broadcast: look at it, pause it, stop it, cancel it.
///
/// `Clone + Send + Sync`; works from any thread and any async runtime. Dropping it stops nothing.
#[derive(Clone)]
pub struct BroadcastHandle {
    pub(super) name: String,
    pub(super) control: watch::Sender<Command>,
    pub(super) progress: watch::Receiver<BroadcastProgress>,
    pub(super) ended: Ended,
    pub(super) ledger: Ledger,
}

impl fmt::Debug for BroadcastHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastHandle")
            .field("name", &self.name)
            .field("progress", &*self.progress.borrow())
            .finish_non_exhaustive()
    }
}

impl BroadcastHandle {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how far it is.
    pub fn progress(&self) -> BroadcastProgress {
        self.progress.borrow().clone()
    }

    /// Waits until the progress differs from what this handle has waited for last, and returns it; `None` when the
    /// broadcast has ended and its last progress was returned. Changes that come quickly may be seen as one.
    pub async fn next_progress(&mut self) -> Option<BroadcastProgress> {
        self.progress.changed().await.ok()?;
        Some(self.progress.borrow_and_update().clone())
    }

    /// Begins with no further chat until [`resume`](Self::resume); what is running ends. Holds for this run: a broadcast
    /// that is resumed after a restart runs.
    pub fn pause(&self) {
        tell(&self.control, Command::Pause);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        tell(&self.control, Command::Run);
    }

    /// Begins with no further chat and ends this run; what is running ends first. Starting the broadcast again under the
    /// same name resumes it. Returns at once; [`wait`](Self::wait) tells when it has ended.
    pub fn stop(&self) {
        tell(&self.control, Command::Stop);
    }

    /// Begins with no further chat and ends the broadcast for good; what is running ends first. Its records stay.
    /// Returns at once; [`wait`](Self::wait) tells when it has ended.
    pub fn cancel(&self) {
        tell(&self.control, Command::Cancel);
    }

    /// Waits until this run has ended, for whatever reason. Returns at once when it has already. Dropping the future stops
    /// nothing.
    ///
    /// # Errors
    ///
    /// What kept it from going on: [`BroadcastError::Source`], [`BroadcastError::Refused`], [`BroadcastError::Journal`],
    /// [`BroadcastError::Dropped`], [`BroadcastError::BotStopped`]. It has not ended for good then.
    pub async fn wait(&self) -> Result<BroadcastReport, BroadcastError> {
        let mut ended = self.ended.clone();
        let result = ended
            .wait_for(Option::is_some)
            .await
            .map_err(|_gone| BroadcastError::BotStopped)?
            .clone();
        result.unwrap_or(Err(BroadcastError::BotStopped))
    }

    /// Returns the chats whose outcome is recorded, a page at a time, in order of their ids.
    ///
    /// # Errors
    ///
    /// [`BroadcastError::Journal`] when the journal has failed or the bot has stopped.
    pub async fn chats(&self, filter: BroadcastChats) -> Result<ChatsPage, BroadcastError> {
        let found = self.ledger.page(filter.wanted()).await?;
        Ok(filter.page(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_final_and_a_later_wish_can_only_make_it_more_so() {
        let control = watch::Sender::new(Command::Run);

        for (wish, holds) in [
            (Command::Pause, Command::Pause),
            (Command::Run, Command::Run),
            (Command::Stop, Command::Stop),
            (Command::Run, Command::Stop),
            (Command::Cancel, Command::Cancel),
            (Command::Stop, Command::Cancel),
            (Command::Abort, Command::Abort),
            (Command::Cancel, Command::Abort),
        ] {
            tell(&control, wish);
            assert_eq!(*control.borrow(), holds, "after {wish:?}");
        }
    }
}
