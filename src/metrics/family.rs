//! The one list of names.

/// A metric: its name and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// Name, as Prometheus knows it.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The label that it has beside `bot`.
    pub label: Option<&'static str>,
    /// What it says.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows, from 0 at the start of the bot unless its help says something else.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times in seconds, sorted by [`Timings::BOUNDS`](crate::Timings::BOUNDS).
    Histogram,
}

impl Kind {
    /// Returns its name, as Prometheus knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Writes the families as constants and as a list.
macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal $([$label:literal])?, $help:literal;)+) => {
        $(pub(super) const $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            label: families!(@label $($label)?),
            help: $help,
        };)+

        impl Family {
            /// Every metric, in the order in which [`render`](super::render) writes them.
            pub const ALL: &'static [Self] = &[$($constant),+];
        }
    };
    (@label $label:literal) => { Some($label) };
    (@label) => { None };
}

families! {
    UP = Gauge "actogram_up",
        "1 while the bot runs, 0 when it stops, has stopped, or does not answer.";
    RECEIVED = Counter "actogram_updates_received_total",
        "Updates received from the Bot API server, repeated ones included.";
    DUPLICATED = Counter "actogram_updates_duplicated_total",
        "Updates received again and left out by the journal.";
    JOURNALED = Counter "actogram_updates_journaled_total",
        "Updates written to the journal.";
    HANDLED = Counter "actogram_updates_handled_total" ["outcome"],
        "Updates that ended: done, expired (too old to be handled) or dead (given up).";
    RETRIED = Counter "actogram_attempts_retried_total",
        "Failed attempts that were followed, or will be, by another one.";
    PANICKED = Counter "actogram_attempts_panicked_total",
        "Attempts that ended by a panic of the handler.";
    OVERDUE = Counter "actogram_attempts_overdue_total",
        "Attempts that passed the handler timeout.";
    ATTEMPT_SECONDS = Histogram "actogram_attempt_seconds",
        "Time that attempts of handlers took, waiting not included.";
    UNFINISHED = Gauge "actogram_updates_unfinished" ["state"],
        "Updates that have not ended: running, waiting for their turn, or retrying (waiting for another attempt).";
    LANES = Gauge "actogram_lanes",
        "Lanes (chats, mostly) with at least one unfinished update.";
    OLDEST_AGE = Gauge "actogram_oldest_update_age_seconds",
        "Time since the oldest unfinished update was received; 0 when there is none.";
    WORKERS_SILENT = Gauge "actogram_workers_silent_seconds",
        "Time for which handlers have blocked all worker threads; 0 while one takes something.";
    DEAD_LETTERS = Gauge "actogram_dead_letters",
        "Dead letters in the journal.";
    DEAD_LETTERS_DROPPED = Counter "actogram_dead_letters_dropped_total",
        "Dead letters that were dropped because of their age or number, since the journal was made.";
    JOURNAL_ROWS = Gauge "actogram_journal_rows",
        "Unfinished updates in the journal.";
    JOURNAL_BYTES = Gauge "actogram_journal_bytes",
        "Bytes of the unfinished updates in the journal.";
    JOURNAL_FILE_BYTES = Gauge "actogram_journal_file_bytes" ["file"],
        "Size of the journal's files: database and log.";
    JOURNAL_SET_ASIDE = Gauge "actogram_journal_set_aside_rows",
        "Rows of the journal that were found damaged and set aside.";
    JOURNAL_SET_ASIDE_DROPPED = Counter "actogram_journal_set_aside_dropped_total",
        "Damaged rows that were dropped because of their age or number, since the journal was made.";
    JOURNAL_WRITABLE = Gauge "actogram_journal_writable",
        "1 while the journal can be written, 0 when the disk is full, or it failed, is busy or does not answer. Absent when the bot has stopped.";
    JOURNAL_SYNC_SECONDS = Histogram "actogram_journal_sync_seconds",
        "Time of the journal's commits that waited for the disk (fsync).";
    API_CALLS = Counter "actogram_api_calls_total" ["outcome"],
        "Calls to the Bot API that ended: sent, refused, flooded, not_sent, unknown, invalid or cancelled.";
    API_FLOOD_WAITS = Counter "actogram_api_flood_waits_total",
        "Answers 429 to calls: the server asked to wait.";
    API_UNFINISHED = Gauge "actogram_api_calls_unfinished" ["state"],
        "Calls to the Bot API that are being made (running) or wait for their turn, flood control or their pace (waiting).";
    API_LONGEST_LINE = Gauge "actogram_api_longest_line",
        "Most calls that wait for one chat.";
    API_HELD_CHATS = Gauge "actogram_api_held_chats",
        "Chats that flood control makes wait.";
    POLL_AGE = Gauge "actogram_poll_age_seconds",
        "Time since the last completed getUpdates; absent before the first one, and with a webhook.";
    POLL_OVERDUE = Gauge "actogram_poll_overdue_seconds",
        "Time for which a getUpdates has been tried without success, also before the first one; 0 when none is wanted. Absent with a webhook.";
    WEBHOOK_AGE = Gauge "actogram_webhook_age_seconds",
        "Time since the last update that was posted and acknowledged; absent before the first one.";
    WEBHOOK_REFUSED = Counter "actogram_webhook_refused_total" ["reason"],
        "Requests to the webhook that were not acknowledged, by reason.";
    POLLS = Counter "actogram_polls_total" ["result"],
        "Calls of getUpdates that ended: succeeded or failed.";
    POLL_CONFLICTS = Counter "actogram_poll_conflicts_total",
        "Answers 409 to getUpdates: another process polls, or a webhook is set.";
    POLL_FLOOD_WAITS = Counter "actogram_poll_flood_waits_total",
        "Answers 429 to getUpdates.";
    POLL_RECONNECTS = Counter "actogram_poll_reconnects_total",
        "Times the connections were replaced because no poll was answered for too long.";
    UPDATE_ID_JUMPS = Counter "actogram_update_id_jumps_total",
        "Times the ids of updates jumped: updates in between were never offered.";
    UNREADABLE = Counter "actogram_updates_unreadable_total",
        "Elements of a batch without a usable id.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for family in Family::ALL {
            let name = family.name;
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            assert_eq!(
                Family::ALL.iter().filter(|other| other.name == name).count(),
                1,
                "{name}"
            );
        }
    }

    #[test]
    fn the_documentation_has_a_row_for_each_metric_and_no_other() {
        let page = include_str!("../../docs/monitoring.md");
        let documented: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `actogram_"))
            .collect();

        for (row, family) in documented.iter().zip(Family::ALL) {
            let label = family.label.map_or(String::new(), |label| format!("`{label}`"));
            let name = family.name.trim_start_matches("actogram_");
            let begin = format!("{name}` | {} | {label}", family.kind.as_str());
            assert!(
                row.starts_with(&begin),
                "{row:?} is not the row of {}",
                family.name
            );
        }
        assert_eq!(documented.len(), Family::ALL.len());
    }
}
