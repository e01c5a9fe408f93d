//! `broadcasts list`, `broadcasts show` and `broadcasts drop`.

use serde::Serialize;

use super::{
    DONE, NOTHING,
    arguments::{BroadcastChosen, BroadcastList, BroadcastShow},
    failure::Failure,
    output::{self, Output},
    table::Table,
};
use crate::{
    broadcast::{ChatRecord, ChatsFilter, OutcomeCounts},
    queue::store::{BroadcastRow, Operator, Timestamp},
};

/// A broadcast.
#[derive(Serialize)]
struct Listed {
    name: String,
    bot: u64,
    state: &'static str,
    started_at: String,
    ended_at: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    sent: u64,
    blocked: u64,
    unknown: u64,
    failed: u64,
    moved: u64,
}

impl From<OutcomeCounts> for Counts {
    fn from(counts: OutcomeCounts) -> Self {
        Self {
            sent: counts.sent,
            blocked: counts.blocked,
            unknown: counts.unknown,
            failed: counts.failed,
            moved: counts.moved,
        }
    }
}

impl From<BroadcastRow> for Listed {
    fn from(row: BroadcastRow) -> Self {
        Self {
            name: row.name,
            bot: row.bot,
            state: match row.ended {
                None => "open",
                Some((_, false)) => "completed",
                Some((_, true)) => "cancelled",
            },
            started_at: row.started_at.to_string(),
            ended_at: row.ended.map(|(at, _)| at.to_string()),
            counts: row.counts.into(),
        }
    }
}

/// A chat of a broadcast.
#[derive(Serialize)]
struct Chat {
    chat: i64,
    outcome: &'static str,
    at: String,
    moved_to: Option<i64>,
    reason: Option<String>,
}

impl From<ChatRecord> for Chat {
    fn from(record: ChatRecord) -> Self {
        Self {
            chat: record.chat_id,
            outcome: record.outcome.as_str(),
            at: Timestamp::from(record.at).to_string(),
            moved_to: record.moved_to,
            reason: record.reason,
        }
    }
}

#[derive(Serialize)]
struct Broadcasts {
    journal: String,
    broadcasts: Vec<Listed>,
}

pub(super) fn list(asked: &BroadcastList, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let mut table = Table::new(&[
        "NAME",
        "BOT",
        "STATE",
        "STARTED AT",
        "SENT",
        "BLOCKED",
        "UNKNOWN",
        "FAILED",
        "MOVED",
    ]);
    let rows = operator.list_broadcasts(asked.bot)?;
    let document = Broadcasts {
        journal: asked.journal.name(),
        broadcasts: rows.into_iter().map(Listed::from).collect(),
    };
    for broadcast in &document.broadcasts {
        let counts = &broadcast.counts;
        table.row([
            broadcast.name.clone(),
            broadcast.bot.to_string(),
            broadcast.state.to_owned(),
            broadcast.started_at.clone(),
            counts.sent.to_string(),
            counts.blocked.to_string(),
            counts.unknown.to_string(),
            counts.failed.to_string(),
            counts.moved.to_string(),
        ]);
    }

    output.print(&document, |out| output::list(out, &table, "no broadcasts", None))?;
    Ok(if table.is_empty() { NOTHING } else { DONE })
}

#[derive(Serialize)]
struct Shown {
    journal: String,
    name: String,
    chats: Vec<Chat>,
    next: Option<i64>,
}

pub(super) fn show(asked: &BroadcastShow, output: &mut Output<'_>) -> Result<u8, Failure> {
    let operator = Operator::open_read_only(&asked.journal.path, asked.journal.options())?;
    let Some((_, id)) = choose(&operator, asked.bot, &asked.name)? else {
        return missing(&asked.name, output);
    };
    let limit = asked.page.limit as usize;
    let filter = ChatsFilter {
        outcome: asked.outcome.map(Into::into),
        after: asked.page.after,
        // One more tells whether there are more.
        limit: asked.page.limit.saturating_add(1),
    };
    let mut found = operator.broadcast_page(id, filter)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|record| record.chat_id);
    let document = Shown {
        journal: asked.journal.name(),
        name: asked.name.clone(),
        chats: found.into_iter().map(Chat::from).collect(),
        next: last.filter(|_| more),
    };
    let mut table = Table::new(&["CHAT", "OUTCOME", "AT", "MOVED TO", "REASON"]);
    for chat in &document.chats {
        table.row([
            chat.chat.to_string(),
            chat.outcome.to_owned(),
            chat.at.clone(),
            chat.moved_to.map(|to| to.to_string()).unwrap_or_default(),
            chat.reason.clone().unwrap_or_default(),
        ]);
    }

    output.print(&document, |out| {
        output::list(out, &table, "no chats", document.next)
    })?;
    Ok(if table.is_empty() { NOTHING } else { DONE })
}

#[derive(Serialize)]
struct Dropped<'a> {
    journal: String,
    dropped: &'a str,
}

pub(super) fn drop(asked: &BroadcastChosen, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut operator = Operator::open(&asked.journal.path, asked.journal.options())?;
    let Some((bot, _)) = choose(&operator, asked.bot, &asked.name)? else {
        return missing(&asked.name, output);
    };
    operator.transaction(|work| work.drop_broadcast(bot, &asked.name))?;
    let document = Dropped {
        journal: asked.journal.name(),
        dropped: &asked.name,
    };

    output.print(&document, |out| {
        let name = super::table::harmless(&asked.name);
        writeln!(
            out,
            "broadcast {name} dropped; under this name everybody gets the message again"
        )
    })?;
    Ok(DONE)
}

/// Returns the one broadcast that is meant, with its bot.
fn choose(operator: &Operator, bot: Option<u64>, name: &str) -> Result<Option<(u64, i64)>, Failure> {
    let mut found = operator.find_broadcasts(name)?;
    if let Some(bot) = bot {
        found.retain(|of, _| *of == bot);
    }
    if found.len() > 1 {
        let bots = found.into_keys().collect();
        return Err(Failure::WhichBot { bots });
    }
    Ok(found.pop_first())
}

fn missing(name: &str, output: &mut Output<'_>) -> Result<u8, Failure> {
    let nothing = serde_json::json!({ "name": name, "state": "missing" });
    output.print(&nothing, |out| {
        writeln!(out, "no broadcast {}", super::table::harmless(name))
    })?;
    Ok(NOTHING)
}
