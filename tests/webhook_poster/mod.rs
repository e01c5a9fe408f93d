//! What stands on both sides of a webhook in a test: a client that posts as the Bot API server does, and a host.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod host;
pub(crate) mod wire;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use self::wire::{Answer, Wire, post};

/// The secret of every webhook in these tests.
pub(crate) const SECRET: &str = "0123456789abcdef-secret";

/// Returns an update with a text message.
pub(crate) fn text_update(id: i64, chat: i64, text: &str) -> String {
    json!({
        "update_id": id,
        "message": {
            "message_id": id,
            "date": 1_700_000_000,
            "chat": {"id": chat, "type": "private", "first_name": "Ann"},
            "from": {"id": chat, "is_bot": false, "first_name": "Ann"},
            "text": text,
        },
    })
    .to_string()
}

/// An update on its way to the bot.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    pub(crate) chat: i64,
    pub(crate) text: String,
}

/// Posts as the server does: each chat one update at a time, the next one only after a 200, the same one again after
/// anything else; different chats at the same time, over as many connections as it has threads.
pub(crate) struct Poster {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    path: String,
    chats: Mutex<VecDeque<VecDeque<Letter>>>,
    acknowledged: Mutex<Vec<(i64, u128)>>,
    left: AtomicUsize,
    repeats: AtomicUsize,
    finishing: AtomicBool,
}

impl Poster {
    /// Starts to post; letters of one chat have to be in order.
    pub(crate) fn start(address: SocketAddr, path: &str, connections: usize, letters: &[Letter]) -> Self {
        let mut chats: Vec<(i64, VecDeque<Letter>)> = Vec::new();
        for letter in letters {
            match chats.iter_mut().find(|(chat, _)| *chat == letter.chat) {
                Some((_, queue)) => queue.push_back(letter.clone()),
                None => chats.push((letter.chat, VecDeque::from([letter.clone()]))),
            }
        }
        let shared = Arc::new(Shared {
            address,
            path: path.to_owned(),
            chats: Mutex::new(chats.into_iter().map(|(_, queue)| queue).collect()),
            acknowledged: Mutex::new(Vec::new()),
            left: AtomicUsize::new(letters.len()),
            repeats: AtomicUsize::new(0),
            finishing: AtomicBool::new(false),
        });
        let threads = (0..connections)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.work())
            })
            .collect();
        Self { shared, threads }
    }

    /// Returns how many updates are not acknowledged yet.
    pub(crate) fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// Returns how often a request was not answered with 200.
    pub(crate) fn repeats(&self) -> usize {
        self.shared.repeats.load(Ordering::SeqCst)
    }

    /// Returns which updates were acknowledged, and when, in nanoseconds since the Unix epoch.
    pub(crate) fn acknowledged(&self) -> Vec<(i64, u128)> {
        self.shared.acknowledged.lock().unwrap().clone()
    }

    /// Ends when what each chat posts at the moment is acknowledged, without posting the rest; returns as
    /// [`acknowledged`](Self::acknowledged).
    pub(crate) fn finish(self) -> Vec<(i64, u128)> {
        self.shared.finishing.store(true, Ordering::SeqCst);
        self.join()
    }

    /// Ends when everything is acknowledged.
    pub(crate) fn join(mut self) -> Vec<(i64, u128)> {
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.acknowledged()
    }
}

impl Shared {
    fn work(&self) {
        let mut wire = None;
        while self.left.load(Ordering::SeqCst) > 0 {
            let Some(mut chat) = self.chats.lock().unwrap().pop_front() else {
                // Others have the rest in their hands.
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            if self.deliver(&mut wire, &chat[0]) {
                let letter = chat.pop_front().unwrap();
                let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                self.acknowledged.lock().unwrap().push((letter.id, at.as_nanos()));
                let dropped = if self.finishing.load(Ordering::SeqCst) {
                    std::mem::take(&mut chat).len()
                } else {
                    0
                };
                self.left.fetch_sub(1 + dropped, Ordering::SeqCst);
            } else {
                self.repeats.fetch_add(1, Ordering::SeqCst);
                wire = None;
                // The server waits longer; that would only make the test slower.
                thread::sleep(Duration::from_millis(2));
            }
            if !chat.is_empty() {
                self.chats.lock().unwrap().push_back(chat);
            }
        }
    }

    fn deliver(&self, wire: &mut Option<Wire>, letter: &Letter) -> bool {
        if wire.is_none() {
            *wire = Wire::open(self.address).ok();
        }
        let Some(wire) = wire else { return false };
        let body = text_update(letter.id, letter.chat, &letter.text);
        let answer = wire.send(&post(&self.path, SECRET, body.as_bytes()));
        matches!(answer, Ok(Answer { status: 200, .. }))
    }
}
