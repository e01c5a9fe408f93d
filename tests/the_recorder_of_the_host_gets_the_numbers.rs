//! With the feature `metrics` a bot reports to the recorder that its host has installed, and installs none itself.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use actogram::{
    BotHandle, Context, Error, HandlerResult, WorkerThreads,
    metrics::{Family, Kind},
};
use actogram_simulator::{Bot as SimulatedBot, Fault, View};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use support::{PATIENCE, Stage, on_actix, sharing, until, until_blocking};

/// The recorder of this program, which all its tests share: each has a bot of its own.
static KEPT: LazyLock<Kept> = LazyLock::new(|| {
    let kept = Kept::default();
    metrics::set_global_recorder(kept.clone()).unwrap();
    kept
});

/// Keeps what it is told, by name and labels.
#[derive(Clone, Default)]
struct Kept {
    numbers: Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>,
    described: Arc<Mutex<Vec<String>>>,
}

impl Kept {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{} {}", key.name(), labels.join(","));
        Arc::clone(self.numbers.lock().unwrap().entry(name).or_default())
    }

    fn counter(&self, name: &str) -> u64 {
        let numbers = self.numbers.lock().unwrap();
        numbers.get(name).map_or(0, |number| number.load(SeqCst))
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        let numbers = self.numbers.lock().unwrap();
        numbers
            .get(name)
            .map(|number| f64::from_bits(number.load(SeqCst)))
    }

    fn describe(&self, name: &KeyName) {
        self.described.lock().unwrap().push(name.as_str().to_owned());
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("a histogram is reported as counters")
    }
}

fn simulated(stage: &Stage, id: u64) -> SimulatedBot {
    let token = format!("{id}:AAB-the_b0t_of_one_test_of_recorders");
    stage.simulator.bot_with_token(&token).unwrap()
}

async fn take(time: Duration, _: Context) -> HandlerResult {
    tokio::time::sleep(time).await;
    Ok(())
}

/// Starts a bot on this thread, and waits until it is reported to run.
async fn reported(stage: &Stage, id: u64) -> (BotHandle, String) {
    let bot = stage
        .actogram_for(&simulated(stage, id))
        .handlers(|| async |_: Context| {})
        .start()
        .await
        .unwrap();
    let up = format!("actogram_up bot={id}");
    until("it reports that it runs", || KEPT.gauge(&up) == Some(1.0)).await;
    (bot, up)
}

#[test]
fn the_recorder_gets_every_number_when_the_bot_stops_and_adds_up_over_restarts() {
    on_actix(async {
        let kept = &*KEPT;
        let stage = Stage::lenient();
        let simulated = simulated(&stage, 7_000_101);
        let ann = simulated.user("Ann");
        let folder = tempfile::tempdir().unwrap();
        let id = 7_000_101;
        let up = format!("actogram_up bot={id}");
        let mut taken = 0.0;

        for round in 1..=2 {
            ann.say_all(["one", "two"]);
            let bot = stage
                .actogram_for(&simulated)
                .journal(folder.path().join("bot.db"))
                // Attempts of the second bot take less time in all.
                .handlers(sharing(Duration::from_millis(60 / round), take))
                .start()
                .await
                .unwrap();
            until("it reports that it runs", || kept.gauge(&up) == Some(1.0)).await;
            support::until_snapshot(&bot, "both are handled", |snapshot| {
                snapshot.engine.totals.done == 2
            })
            .await;
            let done = format!("actogram_updates_handled_total bot={id},outcome=done");
            // The next report would be 5 s after the first.
            let report = bot.shutdown().await.unwrap();
            assert!(report.is_clean(), "{report}");

            assert_eq!(kept.counter(&done), 2 * round);
            assert_eq!(
                kept.counter(&format!("actogram_updates_journaled_total bot={id}")),
                2 * round
            );
            assert_eq!(kept.gauge(&up), Some(0.0));
            let count = format!("actogram_attempt_seconds_count bot={id}");
            let all = format!("actogram_attempt_seconds_bucket bot={id},le=+Inf");
            assert_eq!((kept.counter(&count), kept.counter(&all)), (2 * round, 2 * round));
            let sum = kept
                .gauge(&format!("actogram_attempt_seconds_sum bot={id}"))
                .unwrap();
            assert!(sum > taken, "{sum} after {taken}");
            taken = sum;
        }

        let described = kept.described.lock().unwrap();
        let numbers = kept.numbers.lock().unwrap();
        let of_this_bot = format!("bot={id}");
        let reported: Vec<&str> = numbers
            .keys()
            .filter_map(|key| key.split_once(' '))
            .filter(|(_, labels)| labels.split(',').any(|label| label == of_this_bot))
            .map(|(name, _)| name)
            .collect();
        for family in Family::ALL {
            let name = family.name;
            assert!(described.iter().any(|described| described == name), "{name}");
            let parts = match family.kind {
                Kind::Histogram => ["_bucket", "_sum", "_count"].as_slice(),
                _ => &[""],
            };
            for part in parts {
                // This bot has no webhook.
                assert_eq!(
                    reported.contains(&format!("{name}{part}").as_str()),
                    !name.starts_with("actogram_webhook_"),
                    "{name}{part}"
                );
            }
        }
    });
}

#[test]
fn the_recorder_gets_the_last_numbers_also_when_the_bot_ends_by_an_error() {
    on_actix(async {
        let kept = &*KEPT;
        let stage = Stage::lenient();
        let (simulated, id) = (simulated(&stage, 7_000_102), 7_000_102);
        let bot = stage
            .actogram_for(&simulated)
            .handlers(|| async |_: Context| {})
            .start()
            .await
            .unwrap();
        let polls = |view: &View<'_>| view.is_polling();
        assert!(simulated.wait_for_async(PATIENCE, polls).await);
        simulated.fault(Fault::Unauthorized.on("getUpdates").forever());
        simulated.user("Ann").say("hello");

        let error = bot.wait().await.unwrap_err();

        assert!(matches!(error, Error::PollingFailed { .. }), "{error}");
        let done = format!("actogram_updates_handled_total bot={id},outcome=done");
        let failed = format!("actogram_polls_total bot={id},result=failed");
        assert_eq!((kept.counter(&done), kept.counter(&failed)), (1, 1));
        assert_eq!(kept.gauge(&format!("actogram_up bot={id}")), Some(0.0));
    });
}

#[test]
fn bots_that_share_workers_are_told_apart() {
    on_actix(async {
        let kept = &*KEPT;
        let stage = Stage::lenient();
        let threads = WorkerThreads::new(1);
        let mut bots = Vec::new();
        for id in [7_000_103, 7_000_104] {
            let bot = stage
                .actogram_for(&simulated(&stage, id))
                .shared_workers(&threads);
            bots.push(bot.handlers(|| async |_: Context| {}).start().await.unwrap());
        }
        let up = bots
            .iter()
            .map(|bot| kept.gauge(&format!("actogram_up bot={}", bot.api().bot_id())));

        until("both report that they run", || up.clone().eq([Some(1.0); 2])).await;
        assert!(bots[0].shutdown().await.unwrap().is_clean());
        assert!(up.clone().eq([Some(0.0), Some(1.0)]));
        assert!(bots[1].shutdown().await.unwrap().is_clean());
        assert!(up.clone().eq([Some(0.0); 2]));
    });
}

/// A bot that hangs cannot say so itself.
#[test]
fn the_recorder_is_told_of_a_bot_whose_thread_hangs() {
    on_actix(async {
        let stage = Stage::lenient();
        let (bot, up) = reported(&stage, 7_000_105).await;

        // This is the thread of the bot.
        until_blocking("it does not answer", || KEPT.gauge(&up) == Some(0.0));
        until("it answers again", || KEPT.gauge(&up) == Some(1.0)).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(KEPT.gauge(&up), Some(0.0));
    });
}

#[test]
fn the_recorder_is_told_of_a_bot_whose_thread_has_ended() {
    let stage = Stage::lenient();
    let (stage, up) = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let (_, up) = reported(&stage, 7_000_106).await;
            (stage, up)
        })
    })
    .join()
    .unwrap();

    until_blocking("it is lost", || KEPT.gauge(&up) == Some(0.0));
    drop(stage);
}
