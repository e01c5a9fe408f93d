//! What fails is repeated when that may help, shown to the error hook when it does not, and confirmed in the end; what
//! may have been sent is never sent twice.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{future::pending, io, net::TcpListener, time::Duration};

use actogram::{
    Bot, Context, DeadUpdate, HandlerError, HandlerResult, Lane, RetryPolicy,
    api::{Api, ApiConfig, Server, Token},
};
use actogram_simulator::Fault;
use frankenstein::{methods::SendChatActionParams, types::ChatAction};
use support::{Log, Stage, collecting, on_actix, sharing};

type Attempts = Log<(String, u32)>;

/// Three attempts, close together.
fn three_attempts() -> RetryPolicy {
    RetryPolicy::new([Duration::from_millis(10), Duration::from_millis(20)])
}

/// Does what the text says, and notes text and number of the attempt.
async fn obey(attempts: Attempts, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    let attempt = ctx.attempt();
    attempts.add((text.clone(), attempt));
    match text.as_str() {
        "panic" => panic!("attempt {attempt}"),
        "error" => Err(io::Error::other(format!("attempt {attempt}")))?,
        "retry" => return Err(HandlerError::retry(format!("attempt {attempt}"))),
        "retry after" => {
            let delay = Duration::from_millis(5);
            return Err(HandlerError::retry_after(format!("attempt {attempt}"), delay));
        }
        "give up" => return Err(HandlerError::give_up(format!("attempt {attempt}"))),
        "third time lucky" if attempt < 3 => return Err(HandlerError::retry("unlucky")),
        _ => {}
    }
    Ok(())
}

fn obeying(stage: &Stage, attempts: &Attempts, dead: &Log<DeadUpdate>) -> Bot {
    stage
        .actogram()
        .retry(three_attempts())
        .on_error(collecting(dead))
        .handlers(sharing(attempts.clone(), obey))
}

async fn all_confirmed(stage: &Stage) {
    stage
        .until("all are confirmed", |view| view.pending_count() == 0)
        .await;
}

fn numbers(attempts: &Attempts, text: &str) -> Vec<u32> {
    let of_text = attempts.all().into_iter().filter(|(noted, _)| noted == text);
    of_text.map(|(_, number)| number).collect()
}

/// Peer failures 8 and 12: everything else of the batch, of the same chats and of others, is handled, once.
#[test]
fn each_failure_gets_the_attempts_it_deserves_and_then_the_hook() {
    on_actix(async {
        let stage = Stage::lenient();
        let (attempts, dead) = (Attempts::new(), Log::<DeadUpdate>::new());
        let failures = [
            ("panic", 3),
            ("error", 1),
            ("retry", 3),
            ("retry after", 3),
            ("give up", 1),
        ];
        for (text, _) in failures {
            stage.bot.user(text).say_all([text, &format!("behind {text}")]);
        }
        stage.bot.user("Ann").say("third time lucky");
        let bot = obeying(&stage, &attempts, &dead).start().await.unwrap();

        all_confirmed(&stage).await;

        let totals = bot.snapshot().await.unwrap().engine.totals;
        assert_eq!(
            (totals.accepted, totals.done, totals.dead, totals.panicked),
            (11, 6, 5, 3)
        );
        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(numbers(&attempts, "third time lucky"), [1, 2, 3]);
        let dead = dead.all();
        for (text, count) in failures {
            let expected: Vec<u32> = (1..=count).collect();
            assert_eq!(numbers(&attempts, text), expected, "{text}");
            assert_eq!(numbers(&attempts, &format!("behind {text}")), [1], "{text}");
            let said = format!("\"{text}\"");
            let letter = dead
                .iter()
                .find(|letter| letter.update.raw().contains(&said))
                .unwrap();
            assert_eq!(letter.attempt, count, "{text}");
            assert!(
                letter.error.contains(&format!("attempt {count}")),
                "{}",
                letter.error
            );
            let history: Vec<_> = (1..count).map(|number| format!("attempt {number}")).collect();
            assert_eq!(letter.history.len(), history.len(), "{text}");
            for (error, part) in letter.history.iter().zip(&history) {
                assert!(error.contains(part), "{error}");
            }
        }
    });
}

/// Peer failure 8: the handler function itself panics, before there is a future.
#[test]
fn a_handler_function_that_panics_at_once_is_a_failed_attempt() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, dead) = (stage.bot.user("Ann"), Log::<DeadUpdate>::new());
        let (attempts, behind) = (Attempts::new(), ann.say_all(["panic", "fine"]));
        let noted = attempts.clone();
        let bot = stage
            .actogram()
            .retry(three_attempts())
            .on_error(collecting(&dead))
            .handlers(move || {
                let noted = noted.clone();
                move |ctx: Context| {
                    let text = ctx.text().unwrap().to_owned();
                    noted.add((text.clone(), ctx.attempt()));
                    assert_ne!(text, "panic", "before the future");
                    std::future::ready(())
                }
            })
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(numbers(&attempts, "panic"), [1, 2, 3]);
        assert_eq!(numbers(&attempts, "fine"), [1]);
        let dead = dead.all();
        assert_eq!((dead.len(), dead[0].update.id()), (1, behind[0]));
        assert!(dead[0].error.contains("before the future"), "{}", dead[0].error);
    });
}

/// Peer failure 23: each user gets one copy of the reply, whatever happens to the answer of the server.
#[test]
fn a_reply_with_an_unknown_outcome_is_not_sent_again() {
    on_actix(async {
        let stage = Stage::lenient();
        let (attempts, dead) = (Attempts::new(), Log::<DeadUpdate>::new());
        let faults = [
            Fault::DropAfterProcessing.on("sendMessage"),
            Fault::CutBody.on("sendMessage"),
            Fault::TruncatedJson.on("sendMessage"),
            Fault::NotJson.on("sendMessage"),
            Fault::GatewayHtml(502).on("sendMessage").after_processing(),
            Fault::GatewayJson(504).on("sendMessage").after_processing(),
            Fault::EmptyBody(500).on("sendMessage").after_processing(),
        ];
        let mut users = Vec::new();
        for (number, fault) in faults.into_iter().enumerate() {
            let user = stage.bot.user(&format!("user {number}"));
            stage.bot.fault(fault.to_chat(user.chat_id()));
            user.say(&format!("hello {number}"));
            users.push(user);
        }
        let bot = stage
            .actogram()
            .retry(three_attempts())
            .on_error(collecting(&dead))
            .handlers(sharing(
                attempts.clone(),
                |attempts: Attempts, ctx: Context| async move {
                    attempts.add((ctx.text().unwrap().to_owned(), ctx.attempt()));
                    ctx.reply("answer").await?;
                    HandlerResult::Ok(())
                },
            ))
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        for (number, user) in users.iter().enumerate() {
            assert_eq!(user.heard(), ["answer"], "fault {number}");
            assert_eq!(
                numbers(&attempts, &format!("hello {number}")),
                [1],
                "fault {number}"
            );
        }
        let dead = dead.all();
        assert_eq!(dead.len(), users.len());
        for letter in &dead {
            assert!(letter.error.contains("unknown outcome"), "{}", letter.error);
        }
        assert_eq!(stage.bot.faults_left(), 0);
    });
}

#[test]
fn a_call_that_may_happen_twice_is_repeated_after_an_unknown_outcome() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts, dead) = (stage.bot.user("Ann"), Attempts::new(), Log::<DeadUpdate>::new());
        stage.bot.fault(Fault::DropAfterProcessing.on("sendChatAction"));
        ann.say("hello");
        let bot = stage
            .actogram()
            // Otherwise the call itself is repeated, and the handler never hears of it.
            .api_config(|config| config.attempts(1))
            .retry(three_attempts())
            .on_error(collecting(&dead))
            .handlers(sharing(
                attempts.clone(),
                |attempts: Attempts, ctx: Context| async move {
                    attempts.add(("hello".to_owned(), ctx.attempt()));
                    let typing = SendChatActionParams::builder()
                        .chat_id(ctx.chat_id().unwrap())
                        .action(ChatAction::Typing)
                        .build();
                    ctx.api().send_chat_action(&typing).await?;
                    ctx.reply("answer").await?;
                    HandlerResult::Ok(())
                },
            ))
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(numbers(&attempts, "hello"), [1, 2]);
        assert_eq!((ann.heard().len(), dead.len()), (1, 0));
    });
}

#[test]
fn a_call_that_was_not_sent_is_repeated() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, attempts, dead) = (stage.bot.user("Ann"), Attempts::new(), Log::<DeadUpdate>::new());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let token = Token::parse(stage.bot.token()).unwrap();
        let unreachable =
            Api::start(ApiConfig::new(token).server(Server::parse(&format!("http://{nobody}")).unwrap()));
        ann.say("hello");
        let bot = stage
            .actogram()
            .retry(three_attempts())
            .on_error(collecting(&dead))
            .handlers(sharing(
                (attempts.clone(), unreachable),
                |(attempts, unreachable): (Attempts, Api), ctx: Context| async move {
                    attempts.add(("hello".to_owned(), ctx.attempt()));
                    let api = if ctx.attempt() == 1 {
                        &unreachable
                    } else {
                        ctx.api()
                    };
                    api.send_text(ctx.chat_id().unwrap(), "answer").await?;
                    HandlerResult::Ok(())
                },
            ))
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(numbers(&attempts, "hello"), [1, 2]);
        assert_eq!((ann.heard().len(), dead.len()), (1, 0));
    });
}

/// Peer failure 12: also the code that reports failures may fail.
#[test]
fn an_error_hook_that_panics_or_hangs_does_no_harm() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let (attempts, shown) = (Attempts::new(), Log::new());
        ann.say_all(["give up", "behind it"]);
        bob.say_all(["error", "behind it"]);
        let hook = shown.clone();
        let bot = stage
            .actogram()
            .handler_timeout(Duration::from_millis(300))
            .on_error(move |letter: DeadUpdate| {
                hook.add(letter.update.chat_id());
                let is_error = letter.error.contains("handler failed: attempt 1")
                    && letter.update.raw().contains("\"error\"");
                async move {
                    assert!(is_error, "the hook panics");
                    pending::<()>().await;
                }
            })
            .handlers(sharing(attempts.clone(), obey))
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(shown.len(), 2);
        assert_eq!(numbers(&attempts, "behind it"), [1, 1]);
    });
}

#[test]
fn a_lane_chooser_that_panics_leaves_the_update_in_its_usual_lane() {
    on_actix(async {
        let stage = Stage::lenient();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        let (attempts, dead) = (Attempts::new(), Log::<DeadUpdate>::new());
        ann.say_all(["one", "two", "three"]);
        bob.say("give up");
        let (a, b) = (ann.chat_id(), bob.chat_id());
        let bot = obeying(&stage, &attempts, &dead)
            .lane_by(move |update| {
                assert_ne!(update.chat_id(), Some(a), "the chooser panics");
                Lane::new("everybody else")
            })
            .start()
            .await
            .unwrap();

        all_confirmed(&stage).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        let of_ann: Vec<_> = attempts
            .all()
            .into_iter()
            .map(|(text, _)| text)
            .filter(|text| text != "give up")
            .collect();
        assert_eq!(of_ann, ["one", "two", "three"]);
        assert_eq!(dead.all()[0].update.chat_id(), Some(b));
    });
}
