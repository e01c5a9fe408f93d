//! Files that were uploaded by the bot or sent by people.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

/// The largest file `getFile` hands out (<https://core.telegram.org/bots/api#getfile>).
pub(crate) const MAX_DOWNLOAD_BYTES: usize = 20_000_000;
/// The largest photo (<https://core.telegram.org/bots/api#sending-files>).
pub(crate) const MAX_PHOTO_BYTES: usize = 10 << 20;
/// How many bytes of content are kept; beyond it the oldest content is forgotten.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// A stored file.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub(crate) id: String,
    pub(crate) unique_id: String,
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) size: usize,
}

impl StoredFile {
    /// The fields that every file object of the Bot API has.
    pub(crate) fn to_json(&self) -> Value {
        json!({"file_id": self.id, "file_unique_id": self.unique_id, "file_size": self.size})
    }
}

/// The files of one bot, contents in memory.
#[derive(Debug, Default)]
pub(crate) struct Files {
    by_id: HashMap<String, StoredFile>,
    contents: HashMap<String, Bytes>,
    /// Paths in the order they were stored, for forgetting the oldest.
    order: BTreeMap<u64, String>,
    stored: u64,
    kept_bytes: usize,
}

impl Files {
    /// Stores a file in `folder`, for example `photos`.
    pub(crate) fn store(&mut self, folder: &str, name: &str, content_type: &str, bytes: Bytes) -> StoredFile {
        let number = self.stored;
        self.stored += 1;
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let extension = if extension.is_empty() { "bin" } else { extension };
        let file = StoredFile {
            id: format!("AgACAgIAAxkBAAIB{number:016x}Sim"),
            unique_id: format!("AQAD{number:08x}"),
            path: format!("{folder}/file_{number}.{extension}"),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            size: bytes.len(),
        };
        self.kept_bytes += bytes.len();
        self.contents.insert(file.path.clone(), bytes);
        self.order.insert(number, file.path.clone());
        while self.kept_bytes > MAX_KEPT_BYTES && self.order.len() > 1 {
            if let Some((_, path)) = self.order.pop_first() {
                self.kept_bytes -= self.contents.remove(&path).map_or(0, |gone| gone.len());
            }
        }
        self.by_id.insert(file.id.clone(), file.clone());
        file
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&StoredFile> {
        self.by_id.get(id)
    }

    /// Returns the content behind a `file_path`.
    pub(crate) fn content(&self, path: &str) -> Option<Bytes> {
        self.contents.get(path).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_by_path_and_the_file_by_id() {
        let mut files = Files::default();

        let file = files.store("photos", "cat.jpg", "image/jpeg", Bytes::from_static(b"cat"));

        assert_eq!(file.path, "photos/file_0.jpg");
        assert_eq!(files.by_id(&file.id).unwrap().size, 3);
        assert_eq!(files.content(&file.path).unwrap(), "cat");
    }

    #[test]
    fn the_oldest_content_is_forgotten_beyond_the_cap() {
        let mut files = Files::default();
        let half = Bytes::from(vec![0; MAX_KEPT_BYTES / 2]);
        let first = files.store("documents", "a", "", half.clone());
        let second = files.store("documents", "b", "", half);

        let third = files.store("documents", "c", "", Bytes::from_static(b"x"));

        assert!(files.content(&first.path).is_none());
        assert!(files.content(&second.path).is_some());
        assert!(files.content(&third.path).is_some());
    }
}
