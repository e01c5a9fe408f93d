//! The alerts of the documentation can fire: they name what there is, and join what has the same labels.

use super::family::{Family, Kind};

const PAGE: &str = include_str!("../../docs/monitoring.md");

/// What joins two vectors by their labels.
const JOINTS: [&str; 4] = [" and ", " unless ", " / ", " * "];

/// Returns the names and expressions of the alerts.
fn alerts() -> Vec<(&'static str, &'static str)> {
    let (_, alerts) = PAGE.split_once("\n## Alerts\n").expect("there are alerts");
    let alerts = alerts.split("```").nth(1).expect("they are a block");
    let alerts = alerts.split("- alert: ").skip(1);
    alerts
        .map(|alert| {
            let name = alert.split_whitespace().next().expect("it has a name");
            let expression = alert
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("expr: "))
                .expect("it has an expression");
            (name, expression)
        })
        .collect()
}

/// Returns the metrics of an expression, each with the labels that are chosen from it.
fn metrics(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let of_name = |character: char| character.is_ascii_lowercase() || character == '_';
    let starts = expression.match_indices("actogram_").map(|(start, _)| start);
    starts
        .map(|start| {
            let rest = &expression[start..];
            let (name, rest) =
                rest.split_at(rest.find(|character| !of_name(character)).unwrap_or(rest.len()));
            let chosen = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = chosen.map_or_else(Vec::new, |(chosen, _)| {
                let pairs = chosen.split(',').filter_map(|pair| pair.split_once('='));
                pairs.map(|(label, _)| label).collect()
            });
            (name, labels)
        })
        .collect()
}

/// Returns the family of a metric, or of a part of a histogram.
fn family(name: &str) -> Option<Family> {
    let part = |family: &&Family| match family.kind {
        Kind::Counter | Kind::Gauge => family.name == name,
        Kind::Histogram => ["_sum", "_count", "_bucket"]
            .iter()
            .any(|part| name.strip_suffix(part) == Some(family.name)),
    };
    Family::ALL.iter().find(part).copied()
}

/// Returns why an alert can never fire, if that is so.
fn flaw(expression: &str) -> Option<String> {
    for (name, labels) in metrics(expression) {
        let Some(family) = family(name) else {
            return Some(format!("there is no {name}"));
        };
        if let Some(label) = labels.iter().find(|label| family.label != Some(label)) {
            return Some(format!("{name} has no label {label}"));
        }
    }
    let labels = |side: &str| metrics(side).first().and_then(|(name, _)| family(name)?.label);
    for joint in JOINTS {
        for (at, _) in expression.match_indices(joint) {
            let (left, right) = (&expression[..at], &expression[at + joint.len()..]);
            let named = ["ignoring(", "on("].iter().any(|named| right.starts_with(named));
            let left = left.rsplit(" or ").next().unwrap_or_default();
            if !named && !metrics(right).is_empty() && labels(left) != labels(right) {
                return Some(format!("{:?} joins {left:?} with other labels", joint.trim()));
            }
        }
    }
    None
}

#[test]
fn every_alert_can_fire() {
    let alerts = alerts();

    assert!(alerts.len() > 5, "{alerts:?}");
    for (name, expression) in alerts {
        assert!(!metrics(expression).is_empty(), "{name} has no metric");
        assert_eq!(flaw(expression), None, "{name}");
    }
}

#[test]
fn an_alert_that_can_never_fire_is_found() {
    let handled = r#"rate(actogram_updates_handled_total{outcome="done"}[5m]) == 0"#;

    for (expression, found) in [
        ("actogram_down == 1".to_owned(), true),
        (r#"actogram_up{outcome="done"} == 1"#.to_owned(), true),
        (format!("actogram_up == 1 and {handled}"), true),
        (format!("actogram_up == 1 and ignoring(outcome) {handled}"), false),
        (format!("actogram_up == 1 or {handled}"), false),
        ("actogram_attempt_seconds > 1".to_owned(), true),
        (
            "actogram_attempt_seconds_sum / actogram_attempt_seconds_count > 1".to_owned(),
            false,
        ),
    ] {
        assert_eq!(flaw(&expression).is_some(), found, "{expression}");
    }
}
