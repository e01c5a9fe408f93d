//! Bot first, host first, twice, under load: what was acknowledged is kept, what was not is left to the server.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
mod webhook_poster;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use actogram::{Bot, BotHandle, Context, Fate, Webhook, WebhookRoute};
use support::{Gate, Log, Stage, on_actix, sharing, until, until_blocking};
use webhook_poster::{
    Letter, Poster, SECRET,
    host::{Host, mounting, wait_blocking},
    text_update,
    wire::{Answer, Wire, post, request},
};

fn letters(count: i64) -> Vec<Letter> {
    (1..=count)
        .map(|id| Letter {
            id,
            chat: id % 50,
            text: id.to_string(),
        })
        .collect()
}

/// Starts a bot whose handlers note their update and pass the gate.
fn start(
    stage: &Stage,
    journal: Option<&Path>,
    handled: &Log<i64>,
    gate: &Gate,
) -> (BotHandle, WebhookRoute) {
    let bot = noting(stage.actogram(), handled, gate);
    let bot = match journal {
        Some(path) => bot.journal(path),
        None => bot.direct(),
    };
    bot.drain_deadline(Duration::from_secs(20))
        .spawn_webhook(Webhook::new(SECRET))
        .unwrap()
}

fn noting(bot: Bot, handled: &Log<i64>, gate: &Gate) -> Bot {
    bot.handlers(sharing(
        (handled.clone(), gate.clone()),
        |(handled, gate): (Log<i64>, Gate), ctx: Context| async move {
            gate.pass().await;
            handled.add(ctx.update().id());
        },
    ))
}

fn open_gate() -> Gate {
    let gate = Gate::closed();
    gate.open();
    gate
}

fn post_one(host: &Host, id: i64) -> thread::JoinHandle<Answer> {
    let address = host.address;
    thread::spawn(move || {
        let update = text_update(id, id, "x");
        Wire::once(address, &post("/telegram", SECRET, update.as_bytes()))
    })
}

/// What a host stops first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Bot,
    Host,
    /// Both at the same time.
    Neither,
}

/// Stops in the middle of a storm of posts, starts again, and lets the storm go on.
fn a_stop_under_load(journal: Option<&Path>, first: First) {
    let (stage, handled) = (Stage::lenient(), Log::new());
    let gate = open_gate();
    let (bot, route) = start(&stage, journal, &handled, &gate);
    let mut host = Host::start(mounting(route));
    let letters = letters(3_000);
    let poster = Poster::start(host.address, "/telegram", 40, &letters);
    until_blocking("a part is acknowledged", || poster.left() < 2_500);

    let address = host.address;
    if first == First::Host {
        host.stop();
    } else if first == First::Neither {
        let report = bot.shutdown();
        host.stop();
        assert!(wait_blocking(report).unwrap().is_clean());
    } else {
        let reports = [bot.shutdown(), bot.shutdown()];
        for report in reports {
            let report = wait_blocking(report).unwrap();
            assert!(report.is_clean(), "{report}");
        }
        let refused = post_one(&host, 100_000).join().unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
        host.stop();
    }
    let report = wait_blocking(bot.shutdown()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(
        poster.left() > 0,
        "the run is void: it stopped after the last update"
    );
    let (bot, route) = start(&stage, journal, &handled, &gate);
    host = Host::start_at(address, mounting(route));
    let acknowledged = poster.join();
    until_blocking("all are handled", || {
        handled.all().into_iter().collect::<BTreeSet<_>>().len() == 3_000
    });
    host.stop();
    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());

    assert_eq!(acknowledged.len(), 3_000);
    if journal.is_some() || first == First::Bot {
        assert_eq!(handled.len(), 3_000, "a clean stop repeats nothing");
    }
    for chat in 0..50 {
        let of_chat: Vec<_> = handled.all().into_iter().filter(|id| id % 50 == chat).collect();
        assert!(of_chat.is_sorted(), "{of_chat:?}");
    }
}

#[test]
fn the_bot_stops_first_under_load() {
    let folder = tempfile::tempdir().unwrap();

    a_stop_under_load(Some(&folder.path().join("bot.db")), First::Bot);
}

#[test]
fn the_host_stops_first_under_load() {
    let folder = tempfile::tempdir().unwrap();

    a_stop_under_load(Some(&folder.path().join("bot.db")), First::Host);
}

#[test]
fn both_stop_at_the_same_time_under_load() {
    let folder = tempfile::tempdir().unwrap();

    a_stop_under_load(Some(&folder.path().join("bot.db")), First::Neither);
}

#[test]
fn the_bot_stops_first_under_load_without_a_journal() {
    a_stop_under_load(None, First::Bot);
}

#[test]
fn the_host_stops_first_under_load_without_a_journal() {
    a_stop_under_load(None, First::Host);
}

/// While the drain goes on, new posts are refused, and who waits for a handler that ends gets the answer at once.
#[test]
fn during_a_drain_what_ends_is_acknowledged_and_nothing_new_gets_in() {
    let stage = Stage::lenient();
    let (begun, short, long) = (Log::new(), Gate::closed(), Gate::closed());
    let (bot, route) = stage
        .actogram()
        .direct()
        .handlers(sharing(
            (begun.clone(), short.clone(), long.clone()),
            |(begun, short, long): (Log<i64>, Gate, Gate), ctx: Context| async move {
                let id = ctx.update().id();
                begun.add(id);
                match id {
                    1 => short.pass().await,
                    2 => long.pass().await,
                    _ => {}
                }
            },
        ))
        .spawn_webhook(Webhook::new(SECRET))
        .unwrap();
    let host = Host::start(mounting(route));
    let (first, second) = (post_one(&host, 1), post_one(&host, 2));
    until_blocking("both run", || begun.len() == 2);

    let report = bot.shutdown();
    let mut others = 3..;
    until_blocking("it is closed", || {
        let other = others.next().unwrap();
        post_one(&host, other).join().unwrap().status == 503
    });
    short.open();
    assert_eq!(
        first.join().unwrap().status,
        200,
        "it does not wait for the other"
    );
    assert!(!second.is_finished());
    long.open();
    assert_eq!(second.join().unwrap().status, 200);

    assert!(wait_blocking(report).unwrap().is_clean());
    let last = others.next().unwrap() - 1;
    assert!(!begun.all().contains(&last), "it was refused");
    host.stop();
}

#[test]
fn what_is_abandoned_at_the_deadline_is_left_to_the_server() {
    let (stage, handled, gate) = (Stage::lenient(), Log::new(), Gate::closed());
    let (bot, route) = noting(stage.actogram().direct(), &handled, &gate)
        .drain_deadline(Duration::from_millis(100))
        .spawn_webhook(Webhook::new(SECRET))
        .unwrap();
    let host = Host::start(mounting(route));
    let running = post_one(&host, 1);
    until_blocking("it runs", || {
        wait_blocking(bot.snapshot()).is_ok_and(|snapshot| snapshot.engine.running == 1)
    });

    let report = wait_blocking(bot.shutdown()).unwrap();

    assert_eq!(running.join().unwrap().status, 503);
    assert_eq!(report.abandoned.len(), 1);
    assert_eq!(
        (report.abandoned[0].update_id, report.abandoned[0].fate),
        (Some(1), Fate::PostedAgain)
    );
    assert_eq!(handled.len(), 0);
    host.stop();
}

/// The host keeps its route and forgets the handle.
#[test]
fn a_stopped_bot_lets_go_of_its_journal_although_its_route_lives() {
    on_actix(async {
        let (stage, handled) = (Stage::lenient(), Log::new());
        let folder = tempfile::tempdir().unwrap();
        let bot = || noting(stage.actogram(), &handled, &open_gate()).journal(folder.path().join("bot.db"));
        let (first, _route) = bot().start_webhook(Webhook::new(SECRET)).await.unwrap();

        first.request_shutdown();
        drop(first);

        let started = Instant::now();
        let second = loop {
            match bot().start().await {
                Ok(second) => break second,
                Err(_in_use) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            assert!(
                started.elapsed() < support::PATIENCE,
                "the journal is not released"
            );
        };
        assert!(second.shutdown().await.unwrap().is_clean());
    });
}

#[test]
fn a_route_of_the_host_that_panics_harms_no_bot() {
    let (stage, handled) = (Stage::lenient(), Log::new());
    let (bot, route) = start(&stage, None, &handled, &open_gate());
    let host = Host::start(move |config| {
        let panics = || async { panic!("a mistake of the host") as HttpResponse };
        config.service(route.clone()).route("/", web::get().to(panics));
    });

    for id in 1..=10 {
        let mut wire = Wire::open(host.address).unwrap();
        assert!(wire.send(&request("GET", "/", &[], b"")).is_err());
        assert_eq!(post_one(&host, id).join().unwrap().status, 200);
    }

    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());
    assert_eq!(handled.len(), 10);
    host.stop();
}

/// Starts a bot on a journal that the one before is about to let go.
fn start_when_free(stage: &Stage, journal: &Path, handled: &Log<i64>) -> BotHandle {
    let started = Instant::now();
    loop {
        let bot = noting(stage.actogram(), handled, &open_gate()).journal(journal);
        match bot.spawn() {
            Ok(bot) => return bot,
            Err(_in_use) => thread::sleep(Duration::from_millis(10)),
        }
        assert!(
            started.elapsed() < support::PATIENCE,
            "the journal is not released"
        );
    }
}

/// Nobody told the bot: the system it lived in is gone, and the host serves on.
fn a_stopped_system(journal: Option<&Path>) -> (Stage, Log<i64>, Vec<i64>) {
    let (stage, handled, gate) = (Stage::lenient(), Log::new(), Gate::closed());
    let bot = noting(stage.actogram(), &handled, &gate);
    let bot = match journal {
        Some(path) => bot.journal(path),
        None => bot.direct(),
    };
    let (give, take) = mpsc::channel();
    let system = thread::spawn(move || {
        let runner = actix_web::rt::System::new();
        let started = runner.block_on(bot.start_webhook(Webhook::new(SECRET))).unwrap();
        give.send((started, actix_web::rt::System::current())).unwrap();
        runner.run()
    });
    let ((bot, route), current) = take.recv().unwrap();
    let host = Host::start(mounting(route));
    let running = post_one(&host, 1);
    until_blocking("it runs", || {
        wait_blocking(bot.snapshot()).is_ok_and(|snapshot| snapshot.engine.running == 1)
    });

    current.stop();
    system.join().unwrap().unwrap();
    let answers = [running, post_one(&host, 2)].map(|answer| answer.join().unwrap().status);

    assert!(wait_blocking(bot.shutdown()).is_err(), "it could not report");
    host.stop();
    let acknowledged = (1..).zip(answers).filter_map(|(id, status)| {
        assert!(status == 200 || status == 503, "{status}");
        (status == 200).then_some(id)
    });
    (stage, handled, acknowledged.collect())
}

#[test]
fn a_system_that_is_stopped_leaves_no_request_hanging_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.db");
    let (stage, handled, acknowledged) = a_stopped_system(Some(&journal));

    assert_eq!(acknowledged, [1], "nothing gets in that nobody would handle");
    let bot = start_when_free(&stage, &journal, &handled);
    until_blocking("what was acknowledged is handled", || handled.all() == [1]);

    assert!(wait_blocking(bot.shutdown()).unwrap().is_clean());
}

#[test]
fn a_system_that_is_stopped_leaves_no_request_hanging_without_a_journal() {
    let (_stage, handled, acknowledged) = a_stopped_system(None);

    assert_eq!(
        acknowledged,
        [] as [i64; 0],
        "what did not end is not acknowledged"
    );
    assert_eq!(handled.len(), 0);
}

/// As in the documentation: bot and server in the actix system of the host, both stopped by it.
#[test]
fn bot_and_server_live_in_one_actix_system() {
    on_actix(async {
        let (stage, handled) = (Stage::lenient(), Log::new());
        let folder = tempfile::tempdir().unwrap();
        let (bot, route) = noting(stage.actogram(), &handled, &open_gate())
            .journal(folder.path().join("bot.db"))
            .start_webhook(Webhook::new(SECRET))
            .await
            .unwrap();
        let server = HttpServer::new(move || App::new().service(route.clone()))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let stop = server.handle();
        let serving = actix_web::rt::spawn(server);
        let poster = Arc::new(Poster::start(address, "/telegram", 4, &letters(100)));
        until("all are acknowledged", || poster.left() == 0).await;

        let report = bot.shutdown().await.unwrap();
        stop.stop(true).await;
        serving.await.unwrap().unwrap();

        assert!(report.is_clean(), "{report}");
        assert!(bot.shutdown().await.unwrap().is_clean(), "twice is fine");
    });
}
