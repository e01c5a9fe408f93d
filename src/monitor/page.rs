//! The live page: one file, without anything from elsewhere.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ContentType, LOCATION},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};

const PAGE: &str = include_str!("page.html");

/// What the page may do: run its own script and style, which are named by their digests, and ask this server. Texts cannot
/// become markup, whatever the script does (`require-trusted-types-for`).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let own = |tag| {
        let digest = digest(&SHA256, element(PAGE, tag).as_bytes());
        format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'",
        own("script"),
        own("style"),
    )
});

/// Returns the content security policy.
pub(super) fn policy() -> &'static str {
    &POLICY
}

pub(super) async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).body(PAGE)
}

/// Sends the browser to the folder of the page, which the addresses in the page are relative to. Relative itself, because a
/// proxy may have cut the path.
pub(super) async fn redirect(request: HttpRequest) -> HttpResponse {
    let folder = request.path().rsplit('/').next().unwrap_or_default();
    HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, format!("./{folder}/")))
        .finish()
}

/// Returns the content of the only element with this tag.
fn element<'a>(page: &'a str, tag: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("<{tag}>"))
        .expect("the page has this element, a test sees to it");
    rest.split_once(&format!("</{tag}>"))
        .expect("the page has this element, a test sees to it")
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_script_and_the_style_of_the_page_and_allows_nothing_else() {
        let policy = policy();

        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(
            PAGE.matches("<script").count(),
            1,
            "a second script would not run"
        );
        assert_eq!(
            PAGE.matches("<style").count(),
            1,
            "a second style would not apply"
        );
    }

    #[test]
    fn the_page_has_nothing_from_elsewhere_and_no_inline_code() {
        for forbidden in [
            "http:",
            "https:",
            "src=",
            "@import",
            "style=",
            "onclick",
            "innerHTML",
            "javascript:",
        ] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
