//! The lane of each update, as the user of the library wants it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actogram_actors::Lane;

use crate::update::Update;

/// Chooses the lane of an update.
type LaneBy = Arc<dyn Fn(&Update) -> Lane + Send + Sync>;

/// Tells which updates do not wait for the others of their lane.
type Bypass = Arc<dyn Fn(&Update) -> bool + Send + Sync>;

/// How lanes are chosen; the default is the update's own one. Cloning shares the choosers.
#[derive(Clone, Default)]
pub(crate) struct LaneChoice {
    pub(crate) lane_by: Option<LaneBy>,
    pub(crate) bypass: Option<Bypass>,
}

impl fmt::Debug for LaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneChoice")
            .field("lane_by", &self.lane_by.is_some())
            .field("bypass", &self.bypass.is_some())
            .finish()
    }
}

impl LaneChoice {
    /// Chooses the lane. The choosers are the user's code: when one panics, the usual lane is taken.
    pub(crate) fn lane(&self, update: &Update) -> Lane {
        if let Some(bypass) = &self.bypass {
            match catch_unwind(AssertUnwindSafe(|| bypass(update))) {
                Ok(true) => return Lane::new(format!("bypass:{}", update.id())),
                Ok(false) => {}
                Err(_panic) => tracing::error!(
                    update_id = update.id(),
                    "the function given to bypass panicked, took the usual lane"
                ),
            }
        }
        let Some(lane_by) = &self.lane_by else {
            return update.lane().clone();
        };
        catch_unwind(AssertUnwindSafe(|| lane_by(update))).unwrap_or_else(|_panic| {
            tracing::error!(
                update_id = update.id(),
                "the function given to lane_by panicked, took the usual lane"
            );
            update.lane().clone()
        })
    }
}
