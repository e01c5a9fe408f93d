//! The numbers of a bot under fixed names: for the [`metrics`](https://docs.rs/metrics) facade and as the text that
//! Prometheus reads.
//!
//! With the cargo feature `metrics` a running bot reports to the recorder that the application has installed, every
//! [`INTERVAL`] and once more, with the final numbers, when it has stopped. One thread does that for all bots of the process,
//! because a bot whose thread hangs could not report that; without a recorder it comes to nothing. No recorder is installed here.
//! [`render`] needs none: it writes the same numbers, under the same names, from [`Vitals`].
//!
//! ```no_run
//! # async fn example(bot: actogram::BotHandle) {
//! use actogram::metrics::{Vitals, render};
//!
//! println!("{}", render(&[Vitals::of(&bot).await]));
//! # }
//! ```
//!
//! Every metric has the label `bot`, the id of the bot. [`Family::ALL`] lists them. The facade gets a histogram as what
//! Prometheus makes of it: the counters `…_bucket` (with `le`) and `…_count` and the gauge `…_sum`, so that the same queries
//! work on both ways.

mod vitals;
mod outside;
mod family;
mod samples;
mod text;
mod facade;
#[cfg(test)]
mod alerts_tests;

pub(crate) use self::facade::publish;
pub use self::{
    facade::INTERVAL,
    family::{Family, Kind},
    outside::{Calls, Intake},
    text::{CONTENT_TYPE, render},
    vitals::{JournalVitals, Stage, Vitals, Workload},
};
