use std::sync::Arc;

use actogram_actors::Retry;
use frankenstein::{
    inline_mode::InlineQuery,
    types::{ChatJoinRequest, Poll},
};
use serde_json::{Value, json};

use super::{
    CallbackData, CallbackQuery, Chat, Command, CommandName, Data, ExtractError, FromUpdate, Message, Raw,
    Text, User,
};
use crate::{
    Context, HandlerError,
    api::Api,
    test_context::{ann, context, message_with, nameless, on_actix, press, text_message},
    update::Update,
};

/// Runs an extractor, then `check`.
fn extract<T: FromUpdate>(kind: &str, payload: &Value, check: impl FnOnce(Result<T, ExtractError>)) {
    on_actix(async { check(T::from_update(&context(kind, payload)).await) });
}

fn is_absent<T: FromUpdate>(kind: &str, payload: &Value) -> bool {
    on_actix(async {
        let context = context(kind, payload);
        let absent = matches!(T::from_update(&context).await, Err(error) if error.is_absent());
        let none = matches!(Option::<T>::from_update(&context).await, Ok(None));
        assert_eq!(
            absent, none,
            "an option is `None` for what is absent and for nothing else"
        );
        absent
    })
}

/// Returns whether an extractor fails for good, as an option as well, because the update cannot be decoded.
fn is_undecodable<T: FromUpdate>(kind: &str, payload: &Value) -> bool {
    on_actix(async {
        let context = context(kind, payload);
        let failed = T::from_update(&context).await.err().map(HandlerError::from);
        let optional = Option::<T>::from_update(&context)
            .await
            .err()
            .map(HandlerError::from);
        let decode = |error: Option<HandlerError>| {
            error.is_some_and(|error| {
                let shown = error.to_string();
                shown.contains("typed model") && error.into_failure().retry == Retry::Never
            })
        };
        let failures = (decode(failed), decode(optional));
        assert_eq!(failures.0, failures.1, "an option hides no broken update");
        failures.0
    })
}

fn poll() -> Value {
    json!({
        "id": "9", "question": "?", "options": [], "total_voter_count": 0, "is_closed": false, "is_anonymous": true,
        "type": "regular", "allows_multiple_answers": false, "allows_revoting": false, "members_only": false,
    })
}

fn inline_query() -> Value {
    json!({"id": "8", "from": ann(), "query": "cats", "offset": ""})
}

/// A message that fits the envelope but not the typed model.
fn broken() -> Value {
    message_with(json!({"text": "/start", "chat": {"id": 42, "type": "galaxy"}}))
}

#[test]
fn what_is_always_there_is_there_for_unknown_kinds_too() {
    extract::<(Context, Api, Update, Raw, ())>("telepathy", &json!({"a": 1}), |all| {
        let (context, _, update, raw, ()) = all.unwrap();
        assert_eq!((context.update().id(), update.kind_name()), (1, "telepathy"));
        assert_eq!(&*raw, r#"{"telepathy":{"a":1},"update_id":1}"#);
    });
}

#[test]
fn a_message_is_shared_with_the_context() {
    on_actix(async {
        let context = context("edited_message", &text_message("hi"));

        let (one, other) = <(Message, Message)>::from_update(&context).await.unwrap();

        assert_eq!((one.message_id, one.text.as_deref()), (5, Some("hi")));
        assert!(std::ptr::eq(&*one, &*other));
        assert!(!format!("{one:?}").contains("hi"));
    });
}

#[test]
fn a_message_is_absent_from_what_is_none() {
    assert!(is_absent::<Message>("callback_query", &press("x")));
    assert!(is_absent::<Message>("telepathy", &json!({})));
    assert!(is_absent::<Text>("callback_query", &press("x")));
    assert!(is_absent::<Text>(
        "message",
        &message_with(json!({"caption": "hi"}))
    ));
    assert!(!is_absent::<Text>("channel_post", &text_message("hi")));
}

#[test]
fn a_text_is_the_text_of_the_message() {
    extract::<Text>("message", &text_message("hi 🎉"), |text| {
        let text = text.unwrap();
        assert_eq!((&*text, &*text.0), ("hi 🎉", "hi 🎉"));
    });
}

#[test]
fn a_broken_message_is_an_error_and_not_absent() {
    assert!(is_undecodable::<Message>("message", &broken()));
    assert!(is_undecodable::<Text>("message", &broken()));
    assert!(is_undecodable::<Command>("message", &broken()));
    assert!(is_undecodable::<CommandName>("message", &broken()));
    assert!(is_undecodable::<Chat>("message", &broken()));
    assert!(is_undecodable::<User>("message", &broken()));
    assert!(is_undecodable::<CallbackQuery>(
        "callback_query",
        &json!({"id": 7})
    ));
    assert!(is_undecodable::<CallbackData>(
        "callback_query",
        &json!({"id": 7})
    ));
    assert!(is_undecodable::<InlineQuery>("inline_query", &json!({"id": 7})));
    // What it cannot be anyway is absent, however broken it is.
    assert!(is_absent::<CallbackQuery>("message", &broken()));
    assert!(is_absent::<Message>("callback_query", &json!({"id": 7})));
}

#[test]
fn a_callback_query_knows_its_message() {
    extract::<CallbackQuery>("callback_query", &press("vote:1"), |query| {
        let query = query.unwrap();
        assert_eq!(
            (query.data.as_deref(), query.message_id()),
            (Some("vote:1"), Some(5))
        );
        assert!(!format!("{query:?}").contains("vote"));
    });
    assert!(is_absent::<CallbackQuery>("message", &text_message("hi")));
}

#[test]
fn callback_data_is_all_of_it_outside_of_a_route_with_a_prefix() {
    extract::<CallbackData<(String, u8)>>("callback_query", &press("a 5"), |data| {
        assert_eq!(data.unwrap().0, ("a".to_owned(), 5));
    });
    assert!(is_absent::<CallbackData>("message", &text_message("hi")));
    let mut game = press("x");
    game.as_object_mut().unwrap().remove("data");
    assert!(is_absent::<CallbackData>("callback_query", &game));
}

#[test]
fn callback_data_that_does_not_fit_is_given_up() {
    extract::<CallbackData<u8>>("callback_query", &press("secret"), |data| {
        let error = HandlerError::from(data.unwrap_err());
        assert!(error.to_string().contains("button"), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        assert_eq!(error.into_failure().retry, Retry::Never);
    });
}

#[test]
fn chats_and_users_come_from_wherever_they_are() {
    let member = json!({
        "chat": {"id": -7, "type": "supergroup", "title": "Club"}, "from": ann(), "date": 1,
        "old_chat_member": {"status": "left", "user": ann()}, "new_chat_member": {"status": "left", "user": ann()},
    });
    for (kind, payload, chat, user) in [
        ("message", text_message("hi"), Some(42), Some(42)),
        ("callback_query", press("x"), Some(42), Some(42)),
        ("chat_member", member, Some(-7), Some(42)),
        ("inline_query", inline_query(), None, Some(42)),
        ("poll", poll(), None, None),
        ("telepathy", json!({"chat": {"id": 1}}), None, None),
        (
            "poll_answer",
            json!({"poll_id": "9", "voter_chat": {"id": -7, "type": "channel"}, "option_ids": [], "option_persistent_ids": []}),
            Some(-7),
            None,
        ),
        (
            "channel_post",
            json!({"message_id": 1, "date": 1, "chat": {"id": -8, "type": "channel"}}),
            Some(-8),
            None,
        ),
    ] {
        extract::<(Option<Chat>, Option<User>)>(kind, &payload, |found| {
            let (found_chat, found_user) = found.unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(found_chat.map(|chat| chat.id), chat, "{kind}");
            assert_eq!(found_user.map(|user| user.id), user, "{kind}");
        });
    }
}

#[test]
fn typed_values_are_those_of_their_kind() {
    extract::<(InlineQuery, Option<Box<Poll>>)>("inline_query", &inline_query(), |found| {
        let (query, poll) = found.unwrap();
        assert_eq!((&*query.query, poll), ("cats", None));
    });
    extract::<Poll>("poll", &poll(), |poll| assert_eq!(poll.unwrap().id, "9"));
    assert!(is_absent::<Poll>(
        "message",
        &message_with(json!({"poll": poll()}))
    ));
    assert!(is_absent::<ChatJoinRequest>("telepathy", &json!({})));
}

#[test]
fn state_is_found_by_its_type_and_named_when_it_is_missing() {
    on_actix(async {
        let names: Arc<dyn Fn() -> u8 + Send + Sync> = Arc::new(|| 7);
        let context = context("poll", &json!({}))
            .with_data(Data::new(5_u8))
            .with_data(Data::from(names));

        let (number, function) = <(Data<u8>, Data<dyn Fn() -> u8 + Send + Sync>)>::from_update(&context)
            .await
            .unwrap();
        let missing = HandlerError::from(Data::<u16>::from_update(&context).await.unwrap_err());

        assert_eq!((*number, function()), (5, 7));
        assert!(missing.to_string().contains("Data<u16>"), "{missing}");
        assert_eq!(missing.into_failure().retry, Retry::Never);
    });
}

#[test]
fn state_that_was_added_later_hides_the_earlier_one() {
    on_actix(async {
        let outer = context("poll", &json!({}))
            .with_data(Data::new(1_u8))
            .with_data(Data::new('a'));
        let inner = outer.with_data(Data::new(2_u8));

        assert_eq!(*inner.data::<u8>().unwrap(), 2);
        assert_eq!(*inner.data::<char>().unwrap(), 'a');
        assert_eq!(*outer.data::<u8>().unwrap(), 1);
    });
}

#[test]
fn a_command_is_read_from_text_and_caption() {
    let caption = message_with(json!({
        "caption": "/Add@OUR_bot 1 2", "caption_entities": [
            {"type": "bold", "offset": 0, "length": 4}, {"type": "bot_command", "offset": 0, "length": 12}],
    }));
    for payload in [
        text_message("/Add 1 2"),
        text_message("/Add@our_bot\n1 2"),
        caption,
    ] {
        extract::<(CommandName, Command<(u8, u8)>)>("message", &payload, |found| {
            let (name, Command(numbers)) = found.unwrap();
            assert_eq!((&*name, numbers), ("Add", (1, 2)));
        });
    }
}

#[test]
fn what_is_no_command_for_this_bot_is_absent() {
    let unmarked = message_with(json!({"text": "/start"}));
    let code = message_with(json!({
        "text": "/start", "entities": [{"type": "code", "offset": 0, "length": 6}],
    }));
    let later = message_with(json!({
        "text": "a /start", "entities": [{"type": "bot_command", "offset": 2, "length": 6}],
    }));
    let both = message_with(json!({
        "text": "hi", "caption": "/start", "caption_entities": [{"type": "bot_command", "offset": 0, "length": 6}],
    }));
    for payload in [unmarked, code, later, both, text_message("/start@Other")] {
        assert!(is_absent::<Command>("message", &payload), "{payload}");
        assert!(is_absent::<CommandName>("message", &payload), "{payload}");
    }
    assert!(is_absent::<Command>("callback_query", &press("/start")));
}

#[test]
fn wrong_arguments_are_told_to_the_user_also_when_the_command_is_optional() {
    on_actix(async {
        let context = context("message", &text_message("/add x"));

        let error = Command::<u8>::from_update(&context).await.unwrap_err();
        let optional = Option::<Command<u8>>::from_update(&context).await.unwrap_err();

        assert!(!error.is_absent());
        let told = "\"x\" is not a whole number from 0 to 255\nusage: /add";
        assert_eq!(HandlerError::from(error).into_reply().unwrap(), told);
        assert_eq!(HandlerError::from(optional).into_reply().unwrap(), told);
    });
}

#[test]
fn a_result_leaves_the_error_to_the_handler() {
    on_actix(async {
        let context = context("message", &text_message("/add x"));

        let usage = Result::<Command<u8>, ExtractError>::from_update(&context)
            .await
            .unwrap();
        let converted = Result::<CallbackQuery, HandlerError>::from_update(&context)
            .await
            .unwrap();

        assert!(matches!(usage, Err(ExtractError::Usage(error)) if error.command == "add"));
        assert!(converted.unwrap_err().to_string().contains("a callback query"));
    });
}

#[test]
fn the_name_of_the_bot_is_only_needed_for_commands_that_are_addressed() {
    on_actix(async {
        let plain = nameless("message", &text_message("/start x"));
        let addressed = nameless("message", &text_message("/start@our_bot x"));

        assert_eq!(Command::<String>::from_update(&plain).await.unwrap().0, "x");
        let error = HandlerError::from(Command::<String>::from_update(&addressed).await.unwrap_err());
        assert!(error.to_string().contains("getMe"), "{error}");
        assert_eq!(error.into_failure().retry, Retry::Backoff);
    });
}

#[test]
fn a_tuple_fails_with_its_first_failure() {
    extract::<(Text, CallbackQuery, Chat)>("message", &text_message("hi"), |found| {
        let Err(error) = found else {
            panic!("a message is no callback query")
        };
        assert_eq!(error.to_string(), "the update is not a callback query");
    });
}

#[test]
fn an_absent_argument_is_a_failure_that_says_what_to_do() {
    let error = HandlerError::from(ExtractError::absent("a message"));

    assert!(
        error
            .to_string()
            .contains("the update is not a message; take an `Option`"),
        "{error}"
    );
    assert_eq!(error.into_failure().retry, Retry::Never);
}
