//! With the feature `metrics` a bot reports to the recorder that its host has installed, and installs none itself.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use actogram::{Context, Error, WorkerThreads, metrics::Family};
use actogram_simulator::Fault;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use support::{Stage, on_actix, until};

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

#[test]
fn the_recorder_gets_every_number_when_the_bot_stops_and_adds_up_over_restarts() {
    on_actix(async {
        let kept = Kept::default();
        // For this thread only, which the bot runs on.
        let _installed = metrics::set_default_local_recorder(&kept);
        let stage = Stage::lenient();
        let ann = stage.bot.user("Ann");
        let folder = tempfile::tempdir().unwrap();
        let id = stage.bot.token().split(':').next().unwrap().to_owned();
        let up = format!("actogram_up bot={id}");

        for round in 1..=2 {
            ann.say_all(["one", "two"]);
            let bot = stage
                .actogram()
                .journal(folder.path().join("bot.db"))
                .handlers(|| async |_: Context| {})
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
            assert!(
                kept.gauge(&format!("actogram_attempt_seconds_sum bot={id}"))
                    .is_some()
            );
        }

        let described = kept.described.lock().unwrap();
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name).collect();
        assert_eq!(described[..names.len()], names);
        let numbers = kept.numbers.lock().unwrap();
        for name in names {
            // This bot has no webhook.
            assert_eq!(
                numbers.keys().any(|key| key.starts_with(name)),
                !name.starts_with("actogram_webhook_"),
                "{name}"
            );
        }
    });
}

#[test]
fn the_recorder_gets_the_last_numbers_also_when_the_bot_ends_by_an_error() {
    on_actix(async {
        let kept = Kept::default();
        let _installed = metrics::set_default_local_recorder(&kept);
        let stage = Stage::lenient();
        let id = stage.bot.token().split(':').next().unwrap().to_owned();
        let bot = stage
            .actogram()
            .handlers(|| async |_: Context| {})
            .start()
            .await
            .unwrap();
        stage.until("the bot polls", |view| view.is_polling()).await;
        stage.bot.fault(Fault::Unauthorized.on("getUpdates").forever());
        stage.bot.user("Ann").say("hello");

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
        let kept = Kept::default();
        let _installed = metrics::set_default_local_recorder(&kept);
        let stage = Stage::lenient();
        let second = stage
            .simulator
            .bot_with_token("7654321:SecondSecondSecondSecondSecondSecon")
            .unwrap();
        let threads = WorkerThreads::new(1);
        let mut bots = Vec::new();
        for simulated in [&stage.bot, &second] {
            let bot = stage.actogram_for(simulated).shared_workers(&threads);
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
