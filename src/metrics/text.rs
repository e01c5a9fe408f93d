//! The text that Prometheus reads.

use std::fmt::{self, Display, Write};

use super::{
    family::Family,
    samples::{Sample, Value, samples},
    vitals::Vitals,
};

/// Content type of the text that [`render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the numbers of these bots in the
/// [text format of Prometheus](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format), in the order
/// of [`Family::ALL`]. A number that is not known is left out.
pub fn render(bots: &[Vitals]) -> String {
    let all: Vec<(u64, Vec<Sample>)> = bots
        .iter()
        .map(|vitals| (vitals.bot_id, samples(vitals)))
        .collect();
    let mut text = String::with_capacity(8 << 10);
    for family in Family::ALL {
        let mut samples = all
            .iter()
            .flat_map(|(bot, samples)| samples.iter().map(move |sample| (*bot, sample)))
            .filter(|(_, sample)| sample.family == *family)
            .peekable();
        if samples.peek().is_some() {
            // Writing to a string cannot fail.
            let _ = write_family(&mut text, *family, samples);
        }
    }
    text
}

fn write_family<'a>(
    text: &mut String,
    family: Family,
    samples: impl Iterator<Item = (u64, &'a Sample)>,
) -> fmt::Result {
    let name = family.name;
    writeln!(text, "# HELP {name} {}", family.help)?;
    writeln!(text, "# TYPE {name} {}", family.kind.as_str())?;
    for (bot, sample) in samples {
        let labels = match family.label.zip(sample.label) {
            Some((label, value)) => format!("bot=\"{bot}\",{label}=\"{value}\""),
            None => format!("bot=\"{bot}\""),
        };
        match sample.value {
            Value::Counter(number) | Value::Total(number) => line(text, name, "", &labels, number)?,
            Value::Gauge(number) => line(text, name, "", &labels, number)?,
            Value::Histogram(timings) => {
                for (bound, count) in timings.buckets() {
                    let labels = format!("{labels},le=\"{}\"", bound.as_secs_f64());
                    line(text, name, "_bucket", &labels, count)?;
                }
                let infinite = format!("{labels},le=\"+Inf\"");
                line(text, name, "_bucket", &infinite, timings.count())?;
                line(text, name, "_sum", &labels, timings.total().as_secs_f64())?;
                line(text, name, "_count", &labels, timings.count())?;
            }
        }
    }
    Ok(())
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &str, value: impl Display) -> fmt::Result {
    writeln!(text, "{name}{suffix}{{{labels}}} {value}")
}

#[cfg(all(test, feature = "journal", feature = "webhook"))]
#[path = "text_tests.rs"]
mod tests;
