//! The files in `deploy/` say what the program does: how long it stops, what it exits with, what it reads, where it keeps
//! its journal.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use actogram::{Bot, BotReport};

const DOCKERFILE: &str = include_str!("../deploy/Dockerfile");
const COMPOSE: &str = include_str!("../deploy/compose.yaml");
const SYSTEMD: &str = include_str!("../deploy/systemd/actogram-bot.service");
const POLLING: &str = include_str!("../deploy/kubernetes/polling.yaml");
const WEBHOOK: &str = include_str!("../deploy/kubernetes/webhook.yaml");
const DOCS: &str = include_str!("../docs/deployment.md");

/// Where variables are read.
const SOURCES: [&str; 4] = [
    include_str!("../src/bot/environment.rs"),
    include_str!("../src/webhook/settings.rs"),
    include_str!("../examples/monitor.rs"),
    include_str!("../examples/webhook.rs"),
];

/// Returns what follows each occurrence of `key` up to the first character that is not of a word or path.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let of_value = |character: char| character.is_ascii_alphanumeric() || "._/:-".contains(character);
    let found: Vec<_> = text
        .split(key)
        .skip(1)
        .map(|rest| &rest[..rest.find(|character| !of_value(character)).unwrap_or(rest.len())])
        .collect();
    assert!(!found.is_empty(), "{key:?} is missing");
    found
}

fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = values(text, key);
    assert!(
        found.iter().all(|value| *value == found[0]),
        "{key:?} is ambiguous: {found:?}"
    );
    found[0]
}

fn seconds(text: &str, key: &str) -> Vec<Duration> {
    let found = values(text, key).into_iter();
    found
        .map(|value| Duration::from_secs(value.trim_end_matches('s').parse().unwrap()))
        .collect()
}

/// Most time from the request to stop to the end of the bot, see `Bot::drain_deadline`: on top of the drain 4 s to tell the
/// server, 0.5 s for the threads, 2 s for the final numbers, and what closing the journal takes.
const LONGEST_STOP: Duration =
    Bot::DEFAULT_DRAIN_DEADLINE.saturating_add(Duration::from_millis(4_000 + 500 + 2_000 + 1_000));

#[test]
fn whoever_stops_the_bot_waits_until_it_has_drained_and_closed_its_server() {
    let servers = [
        seconds(SOURCES[2], ".shutdown_timeout("),
        seconds(include_str!("../examples/embedded.rs"), ".shutdown_timeout("),
        seconds(include_str!("../src/webhook/server.rs"), "LAST_ANSWERS: u64 = "),
    ];
    let longest = LONGEST_STOP + *servers.iter().flatten().max().unwrap();

    for (patience, file) in [
        (seconds(SYSTEMD, "TimeoutStopSec="), "systemd"),
        (seconds(COMPOSE, "stop_grace_period: "), "compose"),
        (seconds(POLLING, "terminationGracePeriodSeconds: "), "polling"),
        (seconds(WEBHOOK, "terminationGracePeriodSeconds: "), "webhook"),
        (seconds(DOCS, "--stop-timeout "), "the docs"),
    ] {
        assert!(
            patience.iter().all(|patience| *patience > longest),
            "{file}: {patience:?} <= {longest:?}"
        );
    }
}

#[test]
fn only_a_stop_that_was_asked_for_is_a_success_for_systemd() {
    let successes = SYSTEMD
        .lines()
        .find_map(|line| line.strip_prefix("SuccessExitStatus="));

    assert_eq!(successes, Some(BotReport::EXIT_UNFINISHED.to_string().as_str()));
    assert_eq!(value(SYSTEMD, "\nRestart="), "on-failure");
    assert!(SYSTEMD.contains(&format!("{} (a part was lost)", BotReport::EXIT_LOST)));
    assert!(DOCS.contains(&format!("| {} |", BotReport::EXIT_LOST)));
    assert!(DOCS.contains(&format!("| {} |", BotReport::EXIT_UNFINISHED)));
}

#[test]
fn the_journal_is_on_a_volume_of_the_user_that_runs() {
    let volume = value(DOCKERFILE, "\nVOLUME ");
    let user = value(DOCKERFILE, "\nUSER ");
    let journal = value(DOCKERFILE, "ACTOGRAM_JOURNAL=");

    assert_eq!(value(DOCKERFILE, "--chown="), user);
    assert_eq!(user.split(':').next(), user.split(':').nth(1));
    assert!(DOCKERFILE.contains(&format!("/image/state{volume}\n")));
    assert!(journal.starts_with(&format!("{volume}/")));
    assert_eq!(value(COMPOSE, "- journal:"), volume);
    for manifest in [POLLING, WEBHOOK] {
        assert_eq!(value(manifest, "mountPath: "), volume);
        assert_eq!(value(manifest, "ACTOGRAM_JOURNAL, value: "), journal);
        for key in ["runAsUser: ", "runAsGroup: ", "fsGroup: "] {
            assert_eq!(value(manifest, key), user.split(':').next().unwrap());
        }
    }
    let state = value(SYSTEMD, "\nStateDirectory=");
    assert!(value(SYSTEMD, "ACTOGRAM_JOURNAL=").starts_with(&format!("/var/lib/{state}/")));
}

#[test]
fn the_image_is_never_built_from_what_an_earlier_build_has_compiled() {
    let touched = DOCKERFILE.find("-exec touch {} +").unwrap();

    assert!(touched < DOCKERFILE.find("&& cargo build").unwrap());
    assert!(DOCKERFILE.find("target=/src/target").unwrap() < touched);
}

#[test]
fn each_variable_is_one_that_the_program_reads() {
    let files = [DOCKERFILE, COMPOSE, SYSTEMD, POLLING, WEBHOOK];
    let words = files
        .iter()
        .flat_map(|file| file.split(|character: char| !(character.is_ascii_uppercase() || character == '_')));
    let variables: Vec<_> = words
        .filter(|word| {
            *word == "ADDRESS"
                || ["ACTOGRAM_", "TELEGRAM_", "MONITOR_"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix))
        })
        .collect();

    assert!(variables.len() > 12, "{variables:?}");
    for variable in variables {
        assert!(
            SOURCES
                .iter()
                .any(|source| source.contains(&format!("\"{variable}\""))),
            "nobody reads {variable}"
        );
    }
}

#[test]
fn the_token_is_in_none_of_the_files() {
    for file in [DOCKERFILE, COMPOSE, SYSTEMD, POLLING, WEBHOOK] {
        for secret in ["TELEGRAM_BOT_TOKEN", "MONITOR_TOKEN", "TELEGRAM_WEBHOOK_SECRET"] {
            for sets in ["=", ":", ", value"] {
                assert!(!file.contains(&format!("{secret}{sets}")), "{secret}{sets}");
            }
        }
    }
    assert!(
        include_str!("../.dockerignore")
            .lines()
            .any(|line| line == "**/*.env")
    );
    assert!(!SYSTEMD.contains("\nSetCredential") && SYSTEMD.contains("\nEnvironmentFile="));
}

#[test]
fn two_pods_never_poll_nor_share_a_journal() {
    assert_eq!(value(POLLING, "\n  replicas: "), "1");
    for manifest in [POLLING, WEBHOOK] {
        assert!(manifest.contains("\nkind: StatefulSet\n") && !manifest.contains("kind: Deployment"));
        assert!(
            manifest.contains("\n  volumeClaimTemplates:\n")
                && manifest.contains("accessModes: [ReadWriteOncePod]")
        );
    }
}

#[test]
fn the_names_of_the_pods_come_from_a_headless_service() {
    for manifest in [POLLING, WEBHOOK] {
        let name = format!(
            "\nkind: Service\nmetadata:\n  name: {}\n",
            value(manifest, "serviceName: ")
        );
        let service = manifest
            .split("\n---\n")
            .find(|document| document.contains(&name));

        assert!(service.unwrap().contains("\n  clusterIP: None "), "{name}");
    }
}
