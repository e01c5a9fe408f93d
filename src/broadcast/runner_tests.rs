use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::stream;

use super::*;
use crate::{
    api::{Api, ApiConfig, ApiError, NotSentCause, Pacing, Token, UnknownCause},
    broadcast::{
        BroadcastChats, ChatOutcome, SendError,
        attempt::Send,
        control::tell,
        record::{ChatsFilter, OutcomeCounts},
    },
};

type Sent = Arc<Mutex<Vec<(i64, Duration)>>>;

/// A broadcast on a clock that jumps, whose messages go nowhere.
struct Bench {
    control: watch::Sender<Command>,
    progress: watch::Receiver<BroadcastProgress>,
    ledger: Ledger,
    runner: Runner,
}

impl Bench {
    fn new<F, Fut>(pacing: Option<Pacing>, concurrency: usize, send: F) -> Self
    where
        F: Fn(i64) -> Fut + std::marker::Send + 'static,
        Fut: Future<Output = Result<(), SendError>> + 'static,
    {
        let send: Send = Box::new(move |_, chat| Box::pin(send(chat)));
        let ledger = Ledger::in_memory();
        let means = Means {
            ledger: ledger.clone(),
            api: Api::start(ApiConfig::new(Token::parse("123:secret").unwrap())),
            send,
        };
        let (sender, progress) = watch::channel(BroadcastProgress::new(None, OutcomeCounts::default()));
        Self {
            control: watch::Sender::new(Command::Run),
            progress,
            ledger,
            runner: Runner::new(
                "news".to_owned(),
                means,
                Agenda::new(pacing, concurrency, now()),
                sender,
            ),
        }
    }

    async fn run(
        self,
        source: Source,
    ) -> (
        Result<BroadcastEnding, BroadcastError>,
        BTreeMap<i64, ChatOutcome>,
    ) {
        let result = self.runner.run(source, self.control.subscribe()).await;
        let filter = BroadcastChats::new().wanted();
        let page = self.ledger.page(filter).await.unwrap();
        (
            result,
            page.iter()
                .map(|record| (record.chat_id, record.outcome))
                .collect(),
        )
    }
}

/// Sends that succeed, and when they were made.
fn noting(sent: &Sent) -> impl Fn(i64) -> std::future::Ready<Result<(), SendError>> + use<> {
    let (sent, start) = (Arc::clone(sent), time::Instant::now());
    move |chat| {
        sent.lock().unwrap().push((chat, start.elapsed()));
        std::future::ready(Ok(()))
    }
}

fn chats_of(sent: &Sent) -> Vec<i64> {
    let mut chats: Vec<_> = sent.lock().unwrap().iter().map(|(chat, _)| *chat).collect();
    chats.sort_unstable();
    chats
}

fn refused(code: u16, migrate_to_chat_id: Option<i64>) -> SendError {
    SendError::Api(ApiError::Refused {
        method: "sendMessage".to_owned(),
        code,
        description: "no".to_owned(),
        migrate_to_chat_id,
    })
}

fn completed(result: &Result<BroadcastEnding, BroadcastError>) {
    assert!(matches!(result, Ok(BroadcastEnding::Completed)), "{result:?}");
}

#[actix_rt::test]
async fn ninety_chats_take_two_seconds_and_each_gets_it_once() {
    time::pause();
    let sent = Sent::default();
    let bench = Bench::new(Some(Pacing::bulk()), 16, noting(&sent));

    let (result, outcomes) = bench.run(Source::from_iter(1..=90)).await;

    completed(&result);
    assert_eq!(chats_of(&sent), (1..=90).collect::<Vec<_>>());
    assert_eq!(outcomes.len(), 90);
    let times = sent.lock().unwrap().clone();
    assert!(times[29].1 < Duration::from_millis(100), "{:?}", times[29]);
    // The timer counts in whole milliseconds.
    let last = times[89].1;
    assert!(
        last >= Duration::from_millis(1_980) && last < Duration::from_millis(2_200),
        "{last:?}"
    );
}

#[actix_rt::test]
async fn no_more_chats_are_served_at_a_time_than_was_set() {
    time::pause();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let bench = Bench::new(None, 3, move |_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            time::sleep(Duration::from_millis(50)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=20)).await;

    completed(&result);
    assert_eq!(outcomes.len(), 20);
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[actix_rt::test]
async fn a_chat_that_is_named_twice_gets_it_once() {
    time::pause();
    let sent = Sent::default();
    let bench = Bench::new(None, 4, noting(&sent));
    let progress = bench.progress.clone();

    let (result, _) = bench.run(Source::from_iter([1, 2, 1, 1, 3, 2])).await;

    completed(&result);
    assert_eq!(chats_of(&sent), [1, 2, 3]);
    let progress = progress.borrow();
    assert_eq!((progress.done, progress.counts.sent), (6, 3));
}

#[actix_rt::test]
async fn a_paused_broadcast_begins_nothing_and_goes_on_when_it_is_resumed() {
    time::pause();
    let sent = Sent::default();
    let bench = Bench::new(Some(Pacing::bulk().per_second(1)), 1, noting(&sent));
    let (control, mut progress) = (bench.control.clone(), bench.progress.clone());
    let running = actix_rt::spawn(bench.run(Source::from_iter(1..=5)));
    progress
        .wait_for(|progress| progress.counts.sent == 2)
        .await
        .unwrap();

    tell(&control, Command::Pause);
    progress
        .wait_for(|progress| progress.state == BroadcastState::Paused)
        .await
        .unwrap();
    time::sleep(Duration::from_secs(3600)).await;

    assert_eq!(chats_of(&sent), [1, 2]);
    tell(&control, Command::Run);
    completed(&running.await.unwrap().0);
    assert_eq!(chats_of(&sent), [1, 2, 3, 4, 5]);
}

#[actix_rt::test]
async fn a_cancelled_broadcast_finishes_what_runs_and_begins_nothing() {
    time::pause();
    for (command, ending) in [
        (Command::Cancel, BroadcastEnding::Cancelled),
        (Command::Stop, BroadcastEnding::Stopped),
    ] {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let passed = Arc::clone(&gate);
        let bench = Bench::new(None, 2, move |_| {
            let gate = Arc::clone(&passed);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        });
        let (control, mut progress) = (bench.control.clone(), bench.progress.clone());
        let running = actix_rt::spawn(bench.run(Source::from_iter(1..=5)));
        time::sleep(Duration::from_secs(1)).await;

        tell(&control, command);
        progress
            .wait_for(|progress| progress.state == BroadcastState::Ending)
            .await
            .unwrap();
        gate.add_permits(100);
        let (result, outcomes) = running.await.unwrap();

        assert_eq!(result.unwrap(), ending);
        assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [1, 2]);
    }
}

#[actix_rt::test]
async fn a_chat_under_flood_control_gets_it_later_and_holds_up_no_other() {
    time::pause();
    let sent = Sent::default();
    let note = noting(&sent);
    let first = AtomicUsize::new(0);
    let bench = Bench::new(None, 1, move |chat| {
        if chat == 1 && first.fetch_add(1, Ordering::SeqCst) == 0 {
            return std::future::ready(Err(SendError::Api(ApiError::FloodWait {
                method: "sendMessage".to_owned(),
                retry_after: Duration::from_secs(3600),
            })));
        }
        note(chat)
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=3)).await;

    completed(&result);
    assert_eq!(outcomes.len(), 3);
    let order: Vec<_> = sent.lock().unwrap().iter().map(|(chat, _)| *chat).collect();
    assert_eq!(order, [2, 3, 1]);
    assert!(sent.lock().unwrap()[2].1 >= Duration::from_secs(3600));
}

#[actix_rt::test]
async fn a_network_that_is_gone_is_waited_out() {
    time::pause();
    let sent = Sent::default();
    let note = noting(&sent);
    let start = time::Instant::now();
    let bench = Bench::new(None, 4, move |chat| {
        if start.elapsed() < Duration::from_secs(600) {
            return std::future::ready(Err(SendError::Api(ApiError::NotSent {
                method: "sendMessage".to_owned(),
                source: NotSentCause::Connect(io::Error::other("cable cut")),
            })));
        }
        note(chat)
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=20)).await;

    completed(&result);
    assert_eq!(chats_of(&sent), (1..=20).collect::<Vec<_>>());
    assert!(outcomes.values().all(|outcome| *outcome == ChatOutcome::Sent));
}

#[actix_rt::test]
async fn a_server_that_answers_nothing_for_ten_minutes_costs_a_few_chats() {
    time::pause();
    let sent = Sent::default();
    let note = noting(&sent);
    let start = time::Instant::now();
    let bench = Bench::new(Some(Pacing::bulk()), 16, move |chat| {
        if start.elapsed() < Duration::from_secs(600) {
            return std::future::ready(Err(SendError::Api(ApiError::Unknown {
                method: "sendMessage".to_owned(),
                status: Some(502),
                source: UnknownCause::NotAnAnswer,
            })));
        }
        note(chat)
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=900)).await;

    completed(&result);
    let unknown = outcomes
        .values()
        .filter(|outcome| **outcome == ChatOutcome::Unknown);
    let unknown = unknown.count();
    assert!((10..=50).contains(&unknown), "{unknown}");
    assert_eq!(chats_of(&sent).len(), 900 - unknown);
}

#[actix_rt::test]
async fn a_supergroup_gets_it_once_also_when_both_its_ids_are_named() {
    time::pause();
    for source in [[-1, -1001], [-1001, -1]] {
        let sent = Sent::default();
        let note = noting(&sent);
        let bench = Bench::new(None, 1, move |chat| match chat {
            -1 => std::future::ready(Err(refused(400, Some(-1001)))),
            _ => note(chat),
        });

        let (result, outcomes) = bench.run(Source::from_iter(source)).await;

        completed(&result);
        assert_eq!(chats_of(&sent), [-1001], "{source:?}");
        let expected = [(-1001, ChatOutcome::Sent), (-1, ChatOutcome::Moved)];
        assert_eq!(outcomes, BTreeMap::from(expected));
    }
}

/// That the group has moved is on record when the supergroup is told to wait.
#[actix_rt::test]
async fn a_supergroup_that_must_wait_is_not_forgotten() {
    time::pause();
    let sent = Sent::default();
    let note = noting(&sent);
    let calls = AtomicUsize::new(0);
    let bench = Bench::new(None, 1, move |chat| {
        match (chat, calls.fetch_add(1, Ordering::SeqCst)) {
            (-1, _) => std::future::ready(Err(refused(400, Some(-1001)))),
            (_, 1) => std::future::ready(Err(SendError::Api(ApiError::FloodWait {
                method: "sendMessage".to_owned(),
                retry_after: Duration::from_secs(60),
            }))),
            _ => note(chat),
        }
    });
    let progress = bench.progress.clone();

    let (result, outcomes) = bench.run(Source::from_iter([-1])).await;

    completed(&result);
    assert_eq!(chats_of(&sent), [-1001]);
    let expected = [(-1001, ChatOutcome::Sent), (-1, ChatOutcome::Moved)];
    assert_eq!(outcomes, BTreeMap::from(expected));
    let counts = progress.borrow().counts;
    assert_eq!((counts.sent, counts.moved, counts.chats()), (1, 1, 1));
}

#[actix_rt::test]
async fn a_token_that_is_not_accepted_ends_the_run_and_fails_nobody() {
    time::pause();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let bench = Bench::new(None, 2, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err(refused(401, None)))
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=100)).await;

    assert!(matches!(result, Err(BroadcastError::Refused(_))), "{result:?}");
    assert_eq!(outcomes, BTreeMap::new());
    assert!(calls.load(Ordering::SeqCst) <= 2);
}

#[actix_rt::test]
async fn a_source_that_fails_ends_the_run_after_the_chats_before() {
    time::pause();
    let sent = Sent::default();
    let bench = Bench::new(None, 2, noting(&sent));
    let source = stream::iter([Ok(1), Ok(2), Err("the database is gone"), Ok(3)]);

    let (result, _) = bench.run(Source::from_stream(source)).await;

    let Err(BroadcastError::Source(reason)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(reason.to_string(), "the database is gone");
    assert_eq!(chats_of(&sent), [1, 2]);
}

#[actix_rt::test]
async fn a_closure_that_panics_costs_its_chat_only() {
    time::pause();
    let bench = Bench::new(None, 2, |chat| {
        assert_ne!(chat, 2, "a bug");
        std::future::ready(Ok(()))
    });

    let (result, outcomes) = bench.run(Source::from_iter(1..=3)).await;

    completed(&result);
    assert_eq!(outcomes[&2], ChatOutcome::Unknown);
    assert_eq!(
        (outcomes[&1], outcomes[&3]),
        (ChatOutcome::Sent, ChatOutcome::Sent)
    );
}

#[actix_rt::test]
async fn a_page_in_memory_holds_what_was_asked_for() {
    time::pause();
    let bench = Bench::new(None, 2, |chat| {
        std::future::ready(if chat % 2 == 0 {
            Err(refused(403, None))
        } else {
            Ok(())
        })
    });
    let ledger = bench.ledger.clone();
    completed(&bench.run(Source::from_iter(1..=6)).await.0);

    let filter = ChatsFilter {
        outcome: Some(ChatOutcome::Blocked),
        after: Some(2),
        limit: 1,
    };
    let page = ledger.page(filter).await.unwrap();

    assert_eq!(page.len(), 1);
    assert_eq!((page[0].chat_id, page[0].reason.as_deref()), (4, Some("no")));
}
