//! Each way in which the simulator can fail leads to the right class of outcome, and never to a second message.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::time::Duration;

use actogram::api::{Api, ApiConfig, ApiError, Server, Token};
use actogram_simulator::{Bot, Fault, Simulator, User};

struct Stage {
    _simulator: Simulator,
    bot: Bot,
    ann: User,
    config: ApiConfig,
}

fn stage() -> Stage {
    let simulator = Simulator::start().unwrap();
    let bot = simulator.bot();
    let ann = bot.user("Ann");
    let config = ApiConfig::new(Token::parse(bot.token()).unwrap())
        .server(Server::parse(&simulator.url()).unwrap())
        .timeout(Duration::from_secs(2));
    Stage {
        _simulator: simulator,
        bot,
        ann,
        config,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Refused,
    Flood,
    Unknown,
}

fn class_of(error: &ApiError) -> Class {
    match error {
        ApiError::Refused { .. } => Class::Refused,
        ApiError::FloodWait { .. } => Class::Flood,
        ApiError::Unknown { .. } => Class::Unknown,
        other => panic!("{other:?}"),
    }
}

/// The faults, the class of a send that meets one, and whether the message is sent.
fn faults() -> Vec<(Fault, Class, bool)> {
    vec![
        (Fault::DropBeforeProcessing, Class::Unknown, false),
        (Fault::DropAfterProcessing, Class::Unknown, true),
        (Fault::CutBody, Class::Unknown, true),
        (Fault::Stall, Class::Unknown, false),
        (Fault::FloodWait(3600), Class::Flood, false),
        (Fault::Restart, Class::Unknown, false),
        (Fault::Unauthorized, Class::Refused, false),
        (Fault::GatewayHtml(502), Class::Unknown, false),
        (Fault::GatewayJson(504), Class::Unknown, false),
        (Fault::EmptyBody(413), Class::Refused, false),
        (Fault::EmptyBody(503), Class::Unknown, false),
        (Fault::TruncatedJson, Class::Unknown, true),
        (Fault::NotJson, Class::Unknown, true),
    ]
}

/// Peer failure 23. The fault is there for every attempt, so that a repetition would show.
#[actix::test]
async fn a_send_has_the_class_of_its_fault_and_is_attempted_once() {
    for (fault, class, is_sent) in faults() {
        let Stage { bot, ann, config, .. } = &stage();
        bot.fault(fault.clone().on("sendMessage").times(9));
        let api = Api::start(config.clone());

        let error = api.send_text(ann.chat_id(), "hello").await.unwrap_err();

        assert_eq!(class_of(&error), class, "{fault:?}: {error:?}");
        assert_eq!(error.may_have_been_sent(), class == Class::Unknown, "{fault:?}");
        assert_eq!(bot.faults_left(), 8, "{fault:?} met one attempt");
        assert_eq!(ann.heard().len(), usize::from(is_sent), "{fault:?}");
    }
}

#[actix::test]
async fn a_harmless_call_survives_every_fault_that_passes() {
    for (fault, class, _) in faults() {
        // A stall uses up the deadline, which all attempts share.
        if class != Class::Unknown || fault == Fault::Stall {
            continue;
        }
        let Stage { bot, config, .. } = &stage();
        bot.fault(fault.clone().on("getMe").times(2));
        let api = Api::start(config.clone().timeout(Duration::from_secs(30)));

        let me = api.get_me().await;

        assert!(me.is_ok(), "{fault:?}: {me:?}");
        assert_eq!(bot.faults_left(), 0);
    }
}

#[actix::test]
async fn an_edit_whose_answer_was_lost_is_found_done() {
    let Stage { bot, ann, config, .. } = &stage();
    let api = Api::start(config.clone().timeout(Duration::from_secs(30)));
    let sent = api.send_text(ann.chat_id(), "wait").await.unwrap();
    bot.fault(Fault::DropAfterProcessing.on("editMessageText"));
    bot.fault(Fault::DropAfterProcessing.on("deleteMessage"));

    let edit = frankenstein::methods::EditMessageTextParams::builder()
        .chat_id(ann.chat_id())
        .message_id(sent.message_id)
        .text("done")
        .build();
    let edited = api.edit_message_text(&edit).await.unwrap();
    let delete = frankenstein::methods::DeleteMessageParams::builder()
        .chat_id(ann.chat_id())
        .message_id(sent.message_id)
        .build();
    let deleted = api.delete_message(&delete).await.unwrap();

    assert_eq!(edited, frankenstein::response::MessageOrBool::Bool(true));
    assert!(deleted);
    assert_eq!(bot.faults_left(), 0);
}

#[actix::test]
async fn a_server_that_is_down_was_not_sent_anything_and_gets_the_call_when_it_is_back() {
    let Stage { bot, ann, config, .. } = &stage();
    bot.go_down();
    let api = Api::start(config.clone().attempts(1));

    let error = api.send_text(ann.chat_id(), "hello").await.unwrap_err();

    // What a server that is down looks like is the simulator's to say; a message must not be there.
    assert!(error.is_transient(), "{error:?}");
    assert!(ann.heard().is_empty());
    bot.go_up();
    api.send_text(ann.chat_id(), "hello").await.unwrap();
    assert_eq!(ann.heard(), ["hello"]);
}
