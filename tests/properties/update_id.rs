//! The id of an update, for a slow reader.

use super::json::Members;

/// Returns the first usable id among the members of an update.
pub(crate) fn update_id(members: &Members<'_>) -> Option<i64> {
    let digits = |json: &str| serde_json::from_str::<String>(json).ok()?.parse().ok();
    members
        .all("update_id")
        .find_map(|json| integer(json).or_else(|| digits(json)))
}

/// Returns an integer within 64 bits with sign.
pub(crate) fn integer(json: &str) -> Option<i64> {
    // Serde reads this one as a float.
    if json == "-0" {
        Some(0)
    } else {
        serde_json::from_str(json).ok()
    }
}
