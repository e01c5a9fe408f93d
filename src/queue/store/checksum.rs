//! Checksums of rows: 64 bits each, so that a damaged row is noticed before anything acts on it.
//!
//! A row has two. The *hash* covers the payload; it is also the payload's identity in the dedup window. The *sum* covers
//! everything else that never changes, the hash included, so the index of unfinished updates is checked without reading
//! a single payload. (What does change has a check of its own, computed in SQL: see `schema`.)

use xxhash_rust::xxh3::xxh3_64;

/// What never changes about a row, as bytes: a damaged text need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) seq: i64,
    pub(crate) bot: i64,
    pub(crate) update_id: i64,
    pub(crate) kind: &'a [u8],
    pub(crate) lane: &'a [u8],
    pub(crate) received_at: i64,
    /// Length of the payload in bytes.
    pub(crate) bytes: i64,
    /// [`payload_hash`] of the payload.
    pub(crate) hash: i64,
}

impl Header<'_> {
    /// Returns the checksum.
    pub(crate) fn sum(&self) -> i64 {
        let mut bytes = Vec::with_capacity(64 + self.kind.len() + self.lane.len());
        for number in [
            self.seq,
            self.bot,
            self.update_id,
            self.received_at,
            self.bytes,
            self.hash,
            // Marks where the lane ends, so that no letter can move from it to the kind.
            i64::try_from(self.lane.len()).unwrap_or(i64::MAX),
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.lane);
        bytes.extend_from_slice(self.kind);
        xxh3_64(&bytes).cast_signed()
    }
}

/// Returns the checksum of a payload.
pub(crate) fn payload_hash(raw: &[u8]) -> i64 {
    xxh3_64(raw).cast_signed()
}

/// Returns the checksum of the note that a lane goes on as another.
pub(crate) fn moved_sum(lane: &str, goes_on: &str) -> i64 {
    xxh3_64(format!("{lane}\0{goes_on}").as_bytes()).cast_signed()
}

/// Returns the checksum of what identifies a broadcast.
pub(crate) fn broadcast_sum(id: i64, bot: i64, name: &str, started_at: i64) -> i64 {
    let mut bytes = Vec::with_capacity(24 + name.len());
    for number in [id, bot, started_at] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(name.as_bytes());
    xxh3_64(&bytes).cast_signed()
}

/// Returns the checksum of what is known about a chat of a broadcast.
pub(crate) fn chat_sum(
    broadcast: i64,
    chat: i64,
    state: i64,
    at: i64,
    moved_to: Option<i64>,
    reason: Option<&[u8]>,
) -> i64 {
    let mut bytes = Vec::with_capacity(48);
    let present = i64::from(moved_to.is_some()) | i64::from(reason.is_some()) << 1;
    for number in [broadcast, chat, state, at, present, moved_to.unwrap_or(0)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(reason.unwrap_or_default());
    xxh3_64(&bytes).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header<'_> = Header {
        seq: 7,
        bot: 123,
        update_id: 5,
        kind: b"message",
        lane: b"chat:7",
        received_at: 1_767_261_600_000,
        bytes: 800,
        hash: -3,
    };

    #[test]
    fn every_part_of_the_header_is_covered() {
        let changed = [
            Header { seq: 8, ..HEADER },
            Header { bot: 124, ..HEADER },
            Header {
                update_id: 6,
                ..HEADER
            },
            Header {
                kind: b"massage",
                ..HEADER
            },
            Header {
                lane: b"chat:6",
                ..HEADER
            },
            Header {
                received_at: 0,
                ..HEADER
            },
            Header { bytes: 801, ..HEADER },
            Header { hash: 3, ..HEADER },
            Header {
                lane: b"chat:",
                kind: b"7message",
                ..HEADER
            },
        ];

        for header in changed {
            assert_ne!(header.sum(), HEADER.sum(), "{header:?}");
        }
    }

    #[test]
    fn every_part_of_a_broadcast_and_its_chats_is_covered() {
        let broadcast = broadcast_sum(1, 7, "a", 3);
        for changed in [
            broadcast_sum(2, 7, "a", 3),
            broadcast_sum(1, 8, "a", 3),
            broadcast_sum(1, 7, "b", 3),
            broadcast_sum(1, 7, "a", 4),
        ] {
            assert_ne!(changed, broadcast);
        }
        let chat = chat_sum(1, 42, 3, 9, None, Some(b"x"));
        for changed in [
            chat_sum(2, 42, 3, 9, None, Some(b"x")),
            chat_sum(1, 43, 3, 9, None, Some(b"x")),
            chat_sum(1, 42, 1, 9, None, Some(b"x")),
            chat_sum(1, 42, 3, 8, None, Some(b"x")),
            chat_sum(1, 42, 3, 9, Some(0), Some(b"x")),
            chat_sum(1, 42, 3, 9, None, Some(b"y")),
            chat_sum(1, 42, 3, 9, None, None),
        ] {
            assert_ne!(changed, chat);
        }
    }

    /// Files outlive the program that wrote them: a later version must compute the same.
    #[test]
    fn checksums_are_the_same_in_every_version() {
        assert_eq!(payload_hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(moved_sum("chat:-7", "chat:-1007"), -5_034_522_604_713_388_313);
        assert_eq!(HEADER.sum(), -5_779_406_821_370_345_375);
    }
}
