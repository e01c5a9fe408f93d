//! When an update is posted again that was refused.

use std::time::Duration;

use super::Hooked;
use crate::WebhookAnswer;

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
