//! Handler functions with their types erased as soon as a router has them.

use std::{future::Future, marker::PhantomData, rc::Rc};

use futures_util::future::LocalBoxFuture;

use crate::{Context, FromUpdate, Respond, handler::HandlerResult};

/// An async function (or a closure that returns a future) of up to eight extractors: what the routes of a
/// [`Router`](crate::Router) lead to. `Args` is the tuple of the arguments' types, which the compiler infers.
///
/// # Compiler errors
///
/// *`…` cannot be the handler of a route* means that it is not such a function: it is not `async`, has more than eight
/// arguments, or is a closure whose arguments have no types (write `|Text(text): Text| async move { … }`). A wrong argument or
/// a wrong return type is reported as *`…` cannot be made from an update* and *a handler cannot return `…`*.
///
/// ```compile_fail,E0277
/// // Not async.
/// fn start() -> &'static str { "Hello!" }
/// actogram::Router::new().command("start", start);
/// ```
///
/// ```compile_fail,E0277
/// // A number is no extractor.
/// async fn start(number: u8) -> &'static str { "Hello!" }
/// actogram::Router::new().command("start", start);
/// ```
///
/// ```compile_fail,E0277
/// // A number is no response.
/// async fn start() -> u8 { 5 }
/// actogram::Router::new().command("start", start);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the handler of a route",
    label = "expected an async function of up to eight extractors",
    note = "handlers are `async fn(A, B, …) -> R`: arguments implement `FromUpdate`, the return value implements `Respond`",
    note = "the arguments of closures need their types written out"
)]
pub trait HandlerFn<Args>: 'static {
    /// What the function returns in the end.
    type Output;

    /// The future it returns.
    type Future: Future<Output = Self::Output> + 'static;

    /// Calls it.
    fn call(&self, args: Args) -> Self::Future;
}

macro_rules! functions {
    ($($($name:ident)*;)+) => {
        $(
            impl<Function, Fut, $($name),*> HandlerFn<($($name,)*)> for Function
            where
                Function: Fn($($name),*) -> Fut + 'static,
                Fut: Future + 'static,
            {
                type Output = Fut::Output;
                type Future = Fut;

                #[allow(non_snake_case, reason = "the types name the values")]
                fn call(&self, ($($name,)*): ($($name,)*)) -> Fut {
                    self($($name),*)
                }
            }
        )+
    };
}

functions! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

/// A handler function that only needs the context.
pub(super) trait Endpoint {
    fn call(&self, context: Context) -> LocalBoxFuture<'static, HandlerResult>;
}

struct Extracting<F, Args> {
    function: Rc<F>,
    args: PhantomData<fn(Args)>,
}

impl<F, Args> Endpoint for Extracting<F, Args>
where
    F: HandlerFn<Args>,
    F::Output: Respond,
    Args: FromUpdate + 'static,
{
    fn call(&self, context: Context) -> LocalBoxFuture<'static, HandlerResult> {
        let function = Rc::clone(&self.function);
        Box::pin(async move {
            let args = Args::from_update(&context).await?;
            function.call(args).await.respond(&context).await
        })
    }
}

pub(super) fn endpoint<F, Args>(function: F) -> Rc<dyn Endpoint>
where
    F: HandlerFn<Args>,
    F::Output: Respond,
    Args: FromUpdate + 'static,
{
    Rc::new(Extracting {
        function: Rc::new(function),
        args: PhantomData,
    })
}
