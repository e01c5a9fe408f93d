//! A broadcast reaches every chat once, and says what became of each.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{collections::BTreeMap, path::Path, time::Duration};

use actogram::{
    Bot, BotHandle, Broadcast, BroadcastChats, BroadcastEnding, BroadcastError, BroadcastHandle, ChatOutcome,
    ChatRecord, Context, HandlerResult,
};
use actogram_simulator::{Access, Fault, Restart};
use rusqlite::{Connection, OpenFlags};
use support::{Stage, on_actix};
use tempfile::TempDir;

async fn silent(_: Context) -> HandlerResult {
    Ok(())
}

fn bot_of(stage: &Stage, journal: &Path) -> Bot {
    stage.actogram().journal(journal).handlers(|| silent)
}

async fn start(stage: &Stage, folder: &TempDir) -> BotHandle {
    bot_of(stage, &folder.path().join("bot.db"))
        .start()
        .await
        .unwrap()
}

fn news(bot: &BotHandle, chats: &[i64]) -> Broadcast {
    bot.broadcast("news")
        .to(chats.to_vec())
        .text("The news")
        .unpaced()
}

async fn records(broadcast: &BroadcastHandle) -> BTreeMap<i64, ChatRecord> {
    let page = broadcast.chats(BroadcastChats::new()).await.unwrap();
    let chats = page.chats.into_iter();
    chats.map(|record| (record.chat_id, record)).collect()
}

#[test]
fn every_chat_has_the_outcome_that_the_server_gave_it() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users = ["Ann", "Bob", "Cleo", "Dan"].map(|name| stage.bot.user(name));
    let [ann, bob, cleo, dan] = users.each_ref().map(|user| user.chat_id());
    let gone = stage.bot.user_with("Gone", Access::Deactivated).chat_id();
    let group = stage.bot.group("Old group");
    let supergroup = group.upgrade().unwrap();
    let nobody = 999_999_999_999;
    users[1].block_bot();
    stage
        .bot
        .fault(Fault::DropAfterProcessing.on("sendMessage").to_chat(cleo));
    stage
        .bot
        .fault(Fault::FloodWait(1).on("sendMessage").to_chat(dan));
    on_actix(async {
        let bot = start(&stage, &folder).await;

        let broadcast = news(&bot, &[ann, bob, cleo, dan, gone, group.id(), nobody, ann])
            .start()
            .await
            .unwrap();
        let report = broadcast.wait().await.unwrap();

        assert_eq!(report.ending, BroadcastEnding::Completed);
        assert_eq!(
            report.counts.to_string(),
            "3 sent, 2 blocked, 1 unknown, 1 failed, 1 moved"
        );
        let records = records(&broadcast).await;
        let outcome = |chat: i64| records[&chat].outcome;
        assert_eq!(outcome(ann), ChatOutcome::Sent);
        assert_eq!(outcome(bob), ChatOutcome::Blocked);
        assert_eq!(outcome(cleo), ChatOutcome::Unknown);
        assert_eq!(outcome(dan), ChatOutcome::Sent);
        assert_eq!(outcome(gone), ChatOutcome::Blocked);
        assert_eq!(outcome(nobody), ChatOutcome::Failed);
        assert_eq!(records[&group.id()].moved_to, Some(supergroup.id()));
        assert_eq!(outcome(supergroup.id()), ChatOutcome::Sent);
        let reason = |chat: i64| records[&chat].reason.clone().unwrap();
        assert_eq!(reason(bob), "Forbidden: bot was blocked by the user");
        assert_eq!(reason(nobody), "Bad Request: chat not found");
        let progress = broadcast.progress();
        assert_eq!((progress.done, progress.total, progress.eta), (8, Some(8), None));
        bot.shutdown().await.unwrap();
    });
    for user in [&users[0], &users[2], &users[3]] {
        assert_eq!(user.heard(), ["The news"]);
    }
    assert_eq!(supergroup.heard(), ["The news"]);
}

#[test]
fn a_broadcast_stops_with_its_bot_and_resumes_at_the_next_start() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..30).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let chats: Vec<_> = users.iter().map(|user| user.chat_id()).collect();
    stage.bot.fault(
        Fault::DelayResponse(Duration::from_millis(20))
            .on("sendMessage")
            .forever(),
    );
    on_actix(async {
        let bot = start(&stage, &folder).await;
        let broadcast = news(&bot, &chats).concurrency(2).start().await.unwrap();
        stage.until("some have it", |view| view.sent().len() >= 6).await;

        let stopped = bot.shutdown().await.unwrap();

        assert!(stopped.is_clean(), "{stopped}");
        let report = broadcast.wait().await.unwrap();
        assert_eq!(report.ending, BroadcastEnding::Stopped);
        assert_eq!(report.counts.unknown, 0, "what was running ended first");
        let before = stage.bot.sent().len() as u64;
        assert_eq!(report.counts.sent, before);
        assert!(before < 30, "the test is void: it was complete");
        let refused = news(&bot, &chats).start().await.unwrap_err();
        assert!(matches!(refused, BroadcastError::BotStopped), "{refused}");

        let bot = start(&stage, &folder).await;
        // Any order will do.
        let backwards: Vec<_> = chats.iter().rev().copied().collect();
        let report = news(&bot, &backwards)
            .start()
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();

        assert_eq!(
            (report.ending, report.counts.sent),
            (BroadcastEnding::Completed, 30)
        );
        bot.shutdown().await.unwrap();
    });
    for user in &users {
        assert_eq!(user.heard(), ["The news"]);
    }
}

#[test]
fn a_name_that_has_ended_is_refused_until_it_is_begun_anew_or_dropped() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let ann = stage.bot.user("Ann");
    on_actix(async {
        let bot = start(&stage, &folder).await;
        news(&bot, &[ann.chat_id()])
            .start()
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();

        let refused = news(&bot, &[ann.chat_id()]).start().await.unwrap_err();

        assert!(
            matches!(&refused, BroadcastError::Ended { cancelled: false, counts, .. } if counts.sent == 1),
            "{refused}"
        );
        let list = bot.broadcasts().await.unwrap();
        assert_eq!((list.len(), list[0].name.as_str()), (1, "news"));
        assert!(list[0].ended_at.is_some() && !list[0].cancelled);
        let again = news(&bot, &[ann.chat_id()]).anew().start().await.unwrap();
        again.wait().await.unwrap();
        assert!(bot.drop_broadcast("news").await.unwrap());
        assert!(!bot.drop_broadcast("news").await.unwrap());
        let chats = bot.broadcast_chats("news", BroadcastChats::new()).await.unwrap();
        assert_eq!(chats, None);
        let third = news(&bot, &[ann.chat_id()]).start().await.unwrap();
        third.wait().await.unwrap();
        bot.shutdown().await.unwrap();
    });
    assert_eq!(ann.heard(), ["The news"; 3]);
}

#[test]
fn a_cancelled_broadcast_is_over_for_good() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..10).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let chats: Vec<_> = users.iter().map(|user| user.chat_id()).collect();
    stage.bot.fault(Fault::Stall.on("sendMessage").to_chat(chats[0]));
    on_actix(async {
        let bot = start(&stage, &folder).await;
        let broadcast = news(&bot, &chats).concurrency(1).start().await.unwrap();
        stage
            .until("the first is stuck", |view| view.faults_left() == 0)
            .await;

        broadcast.cancel();
        let refused = news(&bot, &chats).start().await.unwrap_err();
        assert!(
            matches!(refused, BroadcastError::AlreadyRunning { .. }),
            "{refused}"
        );
        stage
            .simulator
            .restart(Restart::LoseConfirmationsSince(Duration::ZERO));
        let report = broadcast.wait().await.unwrap();

        assert_eq!(report.ending, BroadcastEnding::Cancelled);
        assert_eq!((report.counts.unknown, report.counts.chats()), (1, 1));
        let refused = news(&bot, &chats).start().await.unwrap_err();
        assert!(
            matches!(refused, BroadcastError::Ended { cancelled: true, .. }),
            "{refused}"
        );
        bot.shutdown().await.unwrap();
    });
    assert!(users[1..].iter().all(|user| user.heard().is_empty()));
}

/// The server stands still while it is looked at: whoever has the message is on record.
#[test]
fn nothing_is_sent_before_it_is_on_record() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..200).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let chats: Vec<_> = users.iter().map(|user| user.chat_id()).collect();
    on_actix(async {
        let bot = start(&stage, &folder).await;
        let path = folder.path().join("bot.db");
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let broadcast = news(&bot, &chats).start().await.unwrap();
        let (mut looks, mut sent) = (0, 0);

        stage
            .until("all have it", |view| {
                looks += usize::from(view.sent().len() > sent);
                for message in &view.sent()[sent..] {
                    let chat = message.chat_id.unwrap();
                    let mut on_record = file
                        .prepare_cached("SELECT 1 FROM broadcast_chats WHERE chat = ?1")
                        .unwrap();
                    assert!(on_record.exists([chat]).unwrap(), "{chat} is not on record");
                }
                sent = view.sent().len();
                sent == chats.len()
            })
            .await;

        assert!(looks > 10, "the run is void: {looks} looks");
        assert_eq!(broadcast.wait().await.unwrap().counts.sent, 200);
        bot.shutdown().await.unwrap();
    });
}

#[test]
fn two_broadcasts_go_on_at_the_same_time() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..20).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let chats: Vec<_> = users.iter().map(|user| user.chat_id()).collect();
    on_actix(async {
        let bot = start(&stage, &folder).await;
        let start = |text: &'static str| {
            let broadcast = bot.broadcast(text).to(chats.clone()).text(text).unpaced();
            broadcast.start()
        };

        let (one, two) = (start("one").await.unwrap(), start("two").await.unwrap());
        let (first, second) = (one.wait().await.unwrap(), two.wait().await.unwrap());

        assert_eq!((first.counts.sent, second.counts.sent), (20, 20));
        bot.shutdown().await.unwrap();
    });
    for user in &users {
        let mut heard = user.heard();
        heard.sort_unstable();
        assert_eq!(heard, ["one", "two"]);
    }
}

#[test]
fn an_unknown_outcome_is_repeated_when_that_is_wished() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let ann = stage.bot.user("Ann");
    stage.bot.fault(Fault::DropAfterProcessing.on("sendMessage"));
    on_actix(async {
        let bot = start(&stage, &folder).await;

        let broadcast = news(&bot, &[ann.chat_id()]).repeat_unknown(true);
        let report = broadcast.start().await.unwrap().wait().await.unwrap();

        assert_eq!((report.counts.sent, report.counts.unknown), (1, 0));
        bot.shutdown().await.unwrap();
    });
    assert_eq!(ann.heard(), ["The news"; 2]);
}

#[test]
fn what_was_cut_off_by_a_stop_that_does_not_wait_is_unknown() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
    let chats = [ann.chat_id(), bob.chat_id()];
    stage
        .bot
        .fault(Fault::Stall.on("sendMessage").to_chat(ann.chat_id()));
    on_actix(async {
        let bot = start(&stage, &folder).await;
        let broadcast = news(&bot, &chats).concurrency(1).start().await.unwrap();
        stage
            .until("the first is stuck", |view| view.faults_left() == 0)
            .await;

        bot.shutdown_now().await.unwrap();

        assert_eq!(broadcast.wait().await.unwrap().ending, BroadcastEnding::Stopped);
        let bot = start(&stage, &folder).await;
        let broadcast = news(&bot, &chats).start().await.unwrap();
        broadcast.wait().await.unwrap();
        let records = records(&broadcast).await;
        assert_eq!(records[&chats[0]].outcome, ChatOutcome::Unknown);
        assert_eq!(records[&chats[1]].outcome, ChatOutcome::Sent);
        bot.shutdown().await.unwrap();
    });
    assert_eq!(ann.heard(), [] as [String; 0]);
}

#[test]
fn without_a_journal_a_broadcast_must_say_that_it_may_be_forgotten() {
    let stage = Stage::lenient();
    let ann = stage.bot.user("Ann");
    on_actix(async {
        let bot = stage.actogram().handlers(|| silent).start().await.unwrap();

        let refused = news(&bot, &[ann.chat_id()]).start().await.unwrap_err();
        assert!(matches!(refused, BroadcastError::NoJournal), "{refused}");
        let broadcast = news(&bot, &[ann.chat_id()]).in_memory().start().await.unwrap();
        broadcast.wait().await.unwrap();

        assert_eq!(
            records(&broadcast).await[&ann.chat_id()].outcome,
            ChatOutcome::Sent
        );
        bot.shutdown().await.unwrap();
    });
    assert_eq!(ann.heard(), ["The news"]);
}

#[test]
fn a_bot_on_a_thread_of_its_own_takes_broadcasts_from_any_runtime() {
    let stage = Stage::lenient();
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..5).map(|n| stage.bot.user(&format!("user {n}"))).collect();
    let chats: Vec<_> = users.iter().map(|user| user.chat_id()).collect();
    let bot = bot_of(&stage, &folder.path().join("bot.db")).spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();

    let report = runtime.block_on(async move {
        let sending = tokio::spawn(async move {
            let report = news(&bot, &chats).start().await.unwrap().wait().await.unwrap();
            bot.shutdown().await.unwrap();
            report
        });
        sending.await.unwrap()
    });

    assert_eq!(report.counts.sent, 5);
    assert!(users.iter().all(|user| user.heard() == ["The news"]));
}

#[test]
fn a_broadcast_that_is_incomplete_does_not_start() {
    let stage = Stage::lenient();
    on_actix(async {
        let bot = stage.actogram().handlers(|| silent).start().await.unwrap();
        let named = || bot.broadcast("news").in_memory();

        let no_chats = named().text("The news").start().await.unwrap_err();
        let no_message = named().to([1]).start().await.unwrap_err();
        let no_name = bot
            .broadcast("")
            .to([1])
            .text("The news")
            .start()
            .await
            .unwrap_err();

        assert!(matches!(no_chats, BroadcastError::NoChats), "{no_chats}");
        assert!(matches!(no_message, BroadcastError::NoMessage), "{no_message}");
        assert!(matches!(no_name, BroadcastError::Name), "{no_name}");
        bot.shutdown().await.unwrap();
    });
}
