use std::{cell::RefCell, rc::Rc};

use serde_json::{Value, json};

use crate::{
    CommandRoute, Context, Handler, HandlerError, HandlerResult, Router,
    extract::{CallbackData, CommandName, Data, ExtractError, Message, Raw, Text},
    test_context::{context, message_with, nameless, on_actix, press, text_message},
    update::UpdateKind,
};

/// Which handlers have run.
#[derive(Clone, Default)]
pub(super) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(super) fn add(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    pub(super) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// Returns a handler that writes down its name.
    pub(super) fn mark(&self, name: &'static str) -> impl Fn() -> std::future::Ready<()> + use<> {
        let trace = self.clone();
        move || {
            trace.add(name);
            std::future::ready(())
        }
    }
}

/// Returns which handler of the router takes the update, `-` for none.
fn taken_by(build: impl Fn(&Trace) -> Router, kind: &str, payload: &Value) -> String {
    on_actix(async {
        let trace = Trace::default();
        let context = context(kind, payload);
        build(&trace).handle(context.clone()).await.unwrap();
        let taken = trace.take();
        assert_eq!(context.facts().unrouted(), u64::from(taken.is_empty()));
        if taken.is_empty() {
            "-".to_owned()
        } else {
            taken.join("+")
        }
    })
}

fn handled(router: &Router, context: Context) -> HandlerResult {
    futures_util::future::FutureExt::now_or_never(router.handle(context))
        .expect("nothing waits for the network")
}

/// A message that fits the envelope but not the typed model.
fn broken() -> Value {
    message_with(json!({"text": "/start", "chat": {"id": 42, "type": "galaxy"}}))
}

fn of_every_sort(trace: &Trace) -> Router {
    Router::new()
        .command("start", trace.mark("start"))
        .command(CommandRoute::new("help").alias("h"), trace.mark("help"))
        .any_command(trace.mark("unknown command"))
        .callback("vote:", trace.mark("vote"))
        .on(UpdateKind::EditedMessage, trace.mark("edited"))
        .filter(|ctx| ctx.text() == Some("secret"), trace.mark("secret"))
        .text(trace.mark("text"))
}

#[test]
fn each_route_takes_what_it_is_for() {
    for (kind, payload, expected) in [
        ("message", text_message("/start"), "start"),
        ("message", text_message("/START x"), "start"),
        ("message", text_message("/start@our_bot"), "start"),
        ("message", text_message("/start@OUR_BOT"), "start"),
        ("message", text_message("/help"), "help"),
        ("message", text_message("/h"), "help"),
        ("message", text_message("/starts"), "unknown command"),
        ("message", text_message("/start@other_bot"), "text"),
        ("message", text_message("/ start"), "text"),
        ("message", text_message("secret"), "secret"),
        ("message", text_message("hi"), "text"),
        ("message", message_with(json!({"caption": "hi"})), "-"),
        ("edited_message", text_message("/start"), "edited"),
        ("channel_post", text_message("/start"), "-"),
        ("business_message", text_message("hi"), "-"),
        ("callback_query", press("vote:1"), "vote"),
        ("callback_query", press("vote"), "-"),
        ("callback_query", press(""), "-"),
        ("telepathy", json!({"text": "/start"}), "-"),
    ] {
        assert_eq!(
            taken_by(of_every_sort, kind, &payload),
            expected,
            "{kind} {payload}"
        );
    }
}

#[test]
fn the_first_route_that_matches_takes_the_update() {
    let message = text_message("/start");

    let first_text = |trace: &Trace| {
        Router::new()
            .text(trace.mark("text"))
            .command("start", trace.mark("start"))
    };
    let twice = |trace: &Trace| {
        Router::new()
            .command("start", trace.mark("one"))
            .command("start", trace.mark("other"))
    };

    assert_eq!(taken_by(first_text, "message", &message), "text");
    assert_eq!(taken_by(twice, "message", &message), "one");
}

#[test]
fn the_default_takes_the_rest_wherever_it_was_added() {
    let router = |trace: &Trace| {
        Router::new()
            .default(trace.mark("replaced"))
            .default(trace.mark("default"))
            .text(trace.mark("text"))
    };

    assert_eq!(taken_by(router, "message", &text_message("hi")), "text");
    assert_eq!(taken_by(router, "poll", &json!({"id": "1"})), "default");
    assert_eq!(taken_by(router, "telepathy", &json!({})), "default");
}

#[test]
fn commands_count_in_the_kinds_they_are_for() {
    let router = |trace: &Trace| {
        let posts = CommandRoute::new("start").kinds([UpdateKind::ChannelPost]);
        Router::new().command(posts, trace.mark("post"))
    };

    assert_eq!(taken_by(router, "channel_post", &text_message("/start")), "post");
    assert_eq!(taken_by(router, "message", &text_message("/start")), "-");
}

#[test]
fn a_scope_is_looked_through_at_its_place() {
    let router = |trace: &Trace| {
        let inner = Router::new()
            .command("ban", trace.mark("ban"))
            .scope(Router::new().command("mute", trace.mark("mute")));
        Router::new()
            .command("start", trace.mark("start"))
            .scope(inner)
            .command("ban", trace.mark("outer ban"))
            .text(trace.mark("text"))
    };

    for (text, expected) in [
        ("/start", "start"),
        ("/ban", "ban"),
        ("/mute", "mute"),
        ("hi", "text"),
    ] {
        assert_eq!(
            taken_by(router, "message", &text_message(text)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_scope_is_closed_unless_all_its_guards_hold() {
    let router = |trace: &Trace| {
        let inner = Router::new()
            .guard(|ctx| ctx.text().is_some_and(|text| text.contains('a')))
            .guard(|ctx| ctx.text().is_some_and(|text| text.contains('b')))
            .default(trace.mark("inner"));
        Router::new().scope(inner).text(trace.mark("outer"))
    };

    for (text, expected) in [("ab", "inner"), ("a", "outer"), ("b", "outer"), ("", "outer")] {
        assert_eq!(
            taken_by(router, "message", &text_message(text)),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn the_default_of_a_scope_takes_what_comes_to_it() {
    let router = |trace: &Trace| {
        let inner = Router::new()
            .command("a", trace.mark("a"))
            .default(trace.mark("inner default"));
        Router::new()
            .scope(inner)
            .text(trace.mark("text"))
            .default(trace.mark("default"))
    };

    assert_eq!(taken_by(router, "message", &text_message("/a")), "a");
    assert_eq!(taken_by(router, "message", &text_message("hi")), "inner default");
}

#[test]
fn state_of_a_scope_hides_that_around_it_for_guards_and_handlers() {
    on_actix(async {
        let trace = Trace::default();
        let show = |name: &'static str| {
            let trace = trace.clone();
            move |number: Data<u8>, letter: Data<char>| {
                trace.add(format!("{name} {} {}", *number, *letter));
                std::future::ready(())
            }
        };
        let inner = Router::new()
            .app_data(Data::new(2_u8))
            .guard(|ctx| ctx.data::<u8>().as_deref() == Some(&2))
            .command("inner", show("inner"));
        let router = Router::new()
            .scope(inner)
            .app_data(Data::new(0_u8))
            .app_data(Data::new(1_u8))
            .app_data(Data::new('x'))
            .filter(|ctx| ctx.data::<u8>().as_deref() == Some(&1), show("outer"));

        for text in ["/inner", "hi"] {
            handled(&router, context("message", &text_message(text))).unwrap();
        }

        assert_eq!(trace.take(), ["inner 2 x", "outer 1 x"]);
    });
}

#[test]
fn callback_data_is_what_stands_behind_the_prefix() {
    on_actix(async {
        let trace = Trace::default();
        let seen = trace.clone();
        let router = Router::new().scope(Router::new().callback(
            "vote:",
            move |CallbackData(number): CallbackData<u8>| {
                seen.add(number.to_string());
                std::future::ready(())
            },
        ));

        handled(&router, context("callback_query", &press("vote:7"))).unwrap();
        let wrong = handled(&router, context("callback_query", &press("vote:é"))).unwrap_err();

        assert_eq!(trace.take(), ["7"]);
        assert!(wrong.to_string().contains("button"), "{wrong}");
    });
}

#[test]
fn an_extractor_that_fails_makes_no_other_route_try() {
    on_actix(async {
        let trace = Trace::default();
        let router = Router::new()
            .command("start", |_: crate::extract::CallbackQuery| async {})
            .text(trace.mark("text"));

        let error = handled(&router, context("message", &text_message("/start"))).unwrap_err();

        assert!(error.to_string().contains("not a callback query"), "{error}");
        assert!(trace.take().is_empty());
    });
}

#[test]
fn what_cannot_be_decoded_goes_to_whoever_needs_no_decoding() {
    for (kind, payload, expected) in [
        ("message", broken(), "raw"),
        ("callback_query", json!({"id": 7}), "raw"),
        ("inline_query", json!({"id": 7}), "raw"),
        ("telepathy", json!({}), "raw"),
        ("message", text_message("hi"), "text"),
        ("callback_query", press("x"), "default"),
        ("message", message_with(json!({"caption": "hi"})), "default"),
    ] {
        let router = |trace: &Trace| {
            Router::new()
                .filter(
                    |ctx| {
                        ctx.text() == Some("no")
                            || ctx.callback_query().is_some_and(|query| query.data.is_none())
                    },
                    trace.mark("filter"),
                )
                .command("start", trace.mark("start"))
                .callback("vote:", trace.mark("vote"))
                .text(trace.mark("text"))
                .raw(trace.mark("raw"))
                .default(trace.mark("default"))
        };
        assert_eq!(taken_by(router, kind, &payload), expected, "{kind} {payload}");
    }
}

#[test]
fn a_router_that_looks_into_a_broken_message_misleads_no_handler() {
    on_actix(async {
        let context = context("message", &broken());
        let router = Router::new()
            .filter(|ctx| ctx.text().is_some(), || async {})
            .default(|raw: Raw| async move { assert!(raw.contains("galaxy")) });

        handled(&router, context.clone()).unwrap();

        assert!(context.misled().is_none());
    });
}

#[test]
fn what_cannot_be_decoded_and_nobody_takes_is_no_success() {
    on_actix(async {
        let text = Router::new().text(|| async {});
        let wants_more = Router::new().default(|_: Option<Text>| async {});
        let callbacks = Router::new().callback("", || async {});

        for (router, kind, payload) in [
            (&text, "message", broken()),
            (&wants_more, "message", broken()),
            (&callbacks, "callback_query", json!({"id": 7})),
        ] {
            let error = handled(router, context(kind, &payload)).unwrap_err();
            assert!(error.to_string().contains("typed model"), "{error}");
        }
    });
}

#[test]
fn what_cannot_be_decoded_is_no_failure_where_no_route_looks_inside() {
    on_actix(async {
        let callbacks = Router::new()
            .callback("", || async {})
            .on(UpdateKind::EditedMessage, || async {})
            .command(
                CommandRoute::new("start").kinds([UpdateKind::ChannelPost]),
                || async {},
            );
        let context = context("message", &broken());

        handled(&callbacks, context.clone()).unwrap();

        assert_eq!(context.facts().unrouted(), 1);
    });
}

#[test]
fn a_command_for_somebody_waits_for_the_name_of_the_bot() {
    on_actix(async {
        let trace = Trace::default();
        let router = Router::new()
            .command("start", trace.mark("start"))
            .text(trace.mark("text"));

        let error = router
            .handle(nameless("message", &text_message("/start@our_bot")))
            .await
            .unwrap_err();
        // No route has this name, so nobody need know whom it is for.
        handled(&router, nameless("message", &text_message("/other@our_bot"))).unwrap();
        handled(&router, nameless("message", &text_message("/start"))).unwrap();

        assert!(error.to_string().contains("getMe"), "{error}");
        assert_eq!(trace.take(), ["text", "start"]);
    });
}

#[test]
fn handlers_take_up_to_eight_arguments() {
    #[allow(clippy::too_many_arguments, reason = "as many as there may be")]
    async fn eight(
        _: Context,
        _: Message,
        _: Text,
        _: Option<CommandName>,
        _: Result<CommandName, ExtractError>,
        _: Raw,
        _: crate::api::Api,
        _: crate::update::Update,
    ) {
    }
    on_actix(async {
        let router = Router::new().text(eight);

        handled(&router, context("message", &text_message("hi"))).unwrap();
    });
}

#[test]
fn a_handler_says_with_its_error_what_happens_next() {
    on_actix(async {
        let router = Router::new()
            .command("reply", || async { Err::<(), _>(HandlerError::reply("no")) })
            .command("error", || async { Err::<&str, _>(std::fmt::Error) });

        let reply = handled(&router, context("message", &text_message("/reply"))).unwrap_err();
        let error = handled(&router, context("message", &text_message("/error"))).unwrap_err();

        assert_eq!(reply.into_reply().unwrap(), "no");
        assert!(error.into_reply().is_err());
    });
}

#[test]
fn a_router_wants_what_its_routes_take() {
    let handler = || async {};
    let commands = Router::new()
        .command(("start", "Begins"), handler)
        .command("hidden", handler)
        .scope(
            Router::new()
                .command(("ban", "Bans"), handler)
                .callback("x", handler),
        )
        .command(("start", "Begins again"), handler);

    let interests = commands.interests().unwrap();

    assert_eq!(
        interests.allowed_updates(),
        [UpdateKind::Message, UpdateKind::CallbackQuery]
    );
    let names: Vec<_> = interests
        .commands()
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    assert_eq!(names, [("start", "Begins"), ("ban", "Bans")]);
}

#[test]
fn a_router_with_a_route_for_anything_wants_everything() {
    let handler = || async {};
    for router in [
        Router::new().text(handler).default(handler),
        Router::new().text(handler).filter(|_| true, handler),
        Router::new().text(handler).raw(handler),
        Router::new().text(handler).scope(Router::new().default(handler)),
        Router::new().text(handler).on(UpdateKind::Unknown, handler),
    ] {
        assert!(
            router.interests().unwrap().allowed_updates().is_empty(),
            "{router:?}"
        );
    }
}
