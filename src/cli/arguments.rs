//! What the tool can be asked for.

use std::{path::PathBuf, time::Duration};

use actogram_actors::Lane;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    broadcast::ChatOutcome,
    queue::store::{DeadFilter, DeadReason, Filter, RowId, StoreOptions},
};

/// Looks after bots that are built with actogram.
#[derive(Debug, Parser)]
#[command(name = "actogram", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) topic: Topic,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 nothing matched, or damage was found; 2 bad arguments, or the \
                          journal cannot be used.";

#[derive(Debug, Subcommand)]
pub(super) enum Topic {
    /// Looks at a journal and its dead letters; safe while the bot runs.
    #[command(subcommand, after_help = EXIT_CODES)]
    Journal(JournalCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Counts what is in the journal.
    #[command(after_help = "Example: actogram journal stats bot.db")]
    Stats(Journal),
    /// Lists unfinished updates, in order of arrival.
    #[command(after_help = "Example: actogram journal list bot.db --lane chat:42 --limit 20")]
    List(List),
    /// Shows one unfinished update or dead letter.
    #[command(
        after_help = "Examples:\n  actogram journal show bot.db 17\n  actogram journal show bot.db 17 --raw | jq"
    )]
    Show(Show),
    /// Lists, shows, retries or drops dead letters.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Lists, shows or drops what is left of damaged rows.
    #[command(subcommand)]
    SetAside(SetAsideCommand),
    /// Lists broadcasts, shows what became of their chats, or drops them.
    #[command(subcommand)]
    Broadcasts(BroadcastsCommand),
    /// Gives unused space back to the file system.
    #[command(after_help = "Example: actogram journal compact bot.db")]
    Compact(Journal),
    /// Checks every checksum and the structure of the file; changes nothing. Exit code 1 means damage.
    #[command(after_help = "Example: actogram journal verify bot.db")]
    Verify(Journal),
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Lists dead letters, in order of arrival.
    #[command(after_help = "Example: actogram journal dead list bot.db --reason crashed")]
    List(DeadList),
    /// Shows one dead letter.
    #[command(
        after_help = "Examples:\n  actogram journal dead show bot.db 17\n  actogram journal dead show bot.db 17 --raw | jq"
    )]
    Show(Show),
    /// Puts dead letters back at the end of their lanes; a running bot notices within about a second.
    #[command(
        after_help = "Examples:\n  actogram journal dead retry bot.db 17 23\n  actogram journal dead retry bot.db --all --lane chat:42"
    )]
    Retry(Chosen),
    /// Forgets dead letters for good.
    #[command(
        after_help = "Examples:\n  actogram journal dead drop bot.db 17\n  actogram journal dead drop bot.db --all --reason failed"
    )]
    Drop(Chosen),
}

#[derive(Debug, Subcommand)]
pub(super) enum SetAsideCommand {
    /// Lists damaged rows, in the order in which they were set aside.
    #[command(after_help = "Example: actogram journal set-aside list bot.db")]
    List(SetAsideList),
    /// Shows what is left of one damaged row; nothing in it is certain.
    #[command(
        after_help = "Examples:\n  actogram journal set-aside show bot.db 1\n  actogram journal set-aside show bot.db 1 --raw > update.json"
    )]
    Show(SetAsideShow),
    /// Forgets damaged rows for good.
    #[command(
        after_help = "Examples:\n  actogram journal set-aside drop bot.db 1 2\n  actogram journal set-aside drop bot.db --all"
    )]
    Drop(SetAsideChosen),
}

#[derive(Debug, Subcommand)]
pub(super) enum BroadcastsCommand {
    /// Lists broadcasts, in the order in which they were begun.
    #[command(after_help = "Example: actogram journal broadcasts list bot.db")]
    List(BroadcastList),
    /// Shows what became of each chat of a broadcast, in order of the chats' ids.
    #[command(
        after_help = "Examples:\n  actogram journal broadcasts show bot.db newsletter-2026-11\n  actogram journal broadcasts show bot.db newsletter-2026-11 --outcome blocked --json"
    )]
    Show(BroadcastShow),
    /// Forgets a broadcast for good, and with it who has got its message; one that is running ends.
    #[command(after_help = "Example: actogram journal broadcasts drop bot.db newsletter-2026-11")]
    Drop(BroadcastChosen),
}

#[derive(Debug, Args)]
pub(super) struct Journal {
    /// File of the journal.
    pub(super) path: PathBuf,
    /// Prints one JSON document.
    #[arg(long)]
    pub(super) json: bool,
    /// Longest time to wait while another program writes to the journal.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(super) wait: u32,
}

impl Journal {
    pub(super) fn options(&self) -> StoreOptions {
        StoreOptions {
            busy_timeout: Duration::from_secs(self.wait.into()),
            ..StoreOptions::default()
        }
    }

    /// Returns the path for printing.
    pub(super) fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// Which rows.
#[derive(Debug, Args)]
pub(super) struct Only {
    /// Only updates of this bot.
    #[arg(long, value_name = "ID")]
    bot: Option<u64>,
    /// Only updates of this lane, such as `chat:42`.
    #[arg(long)]
    lane: Option<String>,
}

impl Only {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            bot: self.bot,
            lane: self.lane.as_deref().map(Lane::new),
        }
    }
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct OnlyDead {
    #[command(flatten)]
    only: Only,
    /// Only updates that were given up for this reason.
    #[arg(long)]
    reason: Option<Reason>,
}

impl OnlyDead {
    pub(super) fn filter(&self) -> DeadFilter {
        DeadFilter {
            of: self.only.filter(),
            reason: self.reason.map(DeadReason::from),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Reason {
    /// Its attempts were used up, or its error was final.
    Failed,
    /// The process ended again and again while it was handled.
    Crashed,
    /// The process ended while it was handled, and it must not be handled twice.
    Interrupted,
}

impl From<Reason> for DeadReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Failed => Self::Failed,
            Reason::Crashed => Self::Crashed,
            Reason::Interrupted => Self::Interrupted,
        }
    }
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Begins behind this one: the first column of the last row before.
    #[arg(long, value_name = "PLACE")]
    pub(super) after: Option<i64>,
    /// Longest list.
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) limit: u32,
}

impl Page {
    pub(super) fn after(&self) -> Option<RowId> {
        self.after.map(RowId)
    }
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) journal: Journal,
    #[command(flatten)]
    pub(super) only: Only,
    #[command(flatten)]
    pub(super) page: Page,
}

#[derive(Debug, Args)]
pub(super) struct DeadList {
    #[command(flatten)]
    pub(super) journal: Journal,
    #[command(flatten)]
    pub(super) only: OnlyDead,
    #[command(flatten)]
    pub(super) page: Page,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Place of the update, as the lists show it.
    pub(super) place: i64,
    /// Prints the text of the update as it was received, which may hold what people wrote; with --json, adds it.
    #[arg(long)]
    pub(super) raw: bool,
}

#[derive(Debug, Args)]
pub(super) struct Chosen {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Places of the dead letters, as the list shows them.
    #[arg(value_name = "PLACE", required_unless_present = "all", conflicts_with_all = ["all", "bot", "lane", "reason"])]
    pub(super) places: Vec<i64>,
    /// Takes every dead letter, or every one that --bot, --lane and --reason choose.
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) only: OnlyDead,
}

#[derive(Debug, Args)]
pub(super) struct SetAsideList {
    #[command(flatten)]
    pub(super) journal: Journal,
    #[command(flatten)]
    pub(super) page: Page,
}

#[derive(Debug, Args)]
pub(super) struct SetAsideShow {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Number of the row, as the list shows it.
    pub(super) id: i64,
    /// Prints the bytes that are left of the update, which may hold what people wrote; with --json, adds them.
    #[arg(long)]
    pub(super) raw: bool,
}

#[derive(Debug, Args)]
pub(super) struct SetAsideChosen {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Numbers of the rows, as the list shows them.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(super) ids: Vec<i64>,
    /// Takes every row.
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct BroadcastList {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Only broadcasts of this bot.
    #[arg(long, value_name = "ID")]
    pub(super) bot: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct BroadcastShow {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Name of the broadcast.
    pub(super) name: String,
    /// Only the broadcast of this bot; needed when several bots have one of this name.
    #[arg(long, value_name = "ID")]
    pub(super) bot: Option<u64>,
    /// Only chats with this outcome.
    #[arg(long)]
    pub(super) outcome: Option<Outcome>,
    #[command(flatten)]
    pub(super) page: ChatPage,
}

/// Which part of a list of chats.
#[derive(Debug, Args)]
pub(super) struct ChatPage {
    /// Begins behind this chat: the first column of the last row before.
    #[arg(long, value_name = "CHAT", allow_negative_numbers = true)]
    pub(super) after: Option<i64>,
    /// Longest list.
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct BroadcastChosen {
    #[command(flatten)]
    pub(super) journal: Journal,
    /// Name of the broadcast.
    pub(super) name: String,
    /// Only the broadcast of this bot; needed when several bots have one of this name.
    #[arg(long, value_name = "ID")]
    pub(super) bot: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Outcome {
    /// The server has confirmed the message.
    Sent,
    /// The bot may not write to the chat.
    Blocked,
    /// The message may have been sent.
    Unknown,
    /// The message could not be sent.
    Failed,
    /// The group became a supergroup.
    Moved,
}

impl From<Outcome> for ChatOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Sent => Self::Sent,
            Outcome::Blocked => Self::Blocked,
            Outcome::Unknown => Self::Unknown,
            Outcome::Failed => Self::Failed,
            Outcome::Moved => Self::Moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn patience(rest: &[&str]) -> Duration {
        let words = ["actogram", "journal", "verify", "a.db"];
        let parsed = Arguments::try_parse_from(words.iter().chain(rest)).unwrap();
        let Topic::Journal(JournalCommand::Verify(journal)) = parsed.topic else {
            panic!("{parsed:?}")
        };
        journal.options().busy_timeout
    }

    #[test]
    fn other_programs_are_waited_for_as_long_as_it_was_asked_for() {
        assert_eq!(patience(&[]), Duration::from_secs(5));
        assert_eq!(patience(&["--wait", "0"]), Duration::ZERO);
    }

    #[test]
    fn the_commands_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
