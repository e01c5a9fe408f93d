//! The router: a list of routes, and what surrounds them.

use std::{fmt, future::Future, rc::Rc, sync::Arc};

use super::{
    command_route::CommandRoute,
    endpoint::{Endpoint, HandlerFn, endpoint},
    interests::Interests,
    matching::{self, Matcher, NameNeeded, Predicate, Route},
    middleware::{DynMiddleware, Middleware, Next},
};
use crate::{
    Context, FromUpdate, Handler, Respond,
    extract::{Data, DataMap},
    handler::{HandlerError, HandlerResult},
    update::UpdateKind,
};

/// Chooses a handler for each update by what the update is, in the manner of actix-web's `App`.
///
/// ```no_run
/// use actogram::{
///     Answer, Bot, BotReport, Router,
///     extract::{CallbackData, Text},
/// };
///
/// #[actix::main]
/// async fn main() -> Result<BotReport, actogram::Error> {
///     Bot::from_env()
///         .handlers(|| {
///             Router::new()
///                 .command(("start", "Begins"), start)
///                 .callback("vote:", vote)
///                 .text(echo)
///         })
///         .run()
///         .await
/// }
///
/// async fn start() -> &'static str {
///     "Hello!"
/// }
///
/// async fn vote(CallbackData(option): CallbackData<u8>) -> Answer {
///     Answer::text(format!("you voted for {option}"))
/// }
///
/// async fn echo(Text(text): Text) -> String {
///     text
/// }
/// ```
///
/// Handlers are async functions of [extractors](crate::extract) that return what implements [`Respond`]. The factory builds
/// one router per worker, so shared state is made outside of it and cloned inside ([`Data`]).
///
/// # Which route takes an update
///
/// 1. The [guards](Self::guard) of the router must hold, or nothing in it is looked at.
/// 2. The first route that matches takes the update, in the order in which they were added. An extractor that fails later
///    does not make another route try.
/// 3. A [scope](Self::scope) is looked through at its place, by these same rules. When nothing in it matches and it has no
///    default, the routes behind it have their turn.
/// 4. What no route matches goes to the [default](Self::default) handler, wherever that was added.
/// 5. What then is still not taken is counted ([`BotSnapshot::unrouted`](crate::BotSnapshot::unrouted)), logged at debug level
///    and done.
///
/// An update that the typed model cannot decode matches no route that has to look inside. It goes to the first of
/// [`raw`](Self::raw), [`on`](Self::on) its kind, [`filter`](Self::filter) or [`default`](Self::default) that takes it; if its
/// handler wants more than the raw text, or if none takes a message or callback query of that sort, it becomes a dead letter.
///
/// # What surrounds a handler
///
/// [Middleware](Self::wrap) runs around every handler of its router and of the scopes in it, wherever it was added; what
/// no route takes does not meet it. Of several, the one added **last** runs first, as in actix-web; that of the outer
/// router runs before that of a scope. [State](Self::app_data) of a scope hides that of the routers around it.
///
/// # What the bot learns from its routes
///
/// The bot asks one router, built at its start, which kinds of updates to have sent ([`Bot::allowed_updates`], unless it is
/// called) and which commands to show ([`Bot::publish_commands`], if it is called).
///
/// [`Bot::allowed_updates`]: crate::Bot::allowed_updates
/// [`Bot::publish_commands`]: crate::Bot::publish_commands
#[must_use = "a router does nothing until a bot has it as its handler"]
pub struct Router(Rc<Routes>);

/// The routes of one router. Cloning shares the handlers.
#[derive(Clone, Default)]
pub(super) struct Routes {
    pub(super) data: Arc<DataMap>,
    pub(super) guards: Vec<Predicate>,
    pub(super) middleware: Vec<Rc<dyn DynMiddleware>>,
    pub(super) routes: Vec<Route>,
    pub(super) default: Option<Rc<dyn Endpoint>>,
}

impl Router {
    /// Returns a router without routes: it takes nothing.
    #[allow(clippy::new_without_default, reason = "`default` is the name of a route")]
    pub fn new() -> Self {
        Self(Rc::default())
    }

    /// Adds a handler of a command: a name such as `"start"`, a name with a description, or a [`CommandRoute`].
    ///
    /// It takes new messages (or what [`CommandRoute::kinds`] says) that begin with the command, in their text or caption, in
    /// any case, and that are not addressed to another bot. What the name of this bot is will be asked of the server at the
    /// first command that is addressed to somebody; should that fail, the update is tried again. The arguments are for
    /// [`Command`](crate::extract::Command).
    ///
    /// # Panics
    ///
    /// Panics when it cannot be the name of a command; see [`CommandRoute::new`].
    #[track_caller]
    pub fn command<F, Args>(self, command: impl Into<CommandRoute>, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Command(command.into()), endpoint(handler))
    }

    /// Adds a handler of every command in a new message that is not addressed to another bot: for unknown commands, when it
    /// stands behind the known ones. [`CommandName`](crate::extract::CommandName) tells which one it is.
    pub fn any_command<F, Args>(self, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::AnyCommand, endpoint(handler))
    }

    /// Adds a handler of new messages with text, commands included that no earlier route takes.
    pub fn text<F, Args>(self, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Text, endpoint(handler))
    }

    /// Adds a handler of callback queries whose data begins with `prefix`; an empty one takes all that have data. The rest
    /// of the data is for [`CallbackData`](crate::extract::CallbackData).
    pub fn callback<F, Args>(self, prefix: &str, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Callback(prefix.into()), endpoint(handler))
    }

    /// Adds a handler of all updates of a kind. [`UpdateKind::Unknown`] stands for the kinds that this version of the crate
    /// does not know.
    ///
    /// ```
    /// use actogram::{HandlerResult, Router, api::Api, update::UpdateKind};
    /// use frankenstein::types::PollAnswer;
    ///
    /// async fn voted(answer: PollAnswer) {
    ///     println!("poll {}: {:?}", answer.poll_id, answer.option_ids);
    /// }
    ///
    /// Router::new().on(UpdateKind::PollAnswer, voted);
    /// # use actogram::frankenstein;
    /// ```
    pub fn on<F, Args>(self, kind: UpdateKind, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Kind(kind), endpoint(handler))
    }

    /// Adds a handler of all updates for which `predicate` returns true. The predicate sees the state of the routers around
    /// it with [`Context::data`], may be called more than once per update, and must not block.
    pub fn filter<F, Args>(self, predicate: impl Fn(&Context) -> bool + 'static, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Filter(Rc::new(predicate)), endpoint(handler))
    }

    /// Adds a handler of updates whose kind or shape the typed model does not know. It can work on what needs no decoding:
    /// [`Raw`](crate::extract::Raw), [`Update`](crate::update::Update), [`Api`](crate::api::Api).
    pub fn raw<F, Args>(self, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.route(Matcher::Undecodable, endpoint(handler))
    }

    /// Adds a router inside this one, with guards, state, middleware and a default of its own.
    ///
    /// ```
    /// use actogram::Router;
    ///
    /// async fn ban() -> &'static str {
    ///     "banned"
    /// }
    ///
    /// Router::new().scope(
    ///     Router::new()
    ///         .guard(|ctx| ctx.update().user_id() == Some(42))
    ///         .command("ban", ban),
    /// );
    /// ```
    pub fn scope(self, scope: Self) -> Self {
        self.change(|routes| routes.routes.push(Route::Scope(Rc::unwrap_or_clone(scope.0))))
    }

    /// Sets the handler of what no route takes. A second one replaces the first.
    pub fn default<F, Args>(self, handler: F) -> Self
    where
        F: HandlerFn<Args>,
        F::Output: Respond,
        Args: FromUpdate + 'static,
    {
        self.change(|routes| routes.default = Some(endpoint(handler)))
    }

    /// Adds a condition for this router as a whole, its default included: an update for which it is false is not looked at by
    /// it. All guards must hold. As for predicates of [`filter`](Self::filter), state is in view; middleware has not run.
    pub fn guard(self, guard: impl Fn(&Context) -> bool + 'static) -> Self {
        self.change(|routes| routes.guards.push(Rc::new(guard)))
    }

    /// Adds state for the extractors of [`Data`] in this router; a second one of the same type replaces the first.
    pub fn app_data<T: ?Sized + Send + Sync + 'static>(self, data: Data<T>) -> Self {
        self.change(|routes| Arc::make_mut(&mut routes.data).insert(data))
    }

    /// Adds middleware around all handlers of this router. What is added last runs first.
    pub fn wrap(self, middleware: impl Middleware) -> Self {
        self.change(|routes| routes.middleware.push(Rc::new(middleware)))
    }

    /// Adds a closure as [middleware](Self::wrap).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use actogram::Router;
    ///
    /// Router::new().wrap_fn(|ctx, next| async move {
    ///     let started = Instant::now();
    ///     let result = next.call(ctx).await;
    ///     println!("took {:?}", started.elapsed());
    ///     result
    /// });
    /// ```
    pub fn wrap_fn<F, Fut>(self, middleware: F) -> Self
    where
        F: Fn(Context, Next) -> Fut + 'static,
        Fut: Future + 'static,
        Fut::Output: Respond,
    {
        self.wrap(middleware)
    }

    fn route(self, matcher: Matcher, endpoint: Rc<dyn Endpoint>) -> Self {
        self.change(|routes| routes.routes.push(Route::Handler(matcher, endpoint)))
    }

    fn change(mut self, change: impl FnOnce(&mut Routes)) -> Self {
        change(Rc::make_mut(&mut self.0));
        self
    }
}

impl Handler for Router {
    const DESCRIBES_ITSELF: bool = true;

    fn handle(&self, context: Context) -> impl Future<Output = HandlerResult> + 'static {
        let routes = Rc::clone(&self.0);
        async move {
            let mut username = context.facts().known_username();
            let found = loop {
                match matching::find(&routes, &context, username) {
                    Ok(found) => break found,
                    Err(NameNeeded) => username = Some(context.bot_username().await?),
                }
            };
            match (found, context.undecodable()) {
                (Some(next), _) => next.call(context).await,
                // Some route might have taken it, had it been possible to look inside.
                (None, Some(error)) => Err(HandlerError::give_up(error.clone())),
                (None, None) => {
                    context.facts().count_unrouted();
                    let update = context.update();
                    tracing::debug!(kind = update.kind_name(), "no route takes the update");
                    Ok(())
                }
            }
        }
    }

    fn interests(&self) -> Option<Interests> {
        Some(self.0.add_to(Interests::new()))
    }
}

impl Routes {
    fn add_to(&self, mut interests: Interests) -> Interests {
        for route in &self.routes {
            interests = match route {
                Route::Scope(scope) => scope.add_to(interests),
                Route::Handler(matcher, _) => matcher.add_to(interests),
            };
        }
        if self.default.is_some() {
            interests = interests.everything();
        }
        interests
    }
}

impl Matcher {
    fn add_to(&self, mut interests: Interests) -> Interests {
        match self {
            Self::Command(command) => {
                for kind in &command.kinds {
                    interests = interests.kind(*kind);
                }
                match (command.names.first(), &command.description) {
                    (Some(name), Some(description)) => interests.command(name, description),
                    _ => interests,
                }
            }
            Self::AnyCommand | Self::Text => interests.kind(UpdateKind::Message),
            Self::Callback(_) => interests.kind(UpdateKind::CallbackQuery),
            Self::Kind(kind) => interests.kind(*kind),
            Self::Filter(_) | Self::Undecodable => interests.everything(),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.0.routes.len())
            .field("middleware", &self.0.middleware.len())
            .field("interests", &self.interests())
            .finish_non_exhaustive()
    }
}
