//! The live page in Chromium: it shows what happens, retries and drops dead letters, shows its own errors, fits a phone,
//! and nothing that people wrote becomes markup.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;
#[path = "support/browser.rs"]
mod browser;
#[path = "support/watched.rs"]
mod watched;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use actogram::{
    BotHandle, Context, HandlerError, HandlerResult, Lane,
    monitor::{AccessToken, scope},
};
use browser::Browser;
use serde_json::json;
use support::{Gate, Stage, on_actix, sharing, until_snapshot};
use tempfile::TempDir;
use watched::Watched;

const DESK: (u32, u32) = (1100, 900);
const PHONE: (u32, u32) = (390, 844);

/// What would run if it became markup.
const MARKUP: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

#[derive(Clone)]
struct World {
    gate: Gate,
    mended: Arc<AtomicBool>,
}

/// "bad …" is given up until it is mended, "wait …" waits at the gate.
async fn obey(world: World, ctx: Context) -> HandlerResult {
    let text = ctx.text().unwrap_or_default().to_owned();
    if text.starts_with("bad") && !world.mended.load(SeqCst) {
        return Err(HandlerError::give_up(format!("cannot do {text}")));
    }
    if text.starts_with("wait") {
        world.gate.pass().await;
    }
    Ok(())
}

struct Scene {
    stage: Stage,
    world: World,
    bot: BotHandle,
    watched: Watched,
    _folder: TempDir,
}

impl Scene {
    /// A bot with three dead letters and two long lanes.
    async fn start(token: Option<&str>) -> Self {
        let (stage, folder) = (Stage::lenient(), tempfile::tempdir().unwrap());
        let world = World {
            gate: Gate::closed(),
            mended: Arc::default(),
        };
        // On a thread of its own: the test waits for the browser.
        let bot = stage
            .actogram()
            .journal(folder.path().join("bot.db"))
            .lane_by(|update| match update.raw().contains("<b>lane") {
                true => Lane::new("<b>lane</b>"),
                false => update.lane().clone(),
            })
            .handlers(sharing(world.clone(), obey))
            .spawn()
            .unwrap();
        let (ann, bob) = (stage.bot.user("Ann"), stage.bot.user("Bob"));
        ann.say_all(["bad one", &format!("bad {MARKUP}"), "bad three", "wait", "2", "3"]);
        bob.say_all(["wait <b>lane", "2 <b>lane"]);
        until_snapshot(&bot, "all is as it should be", |snapshot| {
            snapshot.engine.totals.dead == 3 && snapshot.engine.running == 2
        })
        .await;
        let (watched, token) = (bot.clone(), token.map(|token| AccessToken::new(token).unwrap()));
        let watched = Watched::start(move || {
            let monitor = scope("/bot", watched.clone());
            match &token {
                Some(token) => monitor.access_token(token.clone()),
                None => monitor,
            }
        });
        // The server starts when this thread gives it the time; later it waits for the browser.
        assert!(watched.get("/healthz").await.status.is_success());
        Self {
            stage,
            world,
            bot,
            watched,
            _folder: folder,
        }
    }

    async fn end(self) {
        self.world.gate.open();
        assert!(self.bot.shutdown().await.unwrap().is_clean());
        self.watched.stop().await;
    }
}

/// Waits until the page shows this many letters.
fn until_letters(page: &mut Browser, count: usize) {
    let count = format!("document.querySelectorAll('article').length === {count}");
    page.until(&count, "the dead letters are there");
}

#[test]
fn the_page_shows_what_happens_and_nothing_that_people_wrote_becomes_markup() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;

        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        page.until(
            "document.getElementById('spark').getAttribute('points').includes(' ')",
            "there is a curve",
        );

        assert_eq!(page.text("#title"), format!("bot {}", scene.bot.api().bot_id()));
        assert_eq!(page.text("header .badge"), "live\nrunning\nready");
        let cards = page.text(".card");
        for card in [
            "running\n2\n",
            "waiting\n3\n",
            "lanes\n2\n",
            "dead letters\n3\n",
            "flood waits\n0\n",
            "last poll\n",
        ] {
            assert!(cards.contains(card), "{card:?} is missing: {cards}");
        }
        let lanes = page.text(".lane");
        let ann = scene.stage.bot.pending().len();
        assert_eq!(ann, 0, "all is in the journal");
        assert!(
            lanes.starts_with("chat:") && lanes.contains("<b>lane</b>") && lanes.contains("2, running"),
            "{lanes}"
        );
        page.press("article:nth-of-type(2)", "Show");
        page.until(
            "!document.querySelector('article:nth-of-type(2) pre').hidden",
            "the text is shown",
        );
        let shown = page.text("article:nth-of-type(2)");
        assert!(shown.contains(&format!("cannot do bad {MARKUP}")), "{shown}");
        assert!(shown.contains(r#""update_id""#), "{shown}");
        assert_eq!(
            page.value("document.querySelectorAll('img, article script, .lane b b').length"),
            json!(0)
        );
        assert_eq!(
            page.value("document.title"),
            json!(format!("bot {}", scene.bot.api().bot_id()))
        );
        assert_eq!(page.text("#errors"), "");
        assert_eq!(page.complaints, [] as [&str; 0]);
        page.keep_picture("desk");
        scene.end().await;
    });
}

#[test]
fn dead_letters_are_retried_and_dropped_by_their_buttons() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        scene.world.mended.store(true, SeqCst);

        page.press("article:nth-of-type(1)", "Retry");
        until_letters(&mut page, 2);
        page.press("article:nth-of-type(1)", "Drop");
        page.until(
            "document.querySelectorAll('article').length === 2",
            "it asks first",
        );
        assert_eq!(scene.bot.journal_stats().await.unwrap().dead_letters, 2);
        page.press("article:nth-of-type(1)", "Drop for good?");
        until_letters(&mut page, 1);
        scene.world.gate.open();

        // Two that waited, three behind them, and the one that was retried.
        until_snapshot(&scene.bot, "the retried one is handled", |snapshot| {
            snapshot.engine.totals.done == 6
        })
        .await;
        let left = scene
            .bot
            .dead_letters(actogram::DeadLetterFilter::new())
            .await
            .unwrap()
            .letters;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].errors, ["handler failed: cannot do bad three"]);
        assert_eq!(page.complaints, [] as [&str; 0]);
        scene.end().await;
    });
}

#[test]
fn all_shown_dead_letters_can_be_retried_at_once() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        scene.world.gate.open();

        // They die again, and are as many as before.
        page.value("window.first = document.querySelector('article')");
        page.press("#dead", "Retry these");
        page.until("!window.first.isConnected", "they are retried");
        until_letters(&mut page, 3);
        scene.world.mended.store(true, SeqCst);
        page.press("#dead", "Retry these");
        until_letters(&mut page, 0);

        until_snapshot(&scene.bot, "all are handled", |snapshot| {
            snapshot.engine.totals.done == 8
        })
        .await;
        scene.end().await;
    });
}

#[test]
fn letters_beyond_the_first_page_stay_while_more_die() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        let carl = scene.stage.bot.user("Carl");
        let die = async |texts: std::ops::Range<usize>| {
            let end = 3 + texts.end as u64;
            carl.say_all(texts.map(|number| format!("bad {number}")));
            until_snapshot(&scene.bot, "all are given up", |snapshot| {
                snapshot.engine.totals.dead == end
            })
            .await;
        };
        die(0..80).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 50);
        // What is asked for by the button comes only after a change has been loaded.
        page.value(
            "window.fetch = ((real) => async (url, o) => { \
                 const answer = await real(url, o); \
                 if (url.includes('after=')) await new Promise((resolve) => { window.release = resolve; }); \
                 return answer; \
             })(fetch)",
        );
        page.press("#dead", "More");
        page.until("!!window.release", "more is asked for");
        die(80..81).await;
        until_letters(&mut page, 84);
        page.value("window.release()");
        page.value("window.last = document.querySelector('article:last-of-type'), 0");

        die(81..82).await;
        until_letters(&mut page, 85);

        assert_eq!(page.value("window.last.isConnected"), json!(true));
        scene.end().await;
    });
}

#[test]
fn a_letter_of_another_bot_is_named_so_and_not_retried() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        scene.world.mended.store(true, SeqCst);
        // As if another bot had been started on the journal before.
        page.value(
            "window.fetch = ((real) => async (url, o) => { \
                 const answer = await real(url, o); \
                 if (!url.startsWith('dead?')) return answer; \
                 const list = await answer.json(); \
                 list.letters[0].bot = 77; \
                 list.letters[0].id = 999999; \
                 return new Response(JSON.stringify(list)); \
             })(fetch)",
        );
        page.press("#dead", "Reload");
        page.until("!!document.getElementById('letter-999999')", "it is there");

        let shown = page.text("#letter-999999");
        assert!(shown.contains("of bot 77") && !shown.contains("Retry"), "{shown}");
        assert!(!page.text("article:nth-of-type(2)").contains("of bot"));
        page.press("#dead", "Retry these");
        until_letters(&mut page, 1);
        assert_eq!(page.text("#errors"), "");
        scene.world.gate.open();
        until_snapshot(&scene.bot, "the others are handled", |snapshot| {
            snapshot.engine.totals.done == 7
        })
        .await;
        scene.end().await;
    });
}

#[test]
fn the_age_of_a_letter_grows_while_it_is_shown() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        page.value("window.shown = document.querySelector('article')");
        page.value("window.line = window.shown.innerText");

        page.until("window.shown.innerText !== window.line", "it is older");

        assert_eq!(page.value("window.shown.isConnected"), json!(true));
        scene.end().await;
    });
}

#[test]
fn an_error_in_drawing_is_no_lost_connection_and_stays() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        let own = "error in this page: cannot draw";

        page.value("window.parse = JSON.parse, JSON.parse = () => { throw new Error('cannot draw') }, 0");
        page.until(
            "document.querySelectorAll('#errors li').length === 1",
            "it is shown",
        );
        assert_eq!(page.text("#errors"), own);
        page.value(
            "window.title_of_bot = document.title, document.title = 'old', JSON.parse = window.parse, 0",
        );
        page.until("document.title === window.title_of_bot", "it draws again");

        assert_eq!(
            (page.text("#errors"), page.text("#link")),
            (own.to_owned(), "live".to_owned())
        );
        scene.end().await;
    });
}

#[test]
fn the_page_comes_back_with_its_server_and_what_was_wrong_is_gone() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let mut scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        // What somebody else answers for the server, as long as it is there.
        page.value(
            "window.fetch = ((real) => (url, o) => window.answer && url === 'events' ? window.answer() : real(url, o))(fetch)",
        );
        let link = |page: &mut Browser, text: &str| {
            page.until(
                &format!("document.getElementById('link').textContent === {text:?}"),
                text,
            );
        };

        scene.watched.go_down().await;
        link(&mut page, "no connection");
        page.until(
            "document.querySelectorAll('#errors li').length === 1",
            "it says why",
        );
        page.value(
            r#"window.answer = async () => new Response('{"error":"not for you"}', { status: 403 }), 0"#,
        );
        link(&mut page, "refused");
        assert_eq!(page.text("#errors"), "not for you");
        page.value("window.answer = async () => new Response('<html>', { status: 502 }), 0");
        page.until(
            "document.getElementById('errors').innerText === 'events: status 502'",
            "it says what a proxy says",
        );
        page.value("window.answer = null");
        let (address, bot) = (scene.watched.address(), scene.bot.clone());
        scene.watched = Watched::start_on(&address, move || scope("/bot", bot.clone()));
        assert!(scene.watched.get("/healthz").await.status.is_success());

        link(&mut page, "live");
        page.until(
            "document.getElementById('errors').innerText === ''",
            "all is well again",
        );
        scene.end().await;
    });
}

#[test]
fn the_page_fits_a_phone() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;

        page.open(&format!("{}/", scene.watched.url), PHONE);
        until_letters(&mut page, 3);
        page.press("article:nth-of-type(2)", "Show");
        page.until(
            "!document.querySelector('article:nth-of-type(2) pre').hidden",
            "the text is shown",
        );

        assert_eq!(page.value("document.documentElement.scrollWidth"), json!(PHONE.0));
        let small = "[...document.querySelectorAll('button')].filter((b) => b.offsetParent && b.offsetHeight < 40).length";
        assert_eq!(
            page.value(small),
            json!(0),
            "buttons are large enough for a thumb"
        );
        page.keep_picture("phone");
        scene.end().await;
    });
}

#[test]
fn errors_of_the_page_are_shown_in_the_page() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);

        page.value("void setTimeout(() => { throw new Error('<b>thrown</b>'); })");
        page.value("void Promise.reject(new Error('rejected'))");
        page.until(
            "document.querySelectorAll('#errors li').length === 2",
            "both are shown",
        );

        let errors = page.text("#errors");
        assert!(
            errors.contains("<b>thrown</b>") && errors.contains("rejected"),
            "{errors}"
        );
        scene.end().await;
    });
}

#[test]
fn a_refused_action_is_shown_in_the_page() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);
        // Somebody else was faster, and the page has not heard of it.
        page.value("window.fetch = ((real) => (url, o) => real(url.replace(/^dead\\/\\d+\\//, 'dead/999999/'), o))(fetch)");

        page.press("article:nth-of-type(1)", "Retry");
        page.until(
            "document.querySelectorAll('#errors li').length === 1",
            "it is shown",
        );

        assert_eq!(page.text("#errors"), "there is no such dead letter");
        until_letters(&mut page, 3);
        scene.end().await;
    });
}

#[test]
fn a_locked_page_shows_nothing_until_it_has_the_token() {
    on_actix(async {
        const TOKEN: &str = "correct-horse-battery-staple";
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(Some(TOKEN)).await;
        let enter = |page: &mut Browser, token| {
            page.until("!document.getElementById('lock').hidden", "it asks for the token");
            page.value(&format!("document.getElementById('key').value = {token:?}"));
            page.press("#lock", "Open");
        };
        page.open(&scene.watched.url, DESK);

        // No header can carry this one.
        enter(&mut page, "пароль-пароль-пароль");
        page.until(
            "document.querySelectorAll('#errors li').length === 1",
            "it says so",
        );
        assert_eq!(
            page.text("#errors"),
            "an access token has visible ASCII characters only"
        );
        assert_eq!(page.value("sessionStorage.length"), json!(0));
        enter(&mut page, "a-wrong-token-that-is-long");
        page.until(
            "document.getElementById('errors').innerText.includes('wrong')",
            "it says so",
        );
        assert_eq!(page.text("#errors"), "this access token is wrong");
        assert_eq!(
            page.value("document.querySelectorAll('article, .card').length"),
            json!(0)
        );

        // As a page may have kept it that did not look at what it was given.
        page.value("sessionStorage.setItem('actogram access token', 'пароль-пароль-пароль')");
        page.open(&scene.watched.url, DESK);
        enter(&mut page, TOKEN);
        until_letters(&mut page, 3);
        assert_eq!(page.text("#errors"), "");
        assert!(
            page.value("document.getElementById('lock').hidden")
                .as_bool()
                .unwrap()
        );
        assert!(
            !page
                .value("document.documentElement.outerHTML")
                .as_str()
                .unwrap()
                .contains(TOKEN)
        );
        scene.end().await;
    });
}

#[test]
fn the_page_says_when_the_bot_has_stopped() {
    on_actix(async {
        let Some(mut page) = Browser::start() else { return };
        let scene = Scene::start(None).await;
        page.open(&scene.watched.url, DESK);
        until_letters(&mut page, 3);

        scene.world.gate.open();
        assert!(scene.bot.shutdown().await.unwrap().is_clean());

        page.until(
            "document.getElementById('stage').textContent === 'stopped'",
            "it says so",
        );
        page.until(
            "document.getElementById('ready').textContent === 'not ready'",
            "it says so",
        );
        scene.watched.stop().await;
        page.until(
            "document.getElementById('link').textContent === 'no connection'",
            "the server is gone",
        );
    });
}
