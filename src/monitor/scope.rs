//! The scope and its settings.

use std::time::Duration;

use actix_web::{
    Route,
    dev::{AppService, HttpServiceFactory},
    guard,
    middleware::{DefaultHeaders, from_fn},
    web::{self, Data},
};

use super::{
    access::{self, Access, AccessToken},
    answer, events, health, page, status,
};
use crate::handle::BotHandle;

/// Returns the monitor of a bot, to be mounted at `path` (such as `/bot`, or nothing for the root) with
/// [`App::service`](actix_web::App::service). See the [module](crate::monitor) for what it answers.
///
/// It may be called once per worker of the server; the monitors of one bot share their limits.
pub fn scope(path: impl Into<String>, bot: BotHandle) -> Monitor {
    let mut path = path.into();
    path.truncate(path.trim_end_matches('/').len());
    Monitor {
        path,
        settings: Settings {
            bot,
            token: None,
            max_silence: Monitor::DEFAULT_MAX_SILENCE,
            max_block: Monitor::DEFAULT_MAX_BLOCK,
            max_viewers: Monitor::DEFAULT_MAX_VIEWERS,
            view_time: Monitor::DEFAULT_VIEW_TIME,
        },
    }
}

/// The monitor of a bot; from [`scope`].
#[derive(Debug, Clone)]
#[must_use = "a monitor does nothing until it is given to `App::service`"]
pub struct Monitor {
    path: String,
    settings: Settings,
}

/// What the routes need.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) bot: BotHandle,
    pub(super) token: Option<AccessToken>,
    pub(super) max_silence: Duration,
    pub(super) max_block: Duration,
    pub(super) max_viewers: usize,
    pub(super) view_time: Duration,
}

impl Monitor {
    /// Time for which the Bot API server may be silent until the bot is not ready: 90 s. A poll is answered after 50 s at
    /// the latest.
    pub const DEFAULT_MAX_SILENCE: Duration = Duration::from_secs(90);

    /// Time for which handlers may block all worker threads until the bot is not alive: 5 min, which is what one attempt may
    /// take by default.
    pub const DEFAULT_MAX_BLOCK: Duration = Duration::from_secs(300);

    /// Streams of events at a time: 16.
    pub const DEFAULT_MAX_VIEWERS: usize = 16;

    /// Time after which a stream of events ends: 10 min. The page then asks for another one.
    pub const DEFAULT_VIEW_TIME: Duration = Duration::from_secs(600);

    /// Sets the token that the owner has to send, from wherever; default none, so that the owner is whoever connects from
    /// this machine.
    pub fn access_token(mut self, token: AccessToken) -> Self {
        self.settings.token = Some(token);
        self
    }

    /// Sets for how long a `getUpdates` may be tried without success until the bot is not ready; default
    /// [`DEFAULT_MAX_SILENCE`](Self::DEFAULT_MAX_SILENCE). Keep it above the
    /// [poll timeout](crate::Bot::poll_timeout).
    pub fn max_silence(mut self, silence: Duration) -> Self {
        self.settings.max_silence = silence;
        self
    }

    /// Sets for how long handlers may block all worker threads at once, with code that does not await, until the bot is not
    /// alive and should be restarted; default [`DEFAULT_MAX_BLOCK`](Self::DEFAULT_MAX_BLOCK). What is shorter than a handler
    /// needs that computes for long restarts the bot in the middle of it, again and again. Nothing is noticed while nobody asks
    /// for the health or the numbers of the bot.
    pub fn max_block(mut self, block: Duration) -> Self {
        self.settings.max_block = block;
        self
    }

    /// Sets how many pages may be live at a time, over all workers of the server; default
    /// [`DEFAULT_MAX_VIEWERS`](Self::DEFAULT_MAX_VIEWERS). The next one gets 503.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.settings.max_viewers = viewers;
        self
    }

    /// Sets for how long a stream of events goes on and keeps its place; default
    /// [`DEFAULT_VIEW_TIME`](Self::DEFAULT_VIEW_TIME). So long keeps also a viewer its place that has vanished without a word.
    pub fn view_time(mut self, time: Duration) -> Self {
        self.settings.view_time = time;
        self
    }
}

/// Returns a route for what watches a bot, by `GET` or `HEAD`.
fn probe() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

impl HttpServiceFactory for Monitor {
    fn register(self, config: &mut AppService) {
        let Self { path, settings } = self;
        let headers = DefaultHeaders::new()
            .add(("cache-control", "no-store"))
            .add(("x-content-type-options", "nosniff"))
            .add(("x-frame-options", "DENY"))
            .add(("referrer-policy", "no-referrer"))
            .add(("content-security-policy", page::policy()));
        let access = Access::new(settings.token.clone());
        // Everything in here is for the owner alone, what does not exist included.
        let owned = web::scope("")
            .wrap(from_fn(move |request, next| {
                access::check(access.clone(), request, next)
            }))
            .service(web::resource("/status").get(status::status))
            .service(web::resource("/events").get(events::events));
        #[cfg(feature = "journal")]
        let owned = owned.configure(super::dead::routes);
        let mut scope = web::scope(&path)
            .wrap(headers)
            .app_data(Data::new(settings))
            .app_data(answer::query_errors())
            .app_data(answer::json_errors());
        if !path.is_empty() {
            scope = scope.service(web::resource("").get(page::redirect));
        }
        scope
            .service(web::resource("/").get(page::page))
            .service(web::resource("/healthz").route(probe().to(health::healthz)))
            .service(web::resource("/readyz").route(probe().to(health::readyz)))
            .service(web::resource("/metrics").get(status::metrics))
            .service(owned.default_service(web::to(answer::not_found)))
            .register(config);
    }
}
