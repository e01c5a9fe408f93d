//! How often an update is posted that is refused, and when.

use std::time::Duration;

use serde_json::json;

use super::Hooked;
use crate::WebhookAnswer;

#[test]
fn a_refused_update_is_posted_as_often_as_its_life_allows() {
    for (kind, attempts) in [
        ("inline_query", 6..=6),
        ("callback_query", 8..=8),
        ("chosen_inline_result", 12..=14),
        ("message", 950..=980),
    ] {
        let mut hooked = Hooked::new();
        let update = json!({kind: {"from": {"id": 5}}});
        hooked.stage.bot().push(&update).unwrap();
        hooked.pump();

        while !hooked.stage.bot().view().pending().is_empty() {
            if hooked.in_flight.is_empty() {
                let due = hooked.stage.world.due_at().unwrap();
                hooked.wait(due.since(hooked.stage.now).as_millis().try_into().unwrap());
            } else {
                hooked.status(500, "");
            }
        }

        let posts = hooked.stage.bot().view().posts().len();
        assert!(attempts.contains(&posts), "{kind}: {posts}");
    }
}

#[test]
fn retry_after_counts_with_every_failure_and_up_to_an_hour() {
    for (status, retry_after, wait) in [
        (302, "7", 7),
        (410, "7", 7),
        (429, "3600", 3600),
        (503, "2147483647", 3600),
        (503, "2147483648", 0),
        (503, "Fri, 31 Dec 2027 23:59:59 GMT", 0),
    ] {
        let mut hooked = Hooked::new();
        hooked.say("hello");

        hooked.answer(WebhookAnswer {
            retry_after: Some(retry_after.to_owned()),
            ..WebhookAnswer::new(status, "")
        });

        let retry_at = hooked.stage.bot().view().posts()[0].retry_at;
        let expected = hooked.stage.now + Duration::from_secs(wait);
        assert_eq!(retry_at, Some(expected), "{status} {retry_after}");
    }
}
