//! Several bots in one process: they share worker threads, and nothing else.

use std::{
    collections::HashSet,
    thread::{self, ThreadId},
    time::Duration,
};

use actogram::{Bot, BotHandle, Context, WorkerThreads};
use actogram_simulator::{Bot as SimulatedBot, Fault};
use tempfile::TempDir;

use crate::{
    Handled, noting,
    support::{Gate, Log, PATIENCE, Stage, on_actix, sharing, until, until_blocking, until_snapshot},
    wait_blocking,
};

/// Two bots with a journal each, on one thread. Each has a server of its own, so that the same ids are given out to both.
struct Pair {
    stage: Stage,
    other_stage: Stage,
    second: SimulatedBot,
    folder: TempDir,
    threads: WorkerThreads,
}

impl Pair {
    fn new() -> Self {
        let (stage, other_stage) = (Stage::lenient(), Stage::lenient());
        let second = other_stage
            .simulator
            .bot_with_token("222222:AAB-the_second_b0t_0f_the_system")
            .unwrap();
        Self {
            stage,
            other_stage,
            second,
            folder: tempfile::tempdir().unwrap(),
            threads: WorkerThreads::new(1),
        }
    }

    fn first(&self) -> Bot {
        let bot = self.stage.actogram().journal(self.folder.path().join("first.db"));
        bot.shared_workers(&self.threads)
    }

    fn second(&self) -> Bot {
        let bot = self.other_stage.actogram_for(&self.second);
        bot.journal(self.folder.path().join("second.db"))
            .shared_workers(&self.threads)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(
                self.second.violations().is_empty(),
                "the second bot broke rules of the server"
            );
        }
    }
}

/// Notes the update when the gate has let it pass.
fn gated(bot: Bot, gate: &Gate, handled: &Handled) -> Bot {
    let shared = (gate.clone(), handled.clone());
    bot.handlers(sharing(
        shared,
        |(gate, handled): (Gate, Handled), ctx: Context| async move {
            gate.pass().await;
            handled.add(ctx.update().id());
        },
    ))
}

fn answering(bot: Bot) -> Bot {
    bot.handlers(|| async |_: Context| "answer")
}

async fn until_running(bot: &BotHandle, count: usize) {
    until_snapshot(bot, "handlers run", |snapshot| snapshot.engine.running == count).await;
}

#[test]
fn several_bots_stop_one_by_one_and_lose_nothing() {
    on_actix(async {
        let pair = Pair::new();
        let (ann, bob) = (pair.stage.bot.user("Ann"), pair.second.user("Bob"));
        let (gate, of_first, of_second) = (Gate::closed(), Handled::new(), Handled::new());
        let first = gated(pair.first(), &gate, &of_first).drain_deadline(Duration::from_millis(20));
        let first = first.start().await.unwrap();
        let second = noting(pair.second(), &of_second).start().await.unwrap();
        let (greetings, hi) = (ann.say_all(["hello", "anybody?"]), bob.say("hi"));
        until_running(&first, 1).await;

        let report = first.shutdown().await.unwrap();
        let again = bob.say("still there?");
        until("the second goes on", || of_second.len() == 2).await;
        assert!(report.abandoned.len() == 1 && of_first.len() == 0, "{report}");
        gate.open();
        let first = gated(pair.first(), &gate, &of_first).start().await.unwrap();
        until("the first has done the rest", || of_first.len() == 2).await;

        assert!(second.shutdown().await.unwrap().is_clean());
        assert!(first.shutdown().await.unwrap().is_clean());
        assert_eq!(of_first.all(), greetings);
        assert_eq!(of_second.all(), [hi, again]);
    });
}

#[test]
fn the_same_chat_is_a_lane_of_its_own_in_each_bot() {
    on_actix(async {
        let pair = Pair::new();
        let (with_first, with_second) = (pair.stage.bot.user("Ann"), pair.second.user("Ann"));
        assert_eq!(with_first.chat_id(), with_second.chat_id());
        let (gate, of_first, of_second) = (Gate::closed(), Handled::new(), Handled::new());
        let first = gated(pair.first(), &gate, &of_first).start().await.unwrap();
        let second = noting(pair.second(), &of_second).start().await.unwrap();

        with_first.say("hello");
        until_running(&first, 1).await;
        with_second.say_all(["hello", "again"]);
        until("the second has handled both", || of_second.len() == 2).await;

        assert_eq!(of_first.len(), 0);
        gate.open();
        assert!(first.shutdown().await.unwrap().is_clean());
        assert!(second.shutdown().await.unwrap().is_clean());
        assert_eq!(of_first.len(), 1);
    });
}

/// Nothing that the first bot sends could go out within the time of this test.
#[test]
fn a_flood_wait_of_one_bot_does_not_hold_the_calls_of_another() {
    on_actix(async {
        let pair = Pair::new();
        let (with_first, with_second) = (pair.stage.bot.user("Ann"), pair.second.user("Ann"));
        pair.stage.bot.fault(Fault::FloodWait(59).on("sendMessage"));
        let first = answering(pair.first()).start().await.unwrap();
        let second = answering(pair.second()).start().await.unwrap();
        with_first.say("hello");
        pair.stage
            .until("the first bot has to wait", |view| view.faults_left() == 0)
            .await;

        with_second.say("hello");

        let answered = |view: &actogram_simulator::View<'_>| view.texts_to(with_second.chat_id()).len() == 1;
        assert!(pair.second.wait_for_async(PATIENCE, answered).await);
        assert!(with_first.heard().is_empty());
        assert!(second.shutdown().await.unwrap().is_clean());
        first.shutdown_now().await.unwrap();
    });
}

#[test]
fn a_bot_is_refused_the_journal_of_another_and_harms_it_not() {
    on_actix(async {
        let pair = Pair::new();
        let (ann, handled) = (pair.stage.bot.user("Ann"), Handled::new());
        let first = noting(pair.first(), &handled).start().await.unwrap();

        let of_first = pair.folder.path().join("first.db");
        let error = answering(pair.second().journal(of_first))
            .start()
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("first.db is in use by") && told.contains("give this bot a journal of its own"),
            "{told}"
        );

        let second = answering(pair.second()).start().await.unwrap();
        let issued = ann.say("hello");
        until("the first goes on", || handled.len() == 1).await;
        assert_eq!(handled.all(), [issued]);
        assert!(first.shutdown().await.unwrap().is_clean());
        assert!(second.shutdown().await.unwrap().is_clean());
    });
}

fn noting_threads(bot: Bot, threads: &Log<ThreadId>) -> Bot {
    bot.handlers(sharing(
        threads.clone(),
        |threads: Log<_>, _: Context| async move {
            threads.add(thread::current().id());
        },
    ))
}

/// The threads belong to the actix system of the first bot, which ends with it.
#[test]
fn bots_that_were_spawned_share_workers_beyond_the_life_of_each_other() {
    let pair = Pair::new();
    let (ann, bob) = (pair.stage.bot.user("Ann"), pair.second.user("Bob"));
    let threads = Log::new();
    let first = noting_threads(pair.first(), &threads).spawn().unwrap();
    let second = noting_threads(pair.second(), &threads).spawn().unwrap();
    ann.say("hello");
    until_blocking("the first has handled it", || threads.len() == 1);

    assert!(wait_blocking(first.shutdown()).unwrap().is_clean());
    bob.say_all(["hi", "still there?"]);
    until_blocking("the second has handled both", || threads.len() == 3);

    assert!(wait_blocking(second.shutdown()).unwrap().is_clean());
    assert_eq!(threads.all().into_iter().collect::<HashSet<_>>().len(), 1);
}

#[test]
fn twenty_bots_on_two_shared_workers_are_handled_by_two_threads() {
    on_actix(async {
        let stage = Stage::lenient();
        let (shared, threads) = (WorkerThreads::new(2), Log::new());
        let mut bots = Vec::new();
        for number in 0..20 {
            let token = format!("{}:AAB-one_0f_the_twenty_b0ts_0f_them", 300_000 + number);
            let simulated = stage.simulator.bot_with_token(&token).unwrap();
            for name in ["Ann", "Bob"] {
                simulated.user(name).say("hello");
            }
            let bot = stage.actogram_for(&simulated).shared_workers(&shared);
            bots.push(noting_threads(bot, &threads).start().await.unwrap());
        }

        until("all are handled", || threads.len() == 40).await;

        for bot in bots {
            assert!(bot.shutdown().await.unwrap().is_clean());
        }
        assert_eq!(threads.all().into_iter().collect::<HashSet<_>>().len(), 2);
    });
}
