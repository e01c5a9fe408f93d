//! The error history of an update, as it is stored.

/// Errors that are kept of one update; older ones are forgotten first.
pub(crate) const MAX_ERRORS: usize = 16;

/// Longest error that is kept, in bytes; the rest is cut off.
pub(crate) const MAX_ERROR_BYTES: usize = 2048;

/// Returns the stored form of a history with more errors at its end; `None` if it is empty.
pub(crate) fn append<'a>(stored: Option<&str>, errors: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut history = stored.map(read).unwrap_or_default();
    history.extend(errors.into_iter().map(clip));
    if history.is_empty() {
        return None;
    }
    let kept = history.split_off(history.len().saturating_sub(MAX_ERRORS));
    Some(serde_json::Value::from(kept).to_string())
}

/// Returns a stored history. What is not in its form is shown as one error.
pub(crate) fn read(stored: &str) -> Vec<String> {
    serde_json::from_str(stored).unwrap_or_else(|_| vec![clip(stored)])
}

fn clip(error: &str) -> String {
    if error.len() <= MAX_ERROR_BYTES {
        return error.to_owned();
    }
    let mut end = MAX_ERROR_BYTES;
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &error[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_kept_in_order() {
        let once = append(None, ["first"]);
        let twice = append(once.as_deref(), ["\"second\"\n", "third"]).unwrap();

        assert_eq!(read(&twice), ["first", "\"second\"\n", "third"]);
        assert_eq!(append(None, []), None);
    }

    #[test]
    fn only_the_latest_errors_are_kept() {
        let many: Vec<_> = (0..40).map(|n| n.to_string()).collect();

        let stored = append(Some("[\"a\"]"), many.iter().map(String::as_str)).unwrap();

        assert_eq!(read(&stored), many[40 - MAX_ERRORS..]);
    }

    #[test]
    fn a_long_error_is_cut_between_two_letters() {
        let stored = append(None, ["é".repeat(2000).as_str()]).unwrap();

        let kept = &read(&stored)[0];
        assert_eq!(kept.len(), MAX_ERROR_BYTES + "…".len());
        assert!(kept.ends_with("é…"));
        let odd = append(None, [format!("a{}", "é".repeat(2000)).as_str()]).unwrap();
        assert_eq!(read(&odd)[0].len(), MAX_ERROR_BYTES - 1 + "…".len());
    }

    #[test]
    fn a_damaged_history_is_shown_as_it_is() {
        assert_eq!(read("[\"a\",\"b"), ["[\"a\",\"b"]);
        assert_eq!(read("{}"), ["{}"]);
    }
}
