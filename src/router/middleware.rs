//! What runs around handlers.

use std::{fmt, future::Future, rc::Rc, sync::Arc};

use futures_util::future::LocalBoxFuture;

use super::endpoint::Endpoint;
use crate::{Context, Respond, extract::DataMap, handler::HandlerResult};

/// What runs around the handlers of a [`Router`](crate::Router): before them, after them, or instead of them.
///
/// ```
/// use actogram::{Context, HandlerResult, Middleware, Next, Router};
///
/// /// Lets only some people in.
/// struct Only(Vec<i64>);
///
/// impl Middleware for Only {
///     async fn handle(&self, context: Context, next: Next) -> HandlerResult {
///         match context.update().user_id() {
///             Some(user) if self.0.contains(&user) => next.call(context).await,
///             _ => Ok(()),
///         }
///     }
/// }
/// # let _ = Router::new().wrap(Only(vec![42]));
/// ```
///
/// Functions and closures of a [`Context`] and a [`Next`] are middleware as well; see
/// [`Router::wrap_fn`](crate::Router::wrap_fn). Not calling `next` ends the update as the middleware's own result says.
/// A panic costs the update an attempt; all of it is dropped when the handler's deadline passes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not middleware",
    label = "expected a type that implements `Middleware`, or an `async fn(Context, Next) -> HandlerResult`",
    note = "give closures to `wrap_fn`"
)]
pub trait Middleware: 'static {
    /// Handles one update, usually by calling [`Next::call`].
    fn handle(&self, context: Context, next: Next) -> impl Future<Output = HandlerResult>;
}

impl<F, Fut> Middleware for F
where
    F: Fn(Context, Next) -> Fut + 'static,
    Fut: Future,
    Fut::Output: Respond,
{
    async fn handle(&self, context: Context, next: Next) -> HandlerResult {
        self(context.clone(), next).await.respond(&context).await
    }
}

/// Middleware with its types erased.
pub(super) trait DynMiddleware {
    fn handle(self: Rc<Self>, context: Context, next: Next) -> LocalBoxFuture<'static, HandlerResult>;
}

impl<M: Middleware> DynMiddleware for M {
    fn handle(self: Rc<Self>, context: Context, next: Next) -> LocalBoxFuture<'static, HandlerResult> {
        Box::pin(async move { Middleware::handle(&*self, context, next).await })
    }
}

/// Something on the way to a handler.
#[derive(Clone)]
pub(super) enum Step {
    /// The state of a router comes into view.
    Enter(Arc<DataMap>),
    Wrap(Rc<dyn DynMiddleware>),
}

/// The rest of the way to the handler: more middleware, then the handler itself.
#[derive(Clone)]
pub struct Next {
    steps: Rc<[Step]>,
    taken: usize,
    endpoint: Rc<dyn Endpoint>,
}

impl Next {
    pub(super) fn new(steps: Vec<Step>, endpoint: Rc<dyn Endpoint>) -> Self {
        Self {
            steps: steps.into(),
            taken: 0,
            endpoint,
        }
    }

    /// Goes on with this context, which may have been given [more data](Context::with_data), and returns how it ended. A
    /// clone may be called again, for another try at once.
    pub async fn call(mut self, mut context: Context) -> HandlerResult {
        while let Some(step) = self.steps.get(self.taken).cloned() {
            self.taken += 1;
            match step {
                Step::Enter(data) => context = context.within(&context.layers().with_layer(&data)),
                Step::Wrap(middleware) => return middleware.handle(context, self).await,
            }
        }
        self.endpoint.call(context).await
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("steps_left", &(self.steps.len() - self.taken))
            .finish_non_exhaustive()
    }
}
