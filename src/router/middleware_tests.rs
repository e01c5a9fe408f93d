use std::{cell::Cell, rc::Rc};

use super::routing_tests::Trace;
use crate::{
    Context, Handler, HandlerError, HandlerResult, Middleware, Next, Router,
    extract::{Data, User},
    test_context::{context, on_actix, text_message},
};

/// Writes down when it begins and how it ends.
struct Around(Trace, &'static str);

impl Middleware for Around {
    async fn handle(&self, context: Context, next: Next) -> HandlerResult {
        self.0.add(format!("{} begins", self.1));
        let result = next.call(context).await;
        let how = if result.is_ok() { "done" } else { "failed" };
        self.0.add(format!("{} {how}", self.1));
        result
    }
}

fn hello() -> Context {
    context("message", &text_message("hello"))
}

#[test]
fn what_was_added_last_runs_first_and_the_outer_router_before_its_scopes() {
    on_actix(async {
        let trace = Trace::default();
        let around = |name| Around(trace.clone(), name);
        let inner = Router::new()
            .wrap(around("inner first"))
            .text(trace.mark("handler"))
            .wrap(around("inner last"));
        let router = Router::new()
            .wrap(around("outer first"))
            .scope(inner)
            .wrap(around("outer last"));

        router.handle(hello()).await.unwrap();

        assert_eq!(
            trace.take(),
            [
                "outer last begins",
                "outer first begins",
                "inner last begins",
                "inner first begins",
                "handler",
                "inner first done",
                "inner last done",
                "outer first done",
                "outer last done",
            ]
        );
    });
}

#[test]
fn middleware_of_a_scope_does_not_concern_what_it_does_not_take() {
    on_actix(async {
        let trace = Trace::default();
        let inner = Router::new()
            .wrap(Around(trace.clone(), "inner"))
            .command("start", trace.mark("start"));
        let router = Router::new()
            .scope(inner)
            .text(trace.mark("text"))
            .wrap(Around(trace.clone(), "outer"));

        router.handle(hello()).await.unwrap();
        let unrouted = context("poll", &serde_json::json!({"id": "1"}));
        router.handle(unrouted).await.unwrap();

        assert_eq!(trace.take(), ["outer begins", "text", "outer done"]);
    });
}

#[test]
fn middleware_that_does_not_go_on_decides_how_the_update_ends() {
    on_actix(async {
        let trace = Trace::default();
        let silent = Router::new()
            .text(trace.mark("text"))
            .wrap_fn(|_ctx, _next| async {});
        let failing = Router::new()
            .text(trace.mark("text"))
            .wrap(Around(trace.clone(), "inner"))
            .wrap_fn(|_ctx, _next| async { Err::<(), _>(HandlerError::give_up("closed")) })
            .wrap(Around(trace.clone(), "outer"));

        silent.handle(hello()).await.unwrap();
        let error = failing.handle(hello()).await.unwrap_err();

        assert!(error.to_string().contains("closed"), "{error}");
        assert_eq!(trace.take(), ["outer begins", "outer failed"]);
    });
}

#[test]
fn middleware_sees_the_failure_of_a_handler_and_may_change_it() {
    on_actix(async {
        let trace = Trace::default();
        let router = Router::new()
            .text(|| async { Err::<(), _>(HandlerError::give_up("no")) })
            .wrap(Around(trace.clone(), "inner"))
            .wrap_fn(|ctx, next| async { next.call(ctx).await.or(Ok::<_, HandlerError>(())) })
            .wrap(Around(trace.clone(), "outer"));

        router.handle(hello()).await.unwrap();

        assert_eq!(
            trace.take(),
            ["outer begins", "inner begins", "inner failed", "outer done"]
        );
    });
}

#[test]
fn middleware_sees_the_failure_of_an_extractor() {
    on_actix(async {
        let trace = Trace::default();
        let router = Router::new()
            .text(|_: Data<u8>| async {})
            .wrap(Around(trace.clone(), "around"));

        router.handle(hello()).await.unwrap_err();

        assert_eq!(trace.take(), ["around begins", "around failed"]);
    });
}

#[test]
fn middleware_hands_on_what_it_has_found_out() {
    struct Account(u64);

    on_actix(async {
        let trace = Trace::default();
        let seen = trace.clone();
        let router = Router::new()
            .scope(Router::new().app_data(Data::new(1_u8)).text(
                move |account: Data<Account>, number: Data<u8>| {
                    seen.add(format!("{} {}", account.0, *number));
                    std::future::ready(())
                },
            ))
            .wrap_fn(|ctx, next| async move {
                let user = <User as crate::FromUpdate>::from_update(&ctx).await?;
                next.call(ctx.with_data(Data::new(Account(user.id)))).await
            });

        router.handle(hello()).await.unwrap();

        assert_eq!(trace.take(), ["42 1"]);
    });
}

#[test]
fn middleware_may_try_again_at_once() {
    on_actix(async {
        let attempts = Rc::new(Cell::new(0));
        let counted = Rc::clone(&attempts);
        let router = Router::new()
            .text(move || {
                counted.set(counted.get() + 1);
                let failed = counted.get() < 2;
                async move { if failed { Err(std::fmt::Error) } else { Ok(()) } }
            })
            .wrap_fn(|ctx, next: Next| async move {
                match next.clone().call(ctx.clone()).await {
                    Err(_) => next.call(ctx).await,
                    done => done,
                }
            });

        router.handle(hello()).await.unwrap();

        assert_eq!(attempts.get(), 2);
    });
}

#[test]
fn a_function_is_middleware() {
    async fn refuse(_: Context, _: Next) -> HandlerResult {
        Err(HandlerError::give_up("refused"))
    }
    on_actix(async {
        let router = Router::new().text(|| async {}).wrap(refuse);

        assert!(router.handle(hello()).await.is_err());
    });
}
