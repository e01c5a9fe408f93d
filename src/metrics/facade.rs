//! Reporting to the recorder that the application has installed.

use std::{collections::HashMap, pin::pin, sync::LazyLock, thread, time::Duration};

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use futures_util::future::{Either, select};
use tokio::{
    runtime,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        watch,
    },
    task::{LocalSet, spawn_local},
    time::sleep,
};

use super::{
    family::{Family, Kind},
    samples::{Sample, Value, samples},
    vitals::Vitals,
};
use crate::handle::BotHandle;

/// Time between two reports to the recorder of the [`metrics`](https://docs.rs/metrics) facade. The last one is made when the
/// bot has stopped.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Leads to the thread that reports the numbers of all bots of the process. On the thread of a bot nobody would report that
/// it hangs, or has ended.
static REPORTING: LazyLock<UnboundedSender<Reported>> = LazyLock::new(|| {
    let (sender, mut bots) = unbounded_channel();
    let body = move || match runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => LocalSet::new().block_on(&runtime, async move {
            while let Some(Reported { bot, made }) = bots.recv().await {
                // A task each: a panic of the recorder ends that of one bot.
                spawn_local(async move {
                    report(bot).await;
                    made.send_replace(true);
                });
            }
        }),
        Err(error) => tracing::error!(%error, "no numbers are reported, there is no timer for it"),
    };
    let thread = thread::Builder::new().name("actogram-metrics".to_owned());
    if let Err(error) = thread.spawn(body) {
        tracing::error!(%error, "no numbers are reported, there is no thread for it");
    }
    sender
});

/// A bot whose numbers are to be reported, and whom to tell when the final ones are.
struct Reported {
    bot: BotHandle,
    made: watch::Sender<bool>,
}

/// Reports the numbers of a bot until it has stopped, and says when the final ones are made.
pub(crate) fn publish(bot: BotHandle, made: watch::Sender<bool>) {
    // Without a thread nobody is told, and nobody waits.
    let _ = REPORTING.send(Reported { bot, made });
}

/// Reports the numbers of a bot until it has stopped, and the final ones then. Ends within 2 s after that.
async fn report(bot: BotHandle) {
    describe();
    let mut reporter = Reporter::new(bot.api().bot_id());
    let report_now_and_then = async {
        loop {
            reporter.report(&Vitals::of(&bot).await);
            sleep(INTERVAL).await;
        }
    };
    match select(pin!(bot.over()), pin!(report_now_and_then)).await {
        Either::Left(((), _)) => {}
        Either::Right((never, _)) => match never {},
    }
    reporter.report(&Vitals::last(&bot).await);
}

fn describe() {
    for family in Family::ALL {
        match family.kind {
            Kind::Counter => describe_counter!(family.name, family.help),
            Kind::Gauge => describe_gauge!(family.name, family.help),
            Kind::Histogram => describe_histogram!(family.name, family.help),
        }
    }
}

/// Turns totals into what a counter of the facade has to grow by: it may live longer than the bot.
struct Reporter {
    bot: String,
    reported: HashMap<(&'static str, Option<&'static str>), u64>,
    /// As `reported`, for each bound of a histogram; the last one is the number of all.
    buckets: HashMap<&'static str, Vec<u64>>,
    /// As `reported`, for the sum of a histogram.
    sums: HashMap<&'static str, Duration>,
}

impl Reporter {
    fn new(bot_id: u64) -> Self {
        Self {
            bot: bot_id.to_string(),
            reported: HashMap::new(),
            buckets: HashMap::new(),
            sums: HashMap::new(),
        }
    }

    fn report(&mut self, vitals: &Vitals) {
        for sample in samples(vitals) {
            self.sample(&sample);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        let (name, mut labels) = (sample.family.name, vec![("bot", self.bot.clone())]);
        if let Some((label, value)) = sample.family.label.zip(sample.label) {
            labels.push((label, value.to_owned()));
        }
        match sample.value {
            Value::Gauge(number) => gauge!(name, &labels).set(number),
            Value::Counter(number) => {
                let reported = self.reported.entry((name, sample.label)).or_default();
                counter!(name, &labels).increment(number.saturating_sub(*reported));
                *reported = number;
            }
            Value::Total(number) => counter!(name, &labels).absolute(number),
            Value::Histogram(timings) => {
                let bounds = timings
                    .buckets()
                    .map(|(bound, count)| (bound.as_secs_f64().to_string(), count));
                let bounds = bounds.chain([("+Inf".to_owned(), timings.count())]);
                let reported = self.buckets.entry(name).or_default();
                for (place, (bound, count)) in bounds.enumerate() {
                    if reported.len() <= place {
                        reported.push(0);
                    }
                    let grown = count.saturating_sub(reported[place]);
                    reported[place] = count;
                    if bound == "+Inf" {
                        counter!(format!("{name}_count"), &labels).increment(grown);
                    }
                    let mut labels = labels.clone();
                    labels.push(("le", bound));
                    counter!(format!("{name}_bucket"), &labels).increment(grown);
                }
                let reported = self.sums.entry(name).or_default();
                let grown = timings.total().saturating_sub(*reported);
                *reported = timings.total();
                // The facade has no counter of fractions.
                gauge!(format!("{name}_sum"), &labels).increment(grown.as_secs_f64());
            }
        }
    }
}
