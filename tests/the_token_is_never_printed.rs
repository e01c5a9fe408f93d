//! Whatever a bot meets and whoever logs at whatever level: the secret part of the token shows nowhere. In a test
//! binary of its own, because loggers and panic hooks belong to the whole process.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    error::Error as _,
    fmt::{Debug, Display, Write as _},
    io, panic,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use actogram::{Bot, Context, DeadUpdate, Error, HandlerError, HandlerResult, RetryPolicy, api::Server};
use actogram_simulator::Fault;
use support::{Log, Stage, collecting, on_actix, sharing, until_snapshot};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged through either facade, or printed by a panic.
static LOGGED: Mutex<String> = Mutex::new(String::new());

/// Not to be held across an assertion: the panic hook writes there too.
fn log_book() -> MutexGuard<'static, String> {
    LOGGED.lock().unwrap()
}

fn logged() -> String {
    log_book().clone()
}

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(
            log_book(),
            "{} {} {}",
            record.level(),
            record.target(),
            record.args()
        )
        .unwrap();
    }

    fn flush(&self) {}
}

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log_book().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Listener {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

fn listen() {
    log::set_boxed_logger(Box::new(Listener)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(Listener);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    panic::set_hook(Box::new(|info| writeln!(log_book(), "{info}").unwrap()));
}

/// Every way to print a value.
fn shown(value: &(impl Debug + Display)) -> String {
    format!("{value} {value:#} {value:?} {value:#?}")
}

fn shown_with_causes(error: &Error) -> String {
    let mut text = shown(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, "\n{error} {error:?} {error:#?}").unwrap();
        cause = error.source();
    }
    text
}

/// Everything that can go wrong, some of it with a server that quotes what it was asked.
fn faults(quote: &str) -> Vec<Fault> {
    let quoting = |code| Fault::Error {
        code,
        description: quote.to_owned(),
    };
    vec![
        Fault::DropBeforeProcessing,
        Fault::DropAfterProcessing,
        Fault::CutBody,
        Fault::FloodWait(1),
        Fault::Restart,
        Fault::GatewayHtml(502),
        Fault::GatewayJson(504),
        Fault::EmptyBody(200),
        Fault::EmptyBody(500),
        Fault::TruncatedJson,
        Fault::NotJson,
        quoting(400),
        quoting(409),
        quoting(500),
    ]
}

#[test]
fn whatever_a_bot_meets_it_keeps_its_token() {
    listen();
    on_actix(async {
        let stage = Stage::lenient();
        let token = stage.bot.token().to_owned();
        let (_, secret) = token.split_once(':').unwrap();
        let quote = format!("no route /bot{token}/x, nor /bot{}/x", token.replace(':', "%3A"));
        let mut printed = String::new();

        let builder = stage.actogram().handlers(|| async |_: Context| {});
        write!(printed, "{builder:?} {builder:#?}").unwrap();
        printed.push_str(&settings_that_are_wrong(&token));

        let (contexts, dead) = (Log::<Context>::new(), Log::<DeadUpdate>::new());
        let bot = stage
            .actogram()
            // Faults that damage an empty answer strike when the poll times out.
            .poll_timeout(Duration::from_secs(1))
            .retry(RetryPolicy::new([Duration::from_millis(5)]))
            .on_error(collecting(&dead))
            .handlers(sharing(contexts.clone(), answer_or_fail))
            .start()
            .await
            .unwrap();
        stage.until("the bot polls", |view| view.is_polling()).await;
        let faults = faults(&quote);
        for fault in &faults {
            stage.bot.fault(fault.clone().on("getUpdates"));
        }
        for (number, fault) in faults.into_iter().enumerate() {
            let user = stage.bot.user(&format!("user {number}"));
            stage.bot.fault(fault.on("sendMessage").to_chat(user.chat_id()));
            user.say("answer");
        }
        for text in ["panic", "fail"] {
            stage.bot.user(text).say(text);
        }
        stage.bot.push_unknown_enum_value();
        stage
            .until("all is over", |view| {
                view.pending_count() == 0 && view.faults_left() == 0
            })
            .await;
        stage.simulator.go_down();
        until_snapshot(&bot, "the server is missed", |snapshot| {
            snapshot.engine.polling.failures_in_a_row > 0
        })
        .await;
        let snapshot = bot.snapshot().await.unwrap();
        let api = bot.api();
        write!(
            printed,
            "{snapshot:?} {snapshot:#?} {bot:?} {bot:#?} {api:?} {api:#?}"
        )
        .unwrap();
        stage.simulator.go_up();
        let refused = Fault::Error {
            code: 401,
            description: quote.clone(),
        };
        stage.bot.fault(refused.on("getUpdates").forever());
        let error = bot.wait().await.unwrap_err();
        assert!(
            error.to_string().contains("no route"),
            "{}",
            redacted(&error.to_string(), secret)
        );
        printed.push_str(&shown_with_causes(&error));
        let Error::PollingFailed { report, .. } = &error else {
            panic!("polling has failed");
        };
        printed.push_str(&shown(&**report));
        for context in contexts.all() {
            write!(printed, "{context:?} {context:#?} {:?}", context.api()).unwrap();
        }
        assert!(dead.len() >= 5, "failures reached the hook: {}", dead.len());
        for letter in dead.all() {
            write!(
                printed,
                "{letter:?} {letter:#?} {} {:?}",
                letter.error, letter.history
            )
            .unwrap();
        }

        assert_secret_free(&printed, secret, "a printed value");
        assert_secret_free(&logged(), secret, "the log");
        assert_the_log_is_complete(secret);
    });
}

/// Answers, or fails in the way the text says.
async fn answer_or_fail(contexts: Log<Context>, ctx: Context) -> HandlerResult {
    contexts.add(ctx.clone());
    match ctx.text() {
        Some("panic") => panic!("a handler that shows all it has: {ctx:?} {:?}", ctx.api()),
        Some("fail") => return Err(HandlerError::retry(format!("{ctx:?} {:?}", ctx.api()))),
        Some(_) => drop(ctx.reply("answer").await?),
        None => {}
    }
    Ok(())
}

/// Returns how the errors of wrong settings print, the ones of the token above all.
fn settings_that_are_wrong(token: &str) -> String {
    let mut printed = String::new();
    for wrong in [
        format!("{token}:{token}"),
        format!("bot{token}"),
        token.replace(':', ""),
        format!(" {token} /"),
    ] {
        let bot = Bot::new(&wrong).direct().handlers(|| async |_: Context| {});
        write!(printed, "{bot:?}").unwrap();
        if let Err(error) = bot.poll_timeout(Duration::ZERO).spawn() {
            printed.push_str(&shown_with_causes(&error));
        }
    }
    for server in [
        format!("http://localhost/bot{token}?x"),
        format!("{token}@localhost"),
    ] {
        let error = Server::parse(&server).unwrap_err();
        printed.push_str(&shown(&error));
    }
    printed
}

fn redacted(text: &str, secret: &str) -> String {
    text.replace(secret, "<the secret>")
}

fn assert_secret_free(text: &str, secret: &str, origin: &str) {
    let shows = text.lines().find(|line| line.contains(secret));
    let shows = shows.map(|line| redacted(line, secret));
    assert_eq!(shows, None, "{origin} shows the token");
}

/// What was searched is what was logged: lines of everyone concerned are there, and a secret would have been found.
fn assert_the_log_is_complete(secret: &str) {
    let log = logged();
    for line in [
        "fetch failed, will be repeated",
        "update is given up",
        "a handler that shows all it has",
        "source failed for good",
        "TRACE",
    ] {
        assert!(log.contains(line), "{line:?} was not captured");
    }
    log::trace!("red control {secret}");
    tracing::trace!(%secret, "red control");
    assert_eq!(logged().matches(secret).count(), 2);
}

/// The output of a program of ours whose token is refused tells what to do, and not what the token is.
#[test]
fn a_program_whose_token_is_refused_says_so_without_it() {
    let stage = Stage::lenient();
    let (_, secret) = stage.bot.token().split_once(':').unwrap();
    for (token, advice) in [
        (format!("777777:{secret}"), "@BotFather"),
        (format!("777777{secret}"), "token"),
        (format!("{}:{secret} x", stage.bot.id()), "token"),
    ] {
        let program = stage.run_example_with("echo", |command| {
            command.env("TELEGRAM_BOT_TOKEN", &token).env("RUST_LOG", "trace");
        });
        let (status, output) = program.wait();

        assert!(!status.success(), "{}", redacted(&output, secret));
        assert!(output.contains(advice), "{}", redacted(&output, secret));
        assert_secret_free(&output, secret, "a program");
    }
}
