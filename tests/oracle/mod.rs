//! The judge of a torture run: compares what was issued with what was answered, and says which laws were broken.
//!
//! A history is made of plain numbers, so that the laws themselves can be tested with doctored ones.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::{Bot as SimulatedBot, View};

use super::support::PATIENCE;

/// What happened in a run, as the server saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Every update issued: its chat, its text, and when it was confirmed (in order of all events).
    pub(crate) issued: Vec<IssuedText>,
    /// Every answer accepted, in order.
    pub(crate) answers: Vec<Answer>,
    /// How often the bot was killed.
    pub(crate) kills: usize,
    /// How many kills met updates that were not answered yet.
    pub(crate) kills_with_work: usize,
    /// Where updates were kept.
    pub(crate) keeping: Keeping,
}

/// Where a bot keeps updates until they are handled, which decides what a kill may repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// At the server: nothing is confirmed before it is handled, and a whole batch may be repeated.
    #[default]
    Direct,
    /// In a journal: updates are confirmed when they are on disk, and what was running may be repeated.
    Journal,
}

impl Keeping {
    /// Most updates that one kill may repeat: a batch of `getUpdates`, or all slots of the bot.
    fn repeated_by_a_kill(self) -> usize {
        match self {
            Self::Direct => 100,
            Self::Journal => actogram::Bot::DEFAULT_CONCURRENCY,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct IssuedText {
    pub(crate) chat: i64,
    pub(crate) text: String,
    pub(crate) confirmed_at: Option<u128>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) chat: i64,
    pub(crate) text: String,
    pub(crate) at: u128,
}

impl History {
    /// Reads the ledger of the simulator after a run of an echo bot.
    pub(crate) fn of_echo(
        bot: &SimulatedBot,
        keeping: Keeping,
        kills: usize,
        kills_with_work: usize,
    ) -> Self {
        let start = bot.issued().iter().map(|issued| issued.issued_at).min().unwrap();
        let nanos = |moment: actogram_simulator::Moment| moment.since(start).as_nanos();
        Self {
            issued: bot
                .issued()
                .iter()
                .map(|issued| IssuedText {
                    chat: issued.chat_id.unwrap(),
                    text: issued.text.clone().unwrap(),
                    confirmed_at: issued.confirmed_at.map(nanos),
                })
                .collect(),
            answers: bot
                .sent()
                .iter()
                // The others are settings, such as the webhook.
                .filter_map(|sent| {
                    Some(Answer {
                        chat: sent.chat_id?,
                        text: sent.text.clone().unwrap_or_default(),
                        at: nanos(sent.at),
                    })
                })
                .collect(),
            kills,
            kills_with_work,
            keeping,
        }
    }

    /// Returns how many answers were copies of earlier ones.
    pub(crate) fn copies(&self) -> usize {
        let distinct: BTreeSet<_> = self
            .answers
            .iter()
            .map(|answer| (answer.chat, &answer.text))
            .collect();
        self.answers.len() - distinct.len()
    }

    /// Returns every law that was broken, in words; texts are unique within a chat.
    pub(crate) fn broken_laws(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut place: HashMap<(i64, &str), usize> = HashMap::new();
        let mut per_chat: HashMap<i64, usize> = HashMap::new();
        for issued in &self.issued {
            let next = per_chat.entry(issued.chat).or_default();
            place.insert((issued.chat, &issued.text), *next);
            *next += 1;
        }

        let mut first_answer: HashMap<(i64, &str), u128> = HashMap::new();
        let mut sequences: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for answer in &self.answers {
            let key = (answer.chat, answer.text.as_str());
            match place.get(&key) {
                None => broken.push(format!("invented: {answer:?}")),
                Some(place) => sequences.entry(answer.chat).or_default().push(*place),
            }
            first_answer.entry(key).or_insert(answer.at);
        }

        for issued in &self.issued {
            let answered = first_answer.get(&(issued.chat, issued.text.as_str()));
            match (answered, issued.confirmed_at) {
                (None, _) => broken.push(format!("lost: {issued:?}")),
                (Some(_), None) => broken.push(format!("never confirmed: {issued:?}")),
                (Some(answered), Some(confirmed))
                    if self.keeping == Keeping::Direct && confirmed < *answered =>
                {
                    broken.push(format!("confirmed before it was handled: {issued:?}"));
                }
                _ => {}
            }
        }

        for (chat, sequence) in sequences {
            // A kill takes the chat back to what it had before; apart from that each step is the next one.
            let mut rewinds = 0;
            let mut expected = 0;
            for place in sequence {
                if place > expected {
                    broken.push(format!(
                        "out of order: chat {chat} answered {place} instead of {expected}"
                    ));
                }
                rewinds += usize::from(place < expected);
                expected = place + 1;
            }
            if rewinds > self.kills {
                broken.push(format!(
                    "repeated without a kill: chat {chat} went back {rewinds} times"
                ));
            }
        }
        if self.copies() > self.kills * self.keeping.repeated_by_a_kill() {
            broken.push(format!(
                "too many copies: {} after {} kills",
                self.copies(),
                self.kills
            ));
        }
        broken
    }
}

/// Tells whether every update issued has an answer; texts are unique within a chat.
pub(crate) fn all_answered(view: &View<'_>) -> bool {
    let answered: HashSet<_> = view
        .sent()
        .iter()
        .filter(|sent| sent.chat_id.is_some())
        .map(|sent| (sent.chat_id, &sent.text))
        .collect();
    answered.len() == view.issued().len()
}
/// Waits until everything is answered and confirmed, as long as there is progress. After a large storm the ledger is long,
/// so it is looked at now and then and not at each change.
pub(crate) fn wait_for_all_answers(bot: &SimulatedBot) {
    let (mut answers, mut progress) = (0, Instant::now());
    while !bot.view(|view| view.pending_count() == 0 && all_answered(view)) {
        let now = bot.view(|view| view.sent().len());
        if now > answers {
            (answers, progress) = (now, Instant::now());
        }
        assert!(
            progress.elapsed() < PATIENCE,
            "no more answers come, {answers} came"
        );
        thread::sleep(Duration::from_millis(200));
    }
}
