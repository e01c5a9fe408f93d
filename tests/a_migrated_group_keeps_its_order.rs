//! A group that becomes a supergroup gets another chat id and stays one conversation: what was said before is handled
//! before what was said after, one at a time, with and without a journal, by webhook too, and across kills.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use actogram::{Bot, Context};
use actogram_simulator::{Chat, User};
use serde_json::json;
use support::{Gate, Log, Stage, on_actix, sharing, until};

/// What a handler has done: where, with which text, and whether it has begun (or has ended).
type Handled = Log<(i64, String, bool)>;

/// Returns a bot that notes what it handles; a text that ends in `…` waits for the gate.
fn noting(bot: Bot, handled: &Handled, gate: &Gate) -> Bot {
    bot.handlers(sharing(
        (handled.clone(), gate.clone()),
        |(handled, gate): (Handled, Gate), ctx: Context| async move {
            let chat = ctx.chat_id().unwrap();
            let text = ctx.text().unwrap_or("service").to_owned();
            handled.add((chat, text.clone(), true));
            if text.ends_with('…') {
                gate.pass().await;
            }
            handled.add((chat, text, false));
        },
    ))
}

/// Returns what was handled, in order, after making sure that nothing of it overlapped.
fn one_by_one(handled: &Handled, chats: &[&Chat]) -> Vec<(i64, String)> {
    let ids: Vec<_> = chats.iter().map(|chat| chat.id()).collect();
    let all: Vec<_> = handled
        .all()
        .into_iter()
        .filter(|(chat, ..)| ids.contains(chat))
        .collect();
    all.chunks(2)
        .map(|pair| {
            let [(chat, text, true), (other_chat, other_text, false)] = pair else {
                panic!("{pair:?} overlap in {all:?}")
            };
            assert_eq!((chat, text), (other_chat, other_text), "two ran at once: {all:?}");
            (*chat, text.clone())
        })
        .collect()
}

/// Says something in the group, upgrades it, and says something in the supergroup; then something comes that still has
/// the old id.
fn conversation(stage: &Stage, group: &Chat, ann: &User) -> (Chat, Vec<(i64, String)>) {
    group.say(ann, "one…");
    group.say(ann, "two");
    let supergroup = group.upgrade().unwrap();
    supergroup.say(ann, "three");
    stage.bot.push(&json!({"message": {
        "message_id": 99, "date": 1_700_000_000, "text": "four",
        "chat": {"id": group.id(), "type": "group", "title": "group"},
    }}));
    supergroup.say(ann, "five");
    let (old, new) = (group.id(), supergroup.id());
    let said = [
        (old, "one…"),
        (old, "two"),
        (old, "service"),
        (new, "service"),
        (new, "three"),
        (old, "four"),
        (new, "five"),
    ];
    (
        supergroup,
        said.map(|(chat, text)| (chat, text.to_owned())).into(),
    )
}

fn has_begun(handled: &Handled, text: &str) -> bool {
    handled.all().iter().any(|(_, done, _)| done == text)
}

fn has_ended(handled: &Handled, text: &str) -> bool {
    handled
        .all()
        .iter()
        .any(|(_, done, begun)| done == text && !begun)
}

/// Peer failure: two ids are two conversations everywhere else.
#[test]
fn without_a_journal_both_ids_of_a_batch_are_one_lane() {
    on_actix(async {
        let stage = Stage::lenient();
        let (group, ann, bob) = (
            stage.bot.group("group"),
            stage.bot.user("Ann"),
            stage.bot.user("Bob"),
        );
        let (handled, gate) = (Handled::new(), Gate::closed());
        let (supergroup, said) = conversation(&stage, &group, &ann);
        bob.say("hello");

        let bot = noting(stage.actogram(), &handled, &gate).start().await.unwrap();
        until("the group and another chat are handled", || {
            has_begun(&handled, "one…") && has_ended(&handled, "hello")
        })
        .await;
        assert_eq!(
            handled.len(),
            3,
            "nothing of the supergroup runs: {:?}",
            handled.all()
        );
        gate.open();
        until("all are handled", || has_ended(&handled, "five")).await;
        // A later batch, in which the old id comes alone.
        stage.bot.push(
            &json!({"message": {"message_id": 100, "date": 1_700_000_000, "text": "six",
            "chat": {"id": group.id(), "type": "group", "title": "group"}}}),
        );
        until("the last is handled", || has_ended(&handled, "six")).await;

        assert!(bot.shutdown().await.unwrap().is_clean());
        assert_eq!(one_by_one(&handled, &[&group, &supergroup])[..7], said);
    });
}

#[cfg(feature = "webhook")]
mod by_webhook {
    use std::net::TcpListener;

    use actix_web::{App, HttpServer};
    use actogram::Webhook;
    use support::until_snapshot;

    use super::*;

    /// The server posts what is said in the supergroup while the handler for the group is still busy.
    #[test]
    fn without_a_journal_what_runs_in_the_group_ends_before_anything_of_the_supergroup_begins() {
        on_actix(async {
            let stage = Stage::posting_slowly();
            let (group, ann, bob) = (
                stage.bot.group("group"),
                stage.bot.user("Ann"),
                stage.bot.user("Bob"),
            );
            let (handled, gate) = (Handled::new(), Gate::closed());
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/telegram", listener.local_addr().unwrap());
            let webhook = Webhook::new("0123456789abcdef-secret").register(url);
            let bot = noting(stage.actogram(), &handled, &gate);
            let (bot, route) = bot.start_webhook(webhook).await.unwrap();
            let server = HttpServer::new(move || App::new().service(route.clone()))
                .workers(1)
                .disable_signals()
                .listen(listener)
                .unwrap()
                .run();
            let host = server.handle();
            actix_rt::spawn(server);
            // From the first acknowledgement on the server opens connections without delay.
            bob.say("hi");
            stage
                .until("the webhook works", |view| view.confirmed().len() == 1)
                .await;

            group.say(&ann, "one…");
            until("the group is being handled", || handled.len() == 3).await;
            group.say(&ann, "two");
            let supergroup = group.upgrade().unwrap();
            supergroup.say(&ann, "three");
            until_snapshot(&bot, "the supergroup has been posted", |snapshot| {
                snapshot.engine.totals.accepted == 3
            })
            .await;
            bob.say("hello");
            until("another chat is handled", || has_ended(&handled, "hello")).await;
            assert_eq!(
                handled.len(),
                5,
                "nothing of the supergroup runs: {:?}",
                handled.all()
            );
            gate.open();
            stage
                .until("all are acknowledged", |view| view.pending_count() == 0)
                .await;

            assert!(bot.shutdown().await.unwrap().is_clean());
            host.stop(true).await;
            let done = one_by_one(&handled, &[&group, &supergroup]);
            let of = |chat: &Chat| -> Vec<_> {
                let texts = done.iter().filter(|(id, _)| *id == chat.id());
                texts.map(|(_, text)| text.as_str()).collect()
            };
            assert_eq!(of(&group), ["one…", "two", "service"]);
            assert_eq!(of(&supergroup), ["service", "three"]);
            assert_eq!(done[0].1, "one…");
        });
    }
}

#[cfg(feature = "journal")]
mod with_a_journal {
    use std::{fs, path::Path};

    use actogram::Lane;
    use actogram_simulator::Fault;
    use support::Program;

    use super::*;

    async fn all_journaled(stage: &Stage) {
        stage
            .until("all are journaled", |view| view.pending_count() == 0)
            .await;
    }

    #[test]
    fn what_runs_in_the_group_ends_before_anything_of_the_supergroup_begins() {
        on_actix(async {
            let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
            let (group, ann) = (stage.bot.group("group"), stage.bot.user("Ann"));
            let (handled, gate) = (Handled::new(), Gate::closed());
            let bot = noting(stage.actogram(), &handled, &gate).journal(folder.path().join("bot.db"));
            let bot = bot.start().await.unwrap();

            let (supergroup, said) = conversation(&stage, &group, &ann);
            all_journaled(&stage).await;
            let bob = stage.bot.user("Bob");
            bob.say("hello");
            until("the group and another chat are handled", || {
                has_begun(&handled, "one…") && has_ended(&handled, "hello")
            })
            .await;
            assert_eq!(
                handled.len(),
                3,
                "nothing of the supergroup runs: {:?}",
                handled.all()
            );
            gate.open();
            until("all are handled", || has_ended(&handled, "five")).await;

            assert!(bot.shutdown().await.unwrap().is_clean());
            assert_eq!(one_by_one(&handled, &[&group, &supergroup]), said);
        });
    }

    /// The journal as it is at this moment, which is what a kill would leave.
    fn copy(from: &Path, to: &Path) {
        for name in ["bot.db", "bot.db-wal"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }

    #[test]
    fn what_a_kill_leaves_of_both_ids_is_one_lane_and_so_is_what_comes_later() {
        on_actix(async {
            let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
            let left = tempfile::tempdir().unwrap();
            let (group, ann) = (stage.bot.group("group"), stage.bot.user("Ann"));
            let (handled, gate) = (Handled::new(), Gate::closed());
            let bot = noting(stage.actogram(), &Handled::new(), &gate).journal(folder.path().join("bot.db"));
            let bot = bot.start().await.unwrap();
            let (supergroup, said) = conversation(&stage, &group, &ann);
            all_journaled(&stage).await;
            copy(folder.path(), left.path());
            bot.shutdown_now().await.unwrap();

            let bot = noting(stage.actogram(), &handled, &gate).journal(left.path().join("bot.db"));
            let bot = bot.start().await.unwrap();
            stage.bot.push(
                &json!({"message": {"message_id": 100, "date": 1_700_000_000, "text": "six",
                "chat": {"id": group.id(), "type": "group", "title": "group"}}}),
            );
            all_journaled(&stage).await;
            gate.open();
            until("all are handled", || has_ended(&handled, "six")).await;

            assert!(bot.shutdown().await.unwrap().is_clean());
            let mut expected = said;
            expected.push((group.id(), "six".to_owned()));
            assert_eq!(one_by_one(&handled, &[&group, &supergroup]), expected);
        });
    }

    #[test]
    fn lanes_of_ones_own_do_not_move() {
        on_actix(async {
            let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
            let (group, ann) = (stage.bot.group("group"), stage.bot.user("Ann"));
            let (handled, gate) = (Handled::new(), Gate::closed());
            let bot = noting(stage.actogram(), &handled, &gate)
                .lane_by(|update| Lane::new(format!("own:{}", update.chat_id().unwrap_or_default())))
                .journal(folder.path().join("bot.db"));
            let bot = bot.start().await.unwrap();

            conversation(&stage, &group, &ann);

            until("the supergroup is handled beside the group", || {
                has_ended(&handled, "five")
            })
            .await;
            assert!(!has_ended(&handled, "one…"));
            gate.open();
            assert!(bot.shutdown().await.unwrap().is_clean());
        });
    }

    fn echo(stage: &Stage, journal: &Path) -> Program {
        stage.run_example_with("echo", |command| {
            command.env("ACTOGRAM_JOURNAL", journal);
        })
    }

    /// The real program is killed while it answers in the group; in its next life nothing in the supergroup is answered
    /// before that.
    #[test]
    fn a_killed_program_goes_on_in_the_order_of_arrival() {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let journal = folder.path().join("bot.db");
        let (group, ann) = (stage.bot.group("group"), stage.bot.user("Ann"));
        group.say(&ann, "one");
        group.say(&ann, "two");
        stage.bot.fault(Fault::Stall.on("sendMessage").times(1));
        let first = echo(&stage, &journal);
        stage.until_blocking("it answers in the group", |view| view.faults_left() == 0);
        let supergroup = group.upgrade().unwrap();
        supergroup.say(&ann, "three");
        stage.until_blocking("all are journaled", |view| view.pending_count() == 0);
        first.kill();

        stage.bot.fault(Fault::Stall.on("sendMessage").times(1));
        let second = echo(&stage, &journal);
        stage.until_blocking("it answers in the group again", |view| view.faults_left() == 0);
        let bob = stage.bot.user("Bob");
        bob.say("hello");
        stage.until_blocking("another chat is answered", |view| {
            view.texts_to(bob.chat_id()) == ["hello"]
        });
        assert_eq!(supergroup.heard(), [] as [String; 0]);
        second.kill();

        let third = echo(&stage, &journal);
        stage.until_blocking("the supergroup is answered", |view| {
            view.texts_to(supergroup.id()) == ["three"]
        });
        third.kill();
        let answered = stage
            .bot
            .sent()
            .into_iter()
            .find(|sent| sent.chat_id == Some(supergroup.id()));
        let answered = answered.unwrap().at;
        let group = Some(group.id().to_string());
        let refused = stage.bot.refused();
        let refused: Vec<_> = refused
            .iter()
            .filter(|refused| refused.chat_id == group)
            .collect();
        assert_eq!(
            refused.len(),
            2,
            "the group is gone, but both texts had their turn: {refused:?}"
        );
        assert!(refused.iter().all(|refused| refused.at <= answered));
    }
}
